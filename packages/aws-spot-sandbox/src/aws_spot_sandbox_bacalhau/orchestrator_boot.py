"""A simulated boot of a managed orchestrator's machine: its console lines, and the conditions that it waits for.

The lines, times and repetitions are those of instance/scripts (orchestrator_boot.py, orchestrator_volume.py,
orchestrator_credentials.py, orchestrator_answers.py) and their units. The machine needs a way out to the internet, its
data volume, and the parameter with its credentials, which its role must be allowed to read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import NAMESPACE_OID, uuid5

from aws_spot_sandbox import instance_access
from aws_spot_sandbox.ec2 import catalog, selectors, ways_out
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox_bacalhau import user_data_parser
from aws_spot_sandbox_bacalhau.boot import Line
from aws_spot_sandbox_bacalhau.credentials import Credentials
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox_bacalhau.user_data_parser import OrchestratorGiven

RESTARTS_AFTER_S = 30.0  # RestartSec of the boot's unit
REFRESHES_S = 300.0  # of the timer that looks for changed credentials
_DOWNLOAD_S, _VOLUME_S, _PARAMETER_S = 240.0, 600.0, 300.0
_REFUSED = "[Errno 111] Connection refused"
_FORMAT = "has no credentials: another format"


def configuration(machine: Machine) -> OrchestratorGiven | None:
    """The orchestrator's configuration in the machine's user data, if it has one."""
    data = machine.moto.user_data
    return user_data_parser.read_orchestrator(str(data)) if data else None


def volume_of(machine: Machine, device: str) -> str:
    """The id of the volume that is attached under this name; empty without one."""
    mapping = machine.moto.block_device_mapping.get(device)
    return str(mapping.volume_id) if mapping is not None else ""


def read_credentials(region: Region, machine: Machine, about: OrchestratorGiven) -> Credentials | str:
    """The credentials in the parameter of the machine's own region, or the reason why the machine has none."""
    try:
        text = instance_access.read_parameter(region, machine, about.parameter)
    except AwsError as error:
        if error.code == "NoCredentials":
            return "cannot be read: the instance has no role"
        if error.code == "ParameterNotFound":
            return "cannot be read: ParameterNotFound:"
        return f"cannot be read: {error.code}: {error.message}"
    return Credentials.read(text) or _FORMAT


@dataclass(frozen=True)
class Missing:
    """`failure`: the console's words after `patience_s`. `detail`: a line until then. `noun`: for `sandbox status`."""

    noun: str
    failure: str
    patience_s: float
    detail: str = ""


@dataclass(frozen=True)
class Phase:
    """`at`: its earliest start as a fraction of `boot_s`; `until`: its earliest end. `lacks`: what it waits for."""

    name: str
    at: float
    detail: Callable[[Boot], str]
    lacks: Callable[[Boot, bool], Missing | None]
    until: float = 0.0


