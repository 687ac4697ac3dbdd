"""A simulated first boot: the console lines and their times, and when the node joins the orchestrator, if at all.

The lines and failure reasons are those of instance/scripts (first_boot.py, join_check.py, interruption_watcher.py),
word for word; the timeouts are theirs, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import catalog, selectors, ways_out
from aws_spot_sandbox_bacalhau import user_data_parser
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox_bacalhau.user_data_parser import Given

# Start of each phase, as a fraction of the time from running to joined
WATCHES, PACKAGES, DOCKER, DOWNLOAD, START = 0.38, 0.4, 0.75, 0.85, 0.9
REFUSED = "nats: Authorization Violation"
UNREACHABLE = "nats: no servers available for connection"
LASTING_S = 11.0  # join_check.py reports a connection that has lasted this long
READS_TOKEN_S = 300.0  # secret.py retries for this long
MARGIN_S = 20.0  # interruption_watcher.py reserves this much of the notice
_DOCKER_S, _APT_S, _DOWNLOAD_S, _START_S = 300.0, 60.0, 240.0, 900.0


@dataclass(frozen=True)
class Line:
    at: float
    phase: str
    detail: str = ""


@dataclass(frozen=True)
class Timeline:
    """The course of an instance unless something else happens. `joins_at` None: it never joins the orchestrator."""

    lines: tuple[Line, ...] = ()
    joins_at: float | None = None
    leaves_at: float | None = None  # disconnects, because of EC2's interruption notice


def node_configuration(machine: Machine) -> Given | None:
    """The node's configuration in its user data, if any."""
    return user_data_parser.read(str(machine.moto.user_data)) if machine.moto.user_data else None


def fetch_token(region: Region, machine: Machine) -> None:
    """With `secrets: ssm` a node reads its token during boot, until it succeeds. Later changes have no effect."""
    about = node_configuration(machine)
    if about is not None and about.parameter and machine.token is None and machine.profile:
        machine.token = region.parameter(region.name, about.parameter)


def name(machine: Machine, about: Given) -> str:
    return f"{about.prefix}{machine.id}"


def timeline(region: Region, machine: Machine) -> Timeline:
    """With the current switches."""
    about = node_configuration(machine)
    if about is None or machine.started_at is None:
        return Timeline()
    fetch_token(region, machine)
    joins_at = _joins_at(region, machine, about)
    leaves_at = _leaves_at(region, machine, about)
    if leaves_at is not None and joins_at is not None and leaves_at <= joins_at:
        joins_at = None
    lines = [*_boot(region, machine, about, leaves_at), *_watch(region, machine, leaves_at)]
    return Timeline(tuple(sorted(lines, key=lambda line: line.at)), joins_at, leaves_at)


def _obstacle(region: Region, machine: Machine, about: Given) -> str:
    """The phase at which the boot stops; empty if the node joins."""
    stuck = selectors.value(
        region.world.settings_of(NodeSettings).stuck, selectors.names(region, machine), ""
    )
    if stuck:
        return stuck
    if not ways_out.reaches_internet(region, machine):
        return "packages"
    if about.parameter and machine.token is None:
        return "parameter"
    if not about.orchestrators and not region.world.settings_of(NodeSettings).assume_orchestrator:
        return "nowhere"
    wanted = region.world.settings_of(NodeSettings).orchestrator_token
    has = machine.token if about.parameter else about.token
    return "token" if wanted is not None and has != wanted else ""


def _joins_at(region: Region, machine: Machine, about: Given) -> float | None:
    if _obstacle(region, machine, about):
        return None
    return (machine.started_at or 0.0) + region.world.settings.boot_s


def _leaves_at(region: Region, machine: Machine, about: Given) -> float | None:
    """The watcher waits for running work for the configured time, as long as the notice allows."""
    if machine.notice_at is None:
        return None
    running = executions(region, machine)
    return machine.notice_at + (min(about.grace_s, max(0.0, machine.notice_s - MARGIN_S)) if running else 0.0)


def executions(region: Region, machine: Machine) -> int:
    return selectors.value(
        region.world.settings_of(NodeSettings).executions, selectors.names(region, machine), 0
    )


def engines(region: Region, machine: Machine) -> list[str]:
    bare = selectors.selects(
        region.world.settings_of(NodeSettings).without_docker, selectors.names(region, machine)
    )
    return ["wasm"] if bare else ["docker", "wasm"]


