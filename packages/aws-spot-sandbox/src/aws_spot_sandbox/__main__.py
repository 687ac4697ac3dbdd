"""The background process: `python -m aws_spot_sandbox`. Started by process.py; ends after a time without calls."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import threading
import time
from pathlib import Path

from aws_spot_sandbox import __version__, running_mark, settings_update
from aws_spot_sandbox.endpoint_file import AddressFile
from aws_spot_sandbox.server import Sandbox
from aws_spot_sandbox.state import World

_LOOK_EVERY_S = 1.0


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    held = running_mark.hold(arguments.state_dir)
    sandbox = Sandbox(World(), on_stop=ended.set)  # loads the plug-ins and their switches
    settings_update.apply(sandbox.world, json.loads(arguments.settings))
    file = AddressFile(os.getpid(), sandbox.start(arguments.port), __version__)
    file.write(arguments.state_dir)
    try:
        while not ended.wait(_LOOK_EVERY_S):
            if time.monotonic() - sandbox.heard_at > arguments.idle_s:
                break
    finally:
        file.remove(arguments.state_dir)
        sandbox.stop()
        held.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m aws_spot_sandbox", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="where sandbox.json says where it is")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--idle-s", type=float, default=3600.0, help="end after so long without a call")
    parser.add_argument("--settings", default="{}", help="switches, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
