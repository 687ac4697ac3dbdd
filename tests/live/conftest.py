"""A live run: what must be true before it, and what happens after it whatever became of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.live.guardian import Guardian
from support.live.journal import Journal
from support.live.life import Life, make_key
from support.live.place import Place
from support.live.program import Program
from support.live.run import close, opened
from support.live.settings import LIFETIME_H, Refused, settings_from
from support.sandbox import sandbox, sandbox_server

__all__ = ["sandbox", "sandbox_server"]

ROOT = Path(__file__).resolve().parents[2]


def keeps_from_the_network(config: pytest.Config) -> bool:
    """Whether the conftest.py of the repository is loaded."""
    return str(ROOT / "conftest.py") in {
        str(getattr(plugin, "__file__", "")) for plugin in config.pluginmanager.get_plugins()
    }


@pytest.fixture(scope="session")
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    """In the account that LIVE_ACCOUNT names. Ends the session if it may not run."""
    if "PYTEST_XDIST_WORKER" in os.environ or keeps_from_the_network(request.config):
        pytest.exit("run it with `make live`: alone, in one process, and with access to the network", 2)
    try:
        settings = settings_from(os.environ)
        folder = Path(
            os.environ.get("LIVE_FOLDER") or ROOT / "build" / "live" / time.strftime("%Y%m%d-%H%M%S")
        )
        folder.mkdir(parents=True, mode=0o700)
        place = Place(settings.region, dict(os.environ))
        journal = Journal(place)
        life = Life(place, Program(folder, journal), journal, settings, run=folder.name)
        with journal.recording():
            opened(life, key=make_key)
            guardian = Guardian(folder, within_s=LIFETIME_H * 3600, environ=os.environ)
            try:
                yield life
            finally:
                left = close(life, guardian)
            assert left == [], "the account is not empty"
    except Refused as refusal:
        pytest.exit(f"\n{refusal}", 2)
