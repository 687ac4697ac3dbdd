"""The diagnosis of a node: one verdict from all the evidence, as a table.

Rules:
1. The first matching row decides. The last row always matches, so there is exactly one verdict.
2. Terminated instances are judged by AWS's data only; interruptions come before everything else.
3. The orchestrator's data takes precedence over the console's: Bacalhau keeps trying after first boot has given up.
4. A node within its deadline is waited for, a late one is bad. The deadlines are the configuration's `timeouts`,
   counted from the launch, because EC2 does not return the time at which an instance began to run.
5. Missing data is reported as unknown, never as good or bad.

Sources: EC2 user guide, "Spot request status codes" and "Status checks"; EC2 API reference, StateReason; Bacalhau 1.9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.health.boot_console import WAITING, WITHOUT_ORCHESTRATOR
from bacalhau_spot.core.health.observation import ApiAvailability, NodeObservation
from bacalhau_spot.core.health.termination_reasons import (
    ENDED_BY,
    ENDED_BY_AWS,
    INTERRUPTED,
    INTERRUPTION_NOTICE,
    SPOT_REASONS,
    join_failure,
)
from bacalhau_spot.core.launch.gpu_image import has_gpu
from bacalhau_spot.core.lifecycle.drain_result import MARGIN_S, drain_until, is_draining
from bacalhau_spot.core.lifecycle.expiry import expires_at, is_overdue
from bacalhau_spot.core.model import State
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Membership

if TYPE_CHECKING:
    from collections.abc import Callable


class Severity(StrEnum):
    """The effect of a diagnosis on the cluster's state."""

    GOOD = "good"
    WAITING = "waiting"  # it joins or leaves, and is not late
    UNKNOWN = "unknown"  # it runs; the rest is unknown
    BAD = "bad"  # needs an action by the user
    GONE = "gone"  # it is no node any more


class Diagnosis(StrEnum):
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
    DRAINING = "draining"
    DRAIN_OVERDUE = "drain-overdue"
    IMPAIRED = "impaired"
    OVERDUE = "past-its-expiry"
    REJECTED = "rejected"
    RECONNECTING = "reconnecting"
    DISCONNECTED = "disconnected"
    HEARTBEAT_OVERDUE = "heartbeat-overdue"
    NOT_APPROVED = "not-approved"
    NO_DOCKER = "no-docker"
    NO_GPU = "no-gpu"
    JOINED = "joined"
    ORCHESTRATOR_AWAY = "orchestrator-away"
    NEVER_JOINED = "never-joined"
    ALONE = "without-orchestrator"
    FAILED = "failed"
    UNLISTED = "unlisted"
    COMMANDS_FAILED = "commands-failed"
    CONSOLE_JOINED = "joined-by-console"
    BOOTING = "booting"
    STUCK = "stuck"
    SILENT = "silent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class MessageArgs:
    """The values for a row's template. `hint` replaces the row's hint where the reason has its own."""

    what: str = ""
    reason: str = ""
    time: timedelta | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class DiagnosisRule:
    """One rule. `description`: its condition in words. `template` and `hint` may have the fields of NodeDiagnosis.

    In `template`: {what}; {why} with a colon before it; {ago} and {span} as ` 4 min ago` and ` for 4 min`, {left} as
    `90 s` or `4 min`. In `hint`: {node}, {region}, {member}.
    """

    diagnosis: Diagnosis
    severity: Severity
    description: str
    when: Callable[[NodeObservation], bool]
    template: str
    hint: str = ""
    args: Callable[[NodeObservation], MessageArgs] = lambda _: MessageArgs()


@dataclass(frozen=True, slots=True)
class NodeDiagnosis:
    """The diagnosis and the fix. ui/diagnosis_text.py writes the sentences."""

    diagnosis: Diagnosis
    severity: Severity
    template: str
    hint: str
    what: str = ""
    reason: str = ""
    time: timedelta | None = None


