"""How much of a long enumeration runs: a sample by default, all of it with `make long`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

ALL = os.environ.get("LONG_TESTS", "") == "1"


def sample(values: Sequence[T], *, every: int) -> Sequence[T]:
    """Every n-th of `values`, evenly; all of them in a long run."""
    return values if ALL else values[::every]


def examples(number: int) -> int:
    """How many of a property's `number` examples run: a quarter by default."""
    return number if ALL else number // 4