@dataclass
class Boot:
    """The boot of one machine so far. `formatted`: the volumes of this region that have a file system."""

    region: Region
    machine: Machine
    about: OrchestratorGiven
    formatted: set[str]
    lines: list[Line] = field(default_factory=list)
    missing: Missing | None = None
    credentials: Credentials | None = None
    started_at: float | None = None  # when its program started last, with these credentials
    _phase: int = 0
    _since: float = 0.0  # the end of the last phase
    _entered_at: float | None = None  # the start of the present phase, once its line is written
    _refreshed: int = 0

    def advance(self) -> None:
        """Go through the phases that are due, until one lacks something; then follow changes of the parameter."""
        if self.machine.started_at is None or self._stuck() == "boot":
            return
        while self._phase < len(PHASES) and self._step():
            pass
        if self._phase == len(PHASES):
            self._refresh()

    def _step(self) -> bool:
        """Whether there may be a further step now."""
        phase, now = PHASES[self._phase], self.region.now()
        boot_s, began = self.region.world.settings.boot_s, self.machine.started_at or 0.0
        if self._entered_at is None:
            due = max(began + boot_s * phase.at, self._since)
            if now < due:
                return False
            self._entered_at = due
            self.lines.append(Line(due, phase.name, phase.detail(self)))
        missing = phase.lacks(self, self._stuck() == phase.name)
        if missing is None:
            ends = max(now if self.missing else self._entered_at, began + boot_s * phase.until)
            if now < ends:
                return False
            self._complete(ends)
            return True
        if missing.detail and missing != self.missing:
            self.lines.append(
                Line(self._entered_at if self.missing is None else now, "waiting", missing.detail)
            )
        self.missing = missing
        gives_up_at = self._entered_at + missing.patience_s
        if now < gives_up_at:
            return False
        self._fail(phase, missing, gives_up_at)
        return True

    def _complete(self, at: float) -> None:
        self.missing, self._entered_at, self._since = None, None, at
        self._phase += 1
        if self._phase == len(PHASES):
            self._starts(at)
            self.lines.append(Line(at, "answers", "NATS on port 4222, the API on 1234"))

    def _starts(self, at: float) -> None:
        self.started_at = at
        self._refreshed = self._ticks()

    def _fail(self, phase: Phase, missing: Missing, at: float) -> None:
        """The unit runs the program again, from its beginning."""
        name = "waiting" if missing.detail else phase.name
        self.lines.append(Line(at, "failed", f"{name}: {missing.failure}"))
        self._phase, self._entered_at, self._since = 0, None, at + RESTARTS_AFTER_S

    def _stuck(self) -> str:
        names = selectors.names(self.region, self.machine)
        return selectors.value(self.region.world.settings_of(NodeSettings).stuck_orchestrators, names, "")

    def _ticks(self) -> int:
        began = self.machine.started_at or 0.0
        return math.floor((self.region.now() - began) / REFRESHES_S)

    def _refresh(self) -> None:
        """The timer's program: a changed parameter restarts the service."""
        ticks = self._ticks()
        if ticks == self._refreshed:
            return
        self._refreshed = ticks
        found = read_credentials(self.region, self.machine, self.about)
        if isinstance(found, Credentials) and found != self.credentials and not found.problem():
            at = (self.machine.started_at or 0.0) + ticks * REFRESHES_S
            self.credentials, self.started_at = found, at
            self.lines.append(Line(at, "credentials", "the parameter has changed; the orchestrator restarts"))

    # --- What the lines contain

    def architecture(self) -> str:
        return "arm64" if "arm64" in catalog.architectures(self.machine.type) else "x86_64"

    def digest(self) -> str:
        return self.about.sums.get(self.architecture()) or sha256(self.about.version.encode()).hexdigest()

    def mounted(self) -> str:
        """The description of the volume's file system, which is made on a new volume."""
        volume = volume_of(self.machine, self.about.device)
        found = "existing data" if volume in self.formatted else "new file system"
        self.formatted.add(volume)
        nitro = (catalog.type_info(self.machine.type) or {}).get("Hypervisor") == "nitro"
        disk = "/dev/nvme1n1" if nitro else self.about.device.replace("sd", "xvd")
        return f"the volume {disk} is mounted: {uuid5(NAMESPACE_OID, volume)}, {found}"


def _internet(boot: Boot, stuck: bool) -> Missing | None:  # noqa: FBT001 - all conditions have this form
    if not stuck and ways_out.reaches_internet(boot.region, boot.machine):
        return None
    about, arch = boot.about, "arm64" if boot.architecture() == "arm64" else "amd64"
    url = about.download_url.replace("{version}", about.version).replace("{arch}", arch)
    return Missing("a way out to the internet", f"{url}: <urlopen error timed out>", _DOWNLOAD_S)


def _volume(boot: Boot, stuck: bool) -> Missing | None:  # noqa: FBT001 - as above
    device = boot.about.device
    if not stuck and volume_of(boot.machine, device):
        return None
    failure = f"no volume is attached as {device} after {_VOLUME_S:.0f} s"
    return Missing(f"the data volume {device}", failure, _VOLUME_S)


def _parameter(boot: Boot, stuck: bool) -> Missing | None:  # noqa: FBT001 - as above
    found = read_credentials(boot.region, boot.machine, boot.about)
    if stuck:
        found = "cannot be read: ParameterNotFound:"
    if isinstance(found, Credentials):
        boot.credentials = found
        return None
    failure = f"the parameter {boot.about.parameter} {found}"
    # A parameter that can be read is not read again
    return Missing(failure, failure, 0.0 if found == _FORMAT else _PARAMETER_S)


def _starts(boot: Boot, stuck: bool) -> Missing | None:  # noqa: FBT001 - as above
    problem = boot.credentials.problem() if boot.credentials else ""
    if not stuck and not problem:
        return None
    answer_s = boot.about.answer_s
    failure = f"the orchestrator does not answer after {answer_s:.0f} s: {_REFUSED}"
    return Missing(problem or "the start of Bacalhau", failure, answer_s, _REFUSED)


PHASES = (
    Phase("download", 0.4, lambda boot: f"Bacalhau {boot.about.version}", _internet),
    Phase("volume", 0.75, lambda boot: f"waiting for {boot.about.device}", _volume),
    Phase("credentials", 0.8, lambda boot: f"{boot.about.parameter}; {boot.mounted()}", _parameter),
    Phase(
        "start",
        0.9,
        lambda boot: f"Bacalhau {boot.about.version}, archive sha256 {boot.digest()}",
        _starts,
        until=1.0,
    ),
)
