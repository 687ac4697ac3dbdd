"""Reads this machine's audit log, for `cost` and `history`, because AWS lists a terminated instance for only an hour.

`create` records each instance that it observes and, at its end, AWS's launch times and the nodes that joined. `destroy`,
`nuke`, `remove`, `replace`, `scale`, `reconcile` and `create --allow-removal` record the terminations that they request.
`create`, `cost`, `history`, `status` and `list` record terminated instances that AWS lists; `status` and `history` also joins
and interruption notices. Rows that cannot be read are skipped and counted: the log may be truncated.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, NoReturn

from bacalhau_spot import files
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.pricing.usage_history import LoggedInstance, more_precise_reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

LogRow = dict[str, Any]

_TAKEN_BACK = "Server.Spot"
# The commands that terminate instances.
_DELETE = frozenset({"create", "destroy", "nuke", "reconcile", "remove", "replace", "scale"})
_EARLIEST: Final = datetime(2006, 8, 1, tzinfo=UTC)  # EC2's first month
_LATEST: Final = datetime(9000, 1, 1, tzinfo=UTC)
_CLOCK_SKEW: Final = timedelta(days=1)
_LONGEST: Final = 256
_MAX_BYTES: Final = 256 << 20
_LONGEST_ROW: Final = 16 << 20  # ten thousand instances of a create are a tenth
_TAIL: Final = 256
_MALFORMED: Final = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


class AuditRows(NamedTuple):
    """The log's records of a cluster. `skipped`: the number of unreadable rows. `trouble`: why the file cannot be read."""

    logged: tuple[LoggedInstance, ...] = ()
    skipped: int = 0
    trouble: str = ""


@dataclass(slots=True)
class LogContent:
    """What the log has of an account, and of one of its clusters.

    `terminations`: for each instance, the command of this machine that terminated it. `creators`: for each cluster, the ARN of
    the identity that last ran `create` on this machine. `replaced`: the nodes that the cluster's passes of `reconcile` on this
    machine replaced; `budget`: of the last pass.
    """

    skipped: int = 0
    trouble: str = ""
    terminations: dict[str, str] = field(default_factory=dict)
    creators: dict[str, str] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    budget: str | None = None
    by_id: dict[str, LoggedInstance] = field(default_factory=dict)
    # Where the next row begins, how the rows before it end, and in which file.
    end: int = 0
    tail: bytes = b""
    file: tuple[int, int] = (0, 0)
    until: datetime = _EARLIEST
    has_future_rows: bool = False
    command_by_run: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> AuditRows:
        """One record for each instance of the cluster, by id."""
        return AuditRows(
            tuple(self.by_id[name] for name in sorted(self.by_id)), skipped=self.skipped, trouble=self.trouble
        )


