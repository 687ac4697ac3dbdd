"""The state of the cluster's orchestrator: one verdict from its instance, if it is managed, and its API's answer.

Rules:
1. The first matching row decides. The last row always matches.
2. A managed orchestrator that is missing, stopped or silent is one problem, not a problem of each node.
3. `bacalhau-spot create` repairs a managed orchestrator: its data volume, address and credentials outlive its instance. Without
   its credentials it refuses to, as long as nodes run that have the former token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.health.diagnosis import Severity
from bacalhau_spot.core.health.observation import ApiAvailability, StatusChecks
from bacalhau_spot.core.model import OrchestratorMode, State, Timeouts
from bacalhau_spot.core.orchestrator.managed_state import DATA_DEVICE, LOST_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import NodeListing
    from bacalhau_spot.core.problem import ApiFailure


class OrchestratorVerdict(StrEnum):
    """The verdicts on an orchestrator."""

    MISSING = "missing"
    NOT_SCANNED = "not-scanned"
    STOPPED = "stopped"
    STARTING = "starting"
    IMPAIRED = "impaired"
    NO_CREDENTIALS = "no-credentials"
    NOT_SHARED = "not-shared"
    CREDENTIALS_UNREADABLE = "credentials-unreadable"
    BOOTING = "booting"
    NO_VOLUME = "no-volume"
    REFUSED = "refused"
    NO_ANSWER = "no-answer"
    RESTARTED = "restarted"
    ANSWERS = "answers"
    NO_API = "no-api"


@dataclass(frozen=True, slots=True)
class OrchestratorObservation:
    """`cluster`: the one that has a shared orchestrator. `instance`: of a managed one; `partial`: not all regions were scanned
    for it. `failure`: why the API did not answer. `nodes`: how many have not ended. `reconnecting`: the number of nodes that have
    not returned since its restart `restarted_for` ago.
    """

    now: datetime
    mode: OrchestratorMode
    cluster: str = ""
    instance: Instance | None = None
    checks: StatusChecks = field(default_factory=StatusChecks)
    partial: bool = False
    api: ApiAvailability = ApiAvailability.AVAILABLE
    failure: ApiFailure | None = None
    nodes: int = 0
    reconnecting: int = 0
    restarted_for: timedelta | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)

    @property
    def managed(self) -> bool:
        return self.mode is OrchestratorMode.MANAGED

    @property
    def age(self) -> timedelta:
        """Time since the launch of the instance."""
        return max(timedelta(0), self.now - self.instance.launched_at) if self.instance else timedelta(0)

    @property
    def absent(self) -> bool:
        """A managed one without an instance or an answer."""
        return self.managed and self.instance is None and self.api is not ApiAvailability.AVAILABLE

    def in_state(self, *states: State) -> bool:
        return self.instance is not None and self.instance.state in states

    @property
    def without_volume(self) -> bool:
        """A running instance without the data volume."""
        running = self.instance if self.in_state(State.RUNNING) else None
        return running is not None and running.devices is not None and DATA_DEVICE not in running.devices

    @property
    def refused(self) -> bool:
        """It answered, and refused the key."""
        return self.failure is not None and classify(self.failure.code).category in {
            Category.CREDENTIALS,
            Category.PERMISSION,
        }


@dataclass(frozen=True, slots=True)
class OrchestratorRule:
    """One rule. `description`: its condition in words. `template` may have {why} with a colon before it, {span} and {ago} as in
    `DiagnosisRule`, {count} and {cluster}; `hint` may have {node}, {region} and {cluster}. `shared_hint`: for a shared one.
    """

    verdict: OrchestratorVerdict
    severity: Severity
    description: str
    when: Callable[[OrchestratorObservation], bool]
    template: str
    hint: str = ""
    time: Callable[[OrchestratorObservation], timedelta | None] = lambda _: None
    shared_hint: str = ""


@dataclass(frozen=True, slots=True)
class OrchestratorStatus:
    """The verdict on the orchestrator, with its data. ui/diagnosis_text.py writes the sentence. `failure`: its reason."""

    observation: OrchestratorObservation
    verdict: OrchestratorVerdict
    severity: Severity
    template: str
    hint: str
    address: str = ""
    version: str = ""
    time: timedelta | None = None

    @property
    def instance(self) -> Instance | None:
        return self.observation.instance

    @property
    def mode(self) -> OrchestratorMode:
        return self.observation.mode

    @property
    def broken(self) -> bool:
        """A managed one that has to be repaired or is not ready yet, or a shared one that does not exist."""
        ours = self.observation.managed or self.verdict is OrchestratorVerdict.NOT_SHARED
        return ours and self.severity in {Severity.BAD, Severity.WAITING}


_NEVER_CREATED = "`bacalhau-spot create` creates it"
_REBOOT = "`aws ec2 reboot-instances --region {region} --instance-ids {node}`"

ORCHESTRATOR_RULES: tuple[OrchestratorRule, ...] = (
    OrchestratorRule(
        OrchestratorVerdict.MISSING, Severity.BAD, "managed, without an instance",
        lambda obs: obs.absent and not obs.partial, "no instance",
        "`bacalhau-spot create` launches it, with its credentials, and with the data volume and address that it still has",
    ),
    OrchestratorRule(
        OrchestratorVerdict.NOT_SCANNED, Severity.UNKNOWN, "managed, and not all regions were scanned for its instance",
        lambda obs: obs.absent, "no instance in the scanned regions", "run `bacalhau-spot status` for all regions",
    ),
    OrchestratorRule(
        OrchestratorVerdict.STOPPED, Severity.BAD, "its instance is stopped or stopping",
        lambda obs: obs.in_state(State.STOPPED, State.STOPPING), "stopped", "`bacalhau-spot create` starts it",
    ),
    OrchestratorRule(
        OrchestratorVerdict.STARTING, Severity.WAITING, "its instance is pending",
        lambda obs: obs.in_state(State.PENDING), "starting{span}", "", lambda obs: obs.age,
    ),
    OrchestratorRule(
        OrchestratorVerdict.IMPAIRED, Severity.BAD, "an EC2 status check of its instance is impaired",
        lambda obs: bool(obs.checks.impaired), "status check impaired{why}",
        (
            f"EC2 recovers it from a failed system check; after a failed instance check, {_REBOOT}"
        ),
    ),
    OrchestratorRule(
        OrchestratorVerdict.NO_CREDENTIALS, Severity.BAD, "managed, without a parameter with its credentials",
        lambda obs: obs.managed and obs.api is ApiAvailability.NOT_CONFIGURED, "its credentials do not exist", LOST_CREDENTIALS,
    ),
    OrchestratorRule(
        OrchestratorVerdict.NOT_SHARED, Severity.BAD, "shared, and the other cluster has none",
        lambda obs: obs.mode is OrchestratorMode.SHARED and obs.api is ApiAvailability.NOT_CONFIGURED,
        "cluster {cluster} has no orchestrator", "`create` with the configuration file of {cluster} creates it",
    ),
    OrchestratorRule(
        OrchestratorVerdict.CREDENTIALS_UNREADABLE, Severity.UNKNOWN, "AWS refused to return the parameter with its credentials",
        lambda obs: obs.failure is not None and bool(obs.failure.region), "its credentials could not be read{why}",
        "`bacalhau-spot iam-policy --command status` prints the necessary permissions",
    ),
    OrchestratorRule(
        OrchestratorVerdict.BOOTING, Severity.WAITING,
        "managed, its API does not answer, for no longer than `join_s` since its launch",
        lambda obs: (
            obs.managed
            and obs.api is ApiAvailability.UNAVAILABLE
            and not obs.refused
            and obs.age <= timedelta(seconds=obs.timeouts.join_s)
        ),
        "booting{span}", "", lambda obs: obs.age,
    ),
    OrchestratorRule(
        OrchestratorVerdict.NO_VOLUME, Severity.BAD, "managed, and its data volume is not attached to its instance",
        lambda obs: obs.without_volume, "its data volume is not attached",
        (
            "`bacalhau-spot create` attaches it and restarts the machine; if the volume was deleted, the jobs are lost, and "
            "`bacalhau-spot create` makes an empty one"
        ),
    ),
    OrchestratorRule(
        OrchestratorVerdict.REFUSED, Severity.BAD, "managed, and its API refuses the key of bacalhau-spot",
        lambda obs: obs.managed and obs.refused, "API refuses the key",
        f"it reads its keys when it starts: {_REBOOT}",
    ),
    OrchestratorRule(
        OrchestratorVerdict.NO_ANSWER, Severity.BAD, "its API does not answer",
        lambda obs: obs.api is ApiAvailability.UNAVAILABLE, "API does not answer{why}",
        (
            "`bacalhau-spot create` admits the address of this machine (`ssh_cidrs`), repairs its other parts, and waits for it; "
            f"`bacalhau-spot console orchestrator` shows its output; {_REBOOT} restarts it"
        ),
        shared_hint="`bacalhau-spot status --cluster {cluster}` shows its state",
    ),
    OrchestratorRule(
        OrchestratorVerdict.RESTARTED, Severity.WAITING,
        "it restarted in the last five minutes, and nodes have not reconnected yet",
        lambda obs: obs.reconnecting > 0, "restarted{ago}; {count} reconnecting", "", lambda obs: obs.restarted_for,
    ),
    OrchestratorRule(
        OrchestratorVerdict.ANSWERS, Severity.GOOD, "its API answers",
        lambda obs: obs.api is ApiAvailability.AVAILABLE, "API answers",
    ),
    OrchestratorRule(
        OrchestratorVerdict.NO_API, Severity.UNKNOWN, "the configuration has no address of its API",
        lambda _: True, "API not configured", "`bacalhau-spot configure --set bacalhau.api.host=HOST` sets it",
    ),
)  # fmt: skip


def orchestrator_status(
    obs: OrchestratorObservation, *, address: str, listing: NodeListing
) -> OrchestratorStatus:
    """The one verdict on the orchestrator."""
    row = next(row for row in ORCHESTRATOR_RULES if row.when(obs))
    return OrchestratorStatus(
        observation=obs,
        verdict=row.verdict,
        severity=row.severity,
        template=row.template,
        hint=_hint(row, obs).format(
            node=obs.instance.id if obs.instance else "",
            region=obs.instance.region if obs.instance else "",
            cluster=obs.cluster,
        ),
        address=address,
        version=listing.version,
        time=row.time(obs),
    )


def _hint(row: OrchestratorRule, obs: OrchestratorObservation) -> str:
    """For a silent API only that of an orchestrator in the account: the user runs any other.

    Without credentials a missing one was not created yet, or nothing is left of it; unless nodes still run.
    """
    if row.verdict is OrchestratorVerdict.MISSING and obs.api is ApiAvailability.NOT_CONFIGURED:
        return LOST_CREDENTIALS if obs.nodes else _NEVER_CREATED
    if row.verdict is not OrchestratorVerdict.NO_ANSWER or obs.managed:
        return row.hint
    return row.shared_hint if obs.mode is OrchestratorMode.SHARED else ""
