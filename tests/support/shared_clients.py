"""boto3's clients kept from one command line to the next: making seventeen of them takes most of a command's time.

Whose clients they are is in the environment, so the same environment gets the same ones. Where it names a file that is
there, the user is found anew each time: the file may have changed.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.cloud.session import Session

# Nobody's files: a test that writes others names them in the environment.
NO_FILE = "/nonexistent/aws"
_FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE")

# Of so many users and endpoints: the last ones. Each has up to hundred clients, and a client takes half a megabyte.
_MOST = 8
_KNOWN: dict[Any, dict[tuple[str, str, bool], Any]] = {}


def keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, in this test."""
    begin = Session.__init__

    def begin_with_known(session: Session, connection: AwsConnection) -> None:
        # Without a folder, the models are cut once in this process, and not in the home of every test.
        begin(session, replace(connection, models_folder=None))
        if not any(Path(os.environ.get(name, NO_FILE)).exists() for name in _FILES):
            session._clients = _known(connection)

    monkeypatch.setattr(Session, "__init__", begin_with_known)


def _known(connection: AwsConnection) -> dict[tuple[str, str, bool], Any]:
    """No client calls the three functions, which are other ones with each command line: the session does."""
    access = replace(connection, prompt=None, learned=None, on_call=None, models_folder=None)
    key = access, _surroundings()
    found = _KNOWN[key] = _KNOWN.pop(key, {})
    if len(_KNOWN) > _MOST:
        del _KNOWN[next(iter(_KNOWN))]
    return found


def _surroundings() -> tuple[tuple[str, str], ...]:
    return tuple(sorted(item for item in os.environ.items() if item[0].upper().startswith(("AWS_", "HTTP"))))
