"""Others' resources with exactly the names of ours, and without the cluster's tag: a name proves nothing.

One case for each kind that bacalhau-spot finds by its name. `create` says so and fails; neither it nor `destroy` changes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bacalhau_spot.core.lifecycle.operator_lock import LOCK_ROLE, lock_name
from bacalhau_spot.core.model import ROLE_KEY, Naming
from bacalhau_spot.core.tags import template_name, token_parameter
from support.account_snapshot import account_snapshot
from support.cli_runner import CliRunner

REGION = "us-east-1"
NAMING = Naming()
TAG = f"{NAMING.tag_key}={NAMING.tag_value}"
OURS = {"Key": NAMING.tag_key, "Value": NAMING.tag_value}
LOCK = {"Key": ROLE_KEY, "Value": LOCK_ROLE}
THEIRS = [{"Key": "team", "Value": "payroll"}]
SECRETS = "  token: planted-token-71\n  secrets: ssm\n"


def template(sandbox: Any, name: str, tags: Any = THEIRS) -> None:
    ec2 = sandbox.client("ec2", REGION)
    ec2.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData={
            "ImageId": ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"],
            "InstanceType": "t3.small",
        },
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags}],
    )


def scaling_group(sandbox: Any) -> None:
    """With a running instance."""
    template(sandbox, "theirs")
    sandbox.client("autoscaling", REGION).create_auto_scaling_group(
        AutoScalingGroupName=template_name(NAMING),
        LaunchTemplate={"LaunchTemplateName": "theirs", "Version": "$Latest"},
        MinSize=1,
        MaxSize=1,
        AvailabilityZones=[f"{REGION}a"],
        Tags=[{**tag, "PropagateAtLaunch": True} for tag in THEIRS],
    )


@dataclass(frozen=True)
class Named:
    """`noun`: of the refusal, with the name. `lacks`: the tag that the refusal names."""

    noun: str
    make: Callable[[Any], None]
    config: str = ""
    lacks: str = TAG


KINDS = {
    "Auto Scaling group": Named(
        f"the Auto Scaling group {template_name(NAMING)}", scaling_group, "self_heal: true\n"
    ),
    "lock": Named(
        f"the launch template {lock_name(NAMING)}", lambda sandbox: template(sandbox, lock_name(NAMING))
    ),
    "lock of another cluster": Named(
        f"the launch template {lock_name(NAMING)}",
        lambda sandbox: template(
            sandbox, lock_name(NAMING), [{"Key": NAMING.tag_key, "Value": "third"}, LOCK]
        ),
    ),
    "launch template": Named(
        f"the launch template {template_name(NAMING)}",
        lambda sandbox: template(sandbox, template_name(NAMING)),
    ),
    "parameter of the token": Named(
        f"the parameter {token_parameter(NAMING)}",
        lambda sandbox: sandbox.client("ssm", REGION).put_parameter(
            Name=token_parameter(NAMING), Value="theirs", Type="SecureString", Tags=THEIRS
        ),
        SECRETS,
    ),
    "template that is not a lock": Named(
        f"the launch template {lock_name(NAMING)}",
        lambda sandbox: template(sandbox, lock_name(NAMING), [OURS]),
        lacks=f"{ROLE_KEY}={LOCK_ROLE}",
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_name_of_ours_without_our_tag_is_never_changed(
    sandbox: Any, program: CliRunner, kind: Named
) -> None:
    program.configure(nodes=1, regions=f"[{REGION}]", more=kind.config)
    kind.make(sandbox)
    sandbox.clock.advance(300)
    theirs = shown(sandbox)
    created = program("create", "--yes", "-o", "json")
    assert created.code not in (0, 130), created.stdout
    assert f"{kind.noun} in {REGION} exists and does not have the tag {kind.lacks}" in created.stdout
    assert changed(sandbox, theirs) == {}
    program("destroy", "--yes")
    assert changed(sandbox, theirs) == {}


def shown(sandbox: Any) -> dict[str, str]:
    sandbox.server.settle()
    return account_snapshot(sandbox.client, (REGION,))


def changed(sandbox: Any, theirs: dict[str, str]) -> dict[str, Any]:
    after = shown(sandbox)
    return {key: after.get(key) for key, row in theirs.items() if after.get(key) != row}
