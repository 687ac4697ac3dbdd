"""`report` in the sandbox: the page, its data, and its tables."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from aws_spot_sandbox.ec2 import regions
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from support.cli_runner import CliRunner
from support.schemas import contract

MINUTE, HOUR = 60, 3600


@pytest.fixture
def user(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Two nodes each in two of three regions, an audit log, and prices that change."""
    monkeypatch.setattr(regions, "ENABLED_BY_DEFAULT", ("us-east-1", "us-west-2", "eu-west-1"))
    client = HttpOrchestrator(f"{sandbox.url}/_sandbox/orchestrator", login=Login(None))
    monkeypatch.setattr(CommandContext, "api_client", staticmethod(lambda _: client))
    program.environ = {"XDG_STATE_HOME": str(program.folder / "state")}
    program.configure(nodes=4, regions="{us-east-1: {nodes: 2}, eu-west-1: {nodes: 2}}")
    now = sandbox.clock.now()
    sandbox.settings.prices += [
        {"pool": "*", "at": now - HOUR, "usd": 0.0150},
        {"pool": "us-east-1a/t3.medium", "at": now - HOUR, "usd": 0.0120},
        {"pool": "us-east-1a/t3.medium", "at": now + 90 * MINUTE, "usd": 0.0140},
        {"pool": "eu-west-1b/t3.medium", "at": now - HOUR, "usd": 0.0132},
    ]
    return program


@pytest.fixture
def lost(sandbox: Any, user: CliRunner) -> str:
    """The id of a node that EC2 interrupted after an hour and that was replaced; the cluster is two hours old."""
    first = user("create", "--yes", "-o", "json").data["receipt"]["regions"]
    name: str = next(
        node["id"] for region in first for node in region["instances"] if region["region"] == "eu-west-1"
    )
    sandbox.clock.advance(HOUR + MINUTE)
    sandbox.server.interrupt("eu-west-1", name, notice_s=120)
    sandbox.clock.advance(10 * MINUTE)
    assert user("create", "--yes").code == 0
    sandbox.clock.advance(45 * MINUTE)
    return name


class Parsed(HTMLParser):
    """The elements of a page, the addresses in it, and the text of its cells and headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in {"meta", "br", "link", "img"}:
            self._open.append(tag)
        self.addresses += [
            value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "action", "data"}
        ]
        self.addresses += re.findall(r"url\(([^)]*)\)", " ".join(value or "" for _, value in attrs))
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open and self._open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data


def test_the_page_is_whole(sandbox: Any, user: CliRunner, lost: str) -> None:
    """In a pipe it is all of stdout: well-formed, without scripts, with nothing to fetch, with all tables and both charts."""
    result = user("report", "-o", "html")
    assert result.code == 0, result.stderr
    assert result.stdout.startswith("<!doctype html>")
    page = Parsed(result.stdout)
    assert page.tags["script"] == page.tags["link"] == page.tags["img"] == page.tags["iframe"] == 0
    assert [address for address in page.addresses if not address.startswith("#")] == []
    assert "@import" not in result.stdout and "url(" not in re.sub(r"url\(#[^)]*\)", "", result.stdout)
    assert page.tags["svg"] == 4  # two charts, each for a wide and for a narrow window
    assert page.tags["h2"] == 2 + 5 + 1
    for title in ("Nodes over time", "Cost over time", "Regions", "Capacity pools", "Interruptions", "Drift"):
        assert title in page.text
    (row,) = [row for row in page.rows if len(row) > 1 and row[1] == lost]
    assert row[2:4] == ["eu-west-1b", "t3.medium"] and "no capacity" in row and row[-3].startswith("i-")
    assert "prefers-color-scheme: dark" in result.stdout and "width=device-width" in result.stdout
    assert "no node differs from the configuration" in page.text


def test_the_data_agrees_with_the_other_commands(sandbox: Any, user: CliRunner, lost: str) -> None:
    """Its parts are the data of `status`, `cost` and `history`, and its series end with their totals."""
    result = user("report", "-o", "json")
    assert result.code == 0, result.stderr
    data = result.data
    cost = user("cost", "-o", "json", "--since", "30d").data
    assert data["cost"]["total"] == cost["total"]
    assert data["status"]["total"]["present"] == user("status", "-o", "json").data["total"]["present"] == 4
    history = user("history", "-o", "json", "--since", "30d").data
    assert data["history"]["events"] == history["events"]
    assert data["history"]["summary"] == history["summary"]

    first, last = data["cost_over_time"][0], data["cost_over_time"][-1]
    assert first["usd"] == first["on_demand_usd"] == "0.000000"
    assert float(last["usd"]) == pytest.approx(float(cost["total"]["usd"]), abs=2e-6)
    assert float(last["on_demand_usd"]) == pytest.approx(float(cost["total"]["on_demand_usd"]), abs=2e-6)
    counts = [sum(region["nodes"] for region in point["regions"]) for point in data["nodes_over_time"]]
    assert (max(counts), min(counts), counts[-1]) == (4, 3, 4)
    (pool,) = [pool for pool in data["pools"] if pool["zone"] == "us-east-1a"]
    assert (pool["nodes"], pool["prices"]["low"], pool["prices"]["high"]) == (2, "0.012000", "0.014000")
    assert 0.012 < float(pool["prices"]["average"]) < 0.014
    assert sum(pool["interruptions"] for pool in data["pools"]) == 1

    assert {"status", "cost", "history"} < set(data)
    shape = {
        **data,
        "status": {**data["status"], "nodes": [], "regions": [], "groups": []},
        "cost": {**data["cost"], "zones": [], "types": [], "instances": [], "volumes": []},
        "history": {**data["history"], "events": []},
        "cost_over_time": data["cost_over_time"][:1],
        "nodes_over_time": data["nodes_over_time"][:1],
        "pools": data["pools"][:1],
    }
    contract("report", shape)


def test_it_makes_no_more_calls_than_status_and_cost(sandbox: Any, user: CliRunner, lost: str) -> None:
    """Nor more of any action, whatever the format."""

    def calls(*argv: str) -> Counter[str]:
        before = len(sandbox.world.calls)
        assert user(*argv).code in {0, 1}
        return Counter(action for _, action, _ in sandbox.world.calls[before:])

    both = calls("status") + calls("cost", "--since", "30d")
    assert both["ec2:DescribeSpotPriceHistory"] > 0
    for form in ("table", "json", "html"):
        assert calls("report", "-o", form) - both == Counter()


def test_a_file_and_a_terminal(sandbox: Any, user: CliRunner, lost: str) -> None:
    """`--output-file` with any format; without it, a terminal gets a new file and not the page."""
    path = user.folder / "page.html"
    result = user("report", "-o", "json", "--output-file", "page.html")
    assert (result.code, result.data["page"]) == (0, str(path))
    assert path.read_text().startswith("<!doctype html>")
    shown = user("report", "--output-file", "page.html")
    assert "Capacity pools" in shown.stdout and "<html" not in shown.stdout
    assert f"wrote {path}" in shown.stdout
    assert user("report", "-o", "html", "--output-file", "page.html").stdout == f"wrote {path}\n"
    missing = user("report", "--output-file", "nowhere/page.html")
    assert (missing.code, "cannot be written" in missing.stderr) == (1, True)


def test_the_tables_on_a_terminal(sandbox: Any, user: CliRunner, lost: str) -> None:
    shown = user("report").stdout
    for words in (
        "nodes joined: 4 of 4",
        "interruptions: 1 (1 replaced",
        "Capacity pools",
        lost,
        "no capacity",
    ):
        assert words in shown
    assert "Not included or assumed:" in shown
    assert "bacalhau-spot report -o html" in shown


def test_foreign_text_stays_text(sandbox: Any, user: CliRunner, lost: str) -> None:
    """A cluster's name with markup in it is shown as it is, and is no element of the page."""
    name = "</script></title><script>alert(1)</script>&<b>"
    page = user("report", "-o", "html", "--cluster", name)
    assert page.code in {0, 1, 5}, page.stderr
    parsed = Parsed(page.stdout)
    assert parsed.tags["script"] == parsed.tags["b"] == 0
    assert name in parsed.text


