"""The search for unreachable objects is paused only while the process imports, and while it ends."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from bacalhau_spot.cli.runtime import garbage
from support.cli_runner import CliRunner


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The tests' own process goes on."""
    interval = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*interval)
    gc.enable()


def test_the_search_goes_on_after_the_imports() -> None:
    """Without that which was imported, and less often."""
    garbage.pause()
    assert not gc.isenabled()
    kept = [[number] for number in range(1000)]
    garbage.resume()
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(kept)
    assert gc.get_threshold()[0] > 700


def test_a_running_search_is_left_alone() -> None:
    """As in another program, or in the second pass of `reconcile`."""
    before = gc.get_threshold(), gc.get_freeze_count()
    garbage.resume()
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_a_command_that_asks_aws_resumes_it(program: CliRunner) -> None:
    """Others end before there is anything to search."""
    garbage.pause()
    assert program("config", "show").code == 0
    assert not gc.isenabled()
    assert program("list").code == 0
    assert gc.isenabled()
