"""Status checks, spot requests and consoles: what is asked of EC2, and what its answers become."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.instance_status import AwsInstanceStatus
from bacalhau_spot.cloud.session import Session
from bacalhau_spot.core.health.observation import StatusCheck, StatusChecks

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Fake:
    """As much of a session as these verbs use: it remembers what was asked."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.requests: list[tuple[str, dict[str, Any]]] = []

    async def call(self, service: str, region: str, operation: str, **kwargs: Any) -> Any:
        self.requests.append((operation, kwargs))
        reply = self.replies.pop(0)
        if isinstance(reply, str):
            raise CloudError(reply, "no", operation=operation, region=region)
        return reply

    async def pages(self, service: str, region: str, operation: str, key: str, **kwargs: Any) -> Any:
        return (await self.call(service, region, operation, **kwargs)).get(key, [])


def watching(fake: Fake) -> AwsInstanceStatus:
    aws_instance_status = AwsInstanceStatus()
    aws_instance_status._session = cast("Session", fake)
    return aws_instance_status


def test_statuses_are_asked_a_hundred_at_a_time() -> None:
    """AWS takes no more ids; instances that do not run are asked for too."""
    ids = [f"i-{number}" for number in range(205)]
    row = {"InstanceId": "i-7", "SystemStatus": {"Status": "ok"}, "InstanceStatus": {"Status": "impaired"}}
    fake = Fake({"InstanceStatuses": [row, {"InstanceId": "i-8", "SystemStatus": {"Status": "new"}}]}, {}, {})
    statuses = asyncio.run(watching(fake).statuses("r", ids))
    assert statuses == {"i-7": StatusChecks(StatusCheck.OK, StatusCheck.IMPAIRED), "i-8": StatusChecks()}
    assert [len(request["InstanceIds"]) for _, request in fake.requests] == [100, 100, 5]
    assert all(request["IncludeAllInstances"] for _, request in fake.requests)


def test_a_console_of_an_older_type() -> None:
    """It cannot show the latest, and is asked for what it has."""
    fake = Fake("UnsupportedOperation", {"Output": "hello"})
    assert asyncio.run(watching(fake).console("r", "i-1")) == "hello"
    assert [request.get("Latest") for _, request in fake.requests] == [True, None]


def test_a_console_without_output_is_empty_and_a_refusal_is_one() -> None:
    """Nothing is taken for something, and nothing else is asked again."""
    assert asyncio.run(watching(Fake({})).console("r", "i-1")) == ""
    with pytest.raises(CloudError, match="UnauthorizedOperation"):
        asyncio.run(watching(Fake("UnauthorizedOperation")).console("r", "i-1"))
