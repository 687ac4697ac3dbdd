"""Reads the logs of nodes: the journal through ssh, or the console output from EC2; once, or as they grow."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.cli.runtime.known_hosts import NodeHostKeys
from bacalhau_spot.core.health.boot_console import new_output
from bacalhau_spot.core.logs.log_lines import (
    CONSOLE,
    JOURNAL,
    LogLine,
    console_log,
    journal_command,
    journal_lines,
    merged,
    recent,
)
from bacalhau_spot.core.ssh.host_keys import HOST_KEYS_UNKNOWN
from bacalhau_spot.core.ssh.ssh_command import ssh_address, ssh_command
from bacalhau_spot.engine.ssh.line_stream import stream_lines
from bacalhau_spot.engine.ssh.ssh_fanout import run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.ssh.ssh_command import SshOptions
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.aws_calls.clock import Clock

_AT_ONCE = 32
# For the answer of a node; a dead one does not answer for longer than ssh's own limit.
_TIMEOUT_S = 30.0
# Lines that come together are printed in the order of their times.
_FLUSH_S = 0.5


@dataclass(frozen=True, kw_only=True)
class LogQuery:
    """`last`: the number of lines of each node, None for all."""

    units: tuple[str, ...]
    last: int | None
    since: datetime | None


@dataclass(kw_only=True)
class SshWay:
    """The way to the journals."""

    program: str
    options: SshOptions
    environ: Mapping[str, str]
    host_keys: NodeHostKeys = field(default_factory=NodeHostKeys)

    def obstacle(self, node: Instance) -> str:
        """Why ssh cannot connect; empty if it can."""
        if not ssh_address(node):
            return "it has no address"
        if node.id in self.host_keys.known:
            return ""
        return f"{HOST_KEYS_UNKNOWN}: {self.host_keys.unknown[node.id]}"

    def command(self, node: Instance, query: LogQuery, *, follow: bool) -> tuple[str, ...]:
        """Of a node without an obstacle."""
        known = self.host_keys.known[node.id]
        remote = journal_command(units=query.units, last=query.last, since=query.since, follow=follow)
        return (self.program, *ssh_command(node, self.options, known, remote=remote, unattended=True)[1:])


@dataclass
class NodeLogs:
    """The logs of nodes. `way` None: the console output of all. A node without an answer of ssh has its console output."""

    nodes: Sequence[Instance]
    query: LogQuery
    way: SshWay | None
    clock: Clock
    sources: dict[str, str] = field(default_factory=dict)  # by the id of a node
    problems: dict[str, str] = field(default_factory=dict)

    def read(self, runner: Runner) -> tuple[LogLine, ...]:
        return runner.run_readonly(self._read(runner.calls))

    async def _read(self, calls: AwsCalls) -> tuple[LogLine, ...]:
        found: list[LogLine] = []
        if self.way is not None:
            found += await self._journals(self.way)
        rest = [node for node in self.nodes if self.sources.get(node.id) != JOURNAL]
        for lines in await asyncio.gather(*(self._console(calls, node) for node in rest)):
            found += recent(lines, last=self.query.last, since=self.query.since)
        return merged(found)

    async def _journals(self, way: SshWay) -> list[LogLine]:
        obstacles = {node.id: way.obstacle(node) for node in self.nodes}
        self.problems |= {name: obstacle for name, obstacle in obstacles.items() if obstacle}
        jobs = [
            (node, way.command(node, self.query, follow=False))
            for node in self.nodes
            if not obstacles[node.id]
        ]
        found: list[LogLine] = []
        for result in await run_all(jobs, environ=way.environ, at_once=_AT_ONCE, timeout_s=_TIMEOUT_S):
            if result.succeeded:
                self.sources[result.instance.id] = JOURNAL
                found += journal_lines(result.instance.id, result.stdout)
            else:
                self.use_console(result.instance, code=result.code, error=result.stderr)
        return found

    def use_console(self, node: Instance, *, code: int | None, error: str) -> str:
        """From now on; returns why ssh did not answer. `code` None: not in time."""
        last = error.strip().splitlines()[-1:]
        ended = "no answer in time" if code is None else f"exit code {code}"
        self.sources[node.id] = CONSOLE
        self.problems[node.id] = "".join(last) or ended
        return self.problems[node.id]

    async def _console(
        self, calls: AwsCalls, node: Instance, *, before: datetime | None = None
    ) -> tuple[LogLine, ...]:
        return console_log(node.id, await self.console_text(calls, node), before=before)

    async def console_text(self, calls: AwsCalls, node: Instance) -> str:
        self.sources[node.id] = CONSOLE
        return await calls.read(node.region, lambda: calls.cloud.console(node.region, node.id))

    def follow(
        self,
        runner: Runner,
        *,
        interval_s: float,
        emit: Callable[[Sequence[LogLine]], bool],
        note: Callable[[str], None],
    ) -> None:
        """Until KeyboardInterrupt, or until `emit` says that nobody reads any more. `note`: of a journal that has ended."""
        follower = _Follower(self, runner.calls, interval_s=interval_s, emit=emit, note=note)
        runner.run_readonly(follower.run())


class _Follower:
    """Collects the lines of all nodes, and passes them on in short intervals, in the order of their times."""

    def __init__(
        self,
        logs: NodeLogs,
        calls: AwsCalls,
        *,
        interval_s: float,
        emit: Callable[[Sequence[LogLine]], bool],
        note: Callable[[str], None],
    ) -> None:
        self._logs, self._calls, self._interval_s = logs, calls, interval_s
        self._emit, self._note = emit, note
        self._pending: list[LogLine] = []

    async def run(self) -> None:
        following = [asyncio.ensure_future(self._node(node)) for node in self._logs.nodes]
        flushing = asyncio.ensure_future(self._flush_while_read())
        try:
            ended, _ = await asyncio.wait({*following, flushing}, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in (*following, flushing):
                task.cancel()
            await asyncio.gather(*following, flushing, return_exceptions=True)
            self._flush()

    async def _flush_while_read(self) -> None:
        while self._flush():  # noqa: ASYNC110 - what it waits for is time, and no event
            await asyncio.sleep(_FLUSH_S)

    def _flush(self) -> bool:
        """Whether somebody reads the lines."""
        lines, self._pending = merged(self._pending), []
        return not lines or self._emit(lines)

    async def _node(self, node: Instance) -> None:
        way, logs = self._logs.way, self._logs
        obstacle = "" if way is None else way.obstacle(node)
        if obstacle:
            logs.problems[node.id] = obstacle
            self._note(f"{node.id}: {obstacle}. Its console output follows")
        elif way is not None:
            logs.sources[node.id] = JOURNAL
            ending = await stream_lines(
                way.command(node, logs.query, follow=True),
                environ=way.environ,
                emit=lambda row: self._pending.extend(journal_lines(node.id, row)),
            )
            problem = logs.use_console(node, code=ending.code, error=ending.error)
            self._note(
                f"{node.id}: the connection to its journal ended ({problem}); its console output follows"
            )
        await self._poll(node)

    async def _poll(self, node: Instance) -> None:
        text, at = "", None
        while True:
            now = await self._logs.console_text(self._calls, node)
            lines = console_log(node.id, new_output(text, now), before=at)
            query = self._logs.query
            self._pending += lines if text else recent(lines, last=query.last, since=query.since)
            text, at = now, lines[-1].at if lines else at
            await self._logs.clock.sleep(self._interval_s)
