"""The line of a look at AWS: its words, when it appears, and that it leaves nothing behind."""

from __future__ import annotations

from io import StringIO

import pytest

from bacalhau_spot.engine.aws_calls.open_reads import OpenReads
from bacalhau_spot.ui.progress.look_line import LookLine, look_text, settling_text
from support.clock import FakeClock
from support.engine_clock import EngineClock
from support.screen import shown_at_last

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")


class Screen:
    """A terminal of 60 columns, a line on it, and their clock."""

    def __init__(self, width: int = 60) -> None:
        self.time = FakeClock()
        self.stream = StringIO()
        self.width = width
        self.line = LookLine(self.stream, width=lambda: self.width, clock=EngineClock(self.time))

    @property
    def text(self) -> str:
        return shown_at_last(self.stream.getvalue())


@pytest.mark.parametrize(
    ("asked", "waiting", "other", "text"),
    [
        (REGIONS, REGIONS[:3], "", "looking into 4 regions: 1 answered"),
        (
            REGIONS,
            ("us-west-2", "ap-southeast-1"),
            "",
            "looking into 4 regions: 2 answered, waiting for ap-southeast-1, us-west-2",
        ),
        (REGIONS[:2], REGIONS[:2], "", "looking into 2 regions: 0 answered"),
        (REGIONS[:1], REGIONS[:1], "", "looking into us-east-1"),
        ((), ("",), "", "asking AWS"),
        (REGIONS, ("",), "the orchestrator", "asking AWS"),
        (REGIONS, (), "the orchestrator", "asking the orchestrator"),
        (REGIONS, (), "", "4 regions answered"),
        ((), (), "", ""),
    ],
)
def test_the_words(asked: tuple[str, ...], waiting: tuple[str, ...], other: str, text: str) -> None:
    """How many of the regions have answered, and the names of the last ones."""
    assert look_text(asked, waiting, other=other) == text


@pytest.mark.parametrize(("left_s", "text"), [(8.2, "waiting 9 s"), (0.0, "waiting 1 s")])
def test_a_pause_is_shown_with_the_time_that_is_left(left_s: float, text: str) -> None:
    assert settling_text(left_s) == f"{text} for AWS's lists to settle"


def test_the_count_never_falls_within_a_round() -> None:
    """A region that has answered is asked for more; when all have answered, another round begins."""
    reads = OpenReads()
    seen: list[str] = []
    reads.changed = lambda: seen.append(
        look_text(reads.asked, reads.waiting, answered=reads.answered, again=reads.again)
    )
    with reads.reading("eu-west-1"):
        with reads.reading("us-east-1"):
            pass
        with reads.reading("us-east-1"):
            pass
    with reads.reading("us-east-1"), reads.reading("eu-west-1"):
        pass
    assert seen[1:] == [
        "looking into 2 regions: 0 answered",
        "looking into 2 regions: 1 answered, waiting for eu-west-1",
        "looking into 2 regions: 1 answered, waiting for eu-west-1, us-east-1",
        "looking into 2 regions: 1 answered, waiting for eu-west-1",
        "2 regions answered",
        "looking again into us-east-1",
        "looking again into 2 regions: 0 answered",
        "looking again into 2 regions: 1 answered, waiting for us-east-1",
        "2 regions answered",
    ]


def test_a_short_look_shows_nothing() -> None:
    """Until half a second has passed, and after the end."""
    screen = Screen()
    screen.line.show("before the look")
    screen.line.start()
    screen.time.advance(0.4)
    screen.line.show("too early")
    screen.line.close()
    screen.time.advance(10)
    screen.line.show("too late")
    assert screen.stream.getvalue() == ""


def test_a_long_look_shows_one_line_that_goes_away() -> None:
    screen = Screen()
    screen.line.start()
    screen.time.advance(0.5)
    for number in range(3):
        screen.line.show(f"looking into 4 regions: {number} answered")
        assert screen.text == f"looking into 4 regions: {number} answered"
    screen.line.show("")
    assert screen.text == ""
    screen.line.show("4 regions answered")
    screen.line.close()
    assert screen.text == ""
    assert "\n" not in screen.stream.getvalue()


def test_the_same_words_are_written_once() -> None:
    screen = Screen()
    screen.line.start()
    screen.time.advance(1)
    screen.line.show("asking AWS")
    before = screen.stream.getvalue()
    screen.line.show("asking AWS")
    assert screen.stream.getvalue() == before


def test_a_narrow_terminal_folds_nothing() -> None:
    """A folded line would leave its first part behind. The last column stays free, where a terminal may fold."""
    screen = Screen(width=20)
    screen.line.start()
    screen.time.advance(1)
    screen.line.show("looking into 17 regions: 11 answered")
    assert screen.text == "looking into 17 re…"
    screen.width = 10
    screen.line.show("looking into 17 regions: 12 answered")
    assert screen.text == "looking …"


def test_a_question_has_the_terminal_for_itself() -> None:
    """A one-time code is asked for in the middle of a look."""
    screen = Screen()
    screen.line.start()
    screen.time.advance(1)
    screen.line.show("asking AWS")
    with screen.line.hidden():
        assert screen.text == ""
        screen.line.show("looking into 4 regions: 0 answered")
        assert screen.text == ""
    screen.line.show("looking into 4 regions: 1 answered")
    assert screen.text == "looking into 4 regions: 1 answered"


def test_a_region_has_answered_when_none_of_its_calls_is_open() -> None:
    """Another look starts over; a call about the whole account is not one to a region."""
    reads = OpenReads()
    seen: list[str] = []
    reads.changed = lambda: seen.append(look_text(reads.asked, reads.waiting))
    with reads.reading("global"), reads.reading("us-east-1"):
        with reads.reading("eu-west-1"), reads.reading("eu-west-1"):
            assert (reads.asked, reads.waiting) == (
                ("us-east-1", "eu-west-1"),
                ("", "us-east-1", "eu-west-1"),
            )
        assert reads.waiting == ("", "us-east-1")
    assert not reads.waiting
    assert seen[-3:] == [
        "looking into 2 regions: 1 answered, waiting for us-east-1",
        "asking AWS",
        "2 regions answered",
    ]
    reads.start_over()
    assert not reads.asked and not reads.waiting
