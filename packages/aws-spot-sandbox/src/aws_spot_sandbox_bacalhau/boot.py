"""A simulated first boot: the console lines and their times, and when the node joins the orchestrator, if at all.

The lines and failure reasons are those of instance/scripts (first_boot.py, join_check.py, interruption_watcher.py),
word for word; the timeouts are theirs, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import catalog, selectors, ways_out
from aws_spot_sandbox_bacalhau import user_data_parser
from aws_spot_sandbox_bacalhau.node_settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox_bacalhau.directory import Directory, Route
    from aws_spot_sandbox_bacalhau.drain import Drain
    from aws_spot_sandbox_bacalhau.user_data_parser import Given, ImageGiven

# Start of each phase, as a fraction of the time from running to joined
HOST_KEYS = 0.37  # the first act of a node's first boot
WATCHES, PACKAGES, DOCKER, DOWNLOAD, START = 0.38, 0.4, 0.75, 0.85, 0.9
BEFORE_START = frozenset({"boot", "packages", "docker", "download", "parameter", "start"})
# The boot of an image with Docker, as a part of the whole one: 288 s instead of 553 s in an emulated machine (Debian 13)
BAKED = 0.5
REFUSED = "nats: Authorization Violation"
UNREACHABLE = "nats: no servers available for connection"
WHY = {"token": REFUSED}
LASTING_S = 11.0  # join_check.py reports a connection that has lasted this long
READS_TOKEN_S = 300.0  # secret.py retries for this long
MARGIN_S = 20.0  # interruption_watcher.py reserves this much of the notice
_COMMANDS = "additional_commands "
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
    leaves_at: float | None = None  # disconnects, because of EC2's interruption notice or a drain


def node_configuration(machine: Machine) -> Given | None:
    """The node's configuration in its user data, if any."""
    return user_data_parser.read(str(machine.moto.user_data)) if machine.moto.user_data else None


def shows_host_keys(region: Region, machine: Machine) -> bool:
    """Whether it is a node whose first boot gets as far as its programs."""
    if machine.started_at is None or node_configuration(machine) is None:
        return False
    return _stuck(region, machine) != "boot"


def ends_at(lines: Iterable[Line]) -> float:
    """When a node's first boot has ended: cloud-init goes on then. Failed commands of the user do not end it."""
    ends = (
        line.at
        for line in lines
        if line.phase == "joined" or (line.phase == "failed" and not line.detail.startswith(_COMMANDS))
    )
    return min(ends, default=math.inf)


def fetch_token(region: Region, machine: Machine) -> None:
    """With `secrets: ssm` a node reads its token during boot, until it succeeds. Later changes have no effect."""
    about = node_configuration(machine)
    if about is not None and about.parameter and machine.token is None and machine.profile:
        machine.token = region.parameter(region.name, about.parameter)


def address(about: Given | ImageGiven, machine: Machine) -> str:
    """Of Bacalhau's archive for the machine."""
    arch = "arm64" if "arm64" in catalog.architectures(machine.type) else "amd64"
    return about.download_url.replace("{version}", about.version).replace("{arch}", arch)


def name(machine: Machine, about: Given) -> str:
    return f"{about.prefix}{machine.id}"


def timeline(region: Region, machine: Machine, directory: Directory) -> Timeline:
    """With the current switches, and the present state of the orchestrator that the node connects to."""
    about = node_configuration(machine)
    if about is None or machine.started_at is None:
        return Timeline()
    fetch_token(region, machine)
    course = _Course(
        region,
        machine,
        about,
        directory.route(about),
        directory.joined.get(machine.id),
        directory.drains.get(machine.id),
    )
    joins_at = _joins_at(course)
    leaves_at = _leaves_at(course)
    if leaves_at is not None and joins_at is not None and leaves_at <= joins_at:
        joins_at = None
    lines = [*_boot(course, leaves_at), *_watch(course, leaves_at)]
    return Timeline(tuple(sorted(lines, key=lambda line: line.at)), joins_at, leaves_at)


@dataclass(frozen=True)
class _Course:
    """A node's machine, with its way to its orchestrator, and the time at which it has joined it, if it has."""

    region: Region
    machine: Machine
    about: Given
    route: Route
    joined_at: float | None
    drain: Drain | None = None

    @property
    def began(self) -> float:
        return self.machine.started_at or 0.0

    @property
    def boot_s(self) -> float:
        """Of an image that has Docker and this version of Bacalhau, the boot is shorter."""
        return self.region.world.settings.boot_s * (BAKED if self.is_baked else 1.0)

    @property
    def is_baked(self) -> bool:
        image = self.region.images.get(str(self.machine.moto.image_id))
        return image is not None and image.installed == address(self.about, self.machine)

    @property
    def connects_at(self) -> float:
        return self.began + self.boot_s


def cordoned_at(machine: Machine, drain: Drain | None) -> float | None:
    """When the node stops to accept work, for EC2's notice or a drain."""
    moments = (machine.notice_at, drain.began if drain else None)
    return min((moment for moment in moments if moment is not None), default=None)


def works_on(region: Region, machine: Machine, directory: Directory, drain: Drain) -> bool:
    """Whether a draining node still waits for the work that it had when the drain began."""
    about = node_configuration(machine)
    if about is None or region.now() >= drain.until:
        return False
    if machine.notice_at is not None and region.now() >= _latest(machine, about, machine.notice_at):
        return False
    works = directory.route(about).works(name(machine, about), since=drain.began, at=region.now())
    return works or executions(region, machine) > 0


def _latest(machine: Machine, about: Given, notice_at: float) -> float:
    """The end of the grace after EC2's notice."""
    return notice_at + min(about.grace_s, max(0.0, machine.notice_s - MARGIN_S))


