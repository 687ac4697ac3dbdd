"""The verdict on the orchestrator: every row, the sentence, the remedy, and its effect on the cluster's state."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bacalhau_spot.core.health.cluster_status import ClusterStatus, cluster_status
from bacalhau_spot.core.health.diagnosis import Diagnosis, Severity
from bacalhau_spot.core.health.observation import ApiAvailability, StatusCheck, StatusChecks
from bacalhau_spot.core.health.orchestrator_status import (
    ORCHESTRATOR_RULES,
    OrchestratorObservation,
    OrchestratorStatus,
    OrchestratorVerdict,
    orchestrator_status,
)
from bacalhau_spot.core.model import (
    ClusterSpec,
    Naming,
    OrchestratorMode,
    OrchestratorSpec,
    RegionSpec,
    State,
    Timeouts,
)
from bacalhau_spot.core.orchestrator.managed_state import LOST_CREDENTIALS, newest_usable
from bacalhau_spot.core.orchestrator.orchestrator_nodes import NodeListing
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.errors import ExitCode
from bacalhau_spot.ui.diagnosis_text import orchestrator_text
from support.fake_status_cloud import FakeOrchestrator, FakeStatusCloud, snapshot_of
from support.health import MINUTE, NOW, console_output, member, node, orchestrator_instance

LABEL = "bacalhau-aws-spot"
OLD, NEW = orchestrator_instance(), orchestrator_instance(age=MINUTE)
SILENT = ApiFailure("OrchestratorUnreachable", "connection refused", "https://198.51.100.7:1234", "")
FORBIDDEN = ApiFailure("OrchestratorUnauthorized", "HTTP 401", "https://198.51.100.7:1234", "")
UNREADABLE = ApiFailure("AccessDeniedException", "no", "GetParameter", "us-east-1")
AWAY: dict[str, Any] = {"api": ApiAvailability.UNAVAILABLE, "failure": SILENT}


def seen(mode: OrchestratorMode = OrchestratorMode.MANAGED, **values: Any) -> OrchestratorObservation:
    return OrchestratorObservation(NOW, mode, **values)


CASES: dict[str, tuple[OrchestratorObservation, OrchestratorVerdict, Severity, str]] = {
    "no instance": (seen(**AWAY), OrchestratorVerdict.MISSING, Severity.BAD, "no instance"),
    "no instance, and no credentials": (
        seen(api=ApiAvailability.NOT_CONFIGURED),
        OrchestratorVerdict.MISSING,
        Severity.BAD,
        "no instance",
    ),
    "no instance where we looked": (
        seen(partial=True, **AWAY),
        OrchestratorVerdict.NOT_SCANNED,
        Severity.UNKNOWN,
        "no instance in the scanned regions",
    ),
    "no instance where we looked, and an answer": (
        seen(partial=True),
        OrchestratorVerdict.ANSWERS,
        Severity.GOOD,
        "API answers",
    ),
    "stopped": (
        seen(instance=replace(OLD, state=State.STOPPED), **AWAY),
        OrchestratorVerdict.STOPPED,
        Severity.BAD,
        "stopped",
    ),
    "stopping": (
        seen(instance=replace(OLD, state=State.STOPPING)),
        OrchestratorVerdict.STOPPED,
        Severity.BAD,
        "stopped",
    ),
    "pending": (
        seen(instance=replace(NEW, state=State.PENDING), **AWAY),
        OrchestratorVerdict.STARTING,
        Severity.WAITING,
        "starting for 1 min",
    ),
    "impaired": (
        seen(instance=OLD, checks=StatusChecks(StatusCheck.IMPAIRED, StatusCheck.OK), **AWAY),
        OrchestratorVerdict.IMPAIRED,
        Severity.BAD,
        "status check impaired: system",
    ),
    "without its parameter": (
        seen(instance=OLD, api=ApiAvailability.NOT_CONFIGURED),
        OrchestratorVerdict.NO_CREDENTIALS,
        Severity.BAD,
        "its credentials do not exist",
    ),
    "with a parameter that we may not read": (
        seen(instance=OLD, api=ApiAvailability.UNAVAILABLE, failure=UNREADABLE),
        OrchestratorVerdict.CREDENTIALS_UNREADABLE,
        Severity.UNKNOWN,
        "its credentials could not be read: not allowed",
    ),
    "shared, without one": (
        seen(OrchestratorMode.SHARED, cluster="hub", api=ApiAvailability.NOT_CONFIGURED),
        OrchestratorVerdict.NOT_SHARED,
        Severity.BAD,
        "cluster hub has no orchestrator",
    ),
    "shared, silent": (
        seen(OrchestratorMode.SHARED, cluster="hub", **AWAY),
        OrchestratorVerdict.NO_ANSWER,
        Severity.BAD,
        "API does not answer: not reachable",
    ),
    "booting": (
        seen(instance=NEW, **AWAY),
        OrchestratorVerdict.BOOTING,
        Severity.WAITING,
        "booting for 1 min",
    ),
    "silent": (
        seen(instance=OLD, **AWAY),
        OrchestratorVerdict.NO_ANSWER,
        Severity.BAD,
        "API does not answer: not reachable",
    ),
    "without its volume": (
        seen(instance=replace(OLD, devices=frozenset({"/dev/sda1"}))),
        OrchestratorVerdict.NO_VOLUME,
        Severity.BAD,
        "its data volume is not attached",
    ),
    "with its volume": (
        seen(instance=replace(OLD, devices=frozenset({"/dev/sda1", "/dev/sdf"}))),
        OrchestratorVerdict.ANSWERS,
        Severity.GOOD,
        "API answers",
    ),
    "with another key": (
        seen(instance=NEW, api=ApiAvailability.UNAVAILABLE, failure=FORBIDDEN),
        OrchestratorVerdict.REFUSED,
        Severity.BAD,
        "API refuses the key",
    ),
    "restarted": (
        seen(instance=OLD, reconnecting=3, restarted_for=timedelta(seconds=12)),
        OrchestratorVerdict.RESTARTED,
        Severity.WAITING,
        "restarted 12 s ago; 3 nodes reconnecting",
    ),
    "well": (seen(instance=OLD), OrchestratorVerdict.ANSWERS, Severity.GOOD, "API answers"),
    "the user's own, silent": (
        seen(OrchestratorMode.OWN, **AWAY),
        OrchestratorVerdict.NO_ANSWER,
        Severity.BAD,
        "API does not answer: not reachable",
    ),
    "the user's own, without an API": (
        seen(OrchestratorMode.OWN, api=ApiAvailability.NOT_CONFIGURED),
        OrchestratorVerdict.NO_API,
        Severity.UNKNOWN,
        "API not configured",
    ),
}  # fmt: skip


def judged(observation: OrchestratorObservation) -> OrchestratorStatus:
    return orchestrator_status(
        observation, address="https://198.51.100.7:1234", listing=NodeListing(version="v1.9.3")
    )


@pytest.mark.parametrize("name", CASES)
def test_each_case_has_its_verdict(name: str) -> None:
    observation, verdict, severity, text = CASES[name]
    status = judged(observation)
    assert (status.verdict, status.severity, orchestrator_text(status)) == (verdict, severity, text)
    assert "{" not in status.hint


def test_every_row_has_a_case() -> None:
    assert {verdict for _, verdict, _, _ in CASES.values()} == set(OrchestratorVerdict)
    assert [row.verdict for row in ORCHESTRATOR_RULES] == list(OrchestratorVerdict)


def test_every_problem_of_a_managed_one_has_a_remedy_and_of_the_users_own_none() -> None:
    for observation, _, severity, _ in CASES.values():
        status = judged(observation)
        if severity is Severity.BAD:
            assert bool(status.hint) is (observation.mode is not OrchestratorMode.OWN)
            missing = status.verdict is OrchestratorVerdict.NOT_SHARED
            assert status.broken is (observation.managed or missing)
    assert "--cluster hub" in judged(CASES["shared, silent"][0]).hint
    assert "--region us-east-1 --instance-ids i-" in judged(CASES["impaired"][0]).hint


def test_a_missing_one_keeps_nothing_that_does_not_exist() -> None:
    """Before the first create and after destroy nothing is left; with its parameter, the rest may be."""
    never = judged(seen(api=ApiAvailability.NOT_CONFIGURED))
    assert never.hint == "`bacalhau-spot create` creates it"
    locked_out = judged(seen(api=ApiAvailability.NOT_CONFIGURED, nodes=2))
    assert locked_out.hint == LOST_CREDENTIALS, "create refuses"
    assert "with its credentials" in judged(seen(nodes=2, **AWAY)).hint


def test_the_current_one_among_several() -> None:
    """A running one before a newer that is stopped; the newest of two; none that has ended; no node."""
    stopped = replace(NEW, id="i-2", state=State.STOPPED)
    ended = replace(NEW, id="i-3", state=State.TERMINATED)
    assert newest_usable([stopped, OLD, ended, node(1)]) == OLD
    assert newest_usable([OLD, replace(NEW, id="i-4")]) == replace(NEW, id="i-4")
    assert newest_usable([ended, node(1)]) is None


NODES = [node(number) for number in range(1, 4)]
SPEC = ClusterSpec(
    name=LABEL,
    naming=Naming(),
    regions=(RegionSpec("us-east-1"),),
    nodes=3,
    orchestrator=OrchestratorSpec(OrchestratorMode.MANAGED),
)


def cluster(
    cloud: FakeStatusCloud,
    api: FakeOrchestrator | None,
    *,
    only: tuple[str, ...] = (),
    spec: ClusterSpec | None = SPEC,
) -> ClusterStatus:
    return cluster_status(
        snapshot_of(cloud, api), cluster=LABEL, label=LABEL, timeouts=Timeouts(), spec=spec, only=only
    )


def test_its_instance_is_no_node() -> None:
    """Neither counted nor missing nor surplus, and its console is not read."""
    cloud = FakeStatusCloud(*NODES, OLD)
    status = cluster(cloud, FakeOrchestrator(*map(member, NODES)))
    assert {known.id for known in status.nodes} == {instance.id for instance in NODES}
    assert (status.total.present, status.missing, status.surplus, status.pools.nodes) == (3, 0, 0, 3)
    assert status.matches_spec and status.exit_code is ExitCode.DONE
    assert status.orchestrator is not None and status.orchestrator.instance == OLD
    assert ("us-east-1", "GetConsoleOutput") not in cloud.requests


def test_a_restart_is_one_line_and_no_nodes_fault() -> None:
    """All nodes are disconnected at once, without a reason: they are waited for."""
    away = [member(instance, connected=False, since=None) for instance in NODES]
    status = cluster(FakeStatusCloud(*NODES, OLD), FakeOrchestrator(*away, age=timedelta(seconds=12)))
    assert {known.diagnosis.diagnosis for known in status.nodes} == {Diagnosis.RECONNECTING}
    assert status.total.count(Severity.BAD) == 0
    assert status.orchestrator is not None
    assert orchestrator_text(status.orchestrator) == "restarted 12 s ago; 3 nodes reconnecting"
    assert status.exit_code is ExitCode.FAILED


def test_a_silent_one_is_no_nodes_fault() -> None:
    """The nodes have joined by their consoles; the exit code is that of the orchestrator."""
    cloud = FakeStatusCloud(*NODES, OLD)
    cloud.consoles = {instance.id: console_output("joined") for instance in NODES}
    status = cluster(cloud, FakeOrchestrator(refusal="OrchestratorUnreachable"))
    assert {known.diagnosis.diagnosis for known in status.nodes} == {Diagnosis.CONSOLE_JOINED}
    assert status.orchestrator is not None
    assert status.orchestrator.verdict is OrchestratorVerdict.NO_ANSWER
    assert not status.matches_spec and status.exit_code is ExitCode.FAILED


@pytest.mark.parametrize(
    ("only", "verdict"),
    [((), OrchestratorVerdict.MISSING), (("us-east-1",), OrchestratorVerdict.NOT_SCANNED)],
)
def test_a_missing_one(only: tuple[str, ...], verdict: OrchestratorVerdict) -> None:
    """Not missing if only some regions were scanned."""
    status = cluster(
        FakeStatusCloud(*NODES, replace(OLD, state=State.TERMINATED)),
        FakeOrchestrator(refusal="OrchestratorUnreachable"),
        only=only,
    )
    assert status.orchestrator is not None and status.orchestrator.verdict is verdict


def test_another_clusters_is_found_by_its_instance() -> None:
    status = cluster(FakeStatusCloud(*NODES, OLD), FakeOrchestrator(*map(member, NODES)), spec=None)
    assert status.orchestrator is not None and status.orchestrator.mode is OrchestratorMode.MANAGED


def test_a_cluster_without_orchestrator_has_no_verdict() -> None:
    spec = replace(SPEC, orchestrator=OrchestratorSpec(OrchestratorMode.NONE))
    assert cluster(FakeStatusCloud(*NODES), None, spec=spec).orchestrator is None
