"""The program that installs and starts `reconcile` on the orchestrator's machine, with a stand-in of pip and systemd."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.core.orchestrator.published_configuration import SWITCHED_OFF, PublishedConfiguration
from bacalhau_spot.instance.scripts import orchestrator_reconcile as program
from bacalhau_spot.instance.scripts.shell import CommandFailedError

WHEEL = f"https://example.com/bacalhau_spot-1.0.0-py3-none-any.whl#sha256={'0' * 64}"
MISSING = "the parameter /x/reconcile cannot be read: ParameterNotFound: "


def published(nodes: int = 2, *, every_s: int = 60, package: str = WHEEL) -> PublishedConfiguration:
    return PublishedConfiguration({"nodes": nodes}, {"ssh.pub": "ssh-ed25519 A"}, every_s, package)


class Machine:
    """`commands`: what was run. `broken`: a word of a command that fails."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder / "etc", folder / "opt"
        self.commands: list[str] = []
        self.broken = ""
        self.active = False
        self.now = 1e9

    def run(self, command: list[str], *, timeout_s: float) -> None:
        assert timeout_s > 0
        text = " ".join(command)
        self.commands.append(text.replace(str(self.programs), ""))
        if self.broken and self.broken in text:
            raise CommandFailedError(f"{command[0]} ended with 1: no such wheel")
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
        if command[0] == "systemctl":
            self.active = command[1] == "restart"

    def follow(self, value: PublishedConfiguration | str | Exception) -> str:
        def read() -> str:
            if isinstance(value, Exception):
                raise value
            return value if isinstance(value, str) else value.to_parameter().reveal()

        self.commands.clear()
        installation = program.Installation(str(self.programs), run=self.run, now=lambda: self.now)
        return program.follow(
            read, installation, folder=str(self.folder), run=self.run, is_active=lambda: self.active
        )

    def file(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_first_configuration_installs_and_starts(machine: Machine) -> None:
    said = machine.follow(published())
    assert said == f"every 60 s, with {WHEEL.partition('#')[0]}"
    assert next(command for command in machine.commands if "pip" in command).endswith(WHEEL), (
        "pip checks the sum"
    )
    assert machine.commands[-1] == "systemctl restart bacalhau-orchestrator-reconcile.service"
    assert json.loads(machine.file("config.yaml")) == {"nodes": 2}
    assert (machine.file("environment"), machine.file("ssh.pub")) == ("EVERY=60s\n", "ssh-ed25519 A")
    assert {path.stat().st_mode & 0o777 for path in machine.folder.iterdir()} == {0o600}
    assert (machine.programs / "current").is_symlink()
    assert (machine.follow(published()), machine.commands) == ("", [])


def test_another_number_needs_no_restart_and_another_interval_does(machine: Machine) -> None:
    """The service reads its configuration before each pass."""
    machine.follow(published())
    assert (machine.follow(published(3)), machine.commands) == ("", [])
    assert json.loads(machine.file("config.yaml")) == {"nodes": 3}
    assert machine.follow(published(3, every_s=30)).startswith("every 30 s")
    assert machine.commands == ["systemctl restart bacalhau-orchestrator-reconcile.service"]


def test_another_package_replaces_the_former_one(machine: Machine) -> None:
    machine.follow(published())
    before = (machine.programs / "current").resolve()
    machine.follow(published(package="bacalhau-spot==1.0.1"))
    assert (machine.programs / "current").resolve() != before
    assert not before.exists()


@pytest.mark.parametrize("broken", ["venv", "pip", "--version"])
def test_package_that_cannot_be_installed_leaves_the_former_one_running(
    machine: Machine, broken: str
) -> None:
    """And is tried again after ten minutes, not every minute."""
    machine.follow(published())
    before = (machine.programs / "current").resolve()
    machine.broken = broken
    other = published(package="bacalhau-spot==9.9.9")
    for _ in range(2):
        with pytest.raises(CommandFailedError, match="no such wheel"):
            machine.follow(other)
    assert machine.commands == [], "the second attempt is too early"
    assert (machine.active, (machine.programs / "current").resolve()) == (True, before)
    machine.broken = ""
    machine.now += program.AGAIN_S
    assert machine.follow(other).startswith("every 60 s, with bacalhau-spot==9.9.9")


@pytest.mark.parametrize("off", [SWITCHED_OFF, CommandFailedError(MISSING)])
def test_switched_off(machine: Machine, off: Any) -> None:
    assert (machine.follow(off), machine.commands) == ("", []), "nothing to stop"
    machine.follow(published())
    assert machine.follow(off) == "stopped"
    assert machine.commands == ["systemctl stop bacalhau-orchestrator-reconcile.service"]


@pytest.mark.parametrize(
    "value",
    [
        "no base64",
        base64.b64encode(b"x").decode(),
        base64.b64encode(zlib.compress(b"[]")).decode(),
        base64.b64encode(zlib.compress(b"{}")).decode(),
        CommandFailedError("the parameter /x/reconcile cannot be read: AccessDeniedException: "),
    ],
)
def test_parameter_that_cannot_be_read_changes_nothing(machine: Machine, value: Any) -> None:
    machine.follow(published())
    with pytest.raises(CommandFailedError):
        machine.follow(value)
    assert (machine.commands, machine.active) == ([], True)


def test_stopped_service_is_started_again(machine: Machine) -> None:
    machine.follow(published())
    machine.active = False
    assert machine.follow(published()) != ""
    assert machine.active


def test_files_stay_in_their_folder(machine: Machine) -> None:
    value = PublishedConfiguration({}, {"../../evil": "x"}, 60, WHEEL)
    machine.follow(value)
    assert not (machine.folder.parent.parent / "evil").exists()
    assert machine.file("evil") == "x"