class LogIndex:
    """Reads each row once, however often it is asked: rows are only appended. The rows themselves are not kept."""

    def __init__(self, path: Path, *, account_id: str, cluster: str) -> None:
        self._path = path
        self._account_id = account_id
        self._cluster = cluster
        self._content = LogContent()

    def content(self, now: datetime) -> LogContent:
        """Rows later than `now`, or not in the log's format, are skipped and counted."""
        try:
            with files.opened(self._path, max_bytes=_MAX_BYTES) as file:
                if not self._is_continued(file, until=now + _CLOCK_SKEW):
                    self._content = LogContent()
                self._read(file, until=now + _CLOCK_SKEW)
        except FileNotFoundError:
            self._content = LogContent()
        except OSError as error:
            why = error.strerror or str(error)
            self._content = LogContent(trouble=f"the audit log {self._path} cannot be read: {why}")
        return self._content

    def _is_continued(self, file: BinaryIO, *, until: datetime) -> bool:
        """Whether the file has the rows that were read, with others at most behind them."""
        known = self._content
        # A row without its end may have been continued; one that was in the future may not be any more.
        if not known.tail.endswith(b"\n") or known.until > until or known.has_future_rows:
            return False
        file.seek(known.end - len(known.tail))
        return _file_id(file) == known.file and file.read(len(known.tail)) == known.tail

    def _read(self, file: BinaryIO, *, until: datetime) -> None:
        content = self._content
        content.file, content.until = _file_id(file), until
        file.seek(content.end)
        for line in _lines(file):
            content.end += len(line)
            content.tail = line[-_TAIL:]
            self._add_line(line)

    def _add_line(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        if not text.strip():
            return
        try:
            row = _Row(json.loads(text))
            ended = row.ended()
        except _MALFORMED:
            self._content.skipped += 1
            return
        is_own = row.data.get("account_id") == self._account_id
        if is_own:
            self._add_commands(row, ended)
        try:
            seen = row.seen(until=self._content.until)
        except _MALFORMED:
            self._content.skipped += 1
            self._content.has_future_rows |= row.is_future
            return
        if is_own:
            is_of_cluster = row.data.get("cluster") == self._cluster
            _add(self._content.by_id, seen if is_of_cluster else (), ended, row.moment)

    def _add_commands(self, row: _Row, ended: Iterable[str]) -> None:
        content, run = self._content, str(row.data.get("run"))
        if row.event == "command-started":
            content.command_by_run[run] = sys.intern(_command(row.data))
            self._add_creator(row.data)
        elif row.event == "reconciled" and row.data.get("cluster") == self._cluster:
            self._add_pass(row.data)
        command = content.command_by_run.get(run, "")
        for instance_id in ended:
            if command in _DELETE:
                content.terminations[instance_id] = command
            else:
                content.terminations.pop(instance_id, None)

    def _add_creator(self, started: LogRow) -> None:
        cluster, arn = started.get("cluster"), started.get("arn")
        if _command(started) == "create" and isinstance(cluster, str) and isinstance(arn, str):
            self._content.creators[cluster] = arn

    def _add_pass(self, ended: LogRow) -> None:
        names = ended.get("replaced")
        self._content.replaced.update(
            name for name in (names if isinstance(names, list) else ()) if isinstance(name, str)
        )
        self._content.budget = ended.get("budget")


def _file_id(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_dev, status.st_ino


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Of a line that is too long for a row, pieces, of which none is a row."""
    while line := file.readline(_LONGEST_ROW):
        yield line


def _command(started: LogRow) -> str:
    """Rows of earlier versions have it only as the first word of the command line."""
    argv = started.get("argv")
    return str(started.get("command") or (argv[0] if isinstance(argv, list) and argv else ""))


def _add(
    by_id: dict[str, LoggedInstance], seen: Iterable[LoggedInstance], ended: Iterable[str], moment: datetime
) -> None:
    for logged in seen:
        by_id[logged.id] = _merged(by_id.get(logged.id), logged)
    # The command need not be about this cluster: `nuke` terminates the instances of all clusters.
    for instance_id in ended:
        if instance_id in by_id and by_id[instance_id].ended_at is None:
            by_id[instance_id] = replace(by_id[instance_id], ended_at=moment, seen_at=moment)


class _Row:
    """One line of the log. Raises ValueError, KeyError, TypeError or the like for any other format."""

    def __init__(self, data: LogRow) -> None:
        self.data = data
        self.is_future = False
        self._until = _LATEST
        self.event = _text(data["event"])
        self.moment = self._time(data["at"])

    def _time(self, text: object) -> datetime:
        """With a time zone, after the start of EC2, and not in the future."""
        moment = datetime.fromisoformat(_text(text))
        if moment.tzinfo is None or not _EARLIEST <= moment <= self._until:
            self._refuse(moment)
        return moment

    def _refuse(self, moment: datetime) -> NoReturn:
        self.is_future = moment.tzinfo is not None and self._until < moment <= _LATEST
        raise ValueError

    def seen(self, *, until: datetime) -> tuple[LoggedInstance, ...]:
        """No time of the row is later than `until`."""
        self._until = until
        if self.moment > until:
            self._refuse(self.moment)
        data = self.data
        match self.event:
            case "instance-seen":
                return (self._seen_in_phase(),)
            case "usage-ended":
                begun, ended = self._time(data["started_at"]), self._time(data["ended_at"])
                lost = bool(data.get("interrupted"))
                return (_logged_instance(data, begun=begun, seen=ended, ended=ended, taken_back=lost),)
            case "created":
                return tuple(
                    _logged_instance(row, begun=self._time(row["launched_at"]), seen=self.moment)
                    for row in data.get("instances", ())
                )
            case "node-joined" | "interruption-notice":
                return (self._node_event(),)
        return ()

    def _seen_in_phase(self) -> LoggedInstance:
        lost = str(self.data.get("reason") or "").startswith(_TAKEN_BACK)
        ended = self.moment if self.data.get("phase") in ("ended", "lost") else None
        return _logged_instance(self.data, begun=self.moment, seen=self.moment, ended=ended, taken_back=lost)

    def _node_event(self) -> LoggedInstance:
        begun, happened = self._time(self.data["started_at"]), self._time(self.data["happened_at"])
        if happened < begun:
            raise ValueError
        logged = _logged_instance(self.data, begun=begun, seen=self.moment)
        if self.event == "node-joined":
            return replace(logged, joined_at=happened)
        return replace(logged, noticed_at=happened)

    def ended(self) -> tuple[str, ...]:
        # Instances that terminate with their fleet get no deletion request; their "deleted" row follows some seconds
        # after the last billed one.
        if self.event in {"deleting", "deleted"} and self.data.get("kind") == ResourceKind.INSTANCE:
            return (_text(self.data["id"]),)
        if self.event == "created":
            return tuple(_text(instance_id) for instance_id in self.data.get("removed", ()))
        return ()


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        raise ValueError
    return value


def _logged_instance(
    row: LogRow, *, begun: datetime, seen: datetime, ended: datetime | None = None, taken_back: bool = False
) -> LoggedInstance:
    if ended is not None and ended < begun:
        raise ValueError
    return LoggedInstance(
        id=_text(row["id"]),
        # The same few texts in all rows.
        region=sys.intern(_text(row["region"])),
        zone=sys.intern(_text(row["zone"])),
        type=sys.intern(_text(row["type"])),
        started_at=begun,
        seen_at=seen,
        ended_at=ended,
        interrupted=taken_back,
        orchestrator=row.get("orchestrator") is True,
        reason=_text(row["reason"]) if ended is not None and row.get("reason") else "",
    )


def _merged(before: LoggedInstance | None, logged: LoggedInstance) -> LoggedInstance:
    """AWS's launch time is earlier than the first observation."""
    if before is None:
        return logged
    return LoggedInstance(
        id=logged.id,
        region=logged.region,
        zone=logged.zone,
        type=logged.type,
        started_at=min(before.started_at, logged.started_at),
        seen_at=logged.seen_at,
        ended_at=before.ended_at or logged.ended_at,
        interrupted=before.interrupted or logged.interrupted,
        orchestrator=before.orchestrator or logged.orchestrator,
        reason=more_precise_reason(before.reason, logged.reason),
        noticed_at=_earlier(before.noticed_at, logged.noticed_at),
        joined_at=_earlier(before.joined_at, logged.joined_at),
    )


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)
