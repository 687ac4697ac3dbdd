"""Prepares an image: installs Docker and Bacalhau, removes everything that identifies this machine, and powers off.

A failure is a console line, and the machine stays on: a machine that is off is ready for its image.
"""

from __future__ import annotations

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import docker, download
from .console import LOG, Console
from .shell import CommandFailedError, answers, run_command

FACTS = "/etc/bacalhau-spot/image.json"
# Each of these is created again on the first boot of an instance, or belongs to this one. Patterns below the root.
IDENTITY = (
    "etc/bacalhau-spot",
    "etc/netplan/50-cloud-init.yaml",
    "etc/network/interfaces.d/50-cloud-init*",
    "etc/ssh/ssh_host_*",
    "etc/systemd/network/10-cloud-init-*",
    "root/.ssh",
    "usr/local/lib/bacalhau-spot/node",
    "var/cache/apt/archives/*.deb",
    "var/lib/apt/lists/*",
    "var/lib/cloud/*",
    "var/lib/dhcp/*",
    "var/lib/docker/engine-id",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/random-seed",
    "var/log/cloud-init*.log",
    "var/log/journal/*",
    LOG[1:],
)
# systemd writes a new number into an empty file (machine-id(5), "Initialization").
MACHINE_ID = "etc/machine-id"


def main() -> int:
    console = Console()
    console.report_exceptions()
    try:
        prepare_image(json.loads(Path(FACTS).read_text("utf-8")), console)
    except CommandFailedError as why:
        console.say("failed", f"{console.phase}: {why}")
        return 1
    return 0


def prepare_image(facts: dict[str, Any], console: Console) -> None:
    """Run all phases up to the power-off."""
    with ThreadPoolExecutor() as pool:
        archive = pool.submit(
            download.install_bacalhau, facts["download_url"], version=facts["version"], sha256=facts["sha256"]
        )
        console.say("packages", "Docker")
        docker.configure_docker()
        docker.install_docker()
        console.say("docker", "waiting until it answers")
        docker.start_docker(restart=False)
        console.say("download", f"Bacalhau {facts['version']}")
        digest = archive.result()
    run_command(["systemctl", "stop", "docker.socket", "docker.service", "containerd.service"], timeout_s=120)
    console.say("baked", f"Bacalhau {facts['version']}, archive sha256 {digest}")
    remove_identity()
    run_command(["systemctl", "--no-block", "poweroff"], timeout_s=60)


def remove_identity(root: str = "/") -> None:
    """Remove the files of this machine alone, so that each instance of the image gets its own."""
    if answers(["cloud-init", "--version"]):
        run_command(["cloud-init", "clean", "--logs"], timeout_s=60)
    for pattern in IDENTITY:
        for path in Path(root).glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    Path(root, MACHINE_ID).write_bytes(b"")


if __name__ == "__main__":
    sys.exit(main())
