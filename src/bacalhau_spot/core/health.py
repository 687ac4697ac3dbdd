"""What is the matter with a node: one verdict from all the evidence. A table.

Rules:
1. The first row that fits decides. The last one fits always, so there is always exactly one verdict.
2. What has ended is judged by AWS alone; what AWS takes back is told before everything else about it.
3. The orchestrator's word counts more than the console's: Bacalhau goes on trying after first boot has given up.
4. What is only late is bad; what is not late yet is waited for. The deadlines are the configuration's `timeouts`, counted
   from the launch, because EC2 does not tell since when an instance runs.
5. What cannot be known is said to be unknown, never taken for good or bad.

Sources: EC2 user guide, "Spot request status codes" and "Status checks"; EC2 API reference, StateReason; Bacalhau 1.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.console import WAITING
from bacalhau_spot.core.evidence import Asked, Evidence
from bacalhau_spot.core.members import Membership
from bacalhau_spot.core.model import State
from bacalhau_spot.core.reasons import AWS_DID_IT, ENDED_BY, FAILED, MARKED, SPOT_REASONS, TAKEN_BACK, refused

if TYPE_CHECKING:
    from collections.abc import Callable


class Severity(StrEnum):
    """What a verdict means for the cluster."""

    GOOD = "good"
    WAITING = "waiting"  # on its way, and not late
    UNKNOWN = "unknown"  # it runs; more cannot be known
    BAD = "bad"  # somebody has to do something
    GONE = "gone"  # it is no node any more


class Kind(StrEnum):
    """The verdicts."""

    STRAY = "stray"
    ORPHAN = "orphan"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    STOPPED = "stopped"
    ENDING = "ending"
    ENDED = "ended"
    NOTICED = "interruption-notice"
    STARTING = "starting"
    NOT_STARTING = "not-starting"
    IMPAIRED = "impaired"
    REJECTED = "rejected"
    DISCONNECTED = "disconnected"
    NOT_APPROVED = "not-approved"
    NO_DOCKER = "no-docker"
    JOINED = "joined"
    NEVER_JOINED = "never-joined"
    FAILED = "failed"
    UNLISTED = "unlisted"
    COMMANDS_FAILED = "commands-failed"
    CONSOLE_JOINED = "joined-by-console"
    BOOTING = "booting"
    STUCK = "stuck"
    SILENT = "silent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Told:
    """What a row's sentence is filled with. `hint` replaces the row's when the reason has one of its own."""

    what: str = ""
    why: str = ""
    time: timedelta | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One rule. `rule`: when it fits, in words. `says` and `hint` may hold the fields of Verdict.

    In `says`: {what}; {why} with a colon before it; {ago} and {span} as ` 4 min ago` and ` for 4 min`, {left} as `90 s`.
    In `hint`: {node}, {region}, {member}.
    """

    kind: Kind
    severity: Severity
    rule: str
    when: Callable[[Evidence], bool]
    says: str
    hint: str = ""
    tell: Callable[[Evidence], Told] = lambda _: Told()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is the matter, and what to do. ui/health.py makes the sentences."""

    kind: Kind
    severity: Severity
    says: str
    hint: str
    what: str = ""
    why: str = ""
    time: timedelta | None = None


# How long after EC2's notice the instance is taken (EC2 user guide, "Spot Instance interruption notices").
NOTICE = timedelta(seconds=120)
# The console and the orchestrator are not asked at the same moment: a node that joined in between is on its way.
_BETWEEN_LOOKS = timedelta(seconds=60)


def _ended(it: Evidence) -> bool:
    return it.instance is not None and not it.instance.alive


def _state(it: Evidence, *states: State) -> bool:
    return it.instance is not None and it.instance.state in states


def _taken(it: Evidence) -> bool:
    by_request = it.spot is not None and it.spot.code in TAKEN_BACK
    return _ended(it) and (by_request or (it.instance is not None and it.instance.why_ended in SPOT_REASONS))


def _lost(it: Evidence) -> bool:
    return _ended(it) and it.instance is not None and (it.instance.why_ended or "").startswith(AWS_DID_IT)


def _marked(it: Evidence) -> bool:
    by_node = it.boot is not None and it.boot.leaving is not None
    return it.alive and (by_node or (it.spot is not None and it.spot.code in MARKED))


def _member(it: Evidence, *memberships: Membership) -> bool:
    return it.member is not None and it.member.membership in (memberships or tuple(Membership))


def _docker_missing(it: Evidence) -> bool:
    if it.member is not None:
        return "docker" not in it.member.engines
    return _console_joined(it) and it.boot is not None and it.boot.no_docker


def _console_joined(it: Evidence) -> bool:
    """Nobody but the console can say so."""
    return it.asked is not Asked.ANSWERED and it.boot is not None and it.boot.joined


def _hopeless(it: Evidence) -> bool:
    """First boot gave up waiting, or what it waits for does not come by itself, or not any more."""
    if it.boot is None or it.boot.joined or not it.boot.refused:
        return it.boot is not None and it.boot.at_join
    known = refused(it.boot.refused)
    return it.boot.at_join or it.late_to_join or (known is not None and not known.passes)


def _on_its_way(it: Evidence) -> bool:
    if it.boot is not None and it.boot.joined:
        return it.boot.since is None or it.since(it.boot.since) <= _BETWEEN_LOOKS
    return not it.late_to_join


def _when_taken(it: Evidence) -> Told:
    why = TAKEN_BACK.get(it.spot.code, "") if it.spot else ""
    return Told(why=why, time=it.since(it.spot.since) if it.spot else None)


def _state_reason(it: Evidence) -> str:
    return (it.instance.why_ended or "") if it.instance else ""


def _who_ended(it: Evidence) -> Told:
    code = _state_reason(it)
    what = _by_us(it) or ENDED_BY.get(code, f"with {code}")
    return Told(what=what, time=it.since(it.ended_at) if it.ended_at else None)


def _by_us(it: Evidence) -> str:
    return f"by {it.terminated_by} on this machine" if it.terminated_by else ""


def _time_left(it: Evidence) -> Told:
    began = [it.spot.since] if it.spot and it.spot.code in MARKED else []
    began += [it.boot.leaving] if it.boot and it.boot.leaving else []
    return Told(time=max(timedelta(0), NOTICE - it.since(min(began))))


def _checks(it: Evidence) -> Told:
    return Told(why=" and ".join(it.checks.impaired))


def _gone_since(it: Evidence) -> Told:
    if it.member is None:
        return Told()
    since = it.member.since or it.member.last_heartbeat_at
    return Told(why=it.member.last_error, time=it.since(since) if since else None)


def _refusal(it: Evidence) -> Told:
    words = it.boot.refused if it.boot else ""
    known = refused(words)
    return Told(why=known.words if known else words, hint=known.hint if known else "", time=it.age)


def _failure(it: Evidence) -> Told:
    words = it.boot.failed if it.boot else ""
    known = refused(words, among=FAILED)
    return Told(why=known.words if known else words, hint=known.hint if known else "")


def _step(it: Evidence) -> Told:
    """Where first boot is. Why it waits is worth more than that it does."""
    if it.boot is None:
        return Told(what="its console could not be read", time=it.age)
    if not it.boot.step:
        return Told(what="nothing on its console yet", time=it.age)
    known = refused(it.boot.refused)
    what = (
        f"{WAITING}: {known.words if known else it.boot.refused}" if it.boot.step == WAITING else it.boot.step
    )
    if it.boot.joined:
        what = "joining"
    return Told(what=what, time=it.since(it.boot.since) if it.boot.since else None)


_TERMINATE = (
    "end it with `aws ec2 terminate-instances --region {region} --instance-ids {node}`; "
    "`bacalhau-spot create` replaces it"
)
_REPLACE = "`bacalhau-spot create` replaces it"
_READ = "`bacalhau-spot console {node}` shows what it said"
_LOOK = "`bacalhau-spot ssh {node} -- journalctl -u bacalhau -n 50` shows why"
_PRUNE = "`bacalhau-spot prune` removes it there"
_APPROVE = "on the orchestrator's machine, `bacalhau node approve {member}` lets it work"
_NAME_API = "`bacalhau-spot configure --set bacalhau.api.host=HOST` names who knows: HOST is the orchestrator's machine"

TABLE: tuple[Row, ...] = (
    Row(
        Kind.STRAY, Severity.BAD, "connected to the orchestrator as ours, and no instance is behind it",
        lambda it: it.instance is None and it.member is not None and it.member.connected,
        "connected as a node of this cluster, but no instance is behind it",
        "AWS may show it in a minute; or it is of another account, under the same name; or somebody has the token: change it",
    ),
    Row(
        Kind.ORPHAN, Severity.GONE, "known to the orchestrator alone",
        lambda it: it.instance is None,
        "orphan in the orchestrator{span}: its instance is gone", _PRUNE,
        lambda it: Told(time=_gone_since(it).time),
    ),
    Row(
        Kind.INTERRUPTED, Severity.GONE, "ended, and the spot request or the instance says that AWS took it back",
        _taken, "interrupted by AWS{ago}{why}", _REPLACE, _when_taken,
    ),
    Row(
        Kind.LOST, Severity.GONE, "ended, and AWS's reason begins with `Server.`",
        _lost, "lost by AWS{ago}{why}", _REPLACE,
        lambda it: Told(why=_state_reason(it), time=_when_taken(it).time),
    ),
    Row(
        Kind.STOPPED, Severity.BAD, "stopped or stopping",
        lambda it: _state(it, State.STOPPED, State.STOPPING),
        "stopped: it does no work, and its disk costs money", _TERMINATE,
    ),
    Row(
        Kind.ENDING, Severity.GONE, "shutting down for any other reason",
        lambda it: _state(it, State.SHUTTING_DOWN), "shutting down{why}", "",
        lambda it: Told(why=f"terminated {_by_us(it)}" if it.terminated_by else ""),
    ),
    Row(
        Kind.ENDED, Severity.GONE, "terminated for any other reason",
        _ended, "terminated {what}{ago}", _REPLACE, _who_ended,
    ),
    Row(
        Kind.NOTICED, Severity.BAD, "the spot request is marked for termination, or the node says so on its console",
        _marked, "interruption notice: ends in {left}",
        "its work moves by itself; `bacalhau-spot create` replaces it when it has gone", _time_left,
    ),
    Row(
        Kind.STARTING, Severity.WAITING, "pending, not longer than `fulfilment_s`",
        lambda it: _state(it, State.PENDING) and not it.late_to_run, "starting{span}", "", lambda it: Told(time=it.age),
    ),
    Row(
        Kind.NOT_STARTING, Severity.BAD, "pending for longer",
        lambda it: _state(it, State.PENDING), "not starting{span}", _TERMINATE, lambda it: Told(time=it.age),
    ),
    Row(
        Kind.IMPAIRED, Severity.BAD, "a status check of EC2's is impaired",
        lambda it: bool(it.checks.impaired), "status check impaired{why}", _TERMINATE, _checks,
    ),
    Row(
        Kind.REJECTED, Severity.BAD, "the orchestrator has rejected it",
        lambda it: _member(it, Membership.REJECTED), "rejected by the orchestrator",
        _APPROVE,
    ),
    Row(
        Kind.DISCONNECTED, Severity.BAD, "the orchestrator knows it, and it is not connected",
        lambda it: it.member is not None and not it.member.connected,
        "disconnected from the orchestrator{span}{why}", _LOOK, _gone_since,
    ),
    Row(
        Kind.NOT_APPROVED, Severity.BAD, "connected, and the orchestrator waits for an approval",
        lambda it: _member(it, Membership.PENDING), "joined, not approved", _APPROVE,
    ),
    Row(
        Kind.NO_DOCKER, Severity.BAD, "joined, and does not offer the engine `docker`",
        _docker_missing, "joined without docker engine",
        "`bacalhau-spot ssh {node} -- sudo systemctl restart docker bacalhau` makes Bacalhau look again",
    ),
    Row(
        Kind.JOINED, Severity.GOOD, "connected, approved, with docker",
        lambda it: it.member is not None, "joined",
    ),
    Row(
        Kind.NEVER_JOINED, Severity.BAD,
        "not in the orchestrator; its console says why it cannot connect, and that does not pass by itself or it is late",
        _hopeless, "running but never joined{why}", _LOOK, _refusal,
    ),
    Row(
        Kind.FAILED, Severity.BAD, "not in the orchestrator; its console says that first boot failed",
        lambda it: it.boot is not None and bool(it.boot.failed), "failed at first boot{why}",
        f"{_READ}; {_TERMINATE}", _failure,
    ),
    Row(
        Kind.UNLISTED, Severity.BAD, "its console says that it joined, and the orchestrator does not list it",
        lambda it: it.asked is Asked.ANSWERED and it.boot is not None and it.boot.joined and not _on_its_way(it),
        "joined{ago}, as its console says, but the orchestrator does not list it",
        "compare `bacalhau.api.host` with `bacalhau.orchestrators`: they may be two", _step,
    ),
    Row(
        Kind.COMMANDS_FAILED, Severity.BAD, "nobody but the console knows, which says: joined, commands failed",
        lambda it: _console_joined(it) and it.boot is not None and bool(it.boot.commands_failed),
        "joined, by its console, but{what}", _READ,
        lambda it: Told(what=f" {it.boot.commands_failed.partition(';')[0]}" if it.boot else ""),
    ),
    Row(
        Kind.CONSOLE_JOINED, Severity.GOOD, "nobody but the console knows, which says: joined",
        _console_joined, "joined{ago}, by its console", "", _step,
    ),
    Row(
        Kind.BOOTING, Severity.WAITING, "running, not joined, not longer than `join_s` since its launch",
        lambda it: it.running and _on_its_way(it), "booting: {what}", "", _step,
    ),
    Row(
        Kind.STUCK, Severity.BAD, "running, not joined, late; its console says where it is",
        lambda it: it.boot is not None and bool(it.boot.step), "stuck in {what}{span}", _READ, _step,
    ),
    Row(
        Kind.SILENT, Severity.BAD, "running, not joined, late; its console says nothing, or cannot be read",
        lambda it: it.asked is Asked.ANSWERED, "running{span} and never joined; its console {what}",
        f"{_READ}; {_TERMINATE}", lambda it: Told(what="could not be read" if it.boot is None else "says nothing", time=it.age),
    ),
    Row(
        Kind.UNKNOWN, Severity.UNKNOWN, "running; neither the orchestrator nor the console says anything",
        lambda _: True, "running{span}; whether it has joined cannot be known",
        _NAME_API, lambda it: Told(time=it.age),
    ),
)  # fmt: skip


def diagnose(it: Evidence) -> Verdict:
    """The one verdict on this node."""
    row = next(row for row in TABLE if row.when(it))
    told = row.tell(it)
    return Verdict(
        kind=row.kind,
        severity=row.severity,
        says=row.says,
        hint=_filled(told.hint or row.hint, it),
        what=told.what,
        why=told.why,
        time=told.time,
    )


def _filled(hint: str, it: Evidence) -> str:
    return hint.format(
        node=it.id,
        region=it.instance.region if it.instance else "",
        member=it.member.id if it.member else "",
    )
