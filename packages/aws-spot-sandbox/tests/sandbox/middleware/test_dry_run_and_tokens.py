"""DryRun and ClientToken."""

from __future__ import annotations

import threading
from itertools import count

import pytest

from aws_spot_sandbox.http_types import AwsError, Call, Reply
from sandbox.middleware.harness import Harness, xml

TOKEN = {"ClientToken": "t-1", "MaxCount": "2"}


@pytest.fixture
def numbered(harness: Harness) -> Harness:
    numbers = count(1)
    harness.services = lambda _call: xml(f"<number>{next(numbers)}</number>")
    return harness


def test_a_dry_run_does_nothing_and_says_that_it_would(harness: Harness) -> None:
    """EC2 API Reference, "Common query parameters": DryRun; "Error codes": DryRunOperation."""
    error = harness.refusal("CreateVpc", {"DryRun": "true"})
    assert (error.code, error.status) == ("DryRunOperation", 412)
    assert error.message == "Request would have succeeded, but DryRun flag is set."
    assert not harness.reached
    harness.ask("CreateVpc", {"DryRun": "false"})


def test_a_dry_run_asks_for_permission_first(harness: Harness) -> None:
    """EC2 API Reference, "Common query parameters": DryRun: UnauthorizedOperation without permission."""
    harness.settings.deny = ["ec2:CreateVpc"]
    assert harness.refusal("CreateVpc", {"DryRun": "true"}).code == "UnauthorizedOperation"


def test_the_same_token_gets_the_first_reply_byte_for_byte(numbered: Harness) -> None:
    """EC2 API Reference, "Ensuring idempotency in Amazon EC2 API requests"."""
    first = numbered.ask("RunInstances", TOKEN)
    assert numbered.ask("RunInstances", TOKEN) == first
    assert len(numbered.reached) == 1


def test_other_parameters_under_the_same_token_are_refused(numbered: Harness) -> None:
    """EC2 API Reference, "Error codes": IdempotentParameterMismatch."""
    numbered.ask("RunInstances", TOKEN)
    error = numbered.refusal("RunInstances", TOKEN | {"MaxCount": "3"})
    assert (error.code, error.status) == ("IdempotentParameterMismatch", 400)
    assert len(numbered.reached) == 1


def test_tokens_are_of_a_region_and_an_action(numbered: Harness) -> None:
    """EC2 API Reference, "Ensuring idempotency": regional idempotency."""
    numbered.ask("RunInstances", TOKEN)
    numbered.ask("RunInstances", TOKEN, region="eu-west-1")
    numbered.ask("CreateFleet", TOKEN)
    numbered.ask("RunInstances", TOKEN | {"ClientToken": "t-2"})
    assert len(numbered.reached) == 4


def test_only_successes_are_remembered(harness: Harness) -> None:
    """EC2 API Reference, "Ensuring idempotency": a failed call can be repeated, even with other parameters."""

    def refuse(_call: Call) -> Reply:
        raise AwsError("InsufficientInstanceCapacity", "none", status=500)

    harness.services = refuse
    harness.refusal("RunInstances", TOKEN)
    harness.services = lambda _call: Reply(b"moto's error", 400)
    harness.ask("RunInstances", TOKEN)
    harness.services = lambda _call: xml("<done/>")
    harness.ask("RunInstances", TOKEN | {"MaxCount": "3"})
    assert len(harness.reached) == 3


def test_whoever_comes_second_waits_for_the_first(harness: Harness) -> None:
    """EC2 API Reference, "Ensuring idempotency": completes no more than one time."""
    begun, finish = threading.Event(), threading.Event()

    def launch(_call: Call) -> Reply:
        begun.set()
        assert finish.wait(10)
        return xml("<instanceId>i-0000000000000001</instanceId>")

    harness.services = launch
    replies: list[Reply] = []
    threads = [
        threading.Thread(target=lambda: replies.append(harness.ask("RunInstances", TOKEN))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    finish.set()
    for thread in threads:
        thread.join(10)
    assert len(replies) == 4
    assert len(set(map(id, replies))) == 1
    assert len(harness.reached) == 1
