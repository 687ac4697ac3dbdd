"""What the audit log tells about instances that AWS has forgotten."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bacalhau_spot.cli.state.audit_log import reader
from bacalhau_spot.cli.state.audit_log.reader import AuditRows, LogIndex
from bacalhau_spot.core.pricing.usage_history import LoggedInstance
from support.cli_runner import CliRunner

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATE = datetime(9000, 1, 1, tzinfo=UTC)


def at(minutes: int) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def row(event: str, minutes: int, *, cluster: str | None = "c", account: str = "1", **more: Any) -> str:
    whose = {} if cluster is None else {"cluster": cluster}
    return json.dumps({"event": event, "at": at(minutes), "account_id": account, **whose, **more})


def instance(name: str = "i-1", **more: Any) -> dict[str, Any]:
    return {"id": name, "region": "us-east-1", "zone": "us-east-1a", "type": "t3.medium", **more}


def audit_rows(path: Path, *, account_id: str, cluster: str, now: datetime = LATE) -> AuditRows:
    return LogIndex(path, account_id=account_id, cluster=cluster).content(now).rows


def read(tmp_path: Path, *lines: str) -> tuple[LoggedInstance, ...]:
    path = tmp_path / "audit.jsonl"
    path.write_text("\n".join(lines))
    return audit_rows(path, account_id="1", cluster="c").logged


def test_a_whole_life(tmp_path: Path) -> None:
    """Launched when AWS said so, seen by a create, ended by a nuke, which names no cluster."""
    (logged,) = read(
        tmp_path,
        row("instance-seen", 1, **instance(), phase="starting"),
        row("instance-seen", 2, **instance(), phase="running"),
        row("created", 3, instances=[instance(launched_at=at(0))], removed=[]),
        row("deleting", 90, cluster=None, kind="instance", id="i-1", region="us-east-1"),
        row("deleting", 91, cluster=None, kind="instance", id="i-1", region="us-east-1"),
    )
    assert (logged.started_at, logged.ended_at) == (NOON, NOON + timedelta(minutes=90))
    assert (logged.region, logged.zone, logged.type) == ("us-east-1", "us-east-1a", "t3.medium")


def test_an_end_that_nobody_noted(tmp_path: Path) -> None:
    (logged,) = read(tmp_path, row("instance-seen", 5, **instance(), phase="running"))
    assert (logged.ended_at, logged.seen_at) == (None, NOON + timedelta(minutes=5))


def test_taken_back_while_create_watched(tmp_path: Path) -> None:
    why = "Server.SpotInstanceTermination"
    (logged,) = read(tmp_path, row("instance-seen", 5, **instance(), phase="lost", reason=why))
    assert logged.interrupted and logged.ended_at == NOON + timedelta(minutes=5)


def test_removed_by_a_create(tmp_path: Path) -> None:
    (logged,) = read(
        tmp_path,
        row("created", 1, instances=[instance(launched_at=at(0))], removed=[]),
        row("created", 30, instances=[], removed=["i-1"]),
    )
    assert logged.ended_at == NOON + timedelta(minutes=30)


def test_others_are_not_ours(tmp_path: Path) -> None:
    """Another cluster's, another account's, and things that are no instances."""
    instances = read(
        tmp_path,
        row("instance-seen", 1, cluster="other", **instance("i-2"), phase="running"),
        row("instance-seen", 1, account="2", **instance("i-3"), phase="running"),
        row("instance-seen", 1, **instance(), phase="running"),
        row("deleting", 2, kind="vpc", id="i-1", region="us-east-1"),
    )
    assert [(logged.id, logged.ended_at) for logged in instances] == [("i-1", None)]


def test_a_log_that_was_cut_short_or_is_not_there(tmp_path: Path) -> None:
    line = row("instance-seen", 1, **instance(), phase="running")
    assert len(read(tmp_path, line, "{", "null", "[]", '{"event": "deleting"}', line[:40])) == 1
    assert audit_rows(tmp_path / "none", account_id="1", cluster="c").logged == ()


_SEEN = {"event": "instance-seen", "account_id": "1", "cluster": "c", "phase": "running", **instance()}
_LIVED = {"event": "usage-ended", "account_id": "1", "cluster": "c", "at": at(3), **instance()}
HOSTILE = {
    "nested deeply": "[" * 100_000,
    "an object nested deeply": '{"event": "created", "at": "' + at(1) + '", "instances": ' + "[" * 100_000,
    "a number of too many digits": '{"event": ' + "9" * 5000 + "}",
    "no object": "17",
    "no event": json.dumps({"at": at(1)}),
    "an event of the wrong kind": json.dumps({**_SEEN, "at": at(1), "event": ["deleting"]}),
    "a naive time": json.dumps({**_SEEN, "at": "2026-11-25T12:00:00"}),
    "a time far ahead": json.dumps({**_SEEN, "at": "9999-12-31T23:59:59+00:00"}),
    "a time far back": json.dumps({**_SEEN, "at": "0001-01-01T00:00:00+00:00"}),
    "a time that overflows": json.dumps({**_SEEN, "at": "0001-01-01T00:00:00+23:59"}),
    "a number for a time": json.dumps({**_SEEN, "at": 5}),
    "an id of the wrong kind": json.dumps({**_SEEN, "at": at(1), "id": ["i-1"]}),
    "an id of a megabyte": json.dumps({**_SEEN, "at": at(1), "id": "i" * 1_000_000}),
    "no type": json.dumps({**_SEEN, "at": at(1), "type": None}),
    "a life without an end": json.dumps({**_LIVED, "started_at": at(0), "ended_at": None}),
    "a life that ends before it begins": json.dumps({**_LIVED, "started_at": at(2), "ended_at": at(1)}),
    "a join before the launch": row("node-joined", 5, **instance(), started_at=at(2), happened_at=at(1)),
    "a notice without a time": row("interruption-notice", 5, **instance(), started_at=at(2)),
    "a reason of the wrong kind": json.dumps({**_LIVED, "started_at": at(0), "ended_at": at(1), "reason": 5}),
    "instances of the wrong kind": row("created", 1, instances=5),
    "an instance of the wrong kind": row("created", 1, instances=["i-1"]),
    "removed of the wrong kind": row("created", 1, instances=[], removed={"a": 1}["a"]),
    "a removed one of the wrong kind": row("created", 1, instances=[], removed=[{}]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_row_that_is_none_of_ours_is_skipped_and_counted(tmp_path: Path, name: str) -> None:
    """T6: 6 of 11 hostile rows stopped `cost`, against the file's own promise."""
    path = tmp_path / "audit.jsonl"
    good = row("instance-seen", 1, **instance("i-2"), phase="running")
    path.write_text(f"{good}\n{HOSTILE[name]}\n")
    rows = audit_rows(path, account_id="1", cluster="c", now=NOON)
    assert ([logged.id for logged in rows.logged], rows.skipped) == (["i-2"], 1)


