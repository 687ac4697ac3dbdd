"""The delivery of notices: to a webhook with one more attempt, to a command with the JSON on its input."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.notices import (
    DeliveryResult,
    NoticeKind,
    NotifyTarget,
    cluster_expired,
    delivery_warning,
    interruptions,
    replacement,
    sample_notice,
)
from bacalhau_spot.core.pricing.cost import Usage
from bacalhau_spot.engine import notices as engine
from support.misbehaving_servers import closed_port
from support.webhook import PATH, webhook

BODY = {"event": "interruption", "text": "lost"}


class NoWaiting:
    """A clock that counts the seconds that it was asked to sleep."""

    slept_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 28, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return self.slept_s

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds


def send(
    *targets: NotifyTarget, kind: NoticeKind = NoticeKind.INTERRUPTION, clock: NoWaiting | None = None
) -> list[DeliveryResult]:
    notice = sample_notice(kind, "hunt")
    deliveries = [
        engine.Delivery(number, target, notice, json.dumps(BODY).encode())
        for number, target in enumerate(targets, 1)
    ]
    environ = {"PATH": os.environ["PATH"]}
    return list(asyncio.run(engine.deliver(deliveries, environ=environ, clock=clock or NoWaiting())))


def hook(url: str) -> NotifyTarget:
    return NotifyTarget(url=Secret(url))


def test_a_webhook_gets_json() -> None:
    with webhook() as server:
        [result] = send(hook(server.url))
        assert result.delivered
        assert server.bodies == [BODY]
        assert server.headers[0]["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("answers", "attempts", "problem"),
    [
        ([(503, "busy")], 2, ""),
        ([(429, "slow down")], 2, ""),
        ([(503, "busy"), (500, "still")], 2, "HTTP status 500: still; two attempts"),
        ([(400, "invalid_payload")], 1, "HTTP status 400: invalid_payload"),
        ([(404, "no_service")], 1, "HTTP status 404: no_service"),
        ([(302, "")], 1, "HTTP status 302"),
        ([(403, "a\x1b[31mb\n" + "x" * 300)], 1, "HTTP status 403: a[31mb " + "x" * 193 + "…"),
    ],
)
def test_a_second_attempt_where_it_may_help(
    answers: list[tuple[int, str]], attempts: int, problem: str
) -> None:
    clock = NoWaiting()
    with webhook() as server:
        server.answers = list(answers)
        [result] = send(hook(server.url), clock=clock)
        assert (result.problem, len(server.bodies)) == (problem, attempts)
        assert clock.slept_s == (0.5 if attempts > 1 else 0)


def test_a_machine_that_does_not_answer() -> None:
    """The address is a secret: neither its path nor the whole of it is in the warning."""
    [result] = send(hook(f"http://{closed_port()}{PATH}"))
    assert "two attempts" in result.problem
    warning = delivery_warning(result)
    assert "webhook at 127.0.0.1 (number 1 in `notify`)" in warning
    assert "planted" not in warning.lower()


def test_a_silent_webhook_takes_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ATTEMPT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        [result] = send(hook(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
    assert result.problem == "no answer within 0.1 s; two attempts"


def test_a_command_gets_json_and_the_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell command, with pipes; of the environment only the given variables."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    out = tmp_path / "out"
    command = f'cat > {out}; echo " $BACALHAU_SPOT_EVENT" >> {out}; env | grep -c AWS >> {out}; echo noise'
    [result] = send(NotifyTarget(command=command))
    assert result.problem == ""
    body, event, aws = out.read_text().partition("}")[0] + "}", *out.read_text().splitlines()[-2:]
    assert json.loads(body) == BODY
    assert (event.rpartition(" ")[2], aws) == ("interruption", "0")


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("exit 3", "exit code 3"),
        ("echo no such channel >&2; exit 1", "exit code 1: no such channel"),
        ("/no/such/program", "exit code 127: "),
        ("true", ""),  # it does not read its input
        ("exec 0<&-; exit 0", ""),
    ],
)
def test_how_a_command_ends(command: str, problem: str) -> None:
    [result] = send(NotifyTarget(command=command))
    assert result.problem.startswith(problem) if problem else result.problem == ""


def test_a_command_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its children."""
    monkeypatch.setattr(engine, "COMMAND_S", 0.2)
    pid = tmp_path / "pid"
    [result] = send(NotifyTarget(command=f"sleep 60 & echo $! > {pid}; wait"))
    assert result.problem == "not finished after 0.2 s; it was stopped"
    child = int(pid.read_text())
    status = Path(f"/proc/{child}/stat")
    assert not status.exists() or status.read_text().split()[2] == "Z"


def test_all_at_once() -> None:
    """A failure of one receiver changes nothing for the others, and the order stays."""
    with webhook() as server:
        results = send(NotifyTarget(command="exit 1"), hook(server.url), NotifyTarget(command="true"))
        assert [(result.number, result.delivered) for result in results] == [(1, False), (2, True), (3, True)]


def test_every_kind_is_delivered() -> None:
    """Those that other commands send: with a sentence and its facts."""
    noon = datetime(2026, 11, 28, 12, tzinfo=UTC)
    expired = cluster_expired("hunt", expired_at=noon, nodes=3)
    assert expired.text == "hunt expired at 2026-11-28 12:00 UTC and is deleted; 3 nodes ended with it"
    assert expired.data == {"expired_at": "2026-11-28T12:00:00Z", "nodes": 3, "reason": "lifetime"}
    idle = cluster_expired("hunt", expired_at=noon, nodes=3, idle=True)
    assert idle.text == "hunt had no job since 2026-11-28 12:00 UTC and is deleted; 3 nodes ended with it"
    new = replacement("hunt", old_id="i-1", new_id="i-2", zone="z", instance_type="t3.medium", seconds=90)
    assert new.text == "i-2 (t3.medium in z) replaced i-1 of hunt, after 90 s"
    target = NotifyTarget(command="x", events=(NoticeKind.REPLACEMENT,))
    assert [kind for kind in NoticeKind if target.receives(kind)] == [NoticeKind.REPLACEMENT]
    assert all(NotifyTarget(command="x").receives(kind) for kind in NoticeKind)


def test_interruptions_alone_are_notices() -> None:
    """Of ended usages: those of nodes that EC2 interrupted."""
    noon = datetime(2026, 11, 28, 12, tzinfo=UTC)

    def usage(name: str, *, interrupted: bool = True, orchestrator: bool = False) -> Usage:
        return Usage(
            name, "r", "ra", "t3.medium", noon, noon, interrupted=interrupted, orchestrator=orchestrator
        )

    [notice] = interruptions(
        "hunt", [usage("i-1"), usage("i-2", interrupted=False), usage("i-3", orchestrator=True)]
    )
    assert notice.text == "EC2 interrupted i-1 of hunt (t3.medium in ra)"
    assert notice.data["ended_at"] == "2026-11-28T12:00:00Z"
