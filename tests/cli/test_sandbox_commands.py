"""`--sandbox` and `sandbox …`, as a newcomer types them: a background process of its own, started and stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from support.cli_runner import CliResult, CliRunner
from support.fast_sandbox import FAST
from support.golden import golden, masked_text
from support.schemas import schema


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[CliRunner]:
    """Somebody without AWS, without a configuration, whose sandbox is stopped at the end."""
    (tmp_path / ".git").mkdir()
    program = CliRunner(folder=tmp_path, environ={"XDG_STATE_HOME": str(tmp_path / "state")})
    yield program
    program("sandbox", "stop")


def test_a_newcomers_first_minutes(newcomer: CliRunner) -> None:
    """Create --sandbox with nothing at all; interrupt; list; destroy; stop. Every word on the way can be copied and run."""
    assert newcomer("sandbox", "status").stdout.startswith("no sandbox is running")
    created = newcomer("create", "--sandbox", "--yes")
    assert created.code == 0, created.stderr
    assert "sandbox: not AWS" in created.stderr
    assert "12 of 12 nodes joined after " in created.stdout
    assert "bacalhau-spot smoke-test --sandbox" in created.stdout

    found = newcomer("list", "--sandbox", "-o", "json").data
    assert found["orchestrator"]["public_ip"].startswith("127.")
    listed = found["instances"]
    assert all(instance["public_ip"].startswith("127.") for instance in listed)
    assert newcomer("sandbox", "set", "latency_s=0", "terminate_s=0").code == 0
    taken = newcomer("sandbox", "interrupt", listed[0]["id"], "--notice-s", "0")
    assert taken.code == 0, taken.stderr
    left = newcomer("list", "--sandbox", "-o", "json", "--state", "running").data["instances"]
    assert len(left) == 11

    assert newcomer("destroy", "--sandbox", "--yes").code == 0
    # What is known of the sandbox is kept apart, and ends with it.
    (log,) = newcomer.folder.rglob("audit.jsonl")
    assert log.parent.name == "sandbox"
    assert newcomer("sandbox", "stop").code == 0
    assert "no sandbox was running" in newcomer("sandbox", "stop").stdout


# What differs from run to run, or with the configuration's template.
MASKS = {
    **dict.fromkeys(("path", "backup"), "PATH"),
    **dict.fromkeys(("url", "orchestrator_url"), "URL"),
    "text": "…",
    "version": "1",
    "pid": 1,
    "uptime_s": 1.5,
    "instance": "i-1",
    "region": "us-east-1",
    "values": {},
    "settings": {"latency_s": 0, "capacity": None, "faults": None},
    "instances": {},
    "calls": {},
    "refusals": {},
    "orchestrators": [
        {
            "region": "us-east-1",
            "instance": "i-1",
            "address": "127.0.0.1",
            "state": "answers",
            "waits_for": None,
            "notice": None,
        }
    ],
}


def test_what_programs_are_told_has_its_published_form(
    newcomer: CliRunner, snapshot: SnapshotAssertion
) -> None:
    """Each command about the sandbox and the configuration, to the key."""
    recorded = golden(snapshot)
    lines = (
        *("sandbox status", "sandbox stop", "configure --defaults", "config show", "config upgrade"),
        *("config upgrade --write", "config schema", "sandbox start", "sandbox set latency_s=0"),
    )
    for line in lines:
        result = newcomer(*line.split(), "-o", "json")
        json_data(result)
        if line not in {"config schema", "sandbox set latency_s=0"}:  # printed as they come
            assert masked_text(result.envelope, **MASKS) == recorded
    assert newcomer("sandbox", "set", *FAST).code == 0
    assert newcomer("create", "--sandbox", "--yes").code == 0
    node = newcomer("list", "--sandbox", "-o", "json").data["instances"][0]["id"]
    interrupted, looked = (
        newcomer("sandbox", *words, "-o", "json") for words in (("interrupt", node), ("status",))
    )
    for result in (interrupted, looked):
        assert masked_text(result.envelope, **MASKS) == recorded
    json_data(interrupted)
    advised = newcomer("sandbox", "rebalance", node, "-o", "json")
    assert json_data(advised) == {"instance": node, "region": interrupted.data["region"]}
    status = json_data(looked)
    assert sum(sum(each.values()) for each in status["instances"].values()) == 13
    assert [host["state"] for host in status["orchestrators"]] == ["answers"]
    assert newcomer("destroy", "--sandbox", "--yes").code == 0
    assert json_data(newcomer("sandbox", "stop", "-o", "json")) == {"stopped": True}


def json_data(result: CliResult) -> dict[str, Any]:
    """What was printed, which has the published form."""
    assert result.code == 0, result.stdout
    schema("output.schema.json").validate(result.envelope)
    return result.data


def test_mistakes(newcomer: CliRunner) -> None:
    """No such switch, no such instance, nothing running: exit codes and words, no traceback."""
    assert newcomer("sandbox", "set", "latency_s=1").code != 0
    assert newcomer("sandbox", "start").code == 0
    for line in (["sandbox", "set", "nonsense=1"], ["sandbox", "set", "latency_s=fast"], ["sandbox", "set"]):
        result = newcomer(*line)
        assert result.code == 2, result.stderr
        assert "hint:" in result.stderr
    for command in ("interrupt", "rebalance"):
        assert newcomer("sandbox", command, "i-nothing").code != 0


def test_a_proxy_is_not_asked_for_the_sandbox(newcomer: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY is for the way to AWS; nothing of the sandbox goes there."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for line in (("sandbox", "start"), ("sandbox", "set", *FAST), ("create", "--sandbox", "--yes")):
        result = newcomer(*line)
        assert result.code == 0, result.stderr
    assert "cannot determine your public address" not in result.stderr
