"""The cluster's health as people and as programs read it."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console, RenderableType
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.health.cluster_status import ClusterStatus
from bacalhau_spot.core.health.observation import StatusCheck, StatusChecks
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.progress import status_watch
from support.clusters import nothing, partial_status, thirty, well
from support.golden import golden, output_text
from support.rendering import rendered
from support.schemas import contract, schema

STATUSES = {
    "well": well(),
    "well, without an API": well(api=False),
    "thirty": thirty(),
    "blind": partial_status(),
    "nothing": nothing(),
}


@pytest.mark.parametrize("width", [60, 100, 140])
@pytest.mark.parametrize("name", STATUSES)
def test_what_is_read_at_each_width(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    """In a pipe: all of it, whatever the height."""
    assert rendered(views.status_view(STATUSES[name], wide=False), width=width) == snapshot


def test_wide_tells_more(snapshot: SnapshotAssertion) -> None:
    """Checks, addresses, versions and the orchestrator's own names."""
    assert rendered(views.status_view(STATUSES["thirty"], wide=True), width=200) == snapshot


def test_checks_that_do_not_apply_are_a_dash() -> None:
    """`not-applicable, not-applicable` made every row of the table wider."""
    status = well()
    none = StatusChecks(StatusCheck.NONE, StatusCheck.NONE)
    nodes = [replace(node, observation=replace(node.observation, checks=none)) for node in status.nodes]
    text = rendered(views.status_view(replace(status, nodes=tuple(nodes)), wide=True), width=200)
    assert "checks" in text and "not-applicable" not in text


def window(width: int, height: int) -> Console:
    return Console(
        file=StringIO(), width=width, height=height, force_terminal=True, color_system=None, markup=False
    )


def drawn(shown: RenderableType, *, width: int, height: int) -> list[str]:
    console = window(width, height)
    console.print(shown)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO from above
    return [line.rstrip() for line in text.splitlines()]


def framed(status: ClusterStatus, *, width: int, height: int) -> list[str]:
    frame = status_watch.StatusFrame(interval_s=5, wide=False)
    frame.status = status
    return drawn(frame, width=width, height=height)


def test_thirty_nodes_fit_one_screen(snapshot: SnapshotAssertion) -> None:
    """Of an old terminal's size: nodes that are well are only counted, and whatever is wrong is there."""
    lines = drawn(views.status_view(STATUSES["thirty"], wide=False), width=80, height=24)
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert "\n".join(lines) == snapshot
    problems = ("interruption notice", "never joined", "without docker", "stuck in packages", "stale node")
    assert all(any(problem in line for line in lines) for problem in problems)


@pytest.mark.parametrize("height", [6, 12, 24, 60])
@pytest.mark.parametrize("width", [30, 60, 80, 140])
def test_the_frame_is_as_high_as_the_window(width: int, height: int) -> None:
    """With whatever is in it, at whatever width: nothing jumps between two looks."""
    for status in STATUSES.values():
        lines = framed(status, width=width, height=height)
        assert len(lines) == height - 1


@pytest.mark.parametrize("height", [16, 24, 40])
def test_the_selected_node_is_on_the_screen(height: int) -> None:
    """A key must not replace a node whose row is hidden; the number of hidden rows is shown."""
    status = STATUSES["thirty"]
    frame = status_watch.StatusFrame(interval_s=5, wide=False)
    frame.status = status
    healthy = next(node.id for node in status.nodes if node.healthy)
    assert not any(healthy in line for line in drawn(frame, width=100, height=24))
    frame.selected = healthy
    lines = drawn(frame, width=100, height=height)
    assert any(healthy in line and "joined" in line for line in lines[1:])


def test_hidden_healthy_nodes_are_counted() -> None:
    lines = drawn(views.status_view(STATUSES["well"], wide=False), width=100, height=14)
    count = len(STATUSES["well"].nodes)
    assert f"{count} healthy nodes are not listed; `-o wide` lists all" in lines


def test_the_frame_tells_its_time_and_its_troubles() -> None:
    """The last look that went well stands while later ones fail, and says of when it is."""
    frame = status_watch.StatusFrame(interval_s=5, wide=False)
    assert drawn(frame, width=80, height=10)[0] == "looking"
    frame.status = STATUSES["well"]
    assert drawn(frame, width=80, height=20)[0] == "12:00:00 UTC · every 5 s; Ctrl-C ends"
    frame.trouble = "the last check failed: DescribeInstances: RequestExpired"
    shown = drawn(frame, width=80, height=20)
    assert shown[0].endswith("RequestExpired") and any("joined" in line for line in shown)


@pytest.mark.parametrize("name", STATUSES)
def test_what_programs_get_is_published(name: str) -> None:
    """To the key, at any depth."""
    data = json_output.status_data(STATUSES[name])
    if name == "thirty":
        # Every node would be tried with each key taken away: three that differ are enough.
        chosen = {"interrupted", "never-joined", "joined"}
        kinds = {node["diagnosis"]["kind"]: node for node in data["nodes"]}
        data["nodes"] = [node for kind, node in kinds.items() if kind in chosen]
        data["regions"] = data["regions"][:1]
    contract("status", data)


@pytest.mark.parametrize("name", STATUSES, ids=lambda name: name.replace(",", "").replace(" ", "-"))
def test_the_bytes_of_the_output(name: str, snapshot: SnapshotAssertion) -> None:
    assert output_text("status", json_output.status_data(STATUSES[name])) == golden(snapshot)


def test_watched_by_a_program() -> None:
    """One envelope a line; a look that failed is no line."""
    out = StringIO()
    watcher = status_watch.JsonWatcher(out)
    watcher.show(STATUSES["well"])
    watcher.fail("DescribeInstances: RequestExpired")
    watcher.show(STATUSES["blind"])
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["exit_code"] for line in lines] == [0, 5]
    for line in lines:
        assert line.pop("event") == "result"
        schema("output.schema.json").validate(line)