def test_a_log_that_cannot_be_read_is_a_trouble_and_no_end(tmp_path: Path) -> None:
    """T5: a folder, or a pipe, in the log's place."""
    assert "it is a folder" in audit_rows(tmp_path, account_id="1", cluster="c").trouble


def node(**more: Any) -> dict[str, Any]:
    return {**instance(), "started_at": at(0), **more}


def test_joins_and_notices(tmp_path: Path) -> None:
    """Of a node that another machine launched, too; the earliest of several, and an end is not undone."""
    (logged,) = read(
        tmp_path,
        row("node-joined", 10, **node(happened_at=at(2))),
        row("node-joined", 40, **node(happened_at=at(39))),
        row("interruption-notice", 41, **node(happened_at=at(40))),
        row(
            "usage-ended",
            45,
            **node(ended_at=at(42), interrupted=True, reason="Server.SpotInstanceTermination"),
        ),
        row(
            "usage-ended",
            50,
            **node(ended_at=at(43), interrupted=True, reason="instance-terminated-no-capacity"),
        ),
        row("node-joined", 60, **node(happened_at=at(39))),
    )
    assert (logged.started_at, logged.joined_at, logged.noticed_at, logged.ended_at) == (
        NOON,
        NOON + timedelta(minutes=2),
        NOON + timedelta(minutes=40),
        NOON + timedelta(minutes=42),
    )
    assert (logged.interrupted, logged.reason) == (True, "instance-terminated-no-capacity")


def test_rows_of_earlier_versions_have_no_reason(tmp_path: Path) -> None:
    (logged,) = read(tmp_path, row("usage-ended", 45, **node(ended_at=at(42), interrupted=True)))
    assert (logged.interrupted, logged.reason, logged.joined_at) == (True, "", None)


