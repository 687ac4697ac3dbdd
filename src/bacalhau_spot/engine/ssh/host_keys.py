"""Reads the host keys of nodes from their console outputs: one call for each node, and more while a node boots."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.ssh.host_keys import ConsoleHostKeys, console_host_keys
from bacalhau_spot.engine.aws_calls.caller import api_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_AT_ONCE = 12
_INTERVAL_S = 5.0


async def read_host_keys(
    calls: AwsCalls, nodes: Sequence[Instance], *, wait_s: float = 0.0
) -> dict[str, ConsoleHostKeys | ApiFailure]:
    """By instance id. `wait_s`: for how long a console without keys is read again."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def read(node: Instance) -> ConsoleHostKeys | ApiFailure:
        waited = 0.0
        while True:
            async with room:
                found = await _read_once(calls, node)
            if waited >= wait_s or not isinstance(found, ConsoleHostKeys) or found != ConsoleHostKeys():
                return found
            await calls.clock.sleep(min(_INTERVAL_S, wait_s - waited))
            waited += _INTERVAL_S

    found = await asyncio.gather(*map(read, nodes))
    return {node.id: keys for node, keys in zip(nodes, found, strict=True)}


async def _read_once(calls: AwsCalls, node: Instance) -> ConsoleHostKeys | ApiFailure:
    try:
        text = await calls.read(node.region, lambda: calls.cloud.console(node.region, node.id))
    except CloudError as error:
        return api_failure(error)
    return console_host_keys(text)
