"""The end of the cluster's lifetime: a tag of the instance, compared with AWS's clock, which dates every answer.

This machine's own clock may be wrong. One wrong answer ends nothing: three in a row must agree. They take two minutes, the
longest delay of the scheduled action that ends an Auto Scaling group: a group that still ran would replace this machine.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .metadata import Metadata

TAG = "tags/instance/BacalhauExpiresAt"
INTERVAL_S = 60.0
WARNING_S = 600.0
ANSWERS = 3


class Expiry:
    """The state between the questions."""

    def __init__(self, metadata: Metadata, say: Callable[[str, str], None]) -> None:
        self.metadata = metadata
        self.say = say
        self.past = 0
        self.told = ""

    def is_over(self) -> bool:
        """To be asked once a minute. Raises OSError if the metadata service does not answer."""
        past, self.past = self.past, 0
        text = self.metadata.get(TAG) or ""
        left = seconds_left(text, self.metadata.date)
        if left is None:
            return False
        if left <= 0:
            self.past = past + 1
        elif left <= WARNING_S and text != self.told:
            self.told = text
            self.say("expiring", f"the lifetime of the cluster ends at {text}")
        return self.past >= ANSWERS


def seconds_left(text: str, date: str) -> float | None:
    """From the HTTP date to the time in the tag; None unless both can be read."""
    try:
        at = dt.datetime.strptime(f"{text}+0000", "%Y-%m-%dT%H:%M:%SZ%z")
        return (at - dt.datetime.strptime(f"{date}+0000", "%a, %d %b %Y %H:%M:%S GMT%z")).total_seconds()
    except ValueError:
        return None
