"""Rows for spreadsheets and scripts: `-o csv` and `--columns` of list, status, offers, cost, clusters and history."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

import pytest

from bacalhau_spot.ui.table_columns import COLUMNS, OFFERED_REGIONS
from support.cli_runner import CliRunner


@pytest.fixture
def user(program: CliRunner, sandbox: Any) -> CliRunner:
    program.configure(nodes=2, regions="[us-east-1]")
    assert program("create", "--yes", "--wait", "running").code == 0
    return program


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text)))


def test_every_table_has_its_documented_columns(user: CliRunner) -> None:
    """The header is all of them, in their order; without escape sequences; one row for each item."""
    lines = {
        "list": "list",
        "status": "status",
        "clusters": "clusters",
        "offers": "offers --region us-east-1",
        OFFERED_REGIONS: "offers --region us-east-1 --by region",
        "cost": "cost",
        "history": "history",
    }
    assert set(lines) == set(COLUMNS)
    for table, line in lines.items():
        result = user(*line.split(), "-o", "csv")
        assert result.code in {0, 1}, result.stderr
        found = list(csv.reader(StringIO(result.stdout)))
        assert tuple(found[0]) == COLUMNS[table], table
        assert len(found) > 1 and all(len(row) == len(found[0]) for row in found), table
        assert "\x1b" not in result.stdout


def test_cells_are_the_values_of_the_json_output(user: CliRunner) -> None:
    data = user("list", "-o", "json").data["instances"]
    found = rows(user("list", "-o", "csv").stdout)
    for row, instance in zip(found, data, strict=True):
        assert row["cluster"] == "bacalhau-aws-spot" and row["role"] == "node"
        for name in set(COLUMNS["list"]) - {"cluster", "role"}:
            assert row[name] == ("" if instance[name] is None else str(instance[name])), name
    nodes = {node["id"]: node for node in user("status", "-o", "json").data["nodes"]}
    for row in rows(user("status", "-o", "csv").stdout):
        assert row["verdict"] == nodes[row["node"]]["diagnosis"]["kind"]
        assert row["text"] == nodes[row["node"]]["diagnosis"]["text"]
    pools = user("offers", "--region", "us-east-1", "-o", "json").data["pools"]
    offered = rows(user("offers", "--region", "us-east-1", "-o", "csv").stdout)
    assert [row["usd_per_hour"] for row in offered] == [pool["usd_per_hour"] for pool in pools]
    assert [row["week_low_usd_per_hour"] for row in offered] == [pool["week"]["low"] for pool in pools]


def test_columns_are_chosen_in_their_order(user: CliRunner) -> None:
    ids = [row["id"] for row in user("list", "--json").data["instances"]]
    result = user("list", "-o", "csv", "--columns", "zone,id")
    assert result.stdout.splitlines()[0] == "zone,id"
    assert [row["id"] for row in rows(result.stdout)] == ids
    plain = user("list", "--columns", "id", "--columns", "termination_reason").stdout.splitlines()
    assert plain[0].split() == ["id", "termination_reason"]
    assert [line.split() for line in plain[1:]] == [[name, "-"] for name in ids]


@pytest.mark.parametrize("command", ["list", "status", "offers", "cost", "clusters", "history"])
def test_an_unknown_column_is_refused_before_any_call(program: CliRunner, sandbox: Any, command: str) -> None:
    program.configure(nodes=2)
    result = program(command, "-o", "csv", "--columns", "nonsense")
    assert result.code == 2
    assert f"{command} has no column nonsense" in result.stderr
    assert f"columns: {', '.join(COLUMNS[command])}" in " ".join(result.stderr.split())
    assert sandbox.world.calls == []


def test_a_column_of_the_other_table_is_refused(user: CliRunner) -> None:
    result = user("offers", "--region", "us-east-1", "--columns", "pools")
    assert (result.code, result.stdout) == (2, "")
    assert "this table has no column pools" in result.stderr


@pytest.mark.parametrize("form", ["json", "yaml", "ndjson"])
def test_columns_are_for_tables(program: CliRunner, sandbox: Any, form: str) -> None:
    result = program("list", "-o", form, "--columns", "id")
    assert result.code == 2
    assert "--columns is for tables" in result.stdout
    assert sandbox.world.calls == []


def test_watch_is_no_table(program: CliRunner, sandbox: Any) -> None:
    for words in (("-o", "csv"), ("--columns", "node")):
        result = program("status", "--watch", *words)
        assert result.code == 2
        assert "not a single table" in result.stderr


@pytest.mark.sockets
def test_json_is_a_short_option(user: CliRunner) -> None:
    """Also in a line that is wrong, and never in another program's words."""
    assert user("list", "--json").data["instances"]
    assert user("--json", "list").data["instances"]
    assert json.loads(user("list", "--nope", "--json").stdout)["exit_code"] == 2
    assert "--json" in user("ssh", "--print", "us-east-1", "--all", "--", "jq", "--json").stdout


def test_quiet_is_the_result_and_errors(user: CliRunner) -> None:
    result = user("list", "-q")
    assert result.stdout and result.stderr == ""
    assert user("create", "--yes", "--quiet").stderr == ""
    refused = user("list", "-q", "--region", "eu-west-9")
    assert refused.stderr.startswith("error: ")
    removed = user("destroy", "--yes", "-q")
    assert (removed.code, removed.stderr) == (0, "")


def test_a_quiet_question_shows_what_it_is_about(user: CliRunner) -> None:
    result = user("destroy", "-q", answers="no\n")
    assert result.code == 3
    shown = " ".join(result.stderr.split())
    assert "2 instances" in shown and "Type" in shown
    assert "account 000000000000 as user/sandbox" in shown
    assert user("list", "--json").data["instances"]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("destroy", "--yes"),
        ("nuke", "--force"),
        ("scale 1", "--yes"),
        ("console", "name one"),
        ("configure", "--set"),
    ],
)
def test_no_input_never_asks(user: CliRunner, line: str, named: str) -> None:
    if line == "configure":  # with questions for a new file
        (user.folder / "config.yaml").rename(user.folder / "old.yaml")
    result = user(*line.split(), "--no-input", answers="bacalhau-aws-spot\ny\n1\n")
    assert result.code == 3, result.stderr
    assert "--no-input is set" in result.stderr
    assert named in result.stderr
    if line != "configure":
        assert len(user("list", "--json").data["instances"]) == 2
