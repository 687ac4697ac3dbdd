"""What earlier runs were told: kept for a while, and never in the way."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from bacalhau_spot.cli.state.cache import FileCache
from support.clock import FakeClock
from support.engine_clock import EngineClock

HOUR = timedelta(hours=1)


def memory(folder: Path, clock: FakeClock) -> FileCache:
    return FileCache(folder, clock=EngineClock(clock))


def test_an_answer_is_kept_until_it_is_too_old(tmp_path: Path) -> None:
    """By what and key; another run finds it; each reader says how old is too old."""
    clock = FakeClock()
    memory(tmp_path, clock).put("scores", "a", {"r": 7})
    memory(tmp_path, clock).put("scores", "b", {"r": 1})
    clock.advance(1800)
    again = memory(tmp_path, clock)
    assert again.get("scores", "a", max_age=HOUR) == {"r": 7}
    assert again.get("scores", "a", max_age=HOUR / 4) is None
    assert again.get("rates", "a", max_age=HOUR) is None
    clock.advance(3 * 86400)
    again.put("scores", "c", 1)
    assert "7" not in (tmp_path / "cache/scores.json").read_text()


def test_another_run_writes_as_much_in_the_same_moment(tmp_path: Path) -> None:
    """A file system's clock may stand still for milliseconds."""
    clock = FakeClock()
    one, other = memory(tmp_path, clock), memory(tmp_path, clock)
    one.put("scores", "a", 1)
    assert one.get("scores", "a", max_age=HOUR) == 1
    file = tmp_path / "cache/scores.json"
    moment = file.stat().st_mtime_ns
    other.put("scores", "a", 2)
    os.utime(file, ns=(moment, moment))
    assert one.get("scores", "a", max_age=HOUR) == 2


def test_what_is_broken_or_cannot_be_written_is_nothing_known(tmp_path: Path) -> None:
    """Half a file, another form, a time from the future, a folder that is a file: asked again, without an error."""
    clock = FakeClock()
    cache = memory(tmp_path, clock)
    file = tmp_path / "cache/scores.json"
    file.parent.mkdir(parents=True)
    for text in (
        "{",
        "[1]",
        '{"a": 1}',
        '{"a": {"at": "noon", "value": 1}}',
        '{"a": {"at": "2099-01-01T00:00:00+00:00", "value": 1}}',
    ):
        file.write_text(text)
        assert cache.get("scores", "a", max_age=HOUR) is None
    cache.put("scores", "a", 2)
    assert cache.get("scores", "a", max_age=HOUR) == 2
    (tmp_path / "plain").write_text("a file")
    nowhere = memory(tmp_path / "plain", clock)
    nowhere.put("scores", "a", 2)
    assert nowhere.get("scores", "a", max_age=HOUR) is None
