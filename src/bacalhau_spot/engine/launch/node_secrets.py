"""`secrets: ssm`: one parameter per region that contains the token, and one role for the cluster that may read it.

All names are fixed, so concurrent creates, or a create after an interrupted one, use the same resources.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.partitions import partition_in
from bacalhau_spot.core.tags import iam_path, role_name, tags_for, token_parameter
from bacalhau_spot.engine.aws_calls.creation import create_unless_exists
from bacalhau_spot.engine.iam.instance_profile import Profile, ProfileRequest, ensure_profile
from bacalhau_spot.engine.iam.ownership import check_parameter
from bacalhau_spot.instance.user_data import uses_ssm_token

if TYPE_CHECKING:
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.model import ClusterSpec, Identity, Secret
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


def node_secrets(calls: AwsCalls, facts: LaunchFacts) -> NodeSecrets | None:
    """None if the token is in the user data, or if there is none."""
    token = facts.spec.bacalhau.token
    if token is None or not uses_ssm_token(facts.spec):
        return None
    return NodeSecrets(calls, facts.spec, facts.account.identity, token=token)


def policy(identity: Identity, parameter: str) -> str:
    """Permits reading this one parameter in any region. JSON with sorted keys; partitions: aws, aws-cn, aws-us-gov."""
    statement = {
        "Effect": "Allow",
        "Action": "ssm:GetParameter",
        "Resource": f"arn:{partition_in(identity.arn).id}:ssm:*:{identity.account_id}:parameter{parameter}",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, sort_keys=True)


class NodeSecrets:
    """Creates missing resources. Raises CloudError, Cancelled, UserError for resources of others."""

    def __init__(self, calls: AwsCalls, spec: ClusterSpec, identity: Identity, *, token: Secret) -> None:
        self._calls = calls
        self._naming = spec.naming
        self._token = token
        self._parameter = token_parameter(spec.naming)
        self._document = policy(identity, self._parameter)
        self._principal = partition_in(identity.arn).ec2_principal
        self._once = asyncio.Lock()
        self._profile: Profile | None = None

    async def ready(self, region: str) -> Profile:
        """Ensure that the region's parameter contains the token and that the profile's role may read it."""
        await self._keep_token(region)
        async with self._once:  # the regions share the profile: the first one creates it
            if self._profile is None:
                self._profile = await self._make_profile()
        return self._profile

    async def _keep_token(self, region: str) -> None:
        cloud, name = self._calls.cloud, self._parameter
        secret = await self._calls.read(region, partial(cloud.parameter, region, name))
        if secret == self._token:
            return
        put = partial(cloud.put_parameter, region, name, value=self._token, tags=tags_for(self._naming, name))
        if secret is None and await create_unless_exists(
            self._calls, region, ResourceKind.PARAMETER, name, partial(put, replace=False)
        ):
            return
        await check_parameter(self._calls, self._naming, region, name)
        await self._calls.write(region, partial(put, replace=True))

    async def _make_profile(self) -> Profile:
        request = ProfileRequest(
            name=role_name(self._naming),
            path=iam_path(self._naming),
            principal=self._principal,
            description="Bacalhau compute nodes: they read their token",
            policy="read-token",
            document=self._document,
            tags=tags_for(self._naming, role_name(self._naming)),
            tag_key=self._naming.tag_key,
        )
        return await ensure_profile(self._calls, request)