@pytest.mark.parametrize(("count", "words"), [(1, "one row of"), (2, "2 rows of")])
def test_rows_that_cannot_be_read_are_counted_in_words(program: CliRunner, count: int, words: str) -> None:
    program.configure(nodes=1, regions="[us-west-1]")
    assert program("create", "--yes").code == 0
    (log,) = program.folder.rglob("audit.jsonl")
    log.write_text("{\n" * count + log.read_text())
    verb = "is" if count == 1 else "are"
    result = program("cost")
    assert f"{words} the audit log {log} cannot be read and {verb} ignored" in result.stderr


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rows that were parsed."""
    rows: list[str] = []

    def loads(text: str) -> Any:
        rows.append(text)
        return json.loads(text)

    monkeypatch.setattr(reader, "json", SimpleNamespace(loads=loads))
    return rows


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    path.write_text(
        "".join(f"{row('instance-seen', 1, **instance(f'i-{n}'), phase='running')}\n" for n in range(9))
    )
    return path


def ids(index: LogIndex, minutes: int = 60) -> tuple[list[str], int]:
    """Of the instances, and the number of skipped rows."""
    rows = index.content(NOON + timedelta(minutes=minutes)).rows
    return [logged.id for logged in rows.logged], rows.skipped


def test_a_log_to_which_rows_were_appended_is_read_on(log: Path, parsed: list[str]) -> None:
    """Each row is parsed once, although a command asks several times, and writes rows between."""
    index = LogIndex(log, account_id="1", cluster="c")
    assert ids(index) == ids(index)
    with log.open("a") as file:
        file.write(f"{row('instance-seen', 1, **instance('i-new'), phase='running')}\n{{\n")
    names, skipped = ids(index, 61)
    assert (len(names), "i-new" in names, skipped) == (10, True, 1)
    assert ids(index, 62) == (names, 1)
    assert len(parsed) == 9 + 2


@pytest.mark.parametrize("change", ["replaced", "rewritten", "shortened", "removed", "a row was completed"])
def test_a_log_that_changed_otherwise_is_read_again(log: Path, change: str) -> None:
    index = LogIndex(log, account_id="1", cluster="c")
    whole = log.read_text()
    last = row("instance-seen", 1, **instance("i-last"), phase="running")
    if change == "a row was completed":
        log.write_text(whole + last[:40])
        assert ids(index)[1] == 1
    assert len(ids(index)[0]) == 9
    match change:
        case "replaced":
            (log.parent / "new").write_text(whole + last + "\n")
            (log.parent / "new").replace(log)
        case "rewritten":
            log.write_text(whole.replace("i-8", "i-7") + last + "\n")
        case "shortened":
            log.write_text(last + "\n")
        case "removed":
            log.unlink()
        case _:
            log.write_text(whole + last + "\n")
    assert ids(index) == ids(LogIndex(log, account_id="1", cluster="c"))
    assert ("i-last" in ids(index)[0]) == (change != "removed")


def test_a_row_that_was_in_the_future_is_read_when_its_time_has_come(log: Path) -> None:
    """A machine's clock was wrong."""
    with log.open("a") as file:
        file.write(f"{row('instance-seen', 3000, **instance('i-late'), phase='running')}\n")
    index = LogIndex(log, account_id="1", cluster="c")
    assert ids(index, 0)[1] == 1
    assert "i-late" in ids(index, 3000)[0]
    assert ids(index, 0)[1] == 1  # and the clock was set back


def test_the_rows_of_a_long_log_are_not_kept(tmp_path: Path) -> None:
    """217 MB took 1.5 GB: the bytes, the text, its lines."""
    path = tmp_path / "audit.jsonl"
    line = row("instance-seen", 1, **instance(), phase="running")
    path.write_text(f"{line}\n" * 20_000)
    tracemalloc.start()
    try:
        rows = audit_rows(path, account_id="1", cluster="c")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(rows.logged), rows.skipped) == (1, 0)
    assert path.stat().st_size > 3_000_000 > 10 * peak


@pytest.mark.parametrize("command", ["list", "history", "cost", "status", "clusters"])
def test_a_command_parses_each_row_once(program: CliRunner, parsed: list[str], command: str) -> None:
    program.configure(nodes=1, regions="[us-west-1]")
    assert program("create", "--yes").code == 0
    (log,) = program.folder.rglob("audit.jsonl")
    parsed.clear()
    assert program(command).code in {0, 1}
    count = len(log.read_text().splitlines())
    assert 0 < len(parsed) <= count
    assert len(set(parsed)) == len(parsed)
