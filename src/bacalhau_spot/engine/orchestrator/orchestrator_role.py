"""The role of the orchestrator's instance: it reads its credentials, and reads and writes results in the bucket."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bacalhau_spot.core.partitions import partition_in
from bacalhau_spot.core.tags import (
    iam_path,
    orchestrator_parameter,
    orchestrator_role_name,
    orchestrator_tags,
)
from bacalhau_spot.engine.iam.instance_profile import ProfileRequest

if TYPE_CHECKING:
    from bacalhau_spot.core.model import Identity, Naming

# Bacalhau's key prefix in the bucket (Publishers.Types.S3Managed.Key).
RESULTS_PREFIX = "jobs/"


def orchestrator_profile(naming: Naming, identity: Identity, *, region: str, bucket: str) -> ProfileRequest:
    """The role and the profile of the same name."""
    name = orchestrator_role_name(naming)
    return ProfileRequest(
        name=name,
        path=iam_path(naming),
        principal=partition_in(identity.arn).ec2_principal,
        description="Bacalhau orchestrator: it reads its credentials and stores job results",
        policy="orchestrator",
        document=_policy(naming, identity, region=region, bucket=bucket),
        tags=orchestrator_tags(naming, name),
        tag_key=naming.tag_key,
    )


def _policy(naming: Naming, identity: Identity, *, region: str, bucket: str) -> str:
    """The pre-signed URLs of job results have these permissions. JSON with sorted keys."""
    partition = partition_in(identity.arn).id
    parameter = f"parameter{orchestrator_parameter(naming)}"
    statements = (
        ("ssm:GetParameter", f"arn:{partition}:ssm:{region}:{identity.account_id}:{parameter}"),
        (
            ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
            f"arn:{partition}:s3:::{bucket}/{RESULTS_PREFIX}*",
        ),
    )
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements
            ],
        },
        sort_keys=True,
    )
