"""The findings of `doctor` on the choice of an orchestrator: who runs it, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.doctor.account_checks import AccountCheck, CheckStatus, Finding, not_checked
from bacalhau_spot.core.launch.refusals import no_orchestrator_chosen
from bacalhau_spot.core.model import OrchestratorMode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.core.model import ClusterSpec, Instance


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


def managed_orchestrator(spec: ClusterSpec, instances: Iterable[Instance] | None) -> Finding:
    """Where the managed orchestrator is, or where `create` would launch it. `instances` None: AWS did not list them."""
    if instances is None:
        return not_checked(
            AccountCheck.ORCHESTRATOR,
            why=f"managed, {_future_place(spec)}; the instances could not be listed",
            fix=f"see {AccountCheck.CREATE}",
        )
    here = [instance for instance in instances if instance.is_orchestrator and instance.alive]
    if not here:
        return _passed(
            f"managed: create launches a {spec.orchestrator.instance_type} on demand, {_future_place(spec)}"
        )
    return _passed("managed: " + ", ".join(_described(instance) for instance in here))


def orchestrator_token(spec: ClusterSpec) -> Finding | None:
    """The finding about the token where it is not the user's to configure; None where it is."""
    mode = spec.orchestrator.mode
    if mode in {OrchestratorMode.MANAGED, OrchestratorMode.SHARED}:
        return Finding(AccountCheck.TOKEN, CheckStatus.PASS, "created with the managed orchestrator")
    if mode is OrchestratorMode.NONE:
        return Finding(AccountCheck.TOKEN, CheckStatus.PASS, "not needed without an orchestrator")
    if mode is OrchestratorMode.UNSET:
        return not_checked(
            AccountCheck.TOKEN, why="needs an orchestrator first", fix=f"see {AccountCheck.ORCHESTRATOR}"
        )
    return None


def _passed(text: str) -> Finding:
    return Finding(AccountCheck.ORCHESTRATOR, CheckStatus.PASS, text)


def _described(instance: Instance) -> str:
    address = f" at {instance.public_ip}" if instance.public_ip else ""
    return f"{instance.id} ({instance.type}) in {instance.region} is {instance.state}{address}"


def _future_place(spec: ClusterSpec) -> str:
    region = spec.orchestrator.region or next((region.name for region in spec.regions), None)
    return f"in {region}" if region else "in the first region that it chooses"
