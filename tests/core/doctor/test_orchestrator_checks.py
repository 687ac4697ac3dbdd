"""The sentence of `doctor` about who runs the orchestrator, and where."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bacalhau_spot.config import defaults
from bacalhau_spot.core.doctor.account_checks import CheckStatus
from bacalhau_spot.core.doctor.orchestrator_checks import (
    managed_orchestrator,
    orchestrator_choice,
    orchestrator_token,
)
from bacalhau_spot.core.launch.refusals import no_orchestrator_chosen
from bacalhau_spot.core.model import (
    ORCHESTRATOR_ROLE,
    ROLE_KEY,
    ClusterSpec,
    Instance,
    OrchestratorMode,
    OrchestratorSpec,
    State,
)
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan, OrchestratorStep
from bacalhau_spot.core.orchestrator.managed_state import LOST_CREDENTIALS, DataVolume, OrchestratorState

ADDRESSES = ("nats://a:4222", "tls://b:4222")


def spec(
    mode: OrchestratorMode, *, addresses: tuple[str, ...] = (), region: str | None = None
) -> ClusterSpec:
    base = defaults()
    return replace(
        base,
        orchestrator=OrchestratorSpec(mode, cluster="blue", region=region),
        bacalhau=replace(base.bacalhau, orchestrators=addresses),
    )


def instance(state: State = State.RUNNING, *, role: str = ORCHESTRATOR_ROLE) -> Instance:
    return Instance(
        "i-1",
        "eu-west-1",
        "eu-west-1a",
        "t3.small",
        state,
        datetime(2026, 1, 1, tzinfo=UTC),
        public_ip="203.0.113.9",
        tags={ROLE_KEY: role},
    )


@pytest.mark.parametrize(
    ("chosen", "status", "message"),
    [
        (
            spec(OrchestratorMode.OWN, addresses=ADDRESSES),
            CheckStatus.PASS,
            "your own, at nats://a:4222, tls://b:4222",
        ),
        (spec(OrchestratorMode.SHARED), CheckStatus.PASS, "the managed one of cluster blue"),
        (
            spec(OrchestratorMode.NONE),
            CheckStatus.WARN,
            "none: nodes run without joining a cluster, and receive no jobs",
        ),
    ],
)
def test_the_choice_is_named(chosen: ClusterSpec, status: CheckStatus, message: str) -> None:
    finding = orchestrator_choice(chosen)
    assert finding is not None
    assert (finding.status, finding.message) == (status, message)


def test_no_choice_fails_as_create_refuses() -> None:
    unset = spec(OrchestratorMode.UNSET)
    finding, refused = orchestrator_choice(unset), no_orchestrator_chosen(unset)
    assert finding is not None
    assert refused is not None
    assert finding.status is CheckStatus.FAIL
    assert (finding.message, finding.hint, finding.details) == (refused.what, refused.hint, refused.details)
    remedies = "\n".join(refused.details)
    for remedy in ("orchestrator=managed", "bacalhau.orchestrators=", "--without-orchestrator"):
        assert remedy in remedies
    assert all(
        no_orchestrator_chosen(spec(mode)) is None
        for mode in OrchestratorMode
        if mode is not OrchestratorMode.UNSET
    )


@pytest.mark.parametrize(
    ("region", "instances", "message"),
    [
        (None, (), "managed: create launches a t3.small on demand, in us-east-1"),
        ("eu-west-1", (), "managed: create launches a t3.small on demand, in eu-west-1"),
        (
            None,
            (instance(role=""), instance(State.TERMINATED)),
            "managed: create launches a t3.small on demand, in us-east-1",
        ),
        (None, (instance(),), "managed: i-1 (t3.small) in eu-west-1 is running at 203.0.113.9"),
    ],
)
def test_a_managed_one_is_named_with_its_place(
    region: str | None, instances: tuple[Instance, ...], message: str
) -> None:
    finding = managed_orchestrator(spec(OrchestratorMode.MANAGED, region=region), instances)
    assert (finding.status, finding.message) == (CheckStatus.PASS, message)


ENDS = datetime(2031, 1, 1, tzinfo=UTC)
VOLUME = DataVolume("vol-1", "eu-west-1a", 20, "in-use", "i-1")


def test_its_certificate_has_an_end_and_its_damages_a_repair() -> None:
    managed, running = spec(OrchestratorMode.MANAGED), instance()
    state = OrchestratorState("eu-west-1", volume=VOLUME, instance=running, certificate_ends=ENDS)
    whole = managed_orchestrator(managed, (running,), state=state, planned=OrchestratorPlan("eu-west-1"))
    assert whole.status is CheckStatus.PASS
    assert whole.message.endswith("is running at 203.0.113.9; its certificate expires on 2031-01-01")
    steps = (OrchestratorStep.RENEWAL, OrchestratorStep.RESTART)
    damaged = managed_orchestrator(
        managed, (running,), state=state, planned=OrchestratorPlan("eu-west-1", steps)
    )
    assert (damaged.status, damaged.message) == (CheckStatus.WARN, whole.message)
    assert damaged.details == ("it needs: certificate renewal, restart of the instance",)
    assert "`bacalhau-spot create` repairs it, and keeps its data, token and keys" in damaged.hint
    for step, hint in (
        (OrchestratorStep.VOLUME, "`bacalhau-spot create` repairs it, and keeps its token and keys"),
        (OrchestratorStep.CREDENTIALS, LOST_CREDENTIALS),
    ):
        planned = OrchestratorPlan("eu-west-1", (step, OrchestratorStep.RESTART))
        assert managed_orchestrator(managed, (running,), state=state, planned=planned).hint == hint
    lost = managed_orchestrator(
        managed,
        (instance(State.TERMINATED),),
        state=replace(state, instance=None),
        planned=OrchestratorPlan("eu-west-1", (OrchestratorStep.INSTANCE,)),
    )
    assert (lost.status, "no instance in eu-west-1; its data is on vol-1" in lost.message) == (
        CheckStatus.WARN,
        True,
    )


def test_a_place_that_is_not_known_yet() -> None:
    auto = replace(spec(OrchestratorMode.MANAGED), regions=(), auto_regions=2)
    assert managed_orchestrator(auto, ()).message.endswith("in the first region that it chooses")
    assert managed_orchestrator(auto, None).status is CheckStatus.WARN


def test_the_token_is_the_users_only_with_an_orchestrator_of_their_own() -> None:
    assert orchestrator_token(spec(OrchestratorMode.OWN, addresses=ADDRESSES)) is None
    for mode, status in {
        OrchestratorMode.MANAGED: CheckStatus.PASS,
        OrchestratorMode.SHARED: CheckStatus.PASS,
        OrchestratorMode.NONE: CheckStatus.PASS,
        OrchestratorMode.UNSET: CheckStatus.WARN,
    }.items():
        finding = orchestrator_token(spec(mode))
        assert finding is not None
        assert finding.status is status


@pytest.mark.parametrize(
    ("lines", "status", "words"),
    [
        (
            "reconcile: every 60 s, with a==1",
            CheckStatus.PASS,
            "reconcile on its machine: every 60 s, with a==1",
        ),
        ("reconcile: does not run: no such wheel", CheckStatus.WARN, "does not run: no such wheel"),
        ("answers: NATS", CheckStatus.WARN, "no line on the console yet"),
    ],
)
def test_reconcile_on_its_machine_is_what_its_console_says(
    lines: str, status: CheckStatus, words: str
) -> None:
    console = f"bacalhau-spot: 2026-01-01T00:00:00Z reconcile: does not run: before\nbacalhau-spot: 2026-01-01T00:00:00Z {lines}"
    if lines.startswith("answers"):
        console = console.partition("\n")[2]
    finding = managed_orchestrator(spec(OrchestratorMode.MANAGED), (instance(),), console=console)
    assert (finding.status, words in finding.message) == (status, True), finding
    assert ("`bacalhau-spot console i-1`" in finding.hint) == (status is CheckStatus.WARN)