# How long after EC2's notice the instance is taken (EC2 user guide, "Spot Instance interruption notices").
NOTICE = timedelta(seconds=120)
# The console and the orchestrator are not queried at the same moment: a node may join in between.
_POLL_TOLERANCE = timedelta(seconds=60)
# Three heartbeats of 15 s (Bacalhau 1.9, Compute.Heartbeat.Interval); the orchestrator disconnects the node after 60 to 80 s.
HEARTBEAT_OVERDUE = timedelta(seconds=45)
# The longest that Bacalhau 1.9 waits between two attempts is 2 min and a check of 10 s; a longer absence has another reason.
RECONNECT = timedelta(minutes=5)


def _is_terminated(obs: NodeObservation) -> bool:
    return obs.instance is not None and not obs.instance.alive


def _since_expiry(obs: NodeObservation) -> timedelta | None:
    at = expires_at([obs.instance]) if obs.instance else None
    return None if at is None else obs.since(at)


def _drain_overdue(obs: NodeObservation) -> bool:
    return _is_draining(obs) and _since_drain(obs) > timedelta(seconds=MARGIN_S)


def _is_draining(obs: NodeObservation) -> bool:
    return obs.instance is not None and is_draining(obs.instance)


def _since_drain(obs: NodeObservation) -> timedelta:
    """Since the end of the grace; negative before."""
    until = drain_until(obs.instance) if obs.instance else None
    return obs.now - (until or obs.now)


def _drain_left(obs: NodeObservation) -> MessageArgs:
    """Until the machine is off: the end of the jobs' time, and the stop of Bacalhau."""
    return MessageArgs(time=max(timedelta(0), timedelta(seconds=MARGIN_S) - _since_drain(obs)))


def _state(obs: NodeObservation, *states: State) -> bool:
    return obs.instance is not None and obs.instance.state in states


def _interrupted(obs: NodeObservation) -> bool:
    by_request = obs.spot is not None and obs.spot.code in INTERRUPTED
    return _is_terminated(obs) and (
        by_request or (obs.instance is not None and obs.instance.termination_reason in SPOT_REASONS)
    )


def _lost(obs: NodeObservation) -> bool:
    return (
        _is_terminated(obs)
        and obs.instance is not None
        and (obs.instance.termination_reason or "").startswith(ENDED_BY_AWS)
    )


def _interruption_noticed(obs: NodeObservation) -> bool:
    by_node = obs.boot is not None and obs.boot.interrupted_at is not None
    return obs.alive and (by_node or (obs.spot is not None and obs.spot.code in INTERRUPTION_NOTICE))


def _is_registered(obs: NodeObservation, *memberships: Membership) -> bool:
    return obs.member is not None and obs.member.membership in (memberships or tuple(Membership))


def _reconnecting(obs: NodeObservation) -> bool:
    """The orchestrator lists no reason, which is so after its restart only, and the node has had little time to return."""
    if obs.member is None or obs.member.connected or obs.member.last_error:
        return False
    return obs.orchestrator_age is not None and obs.orchestrator_age <= RECONNECT


def _heartbeat_overdue(obs: NodeObservation) -> bool:
    age = obs.heartbeat_age
    return obs.member is not None and obs.member.connected and age is not None and age > HEARTBEAT_OVERDUE


def _gpu_missing(obs: NodeObservation) -> bool:
    if obs.instance is None or not has_gpu(obs.instance.type):
        return False
    if obs.member is not None:
        return obs.member.total.gpus == 0
    return _console_joined(obs) and obs.boot is not None and obs.boot.no_gpu


def _waits_for_orchestrator(obs: NodeObservation) -> bool:
    """Not joined for a reason that the orchestrator's own absence explains."""
    if obs.api is not ApiAvailability.UNAVAILABLE or obs.boot is None or not _boot_failed(obs):
        return False
    known = join_failure(obs.boot.join_error)
    return known is not None and known.transient


def _docker_missing(obs: NodeObservation) -> bool:
    if obs.member is not None:
        return "docker" not in obs.member.engines
    return _console_joined(obs) and obs.boot is not None and obs.boot.no_docker


def _console_joined(obs: NodeObservation) -> bool:
    """Joined according to the console, where no other source has data."""
    return obs.api is not ApiAvailability.AVAILABLE and obs.boot is not None and obs.boot.joined