def test_an_empty_cluster_has_a_page(sandbox: Any, user: CliRunner) -> None:
    """Nothing was launched: no charts, and a sentence in place of each table."""
    result = user("report", "-o", "html")
    assert result.code == 0, result.stderr
    page = Parsed(result.stdout)
    assert page.tags["svg"] == 0
    assert "no spot node in the period" in page.text
    assert "every node is healthy" not in page.text
    assert "there is no node" in page.text
    contract("report", user("report", "-o", "json").data)


def test_what_is_not_known_is_said(sandbox: Any, user: CliRunner, lost: str) -> None:
    """Prices that AWS refuses to return: the page says so, has no line for them, and the exit code is 5."""
    sandbox.settings.deny = ["ec2:DescribeSpotPriceHistory", "pricing:GetProducts"]
    result = user("report", "-o", "html")
    assert result.code == 5
    page = Parsed(result.stdout)
    assert "hours without a known spot price" in page.text
    assert "the on-demand price is unknown" in page.text
    assert "a comparison with on demand: AWS's price list could not be read" in page.text


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium; test_the_page_is_whole covers the page without one"
)
@pytest.mark.parametrize("width", [500, 1200])
def test_a_browser_shows_it(sandbox: Any, user: CliRunner, lost: str, tmp_path: Path, width: int) -> None:
    """Chromium renders one version of each chart, and nothing is wider than the window."""
    path = tmp_path / "page.html"
    assert user("report", "-o", "html", "--output-file", str(path)).code == 0
    probe = """<script>addEventListener("load", () => { const seen = [...document.querySelectorAll("figure svg")].filter(
      each => each.getBoundingClientRect().width > 0); document.title = [seen.length,
      document.documentElement.scrollWidth <= innerWidth].join(" "); });</script>"""
    # The policy of the page forbids the test's own script.
    page = re.sub(r"<meta http-equiv[^>]*>", "", path.read_text()).replace("</body>", f"{probe}</body>")
    path.write_text(page)
    shown = subprocess.run(
        [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--window-size={width},900"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert "<title>2 true</title>" in shown
