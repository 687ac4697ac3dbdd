"""A simulated boot of a managed orchestrator's machine: its console lines, and the conditions that it waits for.

The lines are those of instance/scripts, word for word. The machine needs a way out to the internet, its data volume, the
parameter with its credentials, which its role must be allowed to read, and its Elastic IP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import selectors, ways_out
from aws_spot_sandbox.iam import role_policies
from aws_spot_sandbox.iam.policy_evaluator import Ask, Context
from aws_spot_sandbox.state import ACCOUNT_ID
from aws_spot_sandbox_bacalhau import network, user_data_parser
from aws_spot_sandbox_bacalhau.boot import Line
from aws_spot_sandbox_bacalhau.credentials import Credentials
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox_bacalhau.user_data_parser import OrchestratorGiven


def configuration(machine: Machine) -> OrchestratorGiven | None:
    """The orchestrator's configuration in the machine's user data, if it has one."""
    data = machine.moto.user_data
    return user_data_parser.read_orchestrator(str(data)) if data else None


def volume_of(machine: Machine, device: str) -> str:
    """The id of the volume that is attached under this name; empty without one."""
    mapping = machine.moto.block_device_mapping.get(device)
    return str(mapping.volume_id) if mapping is not None else ""


def read_credentials(region: Region, machine: Machine, about: OrchestratorGiven) -> Credentials | str:
    """The credentials in the parameter, or why the machine cannot read them."""
    if role_policies.role_of(machine) is None:
        return "the instance has no role"
    home = about.region or region.name
    name = about.parameter
    arn = f"arn:aws:ssm:{home}:{ACCOUNT_ID}:parameter/{name.removeprefix('/')}"
    context: Context = {"aws:RequestedRegion": (home,)}
    if not role_policies.allows(machine, Ask("ssm:GetParameter", arn, context)):
        return f"AccessDeniedException: the role is not authorized to perform: ssm:GetParameter on resource: {arn}"
    text = region.parameter(home, name)
    if text is None:
        return "ParameterNotFound:"
    credentials = Credentials.read(text)
    if credentials is None:
        return "it does not contain an orchestrator's credentials"
    return credentials.problem() or credentials


@dataclass(frozen=True)
class Phase:
    """`at`: its start as a fraction of `boot_s`. `missing`: the condition that it waits for; empty: it goes on."""

    name: str
    at: float
    detail: Callable[[Boot], str]
    missing: Callable[[Boot], str]


@dataclass
class Boot:
    """The boot of one machine so far."""

    region: Region
    machine: Machine
    about: OrchestratorGiven
    lines: list[Line] = field(default_factory=list)
    waits_for: str = ""
    credentials: Credentials | None = None
    _done: int = 0
    _since: float = 0.0

    @property
    def ready_at(self) -> float | None:
        """When its last phase was complete."""
        return self._since if self._done == len(PHASES) else None

    def advance(self) -> None:
        """Go through the phases that are due, until one lacks something."""
        began = self.machine.started_at
        if began is None:
            return
        now, boot_s = self.region.now(), self.region.world.settings.boot_s
        while self._done < len(PHASES):
            phase = PHASES[self._done]
            due = max(began + boot_s * phase.at, self._since)
            if now < due:
                return
            missing = self._stuck(phase) or phase.missing(self)
            if missing:
                self._wait(missing, now if self.waits_for else due)
                return
            at = now if self.waits_for else due
            self.waits_for, self._since = "", at
            self.lines.append(Line(at, phase.name, phase.detail(self)))
            self._done += 1

    def _wait(self, missing: str, at: float) -> None:
        if missing != self.waits_for:
            self.waits_for = missing
            self.lines.append(Line(at, "waiting", missing))

    def _stuck(self, phase: Phase) -> str:
        names = selectors.names(self.region, self.machine)
        stuck = selectors.value(self.region.world.settings_of(NodeSettings).stuck_orchestrators, names, "")
        return f"{phase.name} does not end" if stuck == phase.name else ""


def _internet(boot: Boot) -> str:
    return "" if ways_out.reaches_internet(boot.region, boot.machine) else "no way out to the internet"


def _volume(boot: Boot) -> str:
    return "" if volume_of(boot.machine, boot.about.device) else f"the data volume {boot.about.device}"


def _parameter(boot: Boot) -> str:
    found = read_credentials(boot.region, boot.machine, boot.about)
    if isinstance(found, Credentials):
        boot.credentials = found
        return ""
    return f"the parameter {boot.about.parameter} cannot be read: {found}"


def _address(boot: Boot) -> str:
    host = boot.credentials.host if boot.credentials else ""
    address = network.elastic_address(boot.region, boot.machine)
    if not address:
        return "the Elastic IP"
    return "" if address == host else f"the Elastic IP {host}, the machine has {address}"


PHASES = (
    Phase("download", 0.4, lambda boot: f"Bacalhau {boot.about.version}", _internet),
    Phase("volume", 0.6, lambda boot: boot.about.device, _volume),
    Phase("credentials", 0.7, lambda boot: boot.about.parameter, _parameter),
    Phase("start", 0.85, lambda boot: f"Bacalhau {boot.about.version}", _address),
    Phase("answers", 1.0, lambda boot: network.elastic_address(boot.region, boot.machine), _address),
)
