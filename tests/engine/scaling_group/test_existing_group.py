"""The group of a name that AWS refuses to create once more: the cluster's, or one of others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.model import Naming
from bacalhau_spot.core.tags import template_name
from bacalhau_spot.engine.scaling_group.groups import existing_group
from bacalhau_spot.errors import UserError
from engine.launch.test_interrupted_create import calls_of

REGION, NAMING = "us-west-1", Naming()
NAME = template_name(NAMING)
OURS = {NAMING.tag_key: NAMING.tag_value}
TAKEN = CloudError("AlreadyExists", "it exists", operation="CreateAutoScalingGroup", region=REGION)


def found(cloud: Aws, sandbox: Any) -> str:
    group = asyncio.run(existing_group(calls_of(cloud, sandbox), NAMING, REGION, taken=TAKEN))
    return group.name


def make(sandbox: Any, tags: dict[str, str]) -> None:
    image = sandbox.client("ec2", REGION).describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    sandbox.client("ec2", REGION).create_launch_template(
        LaunchTemplateName="any", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.small"}
    )
    sandbox.client("autoscaling", REGION).create_auto_scaling_group(
        AutoScalingGroupName=NAME,
        LaunchTemplate={"LaunchTemplateName": "any", "Version": "$Latest"},
        MinSize=0,
        MaxSize=0,
        AvailabilityZones=[f"{REGION}a"],
        Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": False} for key, value in tags.items()],
    )


def test_a_group_that_is_not_listed_yet_is_waited_for(cloud: Aws, sandbox: Any) -> None:
    """An interrupted create has made it a moment ago."""
    make(sandbox, OURS)
    sandbox.settings.read_lag_s = 8
    assert found(cloud, sandbox) == NAME


def test_a_group_that_is_never_listed_is_not_used(cloud: Aws, sandbox: Any) -> None:
    make(sandbox, OURS)
    sandbox.settings.read_lag_s = 600
    with pytest.raises(CloudError, match="it exists"):
        found(cloud, sandbox)


@pytest.mark.parametrize("tags", [{}, {"team": "payroll"}, {NAMING.tag_key: "third"}])
def test_a_group_without_the_clusters_tag_is_refused(cloud: Aws, sandbox: Any, tags: dict[str, str]) -> None:
    make(sandbox, tags)
    with pytest.raises(UserError, match=f"{NAME} in {REGION} exists and does not have the tag"):
        found(cloud, sandbox)
