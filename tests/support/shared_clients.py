"""boto3's clients kept from one command line to the next: making seventeen of them takes most of a command's time.

For tests that run many command lines as the same user and are not about how that user is found.
"""

from __future__ import annotations

from typing import Any

import pytest

from bacalhau_spot.cloud.session import Access, Session

_KNOWN: dict[tuple[str, Access], dict[tuple[str, str], Any]] = {}


@pytest.fixture
def shared_clients(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Session.__init__

    def begin_with_known(session: Session, access: Access) -> None:
        begin(session, access)
        session._clients = _KNOWN.setdefault((sandbox.url, access), {})

    monkeypatch.setattr(Session, "__init__", begin_with_known)
