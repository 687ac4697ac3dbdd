"""F2: `requirements` that a thousand types meet, in front of an endpoint that enforces EC2's limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.cli_runner import CliRunner

ACCEPTS_A_THOUSAND = "requirements: {vcpus: 2.., memory_gib: 4..}\n"
QUESTION = {
    "ArchitectureTypes": ["x86_64", "arm64"],
    "VirtualizationTypes": ["hvm"],
    "InstanceRequirements": {"VCpuCount": {"Min": 2}, "MemoryMiB": {"Min": 4096}},
}


@pytest.fixture
def wide(program: CliRunner) -> CliRunner:
    path = program.configure(nodes=4, regions="[us-east-1]")
    lines = path.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if "instance_types" not in line).replace(
        "192.0.2.1:4222", "127.0.0.1:9"
    )
    path.write_text(text + ACCEPTS_A_THOUSAND)
    return program


def pages(call: Callable[..., dict[str, Any]], key: str, **parameters: Any) -> list[Any]:
    reply = call(**parameters)
    rows = list(reply[key])
    while reply.get("NextToken"):
        reply = call(**parameters, NextToken=reply["NextToken"])
        rows += reply[key]
    return rows


def test_a_thousand_types_meet_them(sandbox: Any) -> None:
    """The catalogue of the sandbox is AWS's as moto recorded it, so that the tests below ask for what AWS refuses."""
    operation = sandbox.client().get_instance_types_from_instance_requirements
    assert len(pages(operation, "InstanceTypes", **QUESTION)) > 1000


@pytest.mark.parametrize("line", [["create", "--dry-run"], ["create", "--yes"], ["doctor"]], ids=" ".join)
def test_every_command_that_chooses_types(sandbox: Any, wide: CliRunner, line: list[str]) -> None:
    """AWS: FilterLimitExceeded, "The maximum number of filter values specified on a single call is 200" (druid#1954)."""
    result = wide(*line)
    assert "FilterLimitExceeded" not in result.stdout + result.stderr
    assert "DescribeInstanceTypes" not in result.stderr
    assert result.code == 0, result.stdout + result.stderr
    names = [name for _, name, _ in sandbox.world.calls]
    # Twenty types are kept, so no more than these are looked at: one call (`doctor` plans twice), not one for every two hundred.
    assert names.count("ec2:DescribeInstanceTypeOfferings") <= 2
    assert names.count("ec2:DescribeInstanceTypes") <= 3


def test_prices_are_of_the_cheapest_types(sandbox: Any, wide: CliRunner) -> None:
    """The price history of a thousand types is neither asked for nor drawn."""
    result = wide("prices", "-o", "json")
    assert result.code == 0, result.stderr
    assert len({row["type"] for row in result.data["pools"]}) <= 20
