"""A Bacalhau that never connects again is restarted; one that will connect by itself is left alone."""

from __future__ import annotations

import itertools
import socket
import time
from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.instance.scripts import bacalhau_cli, disk_space, shell, watchdog
from support.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from support.node_fakes import RecordedMessages

ORCHESTRATORS = ("nats://orchestrator.example.com:4222",)
INTERVAL_S = int(watchdog.CHECK_INTERVAL_S)
# Bacalhau's own longest return: two minutes of back-off, ten seconds until its next look, and the handshake.
NATURAL_S = 120 + 10 + 10


class FakeBacalhau(watchdog.WatchedBacalhau):
    """`socket`: its connection, if any; `heals`: a restart gives it one."""

    def __init__(self) -> None:
        self.clock = FakeClock(0)
        self.process = 7
        self.socket: str | None = "socket:[1]"
        self.open = True
        self.leaving = False
        self.heals = True
        self.restarts: list[float] = []

    def pid(self) -> int:
        return self.process

    def sockets(self, to: set[int]) -> set[str]:
        assert to == {4222}
        return {self.socket} if self.socket else set()

    def answers(self, addresses: Iterable[tuple[str, int]]) -> bool:
        assert list(addresses) == [("orchestrator.example.com", 4222)]
        return self.open

    def expected(self) -> bool:
        return not self.leaving

    def restart(self) -> str:
        self.restarts.append(self.clock.now())
        self.process += 1
        self.socket = f"socket:[{self.process}]" if self.heals else None
        return ""

    def now(self) -> float:
        return self.clock.now()


class Watched:
    def __init__(self, messages: RecordedMessages) -> None:
        self.bacalhau = FakeBacalhau()
        self.messages = messages
        self.watchdog = watchdog.Watchdog(ORCHESTRATORS, self.bacalhau, say=messages.say)

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds // INTERVAL_S)):
            self.watchdog.check()
            self.bacalhau.clock.advance(INTERVAL_S)


@pytest.fixture
def watched(messages: RecordedMessages) -> Watched:
    return Watched(messages)


def test_a_connected_node_is_left_alone(watched: Watched) -> None:
    watched.run(7200)
    assert watched.bacalhau.restarts == []
    assert watched.messages.lines == []


def test_a_lost_node_is_restarted_within_six_minutes_and_says_so(watched: Watched) -> None:
    watched.run(60)
    watched.bacalhau.socket = None
    watched.run(360)
    (restarted,) = watched.bacalhau.restarts
    assert watchdog.LOST_S <= restarted - 60 <= 330
    assert watched.messages.lines == [
        ("restarting", "Bacalhau has not connected for 300 s, although the orchestrator's port is open"),
        ("joined", "connected again"),
    ]


def test_it_waits_longer_than_bacalhaus_own_return(watched: Watched) -> None:
    assert watchdog.LOST_S > 2 * NATURAL_S
    watched.run(60)
    for _ in range(20):
        watched.bacalhau.socket = None
        watched.run(watchdog.LOST_S - INTERVAL_S)
        watched.bacalhau.socket = "socket:[2]"
        watched.run(INTERVAL_S)
    assert watched.bacalhau.restarts == []


def test_while_the_port_is_closed_nothing_is_restarted_and_no_time_counts(watched: Watched) -> None:
    watched.run(60)
    watched.bacalhau.socket, watched.bacalhau.open = None, False
    watched.run(7200)
    watched.bacalhau.open = True
    watched.run(watchdog.LOST_S - INTERVAL_S)
    assert watched.bacalhau.restarts == []
    watched.run(60)
    assert len(watched.bacalhau.restarts) == 1


def test_a_stopped_or_new_process_is_left_alone(watched: Watched) -> None:
    watched.run(60)
    watched.bacalhau.process, watched.bacalhau.socket = 0, None
    watched.run(7200)
    for process in range(8, 28):  # it crashes and starts again and again
        watched.bacalhau.process = process
        watched.run(watchdog.LOST_S)
    assert watched.bacalhau.restarts == []


def test_a_node_that_leaves_is_not_restarted(watched: Watched) -> None:
    watched.run(60)
    watched.bacalhau.socket, watched.bacalhau.leaving = None, True
    watched.run(7200)
    assert watched.bacalhau.restarts == []


def test_restarts_that_do_not_help_become_rarer(watched: Watched) -> None:
    """A token that stays wrong: at most one restart an hour, in the end."""
    watched.bacalhau.socket, watched.bacalhau.heals = None, False
    watched.run(24 * 3600)
    restarts = watched.bacalhau.restarts
    gaps = [after - before for before, after in itertools.pairwise(restarts)]
    assert gaps == sorted(gaps)
    assert gaps[-1] >= watchdog.LONGEST_S
    assert len(restarts) < 30
    watched.bacalhau.socket = "socket:[9]"
    watched.run(60)
    assert watched.messages.lines[-1] == ("joined", "connected again")
    watched.bacalhau.socket = None
    began = watched.bacalhau.clock.now()
    watched.run(360)
    assert restarts[-1] - began <= 330


def test_connections_that_fail_their_handshake_are_not_connected_again(watched: Watched) -> None:
    watched.run(60)
    watched.bacalhau.socket = None
    watched.bacalhau.heals = False
    watched.run(330)
    for number in range(10):
        watched.bacalhau.socket = f"socket:[1{number}]"
        watched.run(INTERVAL_S)
    assert "joined" not in watched.messages.phases


def test_a_restart_that_fails_is_said(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched.bacalhau, "restart", lambda: "Job for bacalhau.service failed.")
    watched.run(60)
    watched.bacalhau.socket = None
    watched.run(360)
    assert ("warning", "Job for bacalhau.service failed.") in watched.messages.lines


# --- Bacalhau's service itself


def test_an_open_port_answers_and_a_closed_one_does_not() -> None:
    bacalhau = watchdog.WatchedBacalhau()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = ("127.0.0.1", server.getsockname()[1])
        assert bacalhau.answers([("127.0.0.1", 9), address])
    assert not bacalhau.answers([address])


def test_the_restart_starts_nothing_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\necho no; exit 3\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert watchdog.WatchedBacalhau().restart() == "no"
    assert (tmp_path / "asked").read_text() == "try-restart bacalhau.service\n"


def test_the_cordon_ends_the_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draining = tmp_path / "draining"
    monkeypatch.setattr(watchdog, "BacalhauCli", lambda: bacalhau_cli.BacalhauCli(draining=str(draining)))
    assert watchdog.WatchedBacalhau().expected()
    draining.touch()
    assert not watchdog.WatchedBacalhau().expected()


def test_both_checks_run_though_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = tmp_path / "node.json"
    facts.write_text('{"orchestrators": ["nats://127.0.0.1:4222"]}')
    monkeypatch.setattr(watchdog, "FACTS", str(facts))
    rounds: list[str] = []

    def fail(_: object) -> None:
        rounds.append("connection")
        raise shell.CommandFailedError("systemctl cannot run")

    def slept(_: float) -> None:
        if len(rounds) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(watchdog.Watchdog, "check", fail)
    monkeypatch.setattr(disk_space.DiskSpace, "check", lambda _: rounds.append("disk"))
    monkeypatch.setattr(time, "sleep", slept)
    with pytest.raises(KeyboardInterrupt):
        watchdog.main()
    assert rounds == ["connection", "disk"] * 2
    assert capsys.readouterr().out == "systemctl cannot run\n" * 2
