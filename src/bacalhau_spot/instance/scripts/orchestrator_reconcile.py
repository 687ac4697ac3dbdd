"""Runs `reconcile` on the orchestrator's machine, as the cluster's configuration in SSM's Parameter Store says.

Its timer runs this program every minute: it installs bacalhau-spot, writes its configuration, and starts or stops the service. A
failure is a line on the console and changes nothing else: the orchestrator works without.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import pwd
import shutil
import sys
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import secret, whole_file
from .console import Console
from .metadata import Metadata
from .orchestrator_credentials import read_facts
from .shell import CommandFailedError, answers, run_command

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE = "bacalhau-orchestrator-reconcile.service"
USER = "_reconcile"
CONFIGURATION = "/etc/bacalhau-spot/reconcile"
PROGRAMS = "/opt/bacalhau-spot"
# Between two attempts to install a package that could not be installed.
AGAIN_S = 600.0
_PHASE = "reconcile"
_INSTALL_S = 900.0


class Installation:
    """The versions of bacalhau-spot, each in a folder of its own; `current` is a link to the one in use."""

    def __init__(
        self,
        folder: str = PROGRAMS,
        *,
        run: Callable[..., None] = run_command,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = Path(folder)
        self._run = run
        self._now = now

    def use(self, package: str) -> bool:
        """Whether another version is in use from now on. Raises CommandFailedError; the present one then stays in use."""
        version = self._folder / hashlib.sha256(package.encode()).hexdigest()[:12]
        current = self._folder / "current"
        if current.is_symlink() and current.resolve() == version.resolve():
            return False
        if not (version / "complete").exists():
            self._install(package, version)
        link = self._folder / "current.new"
        link.unlink(missing_ok=True)
        link.symlink_to(version.name)
        link.replace(current)
        for other in self._folder.iterdir():
            if other.is_dir() and not other.is_symlink() and other != version:
                shutil.rmtree(other, ignore_errors=True)
        return True

    def _install(self, package: str, version: Path) -> None:
        failed = self._folder / f"{version.name}.failed"
        if failed.exists() and 0 <= self._now() - failed.stat().st_mtime < AGAIN_S:
            raise CommandFailedError(failed.read_text("utf-8"))
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(version, ignore_errors=True)
        try:
            self._prepare()
            self._run([sys.executable, "-m", "venv", str(version)], timeout_s=_INSTALL_S)
            pip = [str(version / "bin/python"), "-m", "pip", "install", "--no-input"]
            self._run([*pip, "--disable-pip-version-check", package], timeout_s=_INSTALL_S)
            self._run([str(version / "bin/bacalhau-spot"), "--version"], timeout_s=60)
        except CommandFailedError as why:
            failed.write_text(str(why), "utf-8")
            os.utime(failed, (self._now(), self._now()))
            raise
        (version / "complete").touch()

    def _prepare(self) -> None:
        """Ubuntu's Python lacks the module that makes environments."""
        if answers([sys.executable, "-c", "import ensurepip, venv"]):
            return
        wait = ["-o", "DPkg::Lock::Timeout=300"]
        self._run(["apt-get", *wait, "update"], timeout_s=_INSTALL_S)
        install = ["install", "-y", "--no-install-recommends", "python3-venv"]
        self._run(["apt-get", *wait, *install], timeout_s=_INSTALL_S)


def configuration_in(value: str) -> dict[str, Any]:
    """The parameter's content. Raises CommandFailedError for another format."""
    try:
        found = json.loads(zlib.decompress(base64.b64decode(value, validate=True)))
        every_s, files = (
            int(found["every_s"]),
            {str(name): str(text) for name, text in found["files"].items()},
        )
        return {
            "config": found["config"],
            "files": files,
            "every_s": every_s,
            "package": str(found["package"]),
        }
    except (binascii.Error, zlib.error, ValueError, KeyError, TypeError, AttributeError):
        raise CommandFailedError("the parameter has no configuration for reconcile") from None


def write_configuration(
    found: dict[str, Any], *, folder: str = CONFIGURATION, owner: tuple[int, int] | None = None
) -> bool:
    """Whether the service has to start again: it reads the configuration before each pass, the interval only once."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, text in found["files"].items():
        _write(Path(folder, Path(name).name), text, owner)
    _write(Path(folder, "config.yaml"), json.dumps(found["config"], indent=1, sort_keys=True) + "\n", owner)
    return _write(Path(folder, "environment"), f"EVERY={found['every_s']}s\n", owner)


def _write(path: Path, text: str, owner: tuple[int, int] | None) -> bool:
    """Whether the content is another one. The address of a webhook is a secret."""
    if path.exists() and path.read_text("utf-8") == text:
        return False
    whole_file.write_whole(path, text, mode=0o600, owner=owner)
    return True


def follow(
    read: Callable[[], str],
    installation: Installation,
    *,
    folder: str = CONFIGURATION,
    owner: tuple[int, int] | None = None,
    run: Callable[..., None] = run_command,
    is_active: Callable[[], bool] = lambda: answers(["systemctl", "is-active", "--quiet", SERVICE]),
) -> str:
    """Do what the parameter says; returns a line for the console, empty if nothing changed. Raises CommandFailedError."""
    try:
        found = configuration_in(read())
    except CommandFailedError as why:
        if "ParameterNotFound" not in str(why):
            raise
        found = {"every_s": 0}
    if not found["every_s"]:
        if not is_active():
            return ""
        run(["systemctl", "stop", SERVICE], timeout_s=120)
        return "stopped"
    replaced = installation.use(found["package"])
    changed = write_configuration(found, folder=folder, owner=owner)
    if not (replaced or changed) and is_active():
        return ""
    run(["systemctl", "restart", SERVICE], timeout_s=120)
    return f"every {found['every_s']} s, with {found['package'].partition('#')[0]}"


def main() -> int:
    facts = read_facts()
    account = pwd.getpwnam(USER)
    said = Path("/run/bacalhau-spot-reconcile.said")
    try:
        text = follow(
            lambda: secret.read_parameter(Metadata(), facts["reconcile_parameter"], tries=1),
            Installation(),
            owner=(account.pw_uid, account.pw_gid),
        )
        status = 0
    except CommandFailedError as why:
        text, status = f"does not run: {why}", 1
    # Once, not every minute.
    if text and not (said.exists() and said.read_text("utf-8") == text):
        Console().say(_PHASE, text)
        whole_file.write_whole(said, text)
    return status


if __name__ == "__main__":
    sys.exit(main())
