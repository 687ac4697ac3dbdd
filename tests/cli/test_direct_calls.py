"""Calls without sockets reach their region, through a client of all regions and through one of their own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bacalhau_spot.cloud import session as session_module
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.cloud.session import Session
from support.cli_runner import CliRunner
from support.direct_calls import answer_directly

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2")


@pytest.mark.parametrize("shared", [True, False], ids=["one client", "a client for each region"])
def test_a_call_reaches_its_region(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch, *, shared: bool
) -> None:
    monkeypatch.setattr(session_module, "follows_rules", lambda _core: shared)
    answer_directly(sandbox, monkeypatch)
    session = Session(AwsConnection(endpoint_url=sandbox.url))
    session._clients = {}  # none of another test
    try:
        answers = asyncio.run(_zones(session))
    finally:
        session.close()
    assert answers == [{region} for region in REGIONS]
    assert {region for _, region, _ in session._clients} == ({""} if shared else set(REGIONS))


async def _zones(session: Session) -> list[set[str]]:
    """The regions of the zones in each answer. All calls are under way at once."""
    answers = await asyncio.gather(
        *(session.call("ec2", region, "describe_availability_zones") for region in REGIONS)
    )
    return [{zone["RegionName"] for zone in answer["AvailabilityZones"]} for answer in answers]
