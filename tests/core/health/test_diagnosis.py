"""The verdict on a node: every row, the order of rows, and that there is always exactly one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core.health.boot_console import STEPS, BootProgress, console_lines, parse_boot
from bacalhau_spot.core.health.diagnosis import RULES, Diagnosis, Severity, diagnose
from bacalhau_spot.core.health.observation import (
    ApiAvailability,
    NodeObservation,
    SpotStatus,
    StatusCheck,
    StatusChecks,
)
from bacalhau_spot.core.health.termination_reasons import INTERRUPTED, JOIN_FAILURES, join_failure
from bacalhau_spot.core.model import Instance, State
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Capacity, Membership, OrchestratorNode
from bacalhau_spot.core.tags import DRAIN_KEY, EXPIRES_KEY
from bacalhau_spot.ui.diagnosis_text import diagnosis_text
from support.health import MINUTE, NOW, booted, console_output, evidence, member, node, spot

NODE, OLD = node(), node(age=12 * MINUTE)
GONE = node(state=State.TERMINATED, termination_reason="Client.UserInitiatedShutdown")
TAKEN = node(state=State.TERMINATED, termination_reason="Server.SpotInstanceTermination")
VIOLATION = "nats: Authorization Violation"
GPU = node(type="g5.xlarge")
DRAINING = replace(NODE, metadata_tags=True)


def restarted(*, ago: int) -> dict[str, datetime]:
    return {"api_at": NOW, "orchestrator_started_at": NOW - timedelta(seconds=ago)}


# What is known -> the verdict's kind, and what the user reads.
CASES: dict[str, tuple[NodeObservation, Diagnosis, str]] = {
    "an instance that nobody has": (
        evidence(member=member(NODE)),
        Diagnosis.STRAY,
        "connected as a node of this cluster, but has no instance",
    ),
    "a ghost": (
        evidence(member=member(NODE, connected=False, since=NOW - 2 * MINUTE)),
        Diagnosis.ORPHAN,
        "stale node in the orchestrator for 2 min: its instance is terminated",
    ),
    "taken back": (
        evidence(TAKEN, spot=spot(TAKEN, "instance-terminated-no-capacity")),
        Diagnosis.INTERRUPTED,
        "interrupted by AWS 4 min ago: no capacity",
    ),
    "taken back, while it ends": (
        evidence(node(state=State.SHUTTING_DOWN), spot=spot(NODE, "instance-terminated-by-price", ago=MINUTE)),
        Diagnosis.INTERRUPTED,
        "interrupted by AWS 1 min ago: the spot price rose above the limit",
    ),
    "taken back, and the request no longer listed": (evidence(TAKEN), Diagnosis.INTERRUPTED, "interrupted by AWS"),
    "taken back, and still in the orchestrator": (
        evidence(TAKEN, member=member(TAKEN, connected=False)),
        Diagnosis.INTERRUPTED,
        "interrupted by AWS",
    ),
    "AWS's hardware": (
        evidence(node(state=State.TERMINATED, termination_reason="Server.InternalError")),
        Diagnosis.LOST,
        "lost by AWS: Server.InternalError",
    ),
    "stopped": (
        evidence(node(state=State.STOPPED)),
        Diagnosis.STOPPED,
        "stopped: it runs no jobs, and its disk still costs money",
    ),
    "ending": (evidence(node(state=State.SHUTTING_DOWN)), Diagnosis.ENDING, "shutting down"),
    "ended": (
        evidence(GONE, spot=spot(GONE, "instance-terminated-by-user")),
        Diagnosis.ENDED,
        "terminated by a user 4 min ago",
    ),
    "ended from inside": (
        evidence(node(state=State.TERMINATED, termination_reason="Client.InstanceInitiatedShutdown")),
        Diagnosis.ENDED,
        "terminated from inside: its system was shut down",
    ),
    "ended for a reason of which we do not know": (
        evidence(node(state=State.TERMINATED, termination_reason="Client.New")),
        Diagnosis.ENDED,
        "terminated with Client.New",
    ),
    "a notice": (
        evidence(NODE, spot=spot(NODE, "marked-for-termination", ago=timedelta(seconds=30)), member=member(NODE)),
        Diagnosis.NOTICED,
        "interruption notice: terminates in 90 s",
    ),
    "a notice that only the node has seen": (
        evidence(OLD, api=ApiAvailability.NOT_CONFIGURED, boot=booted("joined", "interrupted: terminate in 118 s")),
        Diagnosis.NOTICED,
        "interruption notice: terminates in 60 s",
    ),
    "a notice that is over": (
        evidence(NODE, spot=spot(NODE, "marked-for-termination")),
        Diagnosis.NOTICED,
        "interruption notice: terminates in 0 s",
    ),
    "starting": (evidence(node(state=State.PENDING, age=MINUTE)), Diagnosis.STARTING, "starting for 1 min"),
    "starting too long": (
        evidence(node(state=State.PENDING, age=6 * MINUTE)),
        Diagnosis.NOT_STARTING,
        "not starting for 6 min",
    ),
    "draining": (
        evidence(replace(DRAINING, tags={DRAIN_KEY: "2026-11-23T12:08:00Z"}), member=member(NODE, connected=False)),
        Diagnosis.DRAINING,
        "draining: terminates in at most 9 min",
    ),
    "draining for the last seconds": (
        evidence(replace(DRAINING, tags={DRAIN_KEY: "2026-11-23T12:00:50Z"}), member=member(NODE)),
        Diagnosis.DRAINING,
        "draining: terminates in at most 110 s",
    ),
    "its drain is just over": (
        evidence(replace(DRAINING, tags={DRAIN_KEY: "2026-11-23T11:59:30Z"}), member=member(NODE)),
        Diagnosis.DRAINING,
        "draining: terminates in at most 30 s",
    ),
    "its drain is over": (
        evidence(replace(DRAINING, tags={DRAIN_KEY: "2026-11-23T11:58:00Z"}), member=member(NODE)),
        Diagnosis.DRAIN_OVERDUE,
        "its drain ended 2 min ago, and it still runs",
    ),
    "a node that cannot read its tag": (
        evidence(replace(NODE, tags={DRAIN_KEY: "2026-11-23T12:08:00Z"}), member=member(NODE)),
        Diagnosis.JOINED,
        "joined",
    ),
    "impaired": (
        evidence(NODE, checks=StatusChecks(StatusCheck.IMPAIRED, StatusCheck.IMPAIRED), member=member(NODE)),
        Diagnosis.IMPAIRED,
        "status check impaired: system and instance",
    ),
    "past its expiry": (
        evidence(replace(NODE, tags={EXPIRES_KEY: "2026-11-23T11:30:00Z"}), member=member(NODE)),
        Diagnosis.OVERDUE,
        "past its expiry for 30 min",
    ),
    "rejected": (
        evidence(NODE, member=member(NODE, membership=Membership.REJECTED, connected=False)),
        Diagnosis.REJECTED,
        "rejected by the orchestrator",
    ),
    "disconnected": (
        evidence(NODE, member=member(NODE, connected=False, last_error="heartbeat timeout")),
        Diagnosis.DISCONNECTED,
        "disconnected from the orchestrator for 3 min: heartbeat timeout",
    ),
    "not back since the orchestrator's restart": (
        evidence(NODE, member=member(NODE, connected=False, since=None), **restarted(ago=20)),
        Diagnosis.RECONNECTING,
        "reconnecting: the orchestrator restarted 20 s ago",
    ),
    "not back long after the orchestrator's restart": (
        evidence(NODE, member=member(NODE, connected=False, since=None), **restarted(ago=301)),
        Diagnosis.DISCONNECTED,
        "disconnected from the orchestrator for 5 min",
    ),
    "disconnected before the orchestrator's restart": (
        evidence(NODE, member=member(NODE, connected=False, last_error="heartbeat timeout"), **restarted(ago=20)),
        Diagnosis.DISCONNECTED,
        "disconnected from the orchestrator for 3 min: heartbeat timeout",
    ),
    "no heartbeat": (
        evidence(NODE, member=member(NODE, last_heartbeat_at=NOW - timedelta(seconds=46)), api_at=NOW),
        Diagnosis.HEARTBEAT_OVERDUE,
        "no heartbeat for 46 s",
    ),
    "a heartbeat of 45 s ago": (
        evidence(NODE, member=member(NODE, last_heartbeat_at=NOW - timedelta(seconds=45)), api_at=NOW),
        Diagnosis.JOINED,
        "joined",
    ),
    "a heartbeat by a clock that is unlike this machine's": (
        evidence(NODE, member=member(NODE, last_heartbeat_at=NOW - 9 * MINUTE), api_at=NOW - 9 * MINUTE),
        Diagnosis.JOINED,
        "joined",
    ),
    "not approved": (
        evidence(NODE, member=member(NODE, membership=Membership.PENDING)),
        Diagnosis.NOT_APPROVED,
        "joined, not approved",
    ),
    "without docker": (
        evidence(NODE, member=member(NODE, engines=("wasm",))),
        Diagnosis.NO_DOCKER,
        "joined without docker engine",
    ),
    "without docker, by its console": (
        evidence(NODE, api=ApiAvailability.NOT_CONFIGURED, boot=booted("warning: Bacalhau does not offer Docker here", "joined")),
        Diagnosis.NO_DOCKER,
        "joined without docker engine",
    ),
    "without its GPU": (evidence(GPU, member=member(GPU)), Diagnosis.NO_GPU, "joined without GPU"),
    "without its GPU, by its console": (
        evidence(
            GPU,
            api=ApiAvailability.NOT_CONFIGURED,
            boot=booted("warning: nvidia-smi does not answer; the node joins without GPU", "joined"),
        ),
        Diagnosis.NO_GPU,
        "joined without GPU",
    ),
    "with its GPU": (
        evidence(GPU, member=member(GPU, total=Capacity(gpus=1))),
        Diagnosis.JOINED,
        "joined",
    ),
    "joined": (evidence(NODE, member=member(NODE)), Diagnosis.JOINED, "joined"),
    "joined after first boot gave up": (
        evidence(OLD, member=member(OLD), boot=booted("failed: join: not joined after 600 s: x")),
        Diagnosis.JOINED,
        "joined",
    ),
    "the wrong token": (
        evidence(NODE, boot=booted("packages: Docker", f"waiting: {VIOLATION}")),
        Diagnosis.NEVER_JOINED,
        "running, never joined: token refused",
    ),
    "the wrong token, given up": (
        evidence(OLD, boot=booted("start: x", f"failed: join: not joined after 600 s: {VIOLATION}")),
        Diagnosis.NEVER_JOINED,
        "running, never joined: token refused",
    ),
    "an orchestrator that is off, for too long": (
        evidence(OLD, boot=booted("waiting: dial tcp 192.0.2.1:4222: connect: connection refused")),
        Diagnosis.NEVER_JOINED,
        "running, never joined: nothing listens there",
    ),
    "an orchestrator that is off, for nodes and for us": (
        evidence(
            OLD,
            api=ApiAvailability.UNAVAILABLE,
            boot=booted("waiting: dial tcp 192.0.2.1:4222: connect: connection refused"),
        ),
        Diagnosis.ORCHESTRATOR_AWAY,
        "running for 12 min; waits for the orchestrator",
    ),
    "a refused token, while the API does not answer": (
        evidence(OLD, api=ApiAvailability.UNAVAILABLE, boot=booted(f"waiting: {VIOLATION}")),
        Diagnosis.NEVER_JOINED,
        "running, never joined: token refused",
    ),
    "an orchestrator that is off": (
        evidence(NODE, boot=booted("waiting: dial tcp 192.0.2.1:4222: connect: connection refused")),
        Diagnosis.BOOTING,
        "booting: waiting: nothing listens there",
    ),
    "a reason that we do not know": (
        evidence(OLD, boot=booted("waiting: the moon")),
        Diagnosis.NEVER_JOINED,
        "running, never joined: the moon",
    ),
    "first boot failed": (
        evidence(NODE, boot=booted("packages: Docker", "failed: packages: apt-get ended with 100")),
        Diagnosis.FAILED,
        "failed at first boot: packages: apt-get ended with 100",
    ),
    "first boot failed in words that Bacalhau uses too": (
        evidence(NODE, boot=booted("docker: x", "failed: docker: docker info: timeout")),
        Diagnosis.FAILED,
        "failed at first boot: docker: docker info: timeout",
    ),
    "launched without an orchestrator": (
        evidence(NODE, boot=booted("start: x", "failed: start: the configuration names no orchestrator")),
        Diagnosis.ALONE,
        "running for 3 min without an orchestrator, as chosen",
    ),
    "joined, and not listed": (
        evidence(OLD, boot=booted("joined: connected for 11 s, engines docker wasm", ago=5 * MINUTE)),
        Diagnosis.UNLISTED,
        "joined 5 min ago according to its console, but the orchestrator does not list it",
    ),
    "joined just now, and not listed": (
        evidence(OLD, boot=booted("joined", ago=timedelta(seconds=5))),
        Diagnosis.BOOTING,
        "booting: joining",
    ),
    "commands failed": (
        evidence(
            NODE,
            api=ApiAvailability.NOT_CONFIGURED,
            boot=booted("failed: additional_commands ended with 3; their output is in x", "joined"),
        ),
        Diagnosis.COMMANDS_FAILED,
        "joined (console), but additional_commands ended with 3",
    ),
    "joined, by its console": (
        evidence(OLD, api=ApiAvailability.UNAVAILABLE, boot=booted("joined")),
        Diagnosis.CONSOLE_JOINED,
        "joined 1 min ago (console)",
    ),
    "booting": (evidence(NODE, boot=booted("packages: Docker", "docker: x")), Diagnosis.BOOTING, "booting: docker"),
    "booting, silently": (
        evidence(NODE, boot=BootProgress()),
        Diagnosis.BOOTING,
        "booting: nothing on its console yet",
    ),
    "booting, no console": (evidence(NODE), Diagnosis.BOOTING, "booting: its console could not be read"),
    "stuck": (
        evidence(node(age=15 * MINUTE), boot=booted("packages: Docker", ago=12 * MINUTE)),
        Diagnosis.STUCK,
        "stuck in packages for 12 min",
    ),
    "silent": (
        evidence(OLD, boot=BootProgress()),
        Diagnosis.SILENT,
        "running for 12 min, never joined; its console is empty",
    ),
    "silent, and the console too": (
        evidence(OLD),
        Diagnosis.SILENT,
        "running for 12 min, never joined; its console could not be read",
    ),
    "nobody knows": (
        evidence(OLD, api=ApiAvailability.NOT_CONFIGURED, boot=BootProgress()),
        Diagnosis.UNKNOWN,
        "running for 12 min; join status unknown",
    ),
    "nobody answers": (
        evidence(OLD, api=ApiAvailability.UNAVAILABLE),
        Diagnosis.UNKNOWN,
        "running for 12 min; join status unknown",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_case_has_its_verdict(name: str) -> None:
    """Its kind and its sentence."""
    known, kind, text = CASES[name]
    diagnosis = diagnose(known)
    assert (diagnosis.diagnosis, diagnosis_text(diagnosis)) == (kind, text)


def test_every_row_has_a_case() -> None:
    """And every kind has one row."""
    assert {kind for _, kind, _ in CASES.values()} == set(Diagnosis)
    assert [row.diagnosis for row in RULES] == list(Diagnosis)


def test_what_is_bad_says_what_to_do() -> None:
    """No hint has a hole in it, and none asks for what cannot be typed."""
    for name, (known, _, _) in CASES.items():
        diagnosis = diagnose(known)
        assert (
            diagnosis.hint
            or diagnosis.severity in {Severity.GOOD, Severity.WAITING}
            or diagnosis.diagnosis is Diagnosis.ENDING
        )
        assert "{" not in diagnosis.hint, name
    for row in RULES:
        assert {field for _, field, _, _ in Formatter().parse(row.template) if field} <= {
            "what", "why", "left", "ago", "span",
        }  # fmt: skip
        assert row.description and not row.description.endswith(".")


def test_a_refused_token_is_named_with_its_own_remedy() -> None:
    """Each reason of Bacalhau's has one; those that do not pass by themselves are not waited for."""
    known, _, _ = CASES["the wrong token"]
    assert "token" in diagnose(known).hint
    assert all(
        failure.hint and join_failure(f"before {failure.category} behind") for failure in JOIN_FAILURES
    )
    assert join_failure("something else") is None


