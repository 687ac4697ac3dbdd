"""The program against the sandbox, which it takes for AWS: an endpoint and credentials in the environment, no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aws_spot_sandbox.ec2 import regions
from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from support import planted_secrets, shared_clients
from support.cli_runner import CliRunner
from support.direct_calls import answer_directly
from support.engine_clock import EngineClock
from support.planted_secrets import SESSION_TOKEN
from support.sandbox import sandbox, sandbox_server

__all__ = ["few_regions", "program", "sandbox", "sandbox_server"]


# Of the seventeen that an account has: those that the tests name. What a command does, it does in each of them.
ENABLED = ("us-east-1", "us-east-2", "us-west-1", "us-west-2", "eu-west-1", "ap-southeast-1")


@pytest.fixture
def few_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that has not enabled the others: eleven regions less to look into, with every command line."""
    monkeypatch.setattr(regions, "ENABLED_BY_DEFAULT", ENABLED)


@pytest.fixture
def program(
    request: pytest.FixtureRequest,
    sandbox: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    few_regions: None,
) -> Iterator[CliRunner]:
    """A user with a configuration of twelve nodes over four regions. Whatever a test runs, its secrets must not come out."""
    for name, value in {
        "AWS_ENDPOINT_URL": sandbox.url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_SESSION_TOKEN": SESSION_TOKEN,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": shared_clients.NO_FILE,
        "AWS_SHARED_CREDENTIALS_FILE": shared_clients.NO_FILE,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    shared_clients.keep(monkeypatch)
    if request.node.get_closest_marker("sockets") is None:
        answer_directly(sandbox, monkeypatch)
    user = CliRunner(folder=tmp_path, clock=EngineClock(sandbox.clock))
    user.configure()
    yield user
    planted_secrets.check_files(tmp_path)
