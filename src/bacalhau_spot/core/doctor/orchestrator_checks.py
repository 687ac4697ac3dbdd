"""The findings of `doctor` on the choice of an orchestrator: who runs it, and where."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.doctor.account_checks import AccountCheck, CheckStatus, Finding, not_checked
from bacalhau_spot.core.health.boot_console import DOES_NOT_RUN, RECONCILE, console_lines
from bacalhau_spot.core.launch.refusals import no_orchestrator_chosen
from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorStep
from bacalhau_spot.core.orchestrator.managed_state import LOST_CREDENTIALS, newest_usable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import ClusterSpec, Instance
    from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan
    from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState


def orchestrator_choice(spec: ClusterSpec) -> Finding | None:
    """The orchestrator that the configuration means; None for a managed one, whose place AWS knows."""
    refused = no_orchestrator_chosen(spec)
    if refused is not None:
        return Finding(
            AccountCheck.ORCHESTRATOR, CheckStatus.FAIL, refused.what, refused.hint, refused.details
        )
    mode = spec.orchestrator.mode
    if mode is OrchestratorMode.MANAGED:
        return None
    if mode is OrchestratorMode.SHARED:
        return _passed(f"the managed one of cluster {spec.orchestrator.cluster}")
    if mode is OrchestratorMode.OWN:
        return _passed(f"your own, at {', '.join(spec.bacalhau.orchestrators)}")
    return Finding(
        AccountCheck.ORCHESTRATOR,
        CheckStatus.WARN,
        "none: nodes run without joining a cluster, and receive no jobs",
        "`bacalhau-spot configure --set orchestrator=managed`, unless that is intended",
    )


def managed_orchestrator(
    spec: ClusterSpec,
    instances: Sequence[Instance] | None,
    *,
    state: OrchestratorState | None = None,
    planned: OrchestratorPlan | None = None,
    console: str | None = None,
) -> Finding:
    """Where the managed orchestrator is and until when its certificate is valid, or where `create` would launch it.

    `instances` None: AWS did not list them. `state`, `planned`: all its parts, and the steps of `create`; None where a
    configuration that `create` refuses left them unknown. `console`: of the machine, if it is to run `reconcile`.
    """
    if instances is None:
        return not_checked(
            AccountCheck.ORCHESTRATOR,
            why=f"managed, {_future_place(spec)}; the instances could not be listed",
            fix=f"see {AccountCheck.CREATE}",
        )
    instance = newest_usable(instances)
    if instance is not None:
        finding = _repaired(f"managed: {_described(instance)}{_validity(state)}", planned)
        return finding if console is None else _with_reconcile(finding, console, instance)
    if state is not None and state.volume is not None:
        lost = f"managed: it has no instance in {state.region}; its data is on {state.volume.id}"
        return _repaired(f"{lost}{_validity(state)}", planned)
    return _passed(
        f"managed: create launches a {spec.orchestrator.instance_type} on demand, {_future_place(spec)}"
    )


def _with_reconcile(finding: Finding, console: str, instance: Instance) -> Finding:
    """With the latest line of `reconcile` on the machine's console, which EC2 updates within minutes."""
    said = [line.text for line in console_lines(console) if line.phase == RECONCILE]
    text = (
        f"{finding.message}; reconcile on its machine: {said[-1] if said else 'no line on the console yet'}"
    )
    if finding.status is not CheckStatus.PASS or (said and not said[-1].startswith(DOES_NOT_RUN)):
        return replace(finding, message=text)
    return replace(
        finding,
        status=CheckStatus.WARN,
        message=text,
        hint=f"`bacalhau-spot console {instance.id}` shows its lines; a new machine begins within minutes (docs/reconcile.md)",
    )


def _validity(state: OrchestratorState | None) -> str:
    ends = state.certificate_ends if state else None
    return f"; its certificate expires on {ends:%Y-%m-%d}" if ends else ""


def _repaired(text: str, planned: OrchestratorPlan | None) -> Finding:
    if planned is None or planned.empty:
        return _passed(text)
    return Finding(
        AccountCheck.ORCHESTRATOR,
        CheckStatus.WARN,
        text,
        _remedy(planned),
        (f"it needs: {', '.join(planned.steps)}",),
    )


def _remedy(planned: OrchestratorPlan) -> str:
    if OrchestratorStep.CREDENTIALS in planned.steps:
        return LOST_CREDENTIALS
    kept = "token and keys" if OrchestratorStep.VOLUME in planned.steps else "data, token and keys"
    return f"`bacalhau-spot create` repairs it, and keeps its {kept}"


def orchestrator_token(spec: ClusterSpec) -> Finding | None:
    """The finding about the token where it is not the user's to configure; None where it is."""
    mode = spec.orchestrator.mode
    if mode in {OrchestratorMode.MANAGED, OrchestratorMode.SHARED}:
        return Finding(AccountCheck.TOKEN, CheckStatus.PASS, "created with the managed orchestrator")
    if mode is OrchestratorMode.NONE:
        return Finding(AccountCheck.TOKEN, CheckStatus.PASS, "not needed without an orchestrator")
    if mode is OrchestratorMode.UNSET:
        return waits_for_orchestrator(AccountCheck.TOKEN)
    return None


def waits_for_orchestrator(check: AccountCheck) -> Finding:
    """Of a check that needs an orchestrator, which the configuration does not name, or which does not exist."""
    return not_checked(check, why="needs an orchestrator first", fix=f"see {AccountCheck.ORCHESTRATOR}")


def _passed(text: str) -> Finding:
    return Finding(AccountCheck.ORCHESTRATOR, CheckStatus.PASS, text)


def _described(instance: Instance) -> str:
    address = f" at {instance.public_ip}" if instance.public_ip else ""
    return f"{instance.id} ({instance.type}) in {instance.region} is {instance.state}{address}"


def _future_place(spec: ClusterSpec) -> str:
    region = spec.planned_home
    return f"in {region}" if region else "in the first region that it chooses"