def test_no_remedy_names_a_key_that_a_managed_orchestrator_does_not_have() -> None:
    """A node of an orchestrator that was destroyed and created again is listed nowhere, and cannot join."""
    for known, _, _ in CASES.values():
        hint = diagnose(replace(known, in_account=True)).hint
        assert "bacalhau.api" not in hint and "`bacalhau.orchestrators`" not in hint, hint
    for failure in JOIN_FAILURES:
        boot = booted(f"waiting: {failure.category}")
        hint = diagnose(evidence(OLD, boot=boot, in_account=True)).hint
        assert ("`bacalhau." not in hint and "terminate" in hint) or failure.by_orchestrator, hint
    unlisted = diagnose(replace(CASES["joined, and not listed"][0], in_account=True))
    assert unlisted.hint.startswith("if it was launched for an earlier orchestrator")
    assert f"--instance-ids {OLD.id}" in unlisted.hint


def test_the_orders_of_rows_that_matter() -> None:
    """AWS's taking back is told before all else; an impaired machine before what the orchestrator still believes."""
    marked = spot(NODE, "marked-for-termination")
    worst = evidence(
        NODE, spot=marked, checks=StatusChecks(StatusCheck.IMPAIRED), member=member(NODE, connected=False)
    )
    assert diagnose(worst).diagnosis is Diagnosis.NOTICED
    assert (
        diagnose(evidence(GONE, spot=spot(GONE, "instance-terminated-by-price"))).diagnosis
        is Diagnosis.INTERRUPTED
    )
    assert diagnose(
        evidence(node(state=State.STOPPED), spot=spot(NODE, "instance-stopped-by-price"))
    ).diagnosis is (Diagnosis.INTERRUPTED)


