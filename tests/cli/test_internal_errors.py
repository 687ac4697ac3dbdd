"""Our own mistakes: words instead of a traceback, a file to report, and the work of other regions not lost."""

from __future__ import annotations

from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from support.cli_runner import CliRunner


def test_a_mistake_in_one_region_stops_no_other(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other regions' nodes run and are told; the traceback is in a file, not on the screen."""
    create_vpc = Aws.create_vpc

    async def broken(self: Aws, region: str, **kwargs: Any) -> str:
        if region == "eu-west-1":
            raise KeyError("VpcId")
        return await create_vpc(self, region, **kwargs)

    monkeypatch.setattr(Aws, "create_vpc", broken)
    result = program("create", "--yes")
    assert result.code == 1
    assert "internal error of bacalhau-spot in eu-west-1" in result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    (log,) = (program.folder / ".local" / "state" / "bacalhau-spot").glob("error-*.log")
    assert str(log) in result.stderr
    assert "KeyError: 'VpcId'" in log.read_text()
    assert len(program("list", "-o", "json").data["instances"]) == 9
    monkeypatch.setattr(Aws, "create_vpc", create_vpc)
    assert program("create", "--yes").code == 0


def test_a_mistake_while_looking(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short apology, the file, exit 1; with --debug the traceback too; in JSON the same words."""

    async def broken(self: Aws) -> None:
        raise ValueError("[not markup]")

    monkeypatch.setattr(Aws, "identity", broken)
    result = program("list")
    assert result.code == 1
    assert "internal error" in result.stderr
    assert "ValueError: [not markup]" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in program("list", "--debug").stderr
    assert program("list", "-o", "json").envelope["errors"][0]["why"] == "ValueError: [not markup]"
