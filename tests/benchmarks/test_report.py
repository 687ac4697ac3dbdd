"""The tables of the benchmarks. Their figures are measured by `make bench`."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks")]

import boot_stages  # noqa: E402 -- found through the line above
import figures  # noqa: E402 -- likewise
import growth  # noqa: E402 -- likewise
import report  # noqa: E402 -- likewise
from boot_stages import Moment  # noqa: E402 -- likewise
from clusters import Run  # noqa: E402 -- likewise
from figures import Row  # noqa: E402 -- likewise

if TYPE_CHECKING:
    from growth import Measured

ROWS = [
    Row("`list`: round trips that it waits for", 2.0, "", 2, section="30 nodes, 10 of 34 regions"),
    Row(
        "`create`: time, as a multiple of its chain of calls and of AWS's own delays",
        1.8,
        "x",
        1.5,
        section="delayed",
    ),
    Row("`destroy`: refused calls", 3, "calls", 0, section="buckets"),
    Row("amauo", None, "", note="not installable here: " + "no matching distribution " * 9, section="amauo"),
]


def test_a_table_fits_into_a_hundred_columns() -> None:
    lines = figures.table(ROWS).splitlines()
    assert max(map(len, lines)) <= figures.WIDTH
    assert any("own delays" in line for line in lines)


@pytest.mark.parametrize(
    ("row", "verdict"), list(zip(ROWS, ["met", "missed +20%", "missed", "not measured"], strict=True))
)
def test_a_row_has_its_verdict(row: Row, verdict: str) -> None:
    assert row.verdict == verdict


def test_a_figure_with_a_limit_that_was_not_measured_is_not_met() -> None:
    assert figures.is_exceeded([Row("`create`: time", None, "s", 4.0)])
    assert not figures.is_exceeded([ROWS[0], ROWS[3]])


def test_the_summary_counts_the_limits_and_names_those_missed() -> None:
    assert report.summary(ROWS).splitlines() == [
        "1 of 3 limits are met.",
        f"  missed +20%: {ROWS[1].name} (delayed)",
        "  missed: `destroy`: refused calls (buckets)",
    ]


def test_a_recorded_run_replaces_the_one_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"# Benchmarks\n\n{report.BEGIN}\nold\n{report.END}\n\nrest\n")
    monkeypatch.setattr(report, "README", readme)
    about: dict[str, str | int | float] = {"cores": 2, "processor": "Xeon", "python": "3.12.1", "load": 0.1}
    for _ in range(2):
        report.record(ROWS, about, 600)
    text = readme.read_text()
    assert "old" not in text
    assert text.count("| amauo |") == 1
    assert text.endswith(f"{report.END}\n\nrest\n")


def test_the_readme_has_a_place_for_the_last_run() -> None:
    text = report.README.read_text()
    assert text.count(report.BEGIN) == text.count(report.END) == 1


def test_the_stages_of_a_boot_add_up_to_the_whole() -> None:
    seen = {
        "packages": Moment(25, 20),
        "docker": Moment(125, 90),
        "download": Moment(140, 95),
        "start": Moment(140, 95),
        "joined": Moment(190, 120),
    }
    stages = boot_stages.durations(seen, Moment(160, 110))
    assert list(stages) == list(boot_stages.STAGES.values())
    assert [each.wall_s for each in stages.values()] == [25, 100, 15, 0, 20]
    assert sum(each.cpu_s for each in stages.values()) == 110


def test_a_setup_without_phases_has_no_stages() -> None:
    assert boot_stages.durations({}, Moment(800, 700)) == {}


def _measured() -> Measured:
    """Two calls for each region and one for every ten nodes, and so on."""
    return {
        (nodes, regions): {
            command: Run(
                wall_s=1.0,
                cpu_s=1 + nodes / 200,
                peak_mb=60 + nodes / 20,
                sandbox_s=nodes / 1000,
                calls=Counter({"us-east-1": 2 * regions + nodes // 10}),
            )
            for command in growth.COMMANDS
        }
        for nodes, regions in growth.LONG
    }


def test_growth_is_the_slope_of_each_figure() -> None:
    slopes = {(row.section, row.name): row.value for row in growth.slope_rows(_measured())}
    assert slopes["Growth with each further 100 nodes", "`list`: calls"] == pytest.approx(10)
    assert slopes["Growth with each further 100 nodes", "`list`: CPU of the client"] == pytest.approx(0.5)
    assert slopes["Growth with each further region", "`list`: calls"] == pytest.approx(2)


def test_growth_is_said_in_words_and_drawn(tmp_path: Path) -> None:
    assert "- `list`, for each further 100 nodes: 10.0 calls, 0.50 s of CPU" in growth.in_words(_measured())
    picture = tmp_path / "growth.svg"
    growth.plot(_measured(), picture)
    assert "nodes, in 20 regions" in picture.read_text()
