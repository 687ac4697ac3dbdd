"""What a former run has left: `make live-clean`. Shows everything, and asks for the account id."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from support.live.interruption import Interrupter
from support.live.place import Place
from support.live.settings import Refused, check_account, settings_from


def main() -> int:
    try:
        settings = settings_from(os.environ)
        place = Place(settings.region, dict(os.environ))
        check_account(settings, place)
    except Refused as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(settings.config(keys=False), encoding="utf-8")
        command = ("nuke", "--delete-results", "--disable-protection", "--config", str(config))
        code = subprocess.run([sys.executable, "-m", "bacalhau_spot", *command], check=False).returncode
    Interrupter(place, settings.account).tidy()
    return code


if __name__ == "__main__":
    sys.exit(main())
