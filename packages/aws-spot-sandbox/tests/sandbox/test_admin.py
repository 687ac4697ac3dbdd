"""What the sandbox's own switches answer to requests that cannot be met. layer/test_admin.py has those that can."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest


def post(sandbox: Any, verb: str, body: bytes) -> tuple[int, str]:
    """Status and message of a refusal, as any HTTP client sees them."""
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", f"/_sandbox/{verb}", body)
        answer = connection.getresponse()
        return answer.status, str(json.loads(answer.read())["error"])
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"instance_id": "i-0"}, "no instance i-0 is in the sandbox"),
        ({"instance_id": "i-0", "region": "nowhere-1"}, "no region nowhere-1 is in the sandbox"),
    ],
)
def test_what_is_not_there_is_404(sandbox: Any, asked: dict[str, Any], problem: str) -> None:
    """A script can tell a wrong id from a wrong request."""
    assert post(sandbox, "interrupt", json.dumps(asked).encode()) == (404, problem)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"7", b'{"instance_id": 7}'])
def test_an_interruption_needs_an_instance(sandbox: Any, body: bytes) -> None:
    """The message says which name is missing, in no programming language's words."""
    problem = "a mapping with an instance_id, a text, is expected"
    assert post(sandbox, "interrupt", body) == (400, problem)


@pytest.mark.parametrize("notice", ['"soon"', "-1", "true", "NaN", "Infinity", "1" + "0" * 400])
def test_a_notice_is_a_number_of_seconds(sandbox: Any, notice: str) -> None:
    """What no clock can count is refused, with what is allowed."""
    status, problem = post(sandbox, "interrupt", f'{{"instance_id": "i-0", "notice_s": {notice}}}'.encode())
    assert (status, problem.partition(", not ")[0]) == (
        400,
        "notice_s is a number of seconds, from 0 to 86400",
    )


def test_a_reason_is_one_of_two(sandbox: Any) -> None:
    """Capacity or price."""
    body = b'{"instance_id": "i-0", "reason": "spite"}'
    assert post(sandbox, "interrupt", body) == (400, "reason is one of capacity, price, not 'spite'")


@pytest.mark.parametrize("verb", ["set", "interrupt"])
@pytest.mark.parametrize("body", [b"{", b"latency_s=1"])
def test_a_body_that_is_no_json(sandbox: Any, verb: str, body: bytes) -> None:
    """The message says so before it says where."""
    status, problem = post(sandbox, verb, body)
    assert status == 400
    assert problem.startswith("the body is no JSON: ")
