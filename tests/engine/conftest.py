"""The engine against the sandbox, with the sandbox's clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.connection import AwsConnection
from support.sandbox import sandbox, sandbox_server

__all__ = ["cloud", "sandbox", "sandbox_server"]


@pytest.fixture(scope="module")
def cloud(sandbox_server: Any) -> Iterator[Aws]:
    """The way to the sandbox: made once, because making clients is most of the time that these tests take."""
    aws = Aws(
        AwsConnection(
            endpoint_url=sandbox_server.url, access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET_ACCESS_KEY
        )
    )
    yield aws
    aws.close()
