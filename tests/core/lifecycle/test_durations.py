"""Durations in days, hours and minutes."""

from __future__ import annotations

import pytest

from bacalhau_spot.core.lifecycle.durations import duration_s, duration_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("8h", 28800), ("2d", 172800), ("1h30m", 5400), (" 1D2h3M ", 93780), ("0m", 0)],
)
def test_days_hours_and_minutes_are_added(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "8", "h", "8x", "30m1h", "-1h", "1.5h", "1h 30m", "8s", "\u0661h", "never"]
)
def test_other_text_is_no_duration(text: str) -> None:
    assert duration_s(text) is None


@pytest.mark.parametrize("text", ["15m", "8h", "1h30m", "2d", "1d1m", "366d"])
def test_the_text_of_a_duration_is_read_as_the_same(text: str) -> None:
    assert duration_text(duration_s(text) or 0) == text