def _boot(region: Region, machine: Machine, about: Given, leaves_at: float | None) -> Iterator[Line]:
    """All phases up to the one at which the boot stops, and the error of its program."""
    began, boot_s = machine.started_at or 0.0, region.world.settings.boot_s
    obstacle = _obstacle(region, machine, about)
    if obstacle == "boot":
        return
    arch = "arm64" if "arm64" in catalog.architectures(machine.type) else "x86_64"
    digest = about.sums.get(arch) or sha256(about.version.encode()).hexdigest()
    phases = (
        ("packages", PACKAGES, "Docker"),
        ("docker", DOCKER, "waiting until it answers"),
        ("download", DOWNLOAD, f"Bacalhau {about.version}"),
        ("start", START, f"{name(machine, about)}, Bacalhau {about.version}, archive sha256 {digest}"),
    )
    for phase, part, detail in phases:
        yield Line(began + boot_s * part, phase, detail)
        if phase == obstacle or (phase, obstacle) == ("download", "parameter"):
            yield _gives_up(machine, about, obstacle, began + boot_s * part)
            return
    started = began + boot_s * START
    if machine.notice_at is not None and machine.notice_at <= started:
        yield Line(started, "failed", "start: EC2 takes the instance back; the node does not start")
        return
    if about.commands:
        yield Line(started, "commands", "additional_commands")
    if obstacle == "nowhere":
        last = "commands" if about.commands else "start"
        yield Line(started, "failed", f"{last}: the configuration names no orchestrator")
        return
    for line in _join(region, machine, about, obstacle):
        if leaves_at is None or line.at <= leaves_at:  # the service was stopped at `leaves_at`
            yield line


def _join(region: Region, machine: Machine, about: Given, obstacle: str) -> Iterator[Line]:
    settings = region.world.settings
    connects = (machine.started_at or 0.0) + settings.boot_s
    if obstacle:
        why = REFUSED if obstacle == "token" else UNREACHABLE
        yield Line(connects, "waiting", why)
        yield Line(connects + about.join_s, "failed", f"join: not joined after {about.join_s:.0f} s: {why}")
        return
    names = engines(region, machine)
    if "docker" not in names:
        yield Line(connects + LASTING_S, "warning", "Bacalhau does not offer Docker here")
    detail = f"connected for {LASTING_S:.0f} s, engines {' '.join(names)}"
    yield Line(connects + LASTING_S, "joined", detail)


def _gives_up(machine: Machine, about: Given, obstacle: str, since: float) -> Line:
    arch = "arm64" if "arm64" in catalog.architectures(machine.type) else "amd64"
    url = about.download_url.replace("{version}", about.version).replace("{arch}", arch)
    missing = "ParameterNotFound:" if machine.profile else "the instance has no role"
    docker = (
        f"docker: Docker does not answer after {_DOCKER_S:.0f} s: Cannot connect to the Docker daemon at "
    )
    after_s, why = {
        "packages": (_APT_S, "packages: apt-get ended with 100: E: Unable to fetch some archives"),
        "docker": (_DOCKER_S, f"{docker}unix:///var/run/docker.sock. Is the docker daemon running?"),
        "download": (_DOWNLOAD_S, f"download: {url}: <urlopen error timed out>"),
        "parameter": (
            READS_TOKEN_S,
            f"download: the parameter {about.parameter} cannot be read: {missing}",
        ),
        "start": (_START_S, f"start: systemctl did not end within {_START_S:.0f} s"),
    }[obstacle]
    return Line(since + after_s, "failed", why)


def _watch(region: Region, machine: Machine, leaves_at: float | None) -> Iterator[Line]:
    """The watcher's lines on EC2's notice, which may precede the watcher's start."""
    if leaves_at is None or machine.notice_at is None or machine.started_at is None:
        return
    sees = max(machine.notice_at, machine.started_at + region.world.settings.boot_s * WATCHES)
    leaves, ends = max(sees, leaves_at), machine.notice_at + machine.notice_s
    left = max(0, round(ends - sees))
    yield Line(sees, "interrupted", f"terminate in {left} s; no new work is accepted")
    yield Line(leaves, "stopping", f"unfinished executions: {executions(region, machine)}")
    yield Line(leaves, "stopped", f"{max(0, round(ends - leaves))} s before the instance ends")
