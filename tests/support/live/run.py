"""The beginning and the end of a live run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.live.guardian import Guardian
from support.live.life import Life, clean_up
from support.live.settings import check_account, check_empty, check_price


def opened(life: Life, *, key: Callable[[Path], None]) -> None:
    """Check account, remains and price, in this order; nothing is created. Raises Refused."""
    arn = check_account(life.settings, life.place)
    life.journal.secrets.learn(arn, "IDENTITY")
    life.journal.secrets.learn(arn.rpartition("/")[2], "IDENTITY")
    credentials = life.place.session.get_credentials()
    for value in (credentials.access_key, credentials.secret_key, credentials.token):
        life.journal.secrets.learn(value or "")
    key(life.folder)
    (life.folder / "config.yaml").write_text(life.settings.config(), encoding="utf-8")
    check_empty(life.program)
    life.journal.notes["usd_at_most"] = round(float(check_price(life.settings, life.program)), 2)


def close(life: Life, guardian: Guardian) -> list[Any]:
    """Delete everything, write the report, and release the guardian, or leave the rest to it. Returns what is left."""
    left: list[Any] = ["the cleanup did not end"]
    try:
        left = list(clean_up(life.program))
        life.interrupter.tidy()
    finally:
        life.journal.notes["left"] = left
        life.journal.write(life.folder)
        if left:
            guardian.call()
            told = f"{len(left)} resources may be left. A process of its own goes on deleting them: {life.folder}/guardian.log"
        else:
            guardian.release()
            told = "Nothing is left in the account."
        sys.stderr.write(f"\n{told}\nThe report is in {life.folder}: report.md, report.json\n")
    return left
