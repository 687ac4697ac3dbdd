"""The orchestrator's jobs: submission, scheduling on nodes, executions, and their history, by the sandbox's clock.

Bacalhau 1.9, pkg/orchestrator/scheduler and pkg/models: words, states and JSON are those of the real program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from aws_spot_sandbox_bacalhau import job_spec, serializers

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from aws_spot_sandbox.state import World
    from aws_spot_sandbox_bacalhau.job_spec import Candidate

# States of an execution, as the API numbers them (models.ExecutionStateType), and the desired states
NEW, RUNNING, BATCH_RUNNING, COMPLETED, FAILED, CANCELLED = 1, 6, 5, 9, 10, 11
_DESIRED_RUNNING, _DESIRED_STOPPED = 1, 2
_LIVE = (NEW, RUNNING, BATCH_RUNNING)
PENDING, QUEUED, ACTIVE, DONE, BROKEN, STOPPED = (
    "Pending", "Queued", "Running", "Completed", "Failed", "Stopped",
)  # fmt: skip
TERMINAL = (DONE, BROKEN, STOPPED)
_TRIES_PER_NODE = 2
_DISAPPEARED = "Execution stop requested because node has disappeared"
_STOPPED = "Execution stop requested because job has been stopped"
_RERUN = "Execution stopped for job update"
_JOB_FAILED = "Execution stopped due to job failure"
_SOME_FAILED = "Job failed because one or more executions failed"


@dataclass(frozen=True)
class Loss:
    """A node stopped working at `at`; its work is scheduled again at `again_at`."""

    at: float
    again_at: float


@dataclass
class Execution:
    id: str
    node: str
    began: float
    ends_at: float  # infinite for services
    eval_id: str
    previous: str = ""
    state: int = BATCH_RUNNING
    desired: int = _DESIRED_RUNNING
    message: str = ""
    ended_at: float | None = None
    again_at: float = 0.0  # when a replacement may start
    next: str = ""
    published: dict[str, Any] = field(default_factory=lambda: {"Type": ""})
    output: str = ""
    files: dict[str, str] = field(default_factory=dict)  # of the result, by path
    version: int = 1  # of the job

    @property
    def live(self) -> bool:
        return self.state in _LIVE


@dataclass
class Job:
    id: str
    spec: dict[str, Any]
    created: float
    eval_id: str
    state: str = PENDING
    message: str = ""
    revision: int = 1
    modified: float = 0.0
    executions: list[Execution] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    version: int = 1
    began: float = 0.0  # the present version

    @property
    def present(self) -> list[Execution]:
        """The executions of the present version."""
        return [one for one in self.executions if one.version == self.version]

    @property
    def type(self) -> str:
        return str(self.spec["Type"])

    @property
    def over(self) -> bool:
        return self.state in TERMINAL


class JobStore:
    """`candidates`: the connected nodes. `lost`: whether and when a node has stopped working since a time.

    `publish`: stores an execution's result, returns the published result or raises PublishError. `lock`: of the nodes.
    """

    def __init__(
        self,
        world: World,
        *,
        candidates: Callable[[], Sequence[Candidate]],
        lost: Callable[[str, float], Loss | None],
        job_s: Callable[[], float],
        publish: Callable[[Job, Execution], dict[str, Any]],
        lock: threading.RLock,
    ) -> None:
        self._world = world
        self._lock = lock
        self._candidates = candidates
        self._lost = lost
        self._job_s = job_s
        self._publish = publish
        self.jobs: dict[str, Job] = {}

    def submit(self, spec: dict[str, Any]) -> Job:
        with self._lock:
            now = self._world.now()
            job = Job(f"j-{self._uuid()}", spec, now, self._uuid(), modified=now, began=now)
            spec["Name"] = spec["Name"] or job.id
            self.jobs[job.id] = job
            _record(job, now, "Submission", "Job submitted")
            self._advance(job, now)
            return job

    def stop(self, job: Job, reason: str) -> str:
        """The id of the evaluation; empty for a job that is over."""
        with self._lock:
            now = self._world.now()
            if job.over:
                return ""
            _record(job, now, "Scheduling", "Job requested to stop before completion", Reason=reason)
            _set(job, now, STOPPED)
            for execution in job.executions:
                if execution.live:
                    _end(job, execution, now, CANCELLED, _STOPPED, topic="Scheduling")
            return self._uuid()

    def rerun(self, job: Job) -> str:
        """A new version of a job that has started. Returns the id of the evaluation."""
        with self._lock:
            now = self._world.now()
            for execution in job.executions:
                if execution.live:
                    _end(job, execution, now, CANCELLED, _RERUN, topic="Scheduling")
            job.version, job.began = job.version + 1, now
            _set(job, now, PENDING, recorded=True)
            _record(job, now, "Submission", "Job rerun requested", Reason="job rerun")
            self._advance(job, now)
            return self._uuid()

    def advance(self) -> None:
        """Update all jobs with the events so far."""
        with self._lock:
            now = self._world.now()
            for job in list(self.jobs.values()):
                if not job.over:
                    self._advance(job, now)

    def find(self, name: str) -> Job | None:
        """By id, by the first characters of an id, or by name: the latest."""
        if name in self.jobs:
            return self.jobs[name]
        matches = [job for job in self.jobs.values() if job.spec["Name"] == name]
        if not matches and len(name) > len("j-"):
            matches = [job for job in self.jobs.values() if job.id.startswith(name)]
        return matches[-1] if matches else None

    def running_on(self, node: str) -> int:
        return sum(1 for job in self.jobs.values() for one in job.executions if one.live and one.node == node)

    def running_at(self, node: str, at: float) -> int:
        with self._lock:
            return len(list(self._work(node, at)))

    def works(self, node: str, *, since: float, at: float) -> bool:
        """Whether work that the node had at `since` still runs at `at`."""
        with self._lock:
            return any(one.began <= since for one in self._work(node, at))

    def busy_until(self, node: str, since: float) -> float:
        """When the last work that the node had at `since` ends."""
        with self._lock:
            return max((execution.ends_at for execution in self._work(node, since)), default=since)

    def _work(self, node: str, at: float) -> Iterator[Execution]:
        for job in self.jobs.values():
            for one in job.executions:
                stopped = one.ended_at is not None and one.ended_at < at
                if one.node == node and one.began <= at < one.ends_at and not stopped:
                    yield one

    # --- Scheduling

    def _advance(self, job: Job, now: float) -> None:
        for execution in job.executions:
            if execution.live:
                self._settle(job, execution, now)
        if not job_spec.can_be_scheduled(job.spec):
            return
        if job.type in job_spec.ON_ALL_NODES:
            self._schedule_everywhere(job, now)
        else:
            self._schedule(job, now)

    def _settle(self, job: Job, execution: Execution, now: float) -> None:
        loss = self._lost(execution.node, execution.began)
        works_until = now if loss is None else loss.at
        if execution.ends_at <= works_until:
            self._complete(job, execution)
        elif loss is not None and now >= loss.at:
            execution.again_at = loss.again_at
            _end(job, execution, loss.at, FAILED, _DISAPPEARED, topic="Scheduling")

    def _complete(self, job: Job, execution: Execution) -> None:
        outcome = job_spec.run(job.spec, default_s=0)
        execution.output, execution.files = outcome.stdout, job_spec.results(job.spec, outcome.files)
        try:
            execution.published = self._publish(job, execution)
        except PublishError as error:
            _end(job, execution, execution.ends_at, FAILED, str(error))
            return
        _end(job, execution, execution.ends_at, COMPLETED, "Completed successfully")

    def _schedule(self, job: Job, now: float) -> None:
        kept = [one for one in job.present if one.live or one.state == COMPLETED]
        missing = int(job.spec["Count"]) - len(kept)
        failed = [one for one in job.present if one.state == FAILED]
        at = max([job.began, *(one.again_at for one in failed)])
        if missing > 0 and now >= at:
            self._place(job, missing, at, failed)
        elif missing == 0 and all(one.state == COMPLETED for one in kept):
            _set(job, max(one.ended_at or now for one in kept), DONE)

    def _place(self, job: Job, missing: int, at: float, failed: Sequence[Execution]) -> None:
        nodes = self._candidates()
        reasons = {node.name: job_spec.unsuitable(job.spec, node) or _tried(job, node.name) for node in nodes}
        suitable = sorted(
            (name for name, why in reasons.items() if not why), key=lambda name: (self.running_on(name), name)
        )
        now = self._world.now()
        if len(suitable) < missing:
            text = f"not enough nodes to run job. requested: {missing}, available: {len(nodes)}, "
            text += f"suitable: {len(suitable)}.{_listed(reasons)}"
            self._not_enough(job, text, now, available=len(nodes), requested=missing, suitable=len(suitable))
            return
        started = now if job.state == QUEUED else at
        before = [one for one in failed if not one.next]
        for number, name in enumerate(suitable[:missing]):
            self._start(job, name, started, before[number] if number < len(before) else None)

    def _not_enough(self, job: Job, text: str, now: float, **counts: int) -> None:
        if now - job.began < job_spec.queue_timeout_s(job.spec):
            if job.state != QUEUED:
                _record(job, now, "Queueing", f"Job queued. {text}")
                _set(job, now, QUEUED, f"Job queued. {text}", recorded=True)
            return
        self._fail(job, text, now, **counts)

    def _fail(self, job: Job, text: str, now: float, **counts: int) -> None:
        names = {"available": "NodesAvailable", "requested": "NodesRequested", "suitable": "NodesSuitable"}
        details = {names[name]: str(count) for name, count in counts.items()}
        _record(job, now, "Scheduling", text, None, IsError="true", **details)
        _set(job, now, BROKEN, text, recorded=True)
        for execution in job.executions:
            if execution.live:
                _end(job, execution, now, CANCELLED, _JOB_FAILED, topic="Scheduling")

    def _schedule_everywhere(self, job: Job, now: float) -> None:
        nodes = self._candidates()
        reasons = {node.name: job_spec.unsuitable(job.spec, node) for node in nodes}
        known = {execution.node for execution in job.present}
        if not known or job.type == job_spec.DAEMON:
            for name, why in sorted(reasons.items()):
                if not why and name not in known:
                    self._start(job, name, now if known else job.began, None)
        if not job.present and job.type == job_spec.OPS:
            text = f"not matching nodes to run job out of {len(nodes)} available nodes.{_listed(reasons)}"
            self._fail(job, text, now, available=len(nodes))
        elif job.type == job_spec.OPS and not any(one.live for one in job.present):
            last = max(one.ended_at or now for one in job.present)
            broken = any(one.state != COMPLETED for one in job.present)
            _set(job, last, BROKEN if broken else DONE, _SOME_FAILED if broken else "")

    def _start(self, job: Job, node: str, at: float, previous: Execution | None) -> None:
        endless = job.type in job_spec.ENDLESS
        runs_s = math.inf if endless else job_spec.run(job.spec, default_s=self._job_s()).runs_s
        everywhere = job.type in job_spec.ON_ALL_NODES
        execution = Execution(
            f"e-{self._uuid()}",
            node,
            at,
            at + runs_s,
            job.eval_id if previous is None else self._uuid(),
            state=NEW if everywhere else BATCH_RUNNING,
            message="" if everywhere else "Running",
            previous=previous.id if previous else "",
            version=job.version,
        )
        if previous:
            previous.next = execution.id
        job.executions.append(execution)
        _record(job, at, "Scheduling", f"Requested execution on {_short(node)}", execution, NodeID=node)
        if job.state != ACTIVE:
            _set(job, at, ACTIVE)
        if not everywhere:
            _record(job, at, "Execution", "Running", execution)

    def _uuid(self) -> str:
        return str(UUID(int=self._world.random.getrandbits(128), version=4))


class PublishError(Exception):
    """An execution's result could not be stored; the text is Bacalhau's."""


def _short(node: str) -> str:
    """idgen.ShortNodeID: only generated names are shortened."""
    return node[:10] if node.startswith("n-") else node


def _tried(job: Job, node: str) -> str:
    here = [execution for execution in job.present if execution.node == node]
    if any(one.live or one.state == COMPLETED for one in here):
        return "job already executing on this node"
    return "job already executed on this node" if len(here) >= _TRIES_PER_NODE else ""


def _listed(reasons: dict[str, str]) -> str:
    groups: dict[str, list[str]] = {}
    for name, why in reasons.items():
        groups.setdefault(why, []).append(name)
    return "".join(
        f"\n• {f'{len(names)} of {len(reasons)} nodes' if len(names) > 1 else f'Node {_short(names[0])}'}: {why}"
        for why, names in groups.items()
    )


def _set(job: Job, at: float, state: str, message: str = "", *, recorded: bool = False) -> None:
    job.state, job.message, job.modified = state, message, at
    job.revision += 1
    if not recorded and state != STOPPED:
        _record(job, at, "State Update", state, NewState=state)


def _end(
    job: Job, execution: Execution, at: float, state: int, message: str, *, topic: str = "Execution"
) -> None:
    execution.state, execution.ended_at, execution.desired = state, at, _DESIRED_STOPPED
    if state != COMPLETED:
        execution.message = message
    _record(job, at, topic, message, execution)


def _record(
    job: Job, at: float, topic: str, message: str, execution: Execution | None = None, **details: str
) -> None:
    moment = serializers.moment(at)
    event = {"Message": message, "Topic": topic, "Timestamp": moment}
    job.history.append(
        {
            "SeqNum": len(job.history) + 1,
            "Type": "ExecutionLevel" if execution else "JobLevel",
            "JobID": job.id,
            "JobVersion": job.version,
            **({"ExecutionID": execution.id} if execution else {}),
            "Event": {**event, **({"Details": details} if details else {})},
            "Time": moment,
        }
    )


# --- JSON


def job_json(job: Job) -> dict[str, Any]:
    state = {"StateType": job.state, **({"Message": job.message} if job.message else {})}
    return _job(job, state=state, revision=job.revision, modified=job.modified)


def _job(job: Job, *, state: dict[str, Any], revision: int, modified: float) -> dict[str, Any]:
    return {
        "ID": job.id,
        **job.spec,
        "State": state,
        "Version": job.version,
        "Revision": revision,
        "CreateTime": _nanoseconds(job.created),
        "ModifyTime": _nanoseconds(modified),
    }


def execution_json(job: Job, one: Execution) -> dict[str, Any]:
    """With the job as it was when the execution was created."""
    stopped = {COMPLETED: "execution completed"}.get(one.state, one.message)
    exit_code = -1 if one.state == COMPLETED and job_spec.engine_of(job.spec) == "wasm" else 0
    return {
        "ID": one.id,
        "Namespace": job.spec["Namespace"],
        "EvalID": one.eval_id,
        "Name": "",
        "NodeID": one.node,
        "JobID": job.id,
        "Job": _job(job, state={"StateType": PENDING}, revision=1, modified=job.created),
        "JobVersion": one.version,
        "AllocatedResources": {"Tasks": {}},
        "DesiredState": _state(one.desired, stopped if one.desired == _DESIRED_STOPPED else one.message),
        "ComputeState": _state(one.state, one.message),
        "PublishedResult": one.published,
        "RunOutput": {
            "Stdout": one.output,
            "StdoutTruncated": False,
            "stderr": "",
            "StderrTruncated": False,
            "ExitCode": exit_code,
            "ErrorMsg": "",
        },
        "PreviousExecution": one.previous,
        "NextExecution": one.next,
        "FollowupEvalID": "",
        "Revision": 3 if one.live else 4,
        "CreateTime": _nanoseconds(one.began),
        "ModifyTime": _nanoseconds(one.began if one.ended_at is None else one.ended_at),
    }


def _state(number: int, message: str) -> dict[str, Any]:
    return {"StateType": number, **({"Message": message} if message else {})}


def _nanoseconds(at: float) -> int:
    return round(at * 10**6) * 1000
