"""`status`, `prune` and `destroy` with Bacalhau itself for an orchestrator, and the sandbox for AWS.

Runs when BACALHAU_BIN names the program. Everything is on loopback.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.core.model import Naming
from support.cli_runner import CliResult, CliRunner
from support.real_bacalhau import PROGRAM, WITHOUT, Orchestrator, orchestrator, until
from support.real_node import compute

pytestmark = pytest.mark.skipif(not PROGRAM, reason=WITHOUT)

KEY = "a-key-of-more-than-20-letters"
USERS: list[dict[str, Any]] = [
    {"Alias": "deployer", "APIKey": KEY, "Capabilities": [{"Actions": ["read:node", "write:node"]}]},
]
REGION = "us-west-2"


def node(
    folder: Path, here: Orchestrator, instance: dict[str, Any]
) -> contextlib.AbstractContextManager[object]:
    """The node that first boot would make of this instance."""
    where = folder / instance["id"]
    where.mkdir()
    labels = {
        "instance-id": instance["id"], "instance-type": instance["type"], "zone": instance["zone"], "lifecycle": "spot",
    }  # fmt: skip
    return compute(
        where,
        here.nats,
        cluster=Naming().tag_value,
        region=REGION,
        name=f"bacalhau-{instance['id']}",
        labels=labels,
    )


def status(program: CliRunner) -> CliResult:
    return program("status", "--region", REGION, "-o", "json")


def diagnoses(result: CliResult) -> dict[str, str]:
    return {node["id"]: node["diagnosis"]["kind"] for node in result.data["nodes"]}


def test_a_real_orchestrator_is_read_and_tidied(sandbox: Any, program: CliRunner, tmp_path: Path) -> None:
    """A node that joined, one that left with its instance, one that never came: each named right; then the ghost is removed."""
    with orchestrator(tmp_path, users=USERS) as here:
        program.environ["ORCH_KEY"] = KEY
        api = f"  api: {{host: 127.0.0.1:{here.api}, key_env: ORCH_KEY}}\n"
        program.configure(nodes=3, regions=f"[{REGION}]", more=api)
        assert program("create", "--yes", "--wait", "running").code == 0
        joined, lost, never = program("list", "-o", "json").data["instances"]
        with node(tmp_path, here, joined):
            with node(tmp_path, here, lost):
                both = until("both have joined", lambda: _loaded(status(program), 2))
                assert diagnoses(both)[never["id"]] == "booting"
                seen = both.data["orchestrator"]
                assert (seen["api"], seen["problem"]) == ("answered", None)
                assert seen["address"] == f"http://127.0.0.1:{here.api}"
            sandbox.client("ec2", REGION).terminate_instances(InstanceIds=[lost["id"]])
            sandbox.clock.advance(7200)
            result = until("one has left", lambda: _ghostly(status(program)))
            nodes = {node["id"]: node for node in result.data["nodes"]}
            good = (
                "joined" if "docker" in nodes[joined["id"]]["orchestrator_node"]["engines"] else "no-docker"
            )
            assert diagnoses(result)[joined["id"]] == good
            assert diagnoses(result)[lost["id"]] == "orphan"
            assert diagnoses(result)[never["id"]] not in {"joined", "booting"}
            load, member = nodes[joined["id"]]["load"], nodes[joined["id"]]["orchestrator_node"]
            assert float(load["total"]["cpu"]) >= 0.5 and float(load["used"]["cpu"]) == 0
            assert member["version"].startswith("v") and member["membership"] == "APPROVED"
            assert (result.code, result.data["missing"]) == (1, 1)
            pruned = {
                node["instance_id"]: node["status"]
                for node in program("prune", "--yes", "-o", "json").data["nodes"]
            }
            assert pruned == {joined["id"]: "kept", lost["id"]: "removed"}
            assert lost["id"] not in diagnoses(status(program))
        assert program("destroy", "--yes").code == 0
        assert program("prune", "--dry-run", "-o", "json").data["nodes"] == []


def _loaded(result: CliResult, count: int) -> CliResult | None:
    return result if sum(node["load"] is not None for node in result.data["nodes"]) == count else None


def _ghostly(result: CliResult) -> CliResult | None:
    return result if result.data["stale_nodes"] else None
