"""Which containers go when Bacalhau has ended, and that the program asks Docker for no other's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.instance.scripts import containers
from bacalhau_spot.instance.scripts.console import Console

if TYPE_CHECKING:
    from pathlib import Path

    from support.node_fakes import RecordedMessages

MINUTE_US = 60_000_000


def row(name: str, execution: str, kind: str | None, *user: str) -> str:
    env = [*user, *([f"BACALHAU_JOB_TYPE={kind}"] if kind else [])]
    return f"{name} " + json.dumps({"Labels": {"bacalhau-executionID": f"n{execution}"}, "Env": env})


ALL = "\n".join(
    (
        row("b", "e-1", "batch"),
        row("o", "e-2", "ops"),
        row("s", "e-3", "service"),
        row("s-gateway", "e-3", None),
        row("d", "e-4", "daemon"),
        row("b-gateway", "e-1", None),
        row("claims", "e-5", "batch", "JOB_TYPE=service", "BACALHAU_JOB_TYPES=daemon"),
        "Error: No such object: 0123",
    )
)


def test_after_a_crash_services_and_their_gateways_stay() -> None:
    assert containers.left_behind(ALL, keep_services=True) == ["b", "o", "b-gateway", "claims"]


def test_after_a_stop_all_go() -> None:
    everything = ["b", "o", "s", "s-gateway", "d", "b-gateway", "claims"]
    assert containers.left_behind(ALL, keep_services=False) == everything
    assert containers.left_behind("", keep_services=False) == []


class Node:
    """A `docker` with two containers, and a `systemctl` that says how long Bacalhau ran."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._patch = monkeypatch
        (folder / "inspected").write_text("\n".join((row("b", "e-1", "batch"), row("s", "e-2", "service"))))
        self.docker('ps) echo "b s" ;; inspect) cat inspected ;;')
        self.ran(2 * MINUTE_US)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        monkeypatch.chdir(folder)

    def docker(self, cases: str) -> None:
        self._program("docker", f'echo "$@" >> {self._folder}/asked\ncase $1 in {cases} esac\n')

    def ran(self, microseconds: int) -> None:
        start, end = 5_000_000, 5_000_000 + microseconds
        self._program(
            "systemctl",
            f"echo ExecMainStartTimestampMonotonic={start}\necho ExecMainExitTimestampMonotonic={end}\n",
        )

    def _program(self, name: str, text: str) -> None:
        (self._folder / name).write_text(f"#!/bin/sh\n{text}")
        (self._folder / name).chmod(0o755)

    def ends(self, result: str) -> int:
        """Bacalhau ends, with systemd's word for how."""
        self._patch.setenv("SERVICE_RESULT", result)
        return containers.main()

    @property
    def removed(self) -> list[str]:
        asked = (self._folder / "asked").read_text().splitlines()
        return [name for line in asked if line.startswith("rm ") for name in line.split()[3:]]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, messages: RecordedMessages) -> Node:
    monkeypatch.setattr(Console, "say", lambda _, *line: messages.say(*line))
    return Node(tmp_path, monkeypatch)


def test_a_stop_removes_all_without_a_word(node: Node, messages: RecordedMessages) -> None:
    assert node.ends("success") == 0
    assert node.removed == ["b", "s"]
    assert messages.lines == []


@pytest.mark.parametrize("result", ["signal", "exit-code", "core-dump", "oom-kill", "timeout"])
def test_a_crash_leaves_the_service_and_is_said(node: Node, messages: RecordedMessages, result: str) -> None:
    node.ends(result)
    assert node.removed == ["b"]
    assert messages.lines == [("warning", "Bacalhau has crashed; containers removed: 1")]


def test_a_crash_soon_after_the_start_leaves_nothing(node: Node) -> None:
    node.ran(MINUTE_US - 1)
    node.ends("signal")
    assert node.removed == ["b", "s"]


def test_containers_are_asked_to_stop_first(node: Node, tmp_path: Path) -> None:
    node.ends("success")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[0] for line in asked] == ["ps", "inspect", "stop", "rm", "network"]
    assert asked[0] == "ps --all --quiet --no-trunc --filter label=bacalhau-executor"
    assert asked[2] == "stop -t 5 b s"


def test_without_containers_nothing_is_removed_nor_said(node: Node, messages: RecordedMessages) -> None:
    node.docker("")
    assert node.ends("signal") == 0
    assert node.removed == []
    assert messages.lines == []


def test_a_docker_that_does_not_answer_is_said(node: Node, messages: RecordedMessages) -> None:
    node.docker("*) echo 'Cannot connect to the Docker daemon'; exit 1 ;;")
    assert node.ends("signal") == 1
    ((phase, detail),) = messages.lines
    assert phase == "warning"
    assert detail.endswith("docker ps: Cannot connect to the Docker daemon")


def test_a_container_that_ends_in_the_meantime_is_no_failure(node: Node) -> None:
    node.docker(
        'ps) echo "b s" ;; inspect) cat inspected ;; '
        "stop) echo 'Error response from daemon: No such container: b'; exit 1 ;;"
    )
    assert node.ends("success") == 0
    assert node.removed == ["b", "s"]
