"""The first boot, until the node has joined. Each phase writes a console line; so does a failure, with its reason."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import docker, download, join_check, secret
from .bacalhau_cli import BacalhauCli
from .console import LOG, Console, append_text
from .metadata import Metadata
from .shell import CommandFailedError, output, run_command

FACTS = "/etc/bacalhau-spot/node.json"
COMMANDS = "/etc/bacalhau-spot/additional_commands"
BACALHAU = "/etc/bacalhau"
JOB_DATA = "/bacalhau_data"
# Label -> its path in the metadata service.
_LABELS = {
    "instance-id": "instance-id",
    "instance-type": "instance-type",
    "region": "placement/region",
    "zone": "placement/availability-zone",
    "lifecycle": "instance-life-cycle",
}
_METADATA_TRIES = 10


def main() -> int:
    console = Console()
    console.report_exceptions()
    facts = json.loads(Path(FACTS).read_text("utf-8"))
    try:
        first_boot(facts, console)
        return 0 if finish(facts, console) else 1
    except CommandFailedError as why:
        console.say("failed", f"{console.phase}: {why}")
        return 1


def first_boot(facts: dict[str, Any], console: Console) -> None:
    """Run all phases up to the started service."""
    metadata = Metadata()
    name = identify(metadata, prefix=facts["name_prefix"])
    run_command(["systemctl", "daemon-reload"], timeout_s=60)
    run_command(["systemctl", "enable", "--now", "bacalhau-spot-watch.service"], timeout_s=60)
    with ThreadPoolExecutor() as pool:
        # None of these needs Docker's packages, which take longest.
        archive = pool.submit(
            download.install_bacalhau, facts["download_url"], version=facts["version"], sha256=facts["sha256"]
        )
        guarded = pool.submit(docker.check_slice)
        token = pool.submit(fetch_token, metadata, facts["token_parameter"])
        console.say("packages", "Docker")
        changed = docker.configure_docker()
        installed = docker.install_docker()  # which starts it with these settings
        console.say("docker", "waiting until it answers")
        docker.start_docker(restart=changed and not installed)
        guarded.result()
        console.say("download", f"Bacalhau {facts['version']}")
        digest = archive.result()
        token.result()
    console.say("start", f"{name}, Bacalhau {facts['version']}, archive sha256 {digest}")
    if BacalhauCli().cordoned():
        raise CommandFailedError("the instance is about to end; the node does not start")
    services = ["bacalhau.service", "bacalhau-spot-watchdog.service"]
    run_command(["systemctl", "enable", "--now", *services], timeout_s=900)


def fetch_token(metadata: Metadata, parameter: str, *, folder: str = BACALHAU) -> None:
    """Fetch the token, which with `secrets: ssm` is not in the user data."""
    if parameter:
        secret.fetch_secret(metadata, parameter, path=f"{folder}/token.env")


def identify(metadata: Metadata, *, prefix: str, folder: str = BACALHAU, job_data: str = JOB_DATA) -> str:
    """Write the node's name and labels for Bacalhau, and return the name."""
    about = instance_labels(metadata)
    name = f"{prefix}{about['instance-id']}"
    Path(folder, "node.env").write_text(f"NODE_NAME={name}\n", "ascii")
    # JSON is YAML; Bacalhau merges this file into config.yaml, label by label.
    Path(folder, "node.yaml").write_text(json.dumps({"Labels": about}, indent=1), "utf-8")
    Path(job_data).mkdir(parents=True, exist_ok=True)
    return name


def instance_labels(metadata: Metadata) -> dict[str, str]:
    """The labels from the metadata service. Raises CommandFailedError if it does not answer after several tries."""
    why = ""
    for _ in range(_METADATA_TRIES):
        try:
            labels = {label: metadata.get(path) for label, path in _LABELS.items()}
            return {label: value.strip() for label, value in labels.items() if value}
        except OSError as error:  # noqa: PERF203 -- ten rounds, two seconds apart
            why = str(error)
            time.sleep(2)
    raise CommandFailedError(f"the metadata service does not answer: {why}")


def finish(facts: dict[str, Any], console: Console) -> bool:
    """Run the user's commands, then wait for the join, which may depend on them. Whether both succeeded."""
    code = additional_commands(console)
    if code:
        console.say("failed", f"additional_commands ended with {code}; their output is in {LOG}")
    if not facts["orchestrators"]:
        raise CommandFailedError("the configuration names no orchestrator")
    console.phase = "join"
    lasted = join_check.wait_for_join(
        join_check.ports(facts["orchestrators"]), seconds=facts["join_s"], say=console.say
    )
    engines = BacalhauCli().engines()
    if engines and "docker" not in engines:
        console.say("warning", "Bacalhau does not offer Docker here")
    console.say("joined", f"connected for {lasted:.0f} s, engines {' '.join(engines) or 'unknown'}")
    return code == 0


def additional_commands(console: Console, *, path: str = COMMANDS) -> int:
    """The exit code of the user's commands; 0 without any. Their output goes to the log only."""
    text = Path(path).read_bytes()
    if not text.strip():
        return 0
    console.say("commands", "additional_commands")
    # Without -e only a failure of the last command would be reported.
    done = output([path] if text.startswith(b"#!") else ["/bin/bash", "-e", path], timeout_s=None)
    append_text(LOG, done.stdout)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
