"""Every start of the orchestrator's machine, until it answers. Each phase writes a console line; so does a failure.

All steps may be repeated: the service runs this program again after a failure, and at the next boot.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from . import download, orchestrator_answers, orchestrator_credentials, orchestrator_volume, secret
from .console import Console
from .metadata import Metadata
from .shell import CommandFailedError, run_command
from .whole_file import sync, write_whole

# The archive that is installed: a machine that starts again does not download it again.
INSTALLED = "/var/lib/bacalhau-spot/installed.json"


def main() -> int:
    console = Console()
    console.report_exceptions()
    try:
        start_orchestrator(orchestrator_credentials.read_facts(), console)
    except CommandFailedError as why:
        console.say("failed", f"{console.phase}: {why}")
        return 1
    return 0


def start_orchestrator(facts: dict[str, Any], console: Console) -> None:
    """Run all phases. Raises CommandFailedError with the reason."""
    version, parameter = facts["version"], facts["parameter"]
    console.say("download", f"Bacalhau {version}")
    digest = install(facts)
    console.say("volume", f"waiting for {facts['device']}")
    disk = orchestrator_volume.wait_for_volume(facts["device"])
    found = orchestrator_volume.mount_volume(disk)
    orchestrator_volume.give_to_service()
    console.say("credentials", f"{parameter}; the volume {disk} is mounted: {found}")
    orchestrator_credentials.read_credentials(lambda: secret.read_parameter(Metadata(), parameter), parameter)
    console.say("start", f"Bacalhau {version}, archive sha256 {digest}")
    run_command(["systemctl", "start", "--no-block", orchestrator_credentials.SERVICE], timeout_s=60)
    orchestrator_answers.wait_for_answers(seconds=facts["answer_s"], say=console.say)
    console.say(
        "answers",
        f"NATS on port {orchestrator_answers.NATS_PORT}, the API on {orchestrator_answers.API_PORT}",
    )


def install(facts: dict[str, Any], *, program: str = download.PROGRAM, installed: str = INSTALLED) -> str:
    """Install Bacalhau unless this archive is installed. Return the archive's SHA-256 sum."""
    wanted = {name: facts[name] for name in ("download_url", "version", "sha256")}
    before = _installed(wanted, installed)
    if before and Path(program).exists():
        return before
    digest = download.install_bacalhau(
        facts["download_url"], version=facts["version"], sha256=facts["sha256"], program=program
    )
    sync(program)  # before the record of it: a later boot believes the record
    Path(installed).parent.mkdir(parents=True, exist_ok=True)
    write_whole(installed, json.dumps({"wanted": wanted, "sha256": digest}))
    return digest


def _installed(wanted: dict[str, Any], installed: str) -> str:
    """The sum of this archive if it is installed; empty without a record, or with one that cannot be read."""
    try:
        before = json.loads(Path(installed).read_text("utf-8"))
        return str(before["sha256"]) if before["wanted"] == wanted else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
