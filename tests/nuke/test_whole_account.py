"""Ten regions, three clusters, one of every kind, and other people's things everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support import crowd
from support.survey import survey

if TYPE_CHECKING:
    from support.program import Program


@pytest.fixture
def account(sandbox: Any, program: Program) -> dict[str, str]:
    """What is not ours, as it reads before anything of ours is there."""
    crowd.bystanders(sandbox, crowd.REGIONS)
    crowd.cluster(program, crowd.STRANGERS, nodes=9, regions=crowd.BESIDE_BEASTS)
    return survey(sandbox.client, crowd.REGIONS)


def test_nuke_takes_all_that_is_ours_and_nothing_else(
    sandbox: Any, program: Program, account: dict[str, str]
) -> None:
    """Both of our clusters, whatever their tag's value, and one of every kind; the third and all bystanders read as before."""
    crowd.cluster(program, crowd.SECOND, nodes=9, regions=crowd.BESIDE_BEASTS)
    crowd.cluster(program, nodes=22)
    beasts = crowd.beasts(sandbox)
    done = program("nuke", "--force", "-o", "json")
    assert done.code == 0, done.stdout[-3000:]
    gone = {(one["kind"], one["id"]) for one in done.data["outcomes"] if one["fate"] == "deleted"}
    assert {(kind.value, one) for kind, ids in beasts.made.items() for one in ids} <= gone
    assert sum(kind == "instance" for kind, _ in gone) >= 30
    assert survey(sandbox.client, crowd.REGIONS) == account


def test_destroy_takes_one_cluster_and_nothing_else(
    sandbox: Any, program: Program, account: dict[str, str]
) -> None:
    """Not the one beside it that is ours as well."""
    assert account
    crowd.cluster(program, crowd.SECOND, nodes=9, regions=crowd.BESIDE_BEASTS)
    before = survey(sandbox.client, crowd.REGIONS)
    crowd.cluster(program, nodes=10)
    crowd.beasts(sandbox)
    done = program("destroy", "--yes", "-o", "json")
    assert done.code == 0, done.stdout[-3000:]
    assert survey(sandbox.client, crowd.REGIONS) == before


def test_destroy_by_name_needs_no_matching_configuration(sandbox: Any, program: Program) -> None:
    """`--cluster` names another one; the configuration's own stays."""
    crowd.cluster(program, nodes=1, regions=["eu-west-1"])
    before = survey(sandbox.client, ["eu-west-1", "us-east-1"])
    crowd.cluster(program, crowd.SECOND, nodes=1, regions=["us-east-1"])
    program.configure(nodes=1, regions="[eu-west-1]")
    assert program("destroy", "--cluster", "second", "--yes").code == 0
    assert survey(sandbox.client, ["eu-west-1", "us-east-1"]) == before
