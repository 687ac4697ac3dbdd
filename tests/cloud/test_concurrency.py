"""How many calls may be under way at once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.cloud.session import Session

CALLS = ("describe_tags", "describe_instances")


def test_two_calls_in_each_region_take_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the largest account. None waits for another: each ends only when all have begun."""
    regions = (*ENABLED_BY_DEFAULT, *OPT_IN)
    all_begun = threading.Barrier(len(regions) * len(CALLS), timeout=20)

    def answer(_self: Session, _service: str, _region: str, _operation: str, _kwargs: Any) -> dict[str, Any]:
        all_begun.wait()
        return {}

    monkeypatch.setattr(Session, "_call", answer)
    session = Session(AwsConnection())

    async def look() -> list[dict[str, Any]]:
        return await asyncio.gather(
            *(session.call("ec2", region, call) for region in regions for call in CALLS)
        )

    try:
        assert len(asyncio.run(look())) == all_begun.parties
    finally:
        session.close()