def starts_at(region: Region, machine: Machine, directory: Directory) -> float | None:
    """When the first boot starts Bacalhau; None if it does not get so far."""
    about = node_configuration(machine)
    if about is None or machine.started_at is None:
        return None
    course = _Course(region, machine, about, directory.route(about), None)
    if _obstacle(course) in BEFORE_START:
        return None
    at = course.began + course.boot_s * START
    return None if machine.notice_at is not None and machine.notice_at <= at else at


def _obstacle(course: _Course) -> str:
    """The phase at which the boot stops; empty if the node joins."""
    region, machine, about = course.region, course.machine, course.about
    stuck = _stuck(region, machine)
    if stuck:
        return stuck
    if not ways_out.reaches_internet(region, machine):
        return "packages"
    if about.parameter and machine.token is None:
        return "parameter"
    if course.route.managed:
        return course.route.obstacle(machine, about)
    if not about.orchestrators:
        return "nowhere"
    wanted = region.world.settings_of(NodeSettings).orchestrator_token
    return "token" if wanted is not None and token(machine, about) != wanted else ""


def _stuck(region: Region, machine: Machine) -> str:
    """The phase of the switch, if any."""
    return selectors.value(region.world.settings_of(NodeSettings).stuck, selectors.names(region, machine), "")


def token(machine: Machine, about: Given) -> str | None:
    """The token that the node presents."""
    return machine.token if about.parameter else about.token


def _joins_at(course: _Course) -> float | None:
    if _obstacle(course):
        return None
    return max(course.connects_at, course.route.answers_at or 0.0)


def _leaves_at(course: _Course) -> float | None:
    """The watcher waits for running work for the configured time, as long as the notice allows."""
    machine = course.machine
    if course.drain is not None:
        return course.drain.left_at
    if machine.notice_at is None:
        return None
    latest = _latest(machine, course.about, machine.notice_at)
    if executions(course.region, machine):
        return latest
    return min(latest, course.route.busy_until(name(machine, course.about), machine.notice_at))


def executions(region: Region, machine: Machine) -> int:
    return selectors.value(
        region.world.settings_of(NodeSettings).executions, selectors.names(region, machine), 0
    )


def engines(region: Region, machine: Machine) -> list[str]:
    bare = selectors.selects(
        region.world.settings_of(NodeSettings).without_docker, selectors.names(region, machine)
    )
    return ["wasm"] if bare else ["docker", "wasm"]


def _boot(course: _Course, leaves_at: float | None) -> Iterator[Line]:
    """All phases up to the one at which the boot stops, and the error of its program."""
    machine, about, began = course.machine, course.about, course.began
    boot_s = course.boot_s
    obstacle = "" if course.joined_at is not None and course.route.managed else _obstacle(course)
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
    cordoned = cordoned_at(machine, course.drain)
    if cordoned is not None and cordoned <= started:
        yield Line(started, "failed", "start: the instance is about to end; the node does not start")
        return
    if about.commands:
        yield Line(started, "commands", "additional_commands")
    if obstacle == "nowhere":
        last = "commands" if about.commands else "start"
        yield Line(started, "failed", f"{last}: the configuration names no orchestrator")
        return
    for line in _join(course, obstacle):
        if leaves_at is None or line.at <= leaves_at:  # the service was stopped at `leaves_at`
            yield line


def _join(course: _Course, obstacle: str) -> Iterator[Line]:
    connects, join_s = course.connects_at, course.about.join_s
    joins = course.joined_at or max(connects, course.route.answers_at or 0.0)
    if obstacle or joins > connects:
        why = course.route.reason(course.machine, course.about, obstacle) or WHY.get(obstacle, UNREACHABLE)
        yield Line(connects, "waiting", why)
        if obstacle or joins > connects + join_s:
            yield Line(connects + join_s, "failed", f"join: not joined after {join_s:.0f} s: {why}")
            return
    connects = joins
    names = engines(course.region, course.machine)
    if "docker" not in names:
        yield Line(connects + LASTING_S, "warning", "Bacalhau does not offer Docker here")
    detail = f"connected for {LASTING_S:.0f} s, engines {' '.join(names)}"
    yield Line(connects + LASTING_S, "joined", detail)


def _gives_up(machine: Machine, about: Given, obstacle: str, since: float) -> Line:
    url = address(about, machine)
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


def _watch(course: _Course, leaves_at: float | None) -> Iterator[Line]:
    """The watcher's lines on EC2's notice, which may precede the watcher's start."""
    machine = course.machine
    if course.drain is not None:
        yield from _drained(course, course.drain)
        return
    if leaves_at is None or machine.notice_at is None or machine.started_at is None:
        return
    sees = max(machine.notice_at, machine.started_at + course.boot_s * WATCHES)
    leaves, ends = max(sees, leaves_at), machine.notice_at + machine.notice_s
    left = max(0, round(ends - sees))
    yield Line(sees, "interrupted", f"terminate in {left} s; no new work is accepted")
    running = executions(course.region, machine) or course.route.running_on(
        name(machine, course.about), leaves
    )
    yield Line(leaves, "stopping", f"unfinished executions: {running}")
    yield Line(leaves, "stopped", f"{max(0, round(ends - leaves))} s before the instance ends")


def _drained(course: _Course, drain: Drain) -> Iterator[Line]:
    left = max(0, round(drain.until - drain.began))
    yield Line(drain.began, "draining", f"terminate in {left} s; no new work is accepted")
    if drain.left_at is None:
        return
    running = executions(course.region, course.machine) or course.route.running_on(
        name(course.machine, course.about), drain.left_at
    )
    yield Line(drain.left_at, "stopping", f"unfinished executions: {running}")
    yield Line(drain.left_at, "stopped", "the machine shuts down")
