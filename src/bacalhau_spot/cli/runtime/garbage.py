"""Python's search for unreachable cycles of objects, which the process pauses while it imports and ends.

Imports create a hundred thousand objects that stay: the search through them, again and again, took a quarter of the CPU of
`list`, and the last one at the end of the process, which frees everything, as much again.
"""

from __future__ import annotations

import gc

# Objects created between two searches. Python's own number, 700, is for programs that keep few.
_INTERVAL = 20_000


def pause() -> None:
    """At the start and at the end of the process."""
    gc.freeze()  # what exists stays, and is not searched any more
    gc.disable()


def resume() -> None:
    """Once the libraries are imported, if the search is paused."""
    if gc.isenabled():
        return
    gc.freeze()
    gc.set_threshold(_INTERVAL)
    gc.enable()
