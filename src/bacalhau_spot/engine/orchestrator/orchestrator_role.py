"""The role of the orchestrator's instance: it reads its parameters, and reads and writes results in the bucket.

With `orchestrator.reconcile`, it also has the permissions of `iam-policy --command "reconcile --on-orchestrator"`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.iam.permissions import ON_ORCHESTRATOR
from bacalhau_spot.core.iam.policy import characters, documents
from bacalhau_spot.core.partitions import partition_in
from bacalhau_spot.core.tags import (
    iam_path,
    orchestrator_parameter,
    orchestrator_role_name,
    orchestrator_tags,
    reconcile_parameter,
)
from bacalhau_spot.engine.iam.instance_profile import ProfileRequest
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from bacalhau_spot.core.iam.policy import Statement
    from bacalhau_spot.core.model import ClusterSpec, Identity

# Bacalhau's key prefix in the bucket (Publishers.Types.S3Managed.Key).
RESULTS_PREFIX = "jobs/"


# Of all inline policies of a role together, without white space (IAM user guide, "IAM and AWS STS quotas").
_MAX_CHARACTERS: Final = 10_240


def orchestrator_profile(
    spec: ClusterSpec, identity: Identity, *, region: str, bucket: str
) -> ProfileRequest:
    """The role and the profile of the same name. Raises UserError for a policy that is too long for a role."""
    naming = spec.naming
    name = orchestrator_role_name(naming)
    return ProfileRequest(
        name=name,
        path=iam_path(naming),
        principal=partition_in(identity.arn).ec2_principal,
        description="Bacalhau orchestrator: it reads its credentials and stores job results",
        policy="orchestrator",
        document=_policy(spec, identity, region=region, bucket=bucket),
        tags=orchestrator_tags(naming, name),
        tag_key=naming.tag_key,
    )


def _policy(spec: ClusterSpec, identity: Identity, *, region: str, bucket: str) -> str:
    """The pre-signed URLs of job results have these permissions. JSON with sorted keys."""
    partition = partition_in(identity.arn).id
    parameters = [
        f"arn:{partition}:ssm:{region}:{identity.account_id}:parameter{name}"
        for name in (orchestrator_parameter(spec.naming), reconcile_parameter(spec.naming))
    ]
    statements: tuple[tuple[str | list[str], str | list[str]], ...] = (
        ("ssm:GetParameter", parameters),
        (
            ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
            f"arn:{partition}:s3:::{bucket}/{RESULTS_PREFIX}*",
        ),
    )
    document = {
        "Version": "2012-10-17",
        "Statement": [
            *({"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements),
            *_reconcile_statements(spec, identity, partition),
        ],
    }
    if characters(document) > _MAX_CHARACTERS:
        raise UserError(
            f"the policy of the orchestrator's role has {characters(document):,} characters, and IAM allows "
            f"{_MAX_CHARACTERS:,} in a role",
            hint="run `reconcile` elsewhere, and remove `orchestrator.reconcile` from the configuration",
            docs="docs/reconcile.md",
        )
    return json.dumps(document, sort_keys=True)


def _reconcile_statements(spec: ClusterSpec, identity: Identity, partition: str) -> list[Statement]:
    if spec.orchestrator.reconcile is None:
        return []
    found = documents(spec, commands=(ON_ORCHESTRATOR,), account=identity.account_id, partition=partition)
    return [statement for document in found for statement in document["Statement"]]
