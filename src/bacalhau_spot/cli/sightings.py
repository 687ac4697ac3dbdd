"""What the audit log of this machine knows of a cluster's instances, for `cost`: AWS forgets an ended one in an hour.

A `create` notes each instance that it sees and, when it is done, when AWS launched it; `destroy`, `nuke` and
`create --allow-removal` note when they had it ended; `cost`, `status` and `list` the ended ones that they were shown.
Lines that cannot be read are passed over: the log may have been cut short, and nothing is decided by it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bacalhau_spot.core.lives import Sighting
from bacalhau_spot.core.teardown import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Row = dict[str, Any]

_TAKEN_BACK = "Server.Spot"
# The commands that terminate instances.
_DELETE = frozenset({"create", "destroy", "nuke"})


def sightings(path: Path, *, account_id: str, cluster: str) -> tuple[Sighting, ...]:
    """One for each instance of the cluster in that account that was ever noted, by id."""
    found: dict[str, Sighting] = {}
    for row in _rows(path):
        if row.get("account_id") != account_id:
            continue
        # Whoever ended it need not have named the cluster: `nuke` takes them all.
        for one in _seen(row) if row.get("cluster") == cluster else ():
            found[one.id] = _joined(found.get(one.id), one)
        for instance_id in _ended(row):
            if instance_id in found and found[instance_id].ended is None:
                moment = _moment(row)
                found[instance_id] = replace(found[instance_id], ended=moment, seen=moment)
    return tuple(found[name] for name in sorted(found))


def terminations(path: Path, *, account_id: str) -> dict[str, str]:
    """By instance, the command of this machine that had it terminated in that account."""
    commands: dict[str, str] = {}
    found: dict[str, str] = {}
    for row in _rows(path):
        if row.get("account_id") != account_id:
            continue
        run, argv = str(row.get("run")), row.get("argv")
        if row["event"] == "begun" and isinstance(argv, list) and argv:
            commands[run] = str(argv[0])
        for instance_id in _ended(row):
            found[instance_id] = commands.get(run, "")
    return {name: command for name, command in found.items() if command in _DELETE}


def _rows(path: Path) -> Iterator[Row]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            row = json.loads(line)
            _moment(row), row["event"]
        except (ValueError, KeyError, TypeError):
            continue
        yield row


def _moment(row: Row) -> datetime:
    return datetime.fromisoformat(row["at"])


def _seen(row: Row) -> Iterator[Sighting]:
    moment = _moment(row)
    if row["event"] == "instance-seen":
        lost = str(row.get("why") or "").startswith(_TAKEN_BACK)
        over = row.get("phase") in {"ended", "lost"}
        yield _sighting(row, begun=moment, seen=moment, ended=moment if over else None, taken_back=lost)
    if row["event"] == "lived":
        begun, ended = datetime.fromisoformat(row["begun"]), datetime.fromisoformat(row["ended"])
        yield _sighting(row, begun=begun, seen=ended, ended=ended, taken_back=bool(row.get("taken_back")))
    if row["event"] == "created":
        for one in row.get("instances", ()):
            yield _sighting(one, begun=datetime.fromisoformat(one["launched_at"]), seen=moment)


def _sighting(
    row: Row, *, begun: datetime, seen: datetime, ended: datetime | None = None, taken_back: bool = False
) -> Sighting:
    return Sighting(
        id=str(row["id"]),
        region=str(row["region"]),
        zone=str(row["zone"]),
        type=str(row["type"]),
        begun=begun,
        seen=seen,
        ended=ended,
        taken_back=taken_back,
    )


def _joined(before: Sighting | None, one: Sighting) -> Sighting:
    """AWS's launch time is earlier than any moment at which we saw it."""
    if before is None:
        return one
    return replace(
        one,
        begun=min(before.begun, one.begun),
        ended=before.ended or one.ended,
        taken_back=before.taken_back or one.taken_back,
    )


def _ended(row: Row) -> tuple[str, ...]:
    # Those that end with their fleet are not deleted themselves: they are gone, some seconds after they ceased to be paid for.
    if row["event"] in {"deleting", "deleted"} and row.get("kind") == Kind.INSTANCE:
        return (str(row["id"]),)
    if row["event"] == "created":
        return tuple(map(str, row.get("removed", ())))
    return ()
