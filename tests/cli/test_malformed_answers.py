"""T2, T6: an answer of AWS's with hostile values ends in words, within bounded time, and never in "a mistake of ours"."""

from __future__ import annotations

from typing import Any

import pytest

from bacalhau_spot.cloud.ec2_params import parse_usd
from support.cli_runner import CliResult, CliRunner
from support.internal_errors import check_no_internal_error
from support.malformed import malformed

READS: dict[str, dict[str, tuple[str, ...]]] = {
    "list": {"ec2:DescribeInstances": ("huge", "nested", "deep")},
    "cost": {
        "pricing:GetProducts": ("not a number", "huge", "deep"),
        "ec2:DescribeSpotPriceHistory": ("huge",),
    },
    "offers": {"servicequotas:GetServiceQuota": ("huge", "deep")},
    "doctor": {"sts:GetCallerIdentity": ("not a number", "truncated")},
}


def assert_handled(result: CliResult, what: str) -> None:
    check_no_internal_error(result.stdout + result.stderr, what)
    assert len(result.stderr) < 20_000, f"{what}: the answer is quoted"


@pytest.mark.parametrize("command", READS)
def test_reads(sandbox: Any, program: CliRunner, command: str) -> None:
    """T6: Pricing's "NaN" was InvalidOperation, a time of 5,000 digits botocore's RuntimeError, nested JSON RecursionError."""
    path = program.configure(nodes=1, regions="[us-west-2]")
    path.write_text(path.read_text().replace("192.0.2.1:4222", "127.0.0.1:9"))
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(600)
    for name, ways in READS[command].items():
        for way in ways:
            with malformed(sandbox.server, name, way):
                assert_handled(program(command), f"{command}, {name} {way}")


@pytest.mark.parametrize("command", ["destroy", "nuke"])
def test_nothing_is_verified_on_them(sandbox: Any, program: CliRunner, command: str) -> None:
    """T2: nothing is called gone, and no success is told, over a node that an unreadable answer hides."""
    program.configure(nodes=1, regions="[us-west-2]")
    assert program("create", "--yes").code == 0
    for name, way in (
        ("ec2:DescribeTags", "empty"),
        ("ec2:DescribeTags", "a text for a list"),
        ("ec2:DescribeRegions", "empty"),
        ("tagging:GetResources", "nested"),
    ):
        with malformed(sandbox.server, name, way):
            result = program(command, "--force" if command == "nuke" else "--yes")
        assert_handled(result, f"{command}, {name} {way}")
        pages = sandbox.client(region="us-west-2").describe_instances()["Reservations"]
        alive = [
            instance
            for page in pages
            for instance in page["Instances"]
            if instance["State"]["Name"] == "running"
        ]
        assert result.code != 0 or not alive, f"{command}, {name} {way}: {result.stderr}"
        if not alive:
            assert program("create", "--yes").code == 0


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1", "1e9", "9" * 5000, "1,5", ""])
def test_what_is_no_price(text: str) -> None:
    """T6: `Decimal` takes "NaN", and sums with it end the program (cloud/prices.py)."""
    with pytest.raises((ValueError, ArithmeticError)):
        parse_usd(text)
