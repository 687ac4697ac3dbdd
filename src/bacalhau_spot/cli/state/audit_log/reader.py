"""Reads this machine's audit log, for `cost` and `history`, because AWS lists a terminated instance for only an hour.

`create` records each instance that it observes and, at its end, AWS's launch times and the nodes that joined. `destroy`,
`nuke`, `remove`, `replace`, `scale`, `reconcile` and `create --allow-removal` record the terminations that they request.
`create`, `cost`, `history`, `status` and `list` record terminated instances that AWS lists; `status` and `history` also joins
and interruption notices. Rows that cannot be read are skipped and counted: the log may be truncated.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
_MALFORMED: Final = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


class AuditRows(NamedTuple):
    """The log's records of a cluster. `skipped`: the number of unreadable rows. `trouble`: why the file cannot be read."""

    logged: tuple[LoggedInstance, ...] = ()
    skipped: int = 0
    trouble: str = ""


def audit_rows(path: Path, *, account_id: str, cluster: str, now: datetime = _LATEST) -> AuditRows:
    """One record for each instance of the cluster in that account, by id.

    Rows later than `now`, or not in the log's format, are skipped and counted.
    """
    try:
        lines = files.read(path, max_bytes=_MAX_BYTES).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return AuditRows()
    except OSError as error:
        return AuditRows(trouble=f"the audit log {path} cannot be read: {error.strerror or error}")
    by_id: dict[str, LoggedInstance] = {}
    skipped = 0
    for line in filter(str.strip, lines):
        try:
            row = _Row(json.loads(line), until=now + _CLOCK_SKEW)
            seen, ended = row.seen(), row.ended()
        except _MALFORMED:
            skipped += 1
            continue
        if row.data.get("account_id") == account_id:
            _add(by_id, seen if row.data.get("cluster") == cluster else (), ended, row.moment)
    return AuditRows(tuple(by_id[name] for name in sorted(by_id)), skipped)


def terminations(path: Path, *, account_id: str) -> dict[str, str]:
    """For each instance in that account, the command of this machine that terminated it."""
    commands: dict[str, str] = {}
    by_id: dict[str, str] = {}
    for row in _readable(path):
        if row.data.get("account_id") != account_id:
            continue
        run = str(row.data.get("run"))
        if row.event == "command-started":
            commands[run] = _command(row.data)
        for instance_id in row.ended():
            by_id[instance_id] = commands.get(run, "")
    return {name: command for name, command in by_id.items() if command in _DELETE}


def pass_rows(path: Path, *, account_id: str, cluster: str) -> tuple[LogRow, ...]:
    """The rows of the cluster's passes of `reconcile` on this machine that had something to change, the oldest first."""
    return tuple(
        row.data
        for row in _readable(path)
        if row.event == "reconciled"
        and row.data.get("account_id") == account_id
        and row.data.get("cluster") == cluster
    )


def create_identities(path: Path, *, account_id: str) -> dict[str, str]:
    """For each cluster in that account, the ARN of the identity that last ran `create` on this machine."""
    arns: dict[str, str] = {}
    for row in _readable(path):
        cluster, arn = row.data.get("cluster"), row.data.get("arn")
        if (
            row.data.get("account_id") == account_id
            and row.event == "command-started"
            and _command(row.data) == "create"
            and isinstance(cluster, str)
            and isinstance(arn, str)
        ):
            arns[cluster] = arn
    return arns


def _command(started: LogRow) -> str:
    """Rows of earlier versions have it only as the first word of the command line."""
    argv = started.get("argv")
    return str(started.get("command") or (argv[0] if isinstance(argv, list) and argv else ""))


def _readable(path: Path) -> Iterator[_Row]:
    """The rows in the log's format; none if the file cannot be read."""
    try:
        lines = files.read(path, max_bytes=_MAX_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in filter(str.strip, lines):
        try:
            row = _Row(json.loads(line), until=_LATEST)
            row.ended()
        except _MALFORMED:
            continue
        yield row


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

    def __init__(self, data: LogRow, *, until: datetime) -> None:
        self.data = data
        self._until = until
        self.event = _text(data["event"])
        self.moment = self._time(data["at"])

    def _time(self, text: object) -> datetime:
        """With a time zone, after the start of EC2, and not in the future."""
        moment = datetime.fromisoformat(_text(text))
        if moment.tzinfo is None or not _EARLIEST <= moment <= self._until:
            raise ValueError(text)
        return moment

    def seen(self) -> tuple[LoggedInstance, ...]:
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
        region=_text(row["region"]),
        zone=_text(row["zone"]),
        type=_text(row["type"]),
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
    return replace(
        logged,
        started_at=min(before.started_at, logged.started_at),
        ended_at=before.ended_at or logged.ended_at,
        interrupted=before.interrupted or logged.interrupted,
        orchestrator=before.orchestrator or logged.orchestrator,
        reason=more_precise_reason(before.reason, logged.reason),
        noticed_at=_earlier(before.noticed_at, logged.noticed_at),
        joined_at=_earlier(before.joined_at, logged.joined_at),
    )


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    return min((moment for moment in (first, second) if moment is not None), default=None)
