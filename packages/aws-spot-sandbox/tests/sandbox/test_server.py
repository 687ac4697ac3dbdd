"""Misbehaving clients and concurrency. middleware/test_server.py has the other cases."""

from __future__ import annotations

import socket
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_spot_sandbox import admin_client

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

REGIONS = ("us-east-1", "eu-west-1", "sa-east-1")
# Linger time 0: the connection is reset, not closed
AT_ONCE = struct.pack("ii", 1, 0)
DEADLINE_S = 30


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_clients_that_hang_up_are_not_news(sandbox: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """A reset connection prints nothing, and the next client is served."""
    host, port = sandbox.url.removeprefix("http://").split(":")
    before = set(threading.enumerate())
    for _ in range(10):
        with socket.create_connection((host, int(port))) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            client.sendall(b"GET /_sandbox/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert admin_client.ask(sandbox.url, "GET", "ping")  # connections are accepted in order: all are by now
    wait_until(lambda: set(threading.enumerate()) <= before)  # a thread prints, if at all, before it ends
    assert capfd.readouterr() == ("", "")


def test_a_reset_under_load_is_not_noticed_as_a_mistake(sandbox: Any) -> None:
    """Calls during a reset end with AWS's errors, never with a lost connection or an internal error of the sandbox."""
    ended = threading.Event()
    codes: list[str] = []

    def make_and_delete(region: str) -> None:
        ec2 = sandbox.client("ec2", region)
        while not ended.is_set():
            try:
                ec2.delete_vpc(VpcId=ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"])
            except ClientError as refusal:
                codes.append(refusal.response["Error"]["Code"])

    def overtakes() -> bool:
        wait_until(lambda: len(sandbox.world.calls) >= len(REGIONS))  # the last reset cleared the list
        admin_client.ask(sandbox.url, "POST", "reset")
        return len(codes) >= len(REGIONS)

    with ThreadPoolExecutor(len(REGIONS)) as pool:
        loads = [pool.submit(make_and_delete, region) for region in REGIONS]
        try:
            wait_until(overtakes)
        finally:
            ended.set()
        for load in loads:
            load.result()
    admin_client.ask(sandbox.url, "POST", "reset")
    assert set(codes) == {"InvalidVpcID.NotFound"}  # deleted by the reset
    assert sandbox.leftovers() == []
