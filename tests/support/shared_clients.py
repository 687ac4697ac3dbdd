"""boto3's session and clients kept from one command line to the next: making them takes most of a command's time.

Whose clients they are is in the environment, so the same environment gets the same ones. Where it names a file that is
there, the user is found anew each time: the file may have changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import botocore.session
import pytest

from bacalhau_spot.cloud import session as session_module
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.cloud.session import Session

T = TypeVar("T")

# Nobody's files: a test that writes others names them in the environment.
NO_FILE = "/nonexistent/aws"
_FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE")

# Of so many users and endpoints: the last ones. Each has up to hundred clients, and a client takes half a megabyte.
_MOST = 8
_KNOWN: dict[Any, dict[tuple[str, str, bool], Any]] = {}
_SESSIONS: dict[Any, Any] = {}


def keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, in this test."""
    begin, make = Session.__init__, vars(session_module)["core_session"]

    def begin_with_known(session: Session, connection: AwsConnection) -> None:
        # Without a folder, the models are cut once in this process, and not in the home of every test.
        begin(session, replace(connection, models_folder=None))
        if _has_no_files():
            session._clients = _lately(_KNOWN, _user(connection), dict)

    def known_session(connection: AwsConnection) -> Any:
        # Others' credentials come from a server, which may answer otherwise now.
        if not _has_no_files() or "AWS_ACCESS_KEY_ID" not in os.environ:
            return make(connection)
        # A test may replace this method: then the credentials are searched for again.
        key = _user(connection), botocore.session.Session.get_credentials
        core, secrets = _lately(_SESSIONS, key, lambda: _with_secrets(make(connection)))
        if connection.learned is not None:
            for secret in secrets:
                connection.learned(secret)
        return core

    monkeypatch.setattr(Session, "__init__", begin_with_known)
    monkeypatch.setattr(session_module, "core_session", known_session)


def _with_secrets(core: Any) -> tuple[Any, tuple[str, ...]]:
    keys = core.get_credentials().get_frozen_credentials()
    return core, tuple(filter(None, (keys.secret_key, keys.token)))


def _has_no_files() -> bool:
    return not any(Path(os.environ.get(name, NO_FILE)).exists() for name in _FILES)


def _user(connection: AwsConnection) -> Any:
    """No client calls the three functions, which are other ones with each command line: the session does."""
    access = replace(connection, prompt=None, learned=None, on_call=None, models_folder=None)
    return access, _surroundings()


def _lately(known: dict[Any, T], key: Any, make: Callable[[], T]) -> T:
    found = known[key] = known.pop(key) if key in known else make()
    if len(known) > _MOST:
        del known[next(iter(known))]
    return found


def _surroundings() -> tuple[tuple[str, str], ...]:
    return tuple(sorted(item for item in os.environ.items() if item[0].upper().startswith(("AWS_", "HTTP"))))
