"""Docker from the distribution's packages, with every container in a slice that cannot reach the metadata service."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import wait_for_runtime, whole_file
from .shell import CommandFailedError, answers, output, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator

SLICE = "bacalhau-jobs.slice"
DAEMON_JSON = "/etc/docker/daemon.json"
# Docker's default has no limit. Bacalhau reads a job's output from the log at its end, so that the limit also cuts that.
LOGS = {"log-driver": "local", "log-opts": {"max-size": "100m", "max-file": "5"}}
_INITRAMFS = Path("/etc/initramfs-tools/update-initramfs.conf")
_APT = [
    "apt-get",
    "-qq",
    "-o=DPkg::Lock::Timeout=300",  # the image's own updates may be running
    "-o=Acquire::Retries=3",
    "-o=Acquire::Languages=none",
    "-o=Dpkg::Options::=--force-unsafe-io",  # no data needs to survive the instance
    "-o=Dpkg::Options::=--path-exclude=/usr/share/man/*",  # not read on a node, and their index would be rebuilt
]
_INSTALL = [*_APT, "install", "--assume-yes", "--no-install-recommends"]
# Docker's package only recommends AppArmor, but where the kernel has it no container starts without the package.
_PACKAGES = ["docker.io", "apparmor"]
_CLIENT = "docker-cli"  # a package of its own on newer Debian releases
_TRIES = 3
_BLOCKED = 42  # no other program on the way uses this exit code


def configure_docker(path: str = DAEMON_JSON) -> bool:
    """Set the containers' slice and limit their logs, without changing other settings. True if the file changed."""
    file = Path(path)
    try:
        settings = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        settings = {}
    except ValueError as error:
        raise CommandFailedError(f"{path} cannot be read: {error}") from None
    wanted = {**settings, "cgroup-parent": SLICE}
    if "log-driver" not in settings and "log-opts" not in settings:
        wanted.update(LOGS)
    if wanted == settings:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    whole_file.write_whole(file, json.dumps(wanted, indent=1))
    return True


def install_docker() -> bool:
    """Install Docker's package unless the image has Docker; whether it was installed."""
    if shutil.which("dockerd"):
        return False
    manager = next((name for name in ("apt-get", "dnf") if shutil.which(name)), None)
    if manager is None:
        raise CommandFailedError("this image has neither apt-get nor dnf, nor Docker")
    if manager == "dnf":
        _patiently(["dnf", "--assumeyes", "--quiet", "install", "docker"])
        return True
    with _no_new_initramfs():
        _patiently([*_APT, "update"])
        client = [_CLIENT] if answers(["apt-cache", "show", _CLIENT]) else []
        _patiently([*_INSTALL, *_PACKAGES, *client])
    return True


def _patiently(command: list[str]) -> None:
    """With retries: a mirror may be unreachable in the first seconds."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    for _ in range(_TRIES - 1):
        with contextlib.suppress(CommandFailedError):
            run_command(command, timeout_s=900, env=quiet)
            return
        time.sleep(5)
    run_command(command, timeout_s=900, env=quiet)


@contextlib.contextmanager
def _no_new_initramfs() -> Iterator[None]:
    """Do not rebuild the initramfs for the next boot, which takes longer than all else: nodes do not reboot."""
    before = _INITRAMFS.read_bytes() if _INITRAMFS.exists() else None
    if before is None:
        yield
        return
    _INITRAMFS.write_text("update_initramfs=no\n", "ascii")
    try:
        yield
    finally:
        _INITRAMFS.write_bytes(before)


def start_docker(*, restart: bool) -> None:
    """Start Docker and wait until it answers. `restart`: a running one has older settings."""
    if restart and answers(["systemctl", "is-active", "--quiet", "docker.service"]):
        run_command(["systemctl", "restart", "docker.service"], timeout_s=120)
    run_command(["systemctl", "enable", "--now", "docker.service"], timeout_s=120)
    if not wait_for_runtime.wait_for_command(["docker", "info"], seconds=wait_for_runtime.DOCKER_S):
        why = output(["docker", "info"], timeout_s=30).stdout.strip().splitlines()
        raise CommandFailedError(
            f"Docker does not answer after {wait_for_runtime.DOCKER_S:.0f} s: {(why or ['no reason given'])[-1]}"
        )


def check_slice() -> None:
    """Fail unless the metadata service is blocked in the containers' slice: the rule is tested, not assumed."""
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        raise CommandFailedError("this image has no cgroups of version 2; take a newer one")
    probe = ["systemd-run", "--quiet", "--wait", "--collect", f"--slice={SLICE}"]
    probe += [f"--working-directory={Path.cwd()}", sys.executable, "-m", f"{__package__}.docker"]
    ended = output(probe, timeout_s=60).returncode
    if ended != _BLOCKED:
        raise CommandFailedError(
            f"containers could read the instance's metadata (the check ended with {ended})"
        )


def main() -> int:
    """Runs inside the slice: whether the metadata service is reachable."""
    try:
        socket.create_connection(("169.254.169.254", 80), timeout=3).close()
    except OSError:
        return _BLOCKED
    return 0


if __name__ == "__main__":
    sys.exit(main())
