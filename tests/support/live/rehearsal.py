"""`make live` in a sandbox of its own, in real time: `make live-rehearsal`. Costs nothing, and needs no account."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from aws_spot_sandbox import process
from aws_spot_sandbox.state import ACCOUNT_ID
from support import shared_clients

# The sandbox takes its operator for this address.
CIDRS = "[52.94.76.1/32]"
# No machine boots in the sandbox: an ssh that runs the command on this machine.
SSH = '#!/bin/sh\nfor word; do last=$word; done\nexec sh -c "$last"\n'
# `--confcutdir`: without the repository's conftest.py, which keeps all other tests from the network.
PYTEST = ("-n", "0", "-s", "-rs", "--confcutdir", "tests/live", "-m", "live", "tests/live/test_live.py")
# Nobody downloads the archive in the sandbox.
SHA256 = "0" * 64


def stand_in_for_ssh(folder: Path) -> str:
    """The search path with it."""
    (folder / "bin").mkdir()
    program = folder / "bin" / "ssh"
    program.write_text(SSH)
    program.chmod(0o755)
    return f"{folder}/bin:{os.environ['PATH']}"


def environment(folder: Path, url: str, key_id: str, secret: str) -> dict[str, str]:
    """As for AWS, with an endpoint; and as for a run of its own, whoever starts it."""
    others = "AWS_", "LIVE_", "PYTEST_"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return kept | {
        "PATH": stand_in_for_ssh(folder),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_CONFIG_FILE": shared_clients.NO_FILE,
        "AWS_SHARED_CREDENTIALS_FILE": shared_clients.NO_FILE,
        "AWS_EC2_METADATA_DISABLED": "true",
        "BACALHAU_SPOT_ADVISOR_URL": "",
        "LIVE_ACCOUNT": ACCOUNT_ID,
        "LIVE_SSH_CIDRS": CIDRS,
        "LIVE_SHA256": SHA256,
    }


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        here = process.ensure_running(state_dir=folder)
        try:
            environ = environment(folder, here.url, here.access_key_id, here.secret_access_key)
            return subprocess.run(
                [sys.executable, "-m", "pytest", *PYTEST], env=environ, check=False
            ).returncode
        finally:
            process.stop(state_dir=folder)


if __name__ == "__main__":
    sys.exit(main())
