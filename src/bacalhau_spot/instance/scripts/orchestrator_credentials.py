"""Writes the orchestrator's token, API keys and certificates, which are in one parameter of SSM's Parameter Store.

Runs before each start of the service. With `--refresh`, as its timer does: restarts the service if the parameter has changed,
for example after the renewal of the certificate.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import orchestrator_volume, secret, whole_file
from .console import Console
from .metadata import Metadata
from .shell import CommandFailedError, run_command

if TYPE_CHECKING:
    from collections.abc import Callable

FACTS = "/etc/bacalhau-spot/orchestrator.json"
FOLDER = "/run/bacalhau-orchestrator"
CONFIG = "credentials.yaml"
SERVICE = "bacalhau-orchestrator.service"
_DIGEST = "sha256"
# Files of the parameter's values.
_FILES = {"ca.pem": "ca_pem", "server.pem": "server_pem", "server.key": "server_key"}
_REQUIRED = (*_FILES.values(), "token", "operator_key", "tool_key")
# The tool lists, approves and deletes nodes.
_TOOL = ["read:node", "write:node"]


def read_facts(path: str = FACTS) -> dict[str, Any]:
    return dict(json.loads(Path(path).read_text("utf-8")))


def read_credentials(read: Callable[[], str], parameter: str) -> dict[str, str]:
    """The parameter's values. Raises CommandFailedError if it cannot be read or has another format."""
    try:
        values = json.loads(read())
        missing = [name for name in _REQUIRED if not (isinstance(values[name], str) and values[name])]
    except (ValueError, KeyError, TypeError):
        missing = ["another format"]
    if missing:
        raise CommandFailedError(f"the parameter {parameter} has no credentials: {', '.join(missing)}")
    return dict(values)


def secret_config(values: dict[str, str]) -> dict[str, Any]:
    """The part of Bacalhau's configuration with secrets."""
    return {
        "Orchestrator": {"Auth": {"Token": values["token"]}},
        "API": {
            "Auth": {
                "Users": [
                    _user("operator", values["operator_key"], ["*"]),
                    _user("bacalhau-spot", values["tool_key"], _TOOL),
                ]
            }
        },
    }


def _user(alias: str, key: str, actions: list[str]) -> dict[str, Any]:
    return {"Alias": alias, "APIKey": key, "Capabilities": [{"Actions": actions}]}


def write_credentials(
    values: dict[str, str], *, folder: str = FOLDER, owner: tuple[int, int] | None = None
) -> None:
    """Write all files, readable by the service's user only. The configuration comes last: without it, nothing starts."""
    for name, key in _FILES.items():
        _write(Path(folder, name), values[key], owner)
    _write(Path(folder, _DIGEST), digest_of(values), owner)
    _write(Path(folder, CONFIG), json.dumps(secret_config(values)), owner)


def digest_of(values: dict[str, str]) -> str:
    """Of the values in use."""
    return hashlib.sha256(json.dumps([values[name] for name in _REQUIRED]).encode()).hexdigest()


def _write(path: Path, text: str, owner: tuple[int, int] | None) -> None:
    """At no moment readable by others, and never in part."""
    whole_file.write_whole(path, text, mode=0o600, owner=owner)


def prepare(
    facts: dict[str, Any], read: Callable[[], str], *, data: str = orchestrator_volume.FOLDER
) -> None:
    """Before each start. Raises CommandFailedError without the data volume or the credentials."""
    if not os.path.ismount(data):
        raise CommandFailedError(f"the data volume is not mounted at {data}")
    account = pwd.getpwnam(orchestrator_volume.USER)
    write_credentials(read_credentials(read, facts["parameter"]), owner=(account.pw_uid, account.pw_gid))


def has_changed(facts: dict[str, Any], read: Callable[[], str], *, folder: str = FOLDER) -> bool:
    """Whether the parameter has other values than the running service. False while it does not run."""
    in_use = Path(folder, _DIGEST)
    if not in_use.exists():
        return False
    return in_use.read_text("ascii") != digest_of(read_credentials(read, facts["parameter"]))


def main() -> int:
    facts = read_facts()
    refresh = "--refresh" in sys.argv[1:]
    tries = 1 if refresh else secret.TRIES

    def read() -> str:
        return secret.read_parameter(Metadata(), facts["parameter"], tries=tries)

    try:
        if not refresh:
            prepare(facts, read)
        elif has_changed(facts, read):
            Console().say("credentials", "the parameter has changed; the orchestrator restarts")
            run_command(["systemctl", "try-restart", "--no-block", SERVICE], timeout_s=60)
    except CommandFailedError as why:
        print(why, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