def _boot_failed(obs: NodeObservation) -> bool:
    """First boot gave up waiting, or waits for something that will not happen by itself."""
    if obs.boot is None or obs.boot.joined or not obs.boot.join_error:
        return obs.boot is not None and obs.boot.at_join
    known = join_failure(obs.boot.join_error)
    return obs.boot.at_join or obs.join_overdue or (known is not None and not known.transient)


def _is_starting(obs: NodeObservation) -> bool:
    if obs.boot is not None and obs.boot.joined:
        return obs.boot.step_at is None or obs.since(obs.boot.step_at) <= _POLL_TOLERANCE
    return not obs.join_overdue


def _interruption_args(obs: NodeObservation) -> MessageArgs:
    why = INTERRUPTED.get(obs.spot.code, "") if obs.spot else ""
    return MessageArgs(reason=why, time=obs.since(obs.spot.updated_at) if obs.spot else None)


def _state_reason(obs: NodeObservation) -> str:
    return (obs.instance.termination_reason or "") if obs.instance else ""


def _termination_args(obs: NodeObservation) -> MessageArgs:
    code = _state_reason(obs)
    what = _by_us(obs) or ENDED_BY.get(code, f"with {code}")
    return MessageArgs(what=what, time=obs.since(obs.ended_at) if obs.ended_at else None)


def _by_us(obs: NodeObservation) -> str:
    return f"by {obs.terminated_by} on this machine" if obs.terminated_by else ""


def _time_left(obs: NodeObservation) -> MessageArgs:
    began = [obs.spot.updated_at] if obs.spot and obs.spot.code in INTERRUPTION_NOTICE else []
    began += [obs.boot.interrupted_at] if obs.boot and obs.boot.interrupted_at else []
    return MessageArgs(time=max(timedelta(0), NOTICE - obs.since(min(began))))


def _checks(obs: NodeObservation) -> MessageArgs:
    return MessageArgs(reason=" and ".join(obs.checks.impaired))


def _terminated_since(obs: NodeObservation) -> MessageArgs:
    if obs.member is None:
        return MessageArgs()
    since = obs.member.since or obs.member.last_heartbeat_at
    if not obs.member.last_error and obs.orchestrator_age is not None:
        # The node has not returned after the orchestrator's restart: its connection manager may have stopped for good.
        return MessageArgs(time=obs.orchestrator_age, hint=_RESTART)
    return MessageArgs(reason=obs.member.last_error, time=obs.since(since) if since else None)


def _refusal(obs: NodeObservation) -> MessageArgs:
    words = obs.boot.join_error if obs.boot else ""
    known = join_failure(words)
    hint = known.hint if known else ""
    if known and obs.in_account and not known.by_orchestrator:
        hint = f"{_OPENED}{_EARLIER}" if known.transient else _EARLIER
    return MessageArgs(reason=known.words if known else words, hint=hint, time=obs.age)


def _unlisted(obs: NodeObservation) -> MessageArgs:
    return replace(_step(obs), hint=_EARLIER if obs.in_account else "")


def _failure(obs: NodeObservation) -> MessageArgs:
    return MessageArgs(reason=obs.boot.failed if obs.boot else "")


def _step(obs: NodeObservation) -> MessageArgs:
    """Where first boot is. Why it waits is worth more than that it does."""
    if obs.boot is None:
        return MessageArgs(what="its console could not be read", time=obs.age)
    if not obs.boot.step:
        return MessageArgs(what="nothing on its console yet", time=obs.age)
    known = join_failure(obs.boot.join_error)
    what = (
        f"{WAITING}: {known.words if known else obs.boot.join_error}"
        if obs.boot.step == WAITING
        else obs.boot.step
    )
    if obs.boot.joined:
        what = "joining"
    return MessageArgs(what=what, time=obs.since(obs.boot.step_at) if obs.boot.step_at else None)