TIMES = st.integers(0, 7200).map(lambda seconds: NOW - timedelta(seconds=seconds))
INSTANCES = st.builds(
    Instance,
    id=st.just("i-1"), region=st.just("r"), zone=st.just("ra"), type=st.sampled_from(["t3.medium", "g5.xlarge"]),
    state=st.sampled_from(State), launched_at=TIMES,
    termination_reason=st.sampled_from([None, "", "Server.SpotInstanceTermination", "Server.X", "Client.UserInitiatedShutdown", "x"]),  # noqa: E501 - a row of a table
)  # fmt: skip
BOOTS = st.builds(
    BootProgress,
    step=st.sampled_from(["", *STEPS]), step_at=st.none() | TIMES, failed=st.sampled_from(["", "join: x", "packages: y"]),
    at_join=st.booleans(), join_error=st.sampled_from(["", "x", *(failure.category for failure in JOIN_FAILURES)]),
    commands_failed=st.sampled_from(["", "additional_commands ended with 1"]), no_docker=st.booleans(), no_gpu=st.booleans(),
    interrupted_at=st.none() | TIMES,
)  # fmt: skip
MEMBERS = st.builds(
    OrchestratorNode,
    id=st.just("n"), connected=st.booleans(), membership=st.sampled_from(Membership),
    engines=st.sampled_from([(), ("docker",), ("wasm",)]), last_error=st.sampled_from(["", "heartbeat timeout"]),
    since=st.none() | TIMES, last_heartbeat_at=st.none() | TIMES,
)  # fmt: skip
SPOTS = st.builds(
    SpotStatus,
    request_id=st.just("sir-1"), instance_id=st.just("i-1"), updated_at=TIMES,
    code=st.sampled_from(["fulfilled", "request-canceled-and-instance-running", "new", *INTERRUPTED]),
)  # fmt: skip
CHECKS = st.builds(StatusChecks, st.sampled_from(StatusCheck), st.sampled_from(StatusCheck))
ANY = st.builds(
    NodeObservation,
    now=TIMES, instance=st.none() | INSTANCES, checks=CHECKS, spot=st.none() | SPOTS, boot=st.none() | BOOTS,
    member=st.none() | MEMBERS, api=st.sampled_from(ApiAvailability),
    api_at=st.none() | TIMES, orchestrator_started_at=st.none() | TIMES,
)  # fmt: skip


