"""Events for programs, one a line, while a long command works."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, TextIO

from bacalhau_spot.ui.json_output.envelope import write_envelope
from bacalhau_spot.ui.json_output.values import time_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bacalhau_spot.core.launch.events import Event


def event_name(kind: type[Event]) -> str:
    """`InstanceSeen` becomes `instance-seen`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


class Ndjson:
    """A screen for programs: each event one JSON object on a line, its name first."""

    def __init__(self, stream: TextIO, *, now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._now = now

    def emit(self, event: Event) -> None:
        values = {item.name: getattr(event, item.name) for item in fields(event)}
        row = {"event": event_name(type(event)), "at": time_text(self._now()), **values}
        write_envelope(self._stream, row, form="line")
        self._stream.flush()

    def tick(self) -> None:
        """No output without events."""

    def close(self) -> None:
        """Nothing to give back."""