_TERMINATE = (
    "terminate it with `aws ec2 terminate-instances --region {region} --instance-ids {node}`; "
    "`bacalhau-spot create` replaces it"
)
# No key of the configuration has the address of a managed orchestrator.
_EARLIER = (
    f"if it was launched for an earlier orchestrator, it has that one's address and token: {_TERMINATE}"
)
_OPENED = "`create` of the orchestrator's cluster opens its port 4222; "
_WHEN_IT_ANSWERS = "its state is known when the orchestrator answers"
_REPLACE = "`bacalhau-spot create` replaces it"
_JOBS = (
    "its batch and service jobs run again on other nodes; one without a queue timeout fails if no node is free "
    "(`bacalhau-spot explain jobs`)"
)
_READ = "`bacalhau-spot console {node}` shows its output"
_CHECK = "`bacalhau-spot ssh {node} -- journalctl -u bacalhau -n 50` shows why"
_RESTART = "`bacalhau-spot ssh {node} -- sudo systemctl restart bacalhau` connects it again"
_PRUNE = "`bacalhau-spot prune` removes it from the orchestrator"
_APPROVE = "approve it on the orchestrator's machine: `bacalhau node approve {member}`"
_NAME_API = "`bacalhau-spot configure --set bacalhau.api.host=HOST` lets `status` ask the orchestrator; HOST is its machine"

