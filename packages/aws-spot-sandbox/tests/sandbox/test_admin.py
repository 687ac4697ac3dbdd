"""The sandbox's own API: requests that fail. middleware/test_admin.py has those that succeed."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest


def post(sandbox: Any, verb: str, body: bytes) -> tuple[int, str]:
    """Status and message of an error, with a plain HTTP client."""
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=10)
    try:
        connection.request("POST", f"/_sandbox/{verb}", body)
        answer = connection.getresponse()
        return answer.status, str(json.loads(answer.read())["error"])
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"instance_id": "i-0"}, "no instance i-0 is in the sandbox"),
        ({"instance_id": "i-0", "region": "nowhere-1"}, "no region nowhere-1 is in the sandbox"),
    ],
)
def test_what_is_not_there_is_404(sandbox: Any, body: dict[str, Any], problem: str) -> None:
    """Scripts can distinguish a wrong id from a wrong request."""
    assert post(sandbox, "interrupt", json.dumps(body).encode()) == (404, problem)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"7", b'{"instance_id": 7}'])
def test_an_interruption_needs_an_instance(sandbox: Any, body: bytes) -> None:
    """The message names the missing key, without terms of a programming language."""
    problem = "a mapping with an instance_id, a text, is expected"
    assert post(sandbox, "interrupt", body) == (400, problem)


@pytest.mark.parametrize("notice", ['"soon"', "-1", "true", "NaN", "Infinity", "1" + "0" * 400])
def test_a_notice_is_a_number_of_seconds(sandbox: Any, notice: str) -> None:
    """An invalid number of seconds is refused, with the valid range."""
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
    """The message names the problem before its position."""
    status, problem = post(sandbox, verb, body)
    assert status == 400
    assert problem.startswith("the body is no JSON: ")
