"""Follows the sandbox's clock while nobody calls: a server on a machine must answer although no AWS call is made."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)
EVERY_S = 0.25


class Pulse:
    """Calls `beat` regularly, from `start` to `stop`."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """A second call changes nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="sandbox-pulse", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5)

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                self._beat()
            except Exception:  # one failure must not stop the servers
                log.exception("the machines cannot be followed")