@given(ANY)
def test_whatever_is_known_there_is_exactly_one_verdict(known: NodeObservation) -> None:
    """With a sentence; what has ended is never good, what runs never gone, and nothing is good that nobody vouches for."""
    diagnosis = diagnose(known)
    assert diagnosis_text(diagnosis) and "{" not in diagnosis_text(diagnosis) + diagnosis.hint
    if known.instance is not None and not known.alive:
        assert diagnosis.severity in {Severity.GONE, Severity.BAD}
    if known.alive:
        assert diagnosis.severity is not Severity.GONE
    if diagnosis.severity is Severity.GOOD:
        assert known.running
        assert known.member is not None or (known.boot is not None and known.boot.joined)


@given(ANY)
def test_patience_ends(known: NodeObservation) -> None:
    """Nothing is waited for beyond its deadline, but what joined this very minute, or before its orchestrator restarted."""
    diagnosis = diagnose(known)
    if diagnosis.severity is Severity.WAITING and diagnosis.diagnosis is not Diagnosis.RECONNECTING:
        fresh = known.boot is not None and known.boot.joined
        assert fresh or known.age <= timedelta(seconds=known.timeouts.join_s)


def test_lines_are_found_between_others() -> None:
    """With the kernel's stamp before them, on a console that is cut off at both ends."""
    phases = console_output("packages: Docker", "docker: a: b")
    text = f"0:00Z start: half\n[ 12.3] {phases}bacalhau-spot: 2026-1"
    assert [(line.phase, line.text) for line in console_lines(text)] == [
        ("packages", "Docker"),
        ("docker", "a: b"),
    ]
    assert console_lines("bacalhau-spot: 2026-99-23T11:59:30Z docker") == ()


def test_a_second_boot_begins_anew() -> None:
    """What failed before a restart is not held against what came after it."""
    again = parse_boot(console_lines(console_output("packages", "failed: packages: x", "packages", "docker")))
    assert (again.step, again.failed) == ("docker", "")


def test_waiting_counts_from_its_first_reason() -> None:
    """The reason is the newest, the time the oldest."""
    text = console_output("waiting: a", ago=5 * MINUTE) + console_output("waiting: b", ago=MINUTE)
    now = parse_boot(console_lines(text))
    assert (now.join_error, now.step_at) == ("b", NOW - 5 * MINUTE)


@given(st.text())
def test_any_console_can_be_read(text: str) -> None:
    """It holds what it holds."""
    assert parse_boot(console_lines(text)) == BootProgress() or "bacalhau-spot" in text