RULES: tuple[DiagnosisRule, ...] = (
    DiagnosisRule(
        Diagnosis.STRAY, Severity.BAD, "connected to the orchestrator with the cluster's label, without an instance",
        lambda obs: obs.instance is None and obs.member is not None and obs.member.connected,
        "connected as a node of this cluster, but has no instance",
        (
            "AWS may list the instance in a minute; otherwise the node belongs to another account with the same cluster "
            "name, or the token has leaked: change it"
        ),
    ),
    DiagnosisRule(
        Diagnosis.ORPHAN, Severity.GONE, "listed by the orchestrator only",
        lambda obs: obs.instance is None,
        "stale node in the orchestrator{span}: its instance is terminated", _PRUNE,
        lambda obs: MessageArgs(time=_terminated_since(obs).time),
    ),
    DiagnosisRule(
        Diagnosis.INTERRUPTED, Severity.GONE, "terminated, with an interruption code on the spot request or the instance",
        _interrupted, "interrupted by AWS{ago}{why}", f"{_REPLACE}; {_JOBS}", _interruption_args,
    ),
    DiagnosisRule(
        Diagnosis.LOST, Severity.GONE, "terminated, with a reason that begins with `Server.`",
        _lost, "lost by AWS{ago}{why}", _REPLACE,
        lambda obs: MessageArgs(reason=_state_reason(obs), time=_interruption_args(obs).time),
    ),
    DiagnosisRule(
        Diagnosis.STOPPED, Severity.BAD, "stopped or stopping",
        lambda obs: _state(obs, State.STOPPED, State.STOPPING),
        "stopped: it runs no jobs, and its disk still costs money", _TERMINATE,
    ),
    DiagnosisRule(
        Diagnosis.ENDING, Severity.GONE, "shutting down for any other reason",
        lambda obs: _state(obs, State.SHUTTING_DOWN), "shutting down{why}", "",
        lambda obs: MessageArgs(reason=f"terminated {_by_us(obs)}" if obs.terminated_by else ""),
    ),
    DiagnosisRule(
        Diagnosis.ENDED, Severity.GONE, "terminated for any other reason",
        _is_terminated, "terminated {what}{ago}", _REPLACE, _termination_args,
    ),
    DiagnosisRule(
        Diagnosis.NOTICED, Severity.BAD, "the spot request is marked for termination, or the node's console reports the notice",
        _interruption_noticed, "interruption notice: terminates in {left}",
        f"{_JOBS}; after its end, {_REPLACE}", _time_left,
    ),
    DiagnosisRule(
        Diagnosis.STARTING, Severity.WAITING, "pending, for no longer than `fulfilment_s`",
        lambda obs: _state(obs, State.PENDING) and not obs.start_overdue, "starting{span}", "",
        lambda obs: MessageArgs(time=obs.age),
    ),
    DiagnosisRule(
        Diagnosis.NOT_STARTING, Severity.BAD, "pending for longer",
        lambda obs: _state(obs, State.PENDING), "not starting{span}", _TERMINATE, lambda obs: MessageArgs(time=obs.age),
    ),
    DiagnosisRule(
        Diagnosis.DRAINING, Severity.WAITING, "it drains: its running jobs may end until the time of its tag",
        lambda obs: _is_draining(obs) and not _drain_overdue(obs), "draining: terminates in at most {left}", "", _drain_left,
    ),
    DiagnosisRule(
        Diagnosis.DRAIN_OVERDUE, Severity.BAD, "the time of its drain is over, and it still runs a minute later",
        _drain_overdue, "its drain ended{ago}, and it still runs", "`bacalhau-spot remove {node}` terminates it",
        lambda obs: MessageArgs(time=_since_drain(obs)),
    ),
    DiagnosisRule(
        Diagnosis.IMPAIRED, Severity.BAD, "an EC2 status check is impaired",
        lambda obs: bool(obs.checks.impaired), "status check impaired{why}", _TERMINATE, _checks,
    ),
    DiagnosisRule(
        Diagnosis.OVERDUE, Severity.BAD, "its lifetime is over, and it still runs ten minutes later",
        lambda obs: obs.instance is not None and is_overdue(obs.instance, now=obs.now), "past its expiry{span}",
        f"{_TERMINATE}; `bacalhau-spot destroy` removes the cluster, `bacalhau-spot extend 4h` moves its end",
        lambda obs: MessageArgs(time=_since_expiry(obs)),
    ),
    DiagnosisRule(
        Diagnosis.REJECTED, Severity.BAD, "the orchestrator has rejected it",
        lambda obs: _is_registered(obs, Membership.REJECTED), "rejected by the orchestrator",
        _APPROVE,
    ),
    DiagnosisRule(
        Diagnosis.RECONNECTING, Severity.WAITING,
        "not connected since a restart of the orchestrator, for no longer than five minutes",
        _reconnecting, "reconnecting: the orchestrator restarted{ago}", "", lambda obs: MessageArgs(time=obs.orchestrator_age),
    ),
    DiagnosisRule(
        Diagnosis.DISCONNECTED, Severity.BAD, "listed by the orchestrator, not connected",
        lambda obs: obs.member is not None and not obs.member.connected,
        "disconnected from the orchestrator{span}{why}", _CHECK, _terminated_since,
    ),
    DiagnosisRule(
        Diagnosis.HEARTBEAT_OVERDUE, Severity.BAD, "connected, and its last heartbeat is older than 45 s",
        _heartbeat_overdue, "no heartbeat{span}",
        f"the orchestrator disconnects it after a minute without one, and moves its jobs; {_CHECK}",
        lambda obs: MessageArgs(time=obs.heartbeat_age),
    ),
    DiagnosisRule(
        Diagnosis.NOT_APPROVED, Severity.BAD, "connected, waiting for approval on the orchestrator",
        lambda obs: _is_registered(obs, Membership.PENDING), "joined, not approved", _APPROVE,
    ),
    DiagnosisRule(
        Diagnosis.NO_DOCKER, Severity.BAD, "joined, and does not offer the engine `docker`",
        _docker_missing, "joined without docker engine",
        "`bacalhau-spot ssh {node} -- sudo systemctl restart docker bacalhau` makes Bacalhau detect it again",
    ),
    DiagnosisRule(
        Diagnosis.NO_GPU, Severity.BAD, "joined, of an instance type with a GPU, and offers none",
        _gpu_missing, "joined without GPU",
        (
            "`bacalhau-spot ssh {node} -- nvidia-smi` must list the GPU: set `image` to one with the GPU's driver and container "
            f"toolkit, then {_TERMINATE}"
        ),
    ),
    DiagnosisRule(
        Diagnosis.JOINED, Severity.GOOD, "connected, approved, with docker, and with the GPU of its type",
        lambda obs: obs.member is not None, "joined",
    ),
    DiagnosisRule(
        Diagnosis.ORCHESTRATOR_AWAY, Severity.UNKNOWN,
        "its console reports that it cannot reach the orchestrator, whose API does not answer either",
        _waits_for_orchestrator, "running{span}; waits for the orchestrator", "it joins when the orchestrator answers",
        lambda obs: MessageArgs(time=obs.age),
    ),
    DiagnosisRule(
        Diagnosis.NEVER_JOINED, Severity.BAD,
        "not in the orchestrator; its console reports a connection error that is permanent or lasts too long",
        _boot_failed, "running, never joined{why}", _CHECK, _refusal,
    ),
    DiagnosisRule(
        Diagnosis.ALONE, Severity.GOOD, "its console reports that it was launched without an orchestrator",
        lambda obs: obs.boot is not None and WITHOUT_ORCHESTRATOR in obs.boot.failed,
        "running{span} without an orchestrator, as chosen", "", lambda obs: MessageArgs(time=obs.age),
    ),
    DiagnosisRule(
        Diagnosis.FAILED, Severity.BAD, "not in the orchestrator; its console reports a failed first boot",
        lambda obs: obs.boot is not None and bool(obs.boot.failed), "failed at first boot{why}",
        f"{_READ}; {_TERMINATE}", _failure,
    ),
    DiagnosisRule(
        Diagnosis.UNLISTED, Severity.BAD, "its console reports that it joined, but the orchestrator does not list it",
        lambda obs: obs.api is ApiAvailability.AVAILABLE and obs.boot is not None and obs.boot.joined and not _is_starting(obs),
        "joined{ago} according to its console, but the orchestrator does not list it",
        "check that `bacalhau.api.host` and `bacalhau.orchestrators` are the same orchestrator", _unlisted,
    ),
    DiagnosisRule(
        Diagnosis.COMMANDS_FAILED, Severity.BAD, "joined according to its console, with failed commands",
        lambda obs: _console_joined(obs) and obs.boot is not None and bool(obs.boot.commands_failed),
        "joined (console), but{what}", _READ,
        lambda obs: MessageArgs(what=f" {obs.boot.commands_failed.partition(';')[0]}" if obs.boot else ""),
    ),
    DiagnosisRule(
        Diagnosis.CONSOLE_JOINED, Severity.GOOD, "joined according to its console only",
        _console_joined, "joined{ago} (console)", "", _step,
    ),
    DiagnosisRule(
        Diagnosis.BOOTING, Severity.WAITING, "running, not joined, for no longer than `join_s` since its launch",
        lambda obs: obs.running and _is_starting(obs), "booting: {what}", "", _step,
    ),
    DiagnosisRule(
        Diagnosis.STUCK, Severity.BAD, "running, not joined in time; its console shows the current step",
        lambda obs: obs.boot is not None and bool(obs.boot.step), "stuck in {what}{span}", _READ, _step,
    ),
    DiagnosisRule(
        Diagnosis.SILENT, Severity.BAD, "running, not joined in time; its console is empty or cannot be read",
        lambda obs: obs.api is ApiAvailability.AVAILABLE, "running{span}, never joined; its console {what}",
        f"{_READ}; {_TERMINATE}", lambda obs: MessageArgs(what="could not be read" if obs.boot is None else "is empty", time=obs.age),  # noqa: E501 - a row of a table
    ),
    DiagnosisRule(
        Diagnosis.UNKNOWN, Severity.UNKNOWN, "running; neither the orchestrator nor the console has a status",
        lambda _: True, "running{span}; join status unknown",
        _NAME_API, lambda obs: MessageArgs(time=obs.age, hint=_WHEN_IT_ANSWERS if obs.in_account else ""),
    ),
)  # fmt: skip


def diagnose(obs: NodeObservation) -> NodeDiagnosis:
    """The one verdict on this node."""
    row = next(row for row in RULES if row.when(obs))
    args = row.args(obs)
    return NodeDiagnosis(
        diagnosis=row.diagnosis,
        severity=row.severity,
        template=row.template,
        hint=_filled_hint(args.hint or row.hint, obs),
        what=args.what,
        reason=args.reason,
        time=args.time,
    )


def _filled_hint(hint: str, obs: NodeObservation) -> str:
    return hint.format(
        node=obs.id,
        region=obs.instance.region if obs.instance else "",
        member=obs.member.id if obs.member else "",
    )
