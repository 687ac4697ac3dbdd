"""Prices over time: in the terminal, as JSON, as pictures."""

from __future__ import annotations

import builtins
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.model import PricePoint
from bacalhau_spot.core.pricing.cost import Usage
from bacalhau_spot.core.pricing.price_chart import MAX_LINES, PriceChart, price_chart_of
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui import chart_files, json_output, views
from support.golden import golden, output_text
from support.rendering import rendered
from support.schemas import contract

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
START = NOON - timedelta(days=2)


def point(zone: str, hours_ago: float, usd: str, kind: str = "t3.medium") -> PricePoint:
    return PricePoint(kind, zone, NOON - timedelta(hours=hours_ago), Decimal(usd))


POINTS = {
    "us-east-1": [
        point("us-east-1a", 60, "0.0120"),
        point("us-east-1a", 20, "0.0150"),
        point("us-east-1a", 8, "0.0130"),
        point("us-east-1b", 70, "0.0140"),
    ]
}
LIVES = [
    Usage("i-1", "us-east-1", "us-east-1a", "t3.medium", NOON - timedelta(hours=30), NOON, interrupted=True),
    Usage("i-2", "us-east-1", "us-east-1a", "t3.medium", NOON - timedelta(hours=30)),
    Usage("i-3", "us-east-1", "us-east-1a", "t3.medium", START - timedelta(hours=1)),
    Usage("i-4", "us-east-1", "us-east-1c", "t3.medium", NOON - timedelta(hours=1)),
]


def drawn() -> PriceChart:
    return price_chart_of("c", POINTS, LIVES, since=START, now=NOON)


def test_lines_begin_where_the_chart_does_and_marks_are_counted() -> None:
    """The price in force at the beginning is drawn from there; what came before, or elsewhere, is not marked."""
    chart = drawn()
    first = next(line for line in chart.lines if line.zone == "us-east-1a")
    assert first.steps[0] == (START, Decimal("0.0120"))
    assert [(mark.label, mark.count, mark.moment) for mark in chart.interruptions] == [
        ("launched", 2, NOON - timedelta(hours=30)),
        ("taken back", 1, NOON),
    ]


def test_of_too_many_pools_the_cheapest_are_drawn() -> None:
    many = {
        "us-east-1": [point("us-east-1a", 9, f"0.{number}", f"m{number}.large") for number in range(11, 31)]
    }
    chart = price_chart_of("c", many, (), since=START, now=NOON)
    assert [line.last for line in chart.lines] == [Decimal(f"0.{number}") for number in range(11, 19)]
    assert (len(chart.lines), chart.omitted_lines) == (MAX_LINES, 12)


@pytest.mark.parametrize("width", [60, 140])
def test_what_is_read(width: int, snapshot: SnapshotAssertion) -> None:
    assert rendered(views.prices_view(drawn()), width=width) == snapshot


@pytest.mark.parametrize("prices", [("0.0149", "0.0148"), ("0.0144", "0.0144"), ("0.00004", "0.00003")])
def test_no_two_rows_of_a_chart_have_one_price(prices: tuple[str, str]) -> None:
    """A change of a hundredth of a cent is a step and no cliff; a price that stands still is a line."""
    points = {"us-east-1": [point("us-east-1a", 60, prices[0]), point("us-east-1a", 20, prices[1])]}
    text = rendered(views.prices_view(price_chart_of("c", points, (), since=START, now=NOON)), width=100)
    labels = re.findall(r"^ +(\d\.\d{4}) \|", text, re.MULTILINE)
    assert len(labels) == len(set(labels)) == 13


def test_several_regions_have_curves_and_no_charts() -> None:
    """Four charts filled four screens before the table. A change of 1 % is no cliff, and none is `-0 %`."""
    points = {
        "us-east-1": [point("us-east-1a", 60, "0.0100"), point("us-east-1a", 20, "0.0200")],
        "us-east-2": [point("us-east-2a", 60, "0.0100"), point("us-east-2a", 20, "0.01001")],
    }
    text = rendered(views.prices_view(price_chart_of("c", points, (), since=START, now=NOON)), width=60)
    heads, first, second, after = text.splitlines()
    assert heads.split() == ["region", "zone", "type", "trend", "now", "change"]
    assert first.split()[3:] == ["▁▁▁▁▁▁▁▁██████", "$0.0200", "+100", "%"]
    assert set(second.split()[3]) <= {"▄", "▅"} and second.split()[4:] == ["$0.0100", "0", "%"]
    assert after == "for a chart: bacalhau-spot prices --region us-east-1"
    one = rendered(views.prices_view(drawn()), width=100)
    assert "us-east-1: USD per hour, UTC" in one and "for a chart" not in one


def test_without_prices_and_with_a_picture(snapshot: SnapshotAssertion) -> None:
    nothing = replace(drawn(), lines=(), interruptions=())
    pictured = replace(drawn(), omitted_lines=3)
    assert rendered(views.prices_view(nothing)) == "AWS lists no spot prices for these pools"
    refused = [ApiFailure("UnauthorizedOperation", "no", "DescribeSpotPriceHistory", "us-east-1")]
    assert rendered(views.prices_view(nothing, unseen=refused)) == (
        "no spot prices could be read\nnot scanned: us-east-1 (not allowed)"
    )
    assert rendered(views.prices_view(pictured, picture=Path("/tmp/p.png"))) == snapshot


def test_the_json_has_its_published_form(snapshot: SnapshotAssertion) -> None:
    recorded = golden(snapshot)
    for picture in (Path("p.png"), None):
        data = json_output.prices_data(drawn(), picture=picture)
        assert output_text("prices", data) == recorded
        contract("prices", data)


def test_pictures(tmp_path: Path) -> None:
    """One chart, three formats: each has what it is to have, and the page asks no network for anything."""
    for name in ("p.png", "p.svg", "p.html"):
        chart_files.draw(drawn(), tmp_path / name)
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    svg = (tmp_path / "p.svg").read_text()
    for words in (
        "EC2 spot prices for c",
        "USD per hour",
        "time (UTC)",
        "t3.medium us-east-1b",
        "taken back",
    ):
        assert words in svg
    page = (tmp_path / "p.html").read_text()
    assert "t3.medium us-east-1b" in page
    assert '<script src="http' not in page


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        chart_files.draw(drawn(), tmp_path / "none" / "p.svg")


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said with the command that installs it."""
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name == "altair":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError) as caught:
        chart_files.draw(drawn(), tmp_path / "p.png")
    assert "uv tool install '.[sandbox,plot" in caught.value.hint


def test_a_format_that_nobody_draws() -> None:
    with pytest.raises(UserError, match="none of the extensions"):
        chart_files.check_format(Path("prices.pdf"))
