"""`--region` is spelled the same in every command: repeated, or with commas, and never empty."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import bacalhau_spot
from bacalhau_spot.cli.app import build_app
from support.cli_runner import CliRunner

WITH_REGION = (
    *(
        "clusters",
        "history",
        "image bake",
        "image delete",
        "image list",
        "list",
        "nuke",
        "offers",
        "prices",
        "replace",
    ),
    *("scale", "status"),
)


def parsed(line: str) -> tuple[str, ...]:
    words = line.split()
    _, bound, _ = build_app(words).parse_args(words, exit_on_error=False, print_error=False)
    choice = bound.arguments.get("choice")
    value: tuple[str, ...] = choice.region if choice else bound.arguments["region"]
    return value


@pytest.mark.parametrize("command", WITH_REGION)
@pytest.mark.parametrize(
    "words",
    [
        "--region us-east-1 --region eu-west-1",
        "--region us-east-1,eu-west-1",
        "-r us-east-1 -r=eu-west-1,us-east-1",
        "--region=us-east-1 --region=eu-west-1",
    ],
)
def test_regions_are_repeated_or_separated_by_commas(command: str, words: str) -> None:
    argument = " 3" if command == "scale" else ""
    assert parsed(f"{command}{argument} {words}") == ("us-east-1", "eu-west-1")


def test_no_command_has_another_option_for_regions() -> None:
    file = Path(bacalhau_spot.__file__).parent / "cli" / "help_pages.json"
    pages = json.loads(file.read_text())["pages"]
    options = {
        name: row["name"]
        for name, page in pages.items()
        for panel in page["panels"]
        for row in panel["rows"]
        if "--region" in row["name"]
    }
    assert options == dict.fromkeys(WITH_REGION, "--region -r REGION,...")


@pytest.mark.parametrize("command", WITH_REGION)
@pytest.mark.parametrize("value", ["", " ", ",", "us-east-1,"])
def test_an_empty_region_is_refused(program: CliRunner, sandbox: Any, command: str, value: str) -> None:
    """As from an unset variable: it must not mean all regions."""
    argument = ["3"] if command == "scale" else []
    result = program(*command.split(), *argument, f"--region={value}")
    assert result.code == 2
    assert "a value is empty" in result.stderr
    assert sandbox.world.calls == []


def test_the_former_spelling_of_nuke_is_understood() -> None:
    assert parsed("nuke --regions us-east-1,eu-west-1") == ("us-east-1", "eu-west-1")


def test_scale_takes_one_region(program: CliRunner, sandbox: Any) -> None:
    """Three nodes in each, or together? It does not guess."""
    program.configure(nodes=2, regions="[us-east-1, us-west-2]")
    result = program("scale", "3", "--region", "us-east-1,us-west-2")
    assert result.code == 2
    assert "scale changes one region at a time" in result.stderr
    assert "bacalhau-spot scale 3 --region us-east-1" in result.stderr
    assert sandbox.world.calls == []


def test_a_grace_without_removal_is_refused(program: CliRunner, sandbox: Any) -> None:
    program.configure(nodes=2)
    result = program("create", "--yes", "--grace", "10m")
    assert result.code == 2
    assert "--grace has no effect without --allow-removal" in result.stderr
    assert sandbox.world.calls == []


def test_scale_of_one_region_keeps_the_total_of_the_configuration(program: CliRunner) -> None:
    """`nodes` is the sum of the regions' numbers; with the former sum the file would be refused."""
    file = program.folder / "config.yaml"
    program.configure(nodes=3, regions="{us-east-1: {nodes: 2}, us-west-2: {nodes: 1}}")
    result = program("scale", "3", "--region", "us-west-2", "--write", "--yes")
    assert result.code == 0, result.stderr
    assert "nodes: 5\n" in file.read_text()
    assert program("list", "-o", "json").data["instances"]


def test_scale_of_one_region_adds_no_total(program: CliRunner) -> None:
    file = program.folder / "config.yaml"
    program.configure(nodes=3, regions="{us-east-1: {nodes: 2}, us-west-2: {nodes: 1}}")
    file.write_text(file.read_text().replace("nodes: 3\n", ""))
    result = program("scale", "3", "--region", "us-west-2", "--write", "--dry-run")
    assert result.code == 0, result.stderr
    assert "nodes: 5" not in result.stderr + result.stdout
