"""The table of permissions: nothing that the code calls is missing, nothing is there that it does not call."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from bacalhau_spot import config
from bacalhau_spot.core import policy
from bacalhau_spot.core.model import ClusterSpec, Naming, RegionSpec, Secrets
from bacalhau_spot.core.permissions import COMMANDS, FREE, TABLE, WIDER, Bound, When
from support.calls_in_code import calls_in_code

DEFAULTS = config.defaults()


def spec(**changes: Any) -> ClusterSpec:
    return replace(DEFAULTS, **changes)


def allowed(*commands: str, **changes: Any) -> set[str]:
    return set(policy.actions_of(policy.documents(spec(**changes), commands=commands)))


def test_the_table_is_what_the_code_calls() -> None:
    """Every call of the code asks for actions of the table, and every action is asked for by a call of the code."""
    in_table = {call for row in TABLE for call in row.asked_by}
    in_code = calls_in_code()
    assert in_code - in_table - FREE == set()
    assert in_table - in_code == set()


def test_no_row_is_there_twice() -> None:
    keys = [(row.action, row.by, row.when, row.bounds) for row in TABLE]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("commands", [(one,) for one in (*COMMANDS, *WIDER)] + [COMMANDS])
def test_no_document_is_larger_than_a_managed_policy_may_be(commands: tuple[str, ...]) -> None:
    """AWS: IAM User Guide, "IAM and AWS STS quotas": 6,144 characters without white space. Names as long as they may be."""
    long = Naming(tag_key="k" * 127, tag_value="v" * 256, creator="c" * 256, resource_prefix="p" * 32)
    for naming in (Naming(), long):
        made = policy.documents(spec(naming=naming), commands=commands, account="1" * 12)
        for one in made:
            assert len("".join(json.dumps(one, indent=2).split())) <= policy.characters(one) <= 6144
        assert sum(len(one["Statement"]) for one in made) == len(
            {id(s) for one in made for s in one["Statement"]}
        )


def test_no_action_has_a_wildcard_and_what_changes_something_is_bound() -> None:
    """Only what looks is allowed on everything without a condition."""
    everything = spec(
        bacalhau=replace(DEFAULTS.bacalhau, secrets=Secrets.SSM),
        regions=(RegionSpec("us-east-1", vpc_id="vpc-1"), RegionSpec("us-west-2")),
    )
    looking = {row.action for row in TABLE if Bound.ANY in row.bounds}
    assert all(
        action.split(":")[1].startswith(("Describe", "Get", "List", "Simulate", "Decode"))
        for action in looking
    )
    for document in policy.documents(everything, commands=COMMANDS):
        for one in document["Statement"]:
            assert not any("*" in action for action in one["Action"])
            assert one["Resource"] != "*" or "Condition" in one or set(one["Action"]) <= looking


def test_the_policy_is_what_the_configuration_needs() -> None:
    """A part of the configuration that is not used is not in it."""
    assert "iam:PassRole" not in allowed("create")
    assert "iam:PassRole" in allowed("create", bacalhau=replace(DEFAULTS.bacalhau, secrets=Secrets.SSM))
    assert "ec2:AuthorizeSecurityGroupIngress" not in allowed("create", ssh_cidrs=())
    assert "ssm:GetParameters" not in allowed("create", image="ami-0123")
    theirs = (RegionSpec("us-east-1", vpc_id="vpc-1"),)
    assert not {"ec2:CreateVpc", "ec2:CreateRoute"} & allowed("create", regions=theirs)
    assert "ec2:DeleteVpc" not in allowed("create", "list")
    assert allowed("list") < allowed("create") < allowed(*COMMANDS)


def test_adopting_is_allowed_only_by_name() -> None:
    """With it the policy could take hold of anything."""
    adopting = {"Sid": "Adopting"}.items()
    assert not any(
        adopting <= one.items()
        for d in policy.documents(DEFAULTS, commands=COMMANDS)
        for one in d["Statement"]
    )
    wide = policy.documents(DEFAULTS, commands=("nuke --adopt",))
    assert any(adopting <= one.items() for document in wide for one in document["Statement"])
    assert allowed("nuke") < allowed("nuke --adopt")


def test_every_circumstance_is_used() -> None:
    assert {when for row in TABLE for when in row.when} == set(When)
