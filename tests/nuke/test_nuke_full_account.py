"""Ten regions, three clusters, one of every kind, and other people's things everywhere."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bacalhau_spot.core.kinds import ResourceKind
from support import busy_account
from support.account_snapshot import account_snapshot

if TYPE_CHECKING:
    from support.cli_runner import CliRunner


def nodes_of_clusters(shown: dict[str, str]) -> Counter[str]:
    """How many instances carry each value of the tag."""
    rows = [json.loads(row) for key, row in shown.items() if " Reservations " in key]
    tags = [{tag["Key"]: tag["Value"] for tag in row.get("Tags") or ()} for row in rows]
    return Counter(tag["bacalhau-cluster"] for tag in tags if "bacalhau-cluster" in tag)


@pytest.fixture
def account(sandbox: Any, program: CliRunner) -> dict[str, str]:
    """What is not ours, as it reads before anything of ours is there."""
    busy_account.bystanders(sandbox, busy_account.BUSY)
    busy_account.cluster(program, busy_account.STRANGERS, nodes=9, regions=busy_account.BESIDE_BEASTS)
    return account_snapshot(sandbox.client, busy_account.BUSY)


def test_nuke_takes_all_that_is_ours_and_nothing_else(
    sandbox: Any, program: CliRunner, account: dict[str, str]
) -> None:
    """Both of our clusters, whatever their tag's value, and one of every kind; the third and all bystanders read as before."""
    busy_account.cluster(program, busy_account.SECOND, nodes=9, regions=busy_account.BESIDE_BEASTS)
    busy_account.cluster(program, nodes=22)
    beasts = busy_account.beasts(sandbox)
    everybody = account_snapshot(sandbox.client, busy_account.BUSY)
    assert nodes_of_clusters(everybody) == {"bacalhau-aws-spot": 22, "second": 9, "third": 9}
    assert set(beasts.resource_ids) == set(ResourceKind)
    for region in busy_account.BUSY:
        assert sum(key.startswith(f"{region} Reservations") for key in account) >= 2, "machines of bystanders"
    result = program("nuke", "--force", "-o", "json")
    assert result.code == 0, result.stdout[-3000:]
    deleted_resources = {
        (outcome["kind"], outcome["id"])
        for outcome in result.data["outcomes"]
        if outcome["status"] == "deleted"
    }
    assert {
        (kind.value, resource_id) for kind, ids in beasts.resource_ids.items() for resource_id in ids
    } <= deleted_resources
    assert sum(kind == "instance" for kind, _ in deleted_resources) >= 30
    assert account_snapshot(sandbox.client, busy_account.BUSY) == account


def test_destroy_takes_one_cluster_and_nothing_else(
    sandbox: Any, program: CliRunner, account: dict[str, str]
) -> None:
    """Not the one beside it that is ours as well."""
    assert account
    busy_account.cluster(program, busy_account.SECOND, nodes=9, regions=busy_account.BESIDE_BEASTS)
    before = account_snapshot(sandbox.client, busy_account.BUSY)
    busy_account.cluster(program, nodes=10)
    busy_account.beasts(sandbox)
    result = program("destroy", "--yes", "-o", "json")
    assert result.code == 0, result.stdout[-3000:]
    assert account_snapshot(sandbox.client, busy_account.BUSY) == before


def test_destroy_by_name_needs_no_matching_configuration(sandbox: Any, program: CliRunner) -> None:
    """`--cluster` names another one; the configuration's own stays."""
    busy_account.cluster(program, nodes=1, regions=["eu-west-1"])
    before = account_snapshot(sandbox.client, ["eu-west-1", "us-east-1"])
    busy_account.cluster(program, busy_account.SECOND, nodes=1, regions=["us-east-1"])
    program.configure(nodes=1, regions="[eu-west-1]")
    assert program("destroy", "--cluster", "second", "--yes").code == 0
    assert account_snapshot(sandbox.client, ["eu-west-1", "us-east-1"]) == before
