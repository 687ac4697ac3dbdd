"""The life of a cluster in a real account, step by step, and the open questions that are asked on the way."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from support.live.fleet_probes import FleetProbes, Result
from support.live.ground import Ground
from support.live.group_probes import GroupProbes
from support.live.interruption import Interrupter, Unavailable
from support.live.journal import (
    AS_ASSUMED,
    FAILED,
    OPEN,
    OTHERWISE,
    PASSED,
    SKIPPED,
    Answer,
    Journal,
    StepRecord,
)
from support.live.place import Place
from support.live.policy_probe import PolicyProbe
from support.live.program import Program
from support.live.questions import asked_by, whole
from support.live.settings import TYPES, Settings

NODES = 2
MARK = "bacalhau-live-test-was-here"
# AWS gives two minutes.
NOTICE_S = 120.0


class Skipped(Exception):  # noqa: N818 - an outcome
    """The step could not be made here; the text says why."""


@dataclass
class Life:
    """`folder`: of the run, with config.yaml. `settle`: called after each wait, where nothing moves by itself."""

    place: Place
    program: Program
    journal: Journal
    settings: Settings
    run: str
    interrupted: str = ""
    done: set[str] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        return self.program.folder

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Recorded, whatever becomes of it."""
        began, outcome, words = self.place.clock.monotonic_s(), FAILED, ""
        answered = len(self.journal.answers)
        try:
            yield
            outcome = PASSED
            self.done.add(name)
        except Skipped as error:
            outcome, words = SKIPPED, str(error)
            raise
        except BaseException as error:
            words = f"{type(error).__name__}: {error}"[:2000]
            raise
        finally:
            words = words or "; ".join(answer.words for answer in self.journal.answers[answered:])
            spent_s = self.place.clock.monotonic_s() - began
            self.journal.steps.append(StepRecord(name, outcome, spent_s, words))

    def needs(self, *names: str) -> None:
        missing = [name for name in names if name not in self.done]
        if missing:
            raise Skipped(f"`{missing[0]}` did not succeed")

    def instances(self) -> list[dict[str, Any]]:
        """The nodes that run or are about to."""
        rows: list[dict[str, Any]] = self.program("list").good()["instances"]
        return [row for row in rows if row["state"] in ("pending", "running")]

    @cached_property
    def ground(self) -> Ground:
        if "create" not in self.done:
            try:
                return Ground.default(self.place, types=TYPES)
            except LookupError as error:
                raise Skipped(str(error)) from error
        return Ground.under(self.place, self.instances()[0]["id"], types=TYPES)

    @cached_property
    def fleets(self) -> FleetProbes:
        return FleetProbes(self.ground, run=self.run)

    @cached_property
    def groups(self) -> GroupProbes:
        return GroupProbes(self.ground)

    @cached_property
    def interrupter(self) -> Interrupter:
        return Interrupter(self.place, self.settings.account)

    def answer(self, probe: str, *results: Result) -> None:
        """Note the answers to the questions of a probe. Raises AssertionError for one that the program does not expect."""
        questions = asked_by(probe)
        assert len(questions) == len(results), f"{probe}: {len(questions)} questions, {len(results)} answers"
        for question, (outcome, words, facts) in zip(questions, results, strict=True):
            self.journal.answers.append(Answer(whole(question), outcome, words, facts))
        otherwise = [words for outcome, words, _ in results if outcome == OTHERWISE]
        assert not otherwise, f"AWS does otherwise than docs/unproven.md assumes: {'; '.join(otherwise)}"
        if all(outcome == OPEN for outcome, _, _ in results):
            raise Skipped("; ".join(words for _, words, _ in results))


# The life


def doctor(life: Life) -> None:
    life.program("doctor").good()


def create(life: Life) -> None:
    receipt = life.program("create", "--yes").good()["receipt"]
    assert (receipt["running"], receipt["joined"]) == (NODES, NODES), receipt


def created_again(life: Life) -> None:
    """Nothing is missing, so nothing is launched."""
    life.needs("create")
    plan = life.program("create", "--dry-run").good()["plan"]
    assert (plan["present"], plan["launch"]) == (NODES, 0), plan


def smoke_test(life: Life) -> None:
    life.needs("create")
    assert life.program("smoke-test").good()["ran"] == NODES


def lists(life: Life) -> None:
    life.needs("create")
    shown = life.program("list").good()
    assert len(shown["instances"]) == NODES
    assert shown["orchestrator"]


def status(life: Life) -> None:
    life.needs("create")
    assert life.program("status").good()["matches_spec"]


def cost(life: Life) -> None:
    life.needs("create")
    life.program("cost").good()


def ssh(life: Life) -> None:
    """The key is on the nodes, port 22 is open to this machine, and nothing else is asked."""
    life.needs("create")
    results = life.program("ssh", "--all", "--", f"echo {MARK}").good()
    assert [MARK in node["stdout"] for node in results["nodes"]] == [True] * NODES, results


def console(life: Life) -> None:
    life.needs("create")
    life.program("console", life.instances()[0]["id"]).good()


def extend(life: Life) -> None:
    life.needs("create")
    life.program("extend", "100m", "--yes").good()


def scale(life: Life) -> None:
    life.needs("create")
    life.program("scale", str(NODES + 1), "--write", "--yes").good()
    assert len(life.instances()) == NODES + 1


def replace(life: Life) -> None:
    life.needs("scale")
    before = {row["id"] for row in life.instances()}
    leaves = min(before)
    life.program("replace", leaves, "--grace", "30s", "--yes").good()
    after = {row["id"] for row in life.instances()}
    assert leaves not in after and len(after) == len(before), (before, after)


def interruption(life: Life) -> None:
    """AWS interrupts a node for real; the program reads the notice as AWS writes it."""
    life.needs("create")
    victim, ec2 = max(row["id"] for row in life.instances()), life.place.client("ec2")
    try:
        experiment = life.interrupter.interrupt(victim)
    except Unavailable as error:
        life.answer("an interruption", (OPEN, str(error), {}))
        return
    filters = [{"Name": "instance-id", "Values": [victim]}]

    def request() -> Any:
        (row,) = ec2.describe_spot_instance_requests(Filters=filters)["SpotInstanceRequests"]
        return row if row["Status"]["Code"] == "marked-for-termination" else None

    row, _ = life.place.until("the notice", request, within_s=300, every_s=2)
    noticed, updated = life.place.clock.now(), row["Status"]["UpdateTime"]
    life.place.until(
        "the end of the instance",
        lambda: set(life.ground.states(victim).values()) <= {"shutting-down", "terminated"},
        within_s=NOTICE_S + 240,
        every_s=5,
    )
    ended_s = (life.place.clock.now() - noticed).total_seconds()
    state = life.interrupter.finish(experiment)
    life.interrupted = victim
    late_s = (noticed - updated).total_seconds()
    facts = {"noticed after UpdateTime s": late_s, "ended after the notice s": ended_s, "experiment": state}
    words = f"the notice was seen {late_s:.0f} s after UpdateTime, the instance ended {ended_s:.0f} s later"
    outcome = AS_ASSUMED if abs(late_s) < NOTICE_S / 2 else OTHERWISE
    life.answer("an interruption", (outcome, words, facts))


def reconcile(life: Life) -> None:
    """The node that AWS has taken is launched again; without an interruption nothing is to be done."""
    life.needs("create")
    wanted = NODES + ("scale" in life.done)

    def complete() -> bool:
        passed = life.program("reconcile")
        return passed.code == 0 and len(life.instances()) == wanted

    life.place.until("the cluster has its nodes again", complete, within_s=900, every_s=30)
    events = life.program("history").good()
    assert life.interrupted in str(events), "the history does not have the interruption"


def destroy(life: Life) -> None:
    life.needs("create")
    ended = life.program("destroy", "--yes", "--delete-results").good()
    assert (ended["remaining"], ended["unsupported"]) == ([], []), ended
    assert life.instances() == []


# The open questions


def _probe(name: str, ask: Callable[[Life], Result | tuple[Result, ...]]) -> Callable[[Life], None]:
    def step(life: Life) -> None:
        """Without a cluster on the region's default VPC, so that a `create` that fails leaves no question open."""
        found = ask(life)
        life.answer(name, *(found if isinstance(found[0], tuple) else (found,)))

    return step


def _policy(life: Life) -> tuple[Result, ...]:
    life.needs("create")
    printed = life.program("iam-policy", "--account", life.settings.account).good()
    documents = [row["document"] for row in printed["documents"]]
    return PolicyProbe(life.ground, documents, life.settings.account).answers()


def _members(life: Life) -> tuple[Result, ...]:
    if not life.fleets.instances:
        nothing: Result = (OPEN, "no instance of a fleet", {})
        return nothing, nothing
    return life.groups.joins_and_leaves(life.fleets.instances[0])


PROBES: dict[str, Callable[[Life], Result | tuple[Result, ...]]] = {
    "prices of all types": lambda life: life.fleets.prices_of_all_types(),
    "tags in the template and in the call": lambda life: life.fleets.tags_in_both(),
    "lists after a launch": lambda life: life.fleets.lists(),
    "the same token again": lambda life: life.fleets.same_token(),
    "an instance joins and leaves a group": _members,
    "a fleet that launches nothing": lambda life: life.fleets.launches_nothing(),
    "a subnet that is new": lambda life: life.fleets.new_subnet(),
    "CPU credits on another type": lambda life: life.fleets.credits(),
    "a group whose launches are refused": lambda life: life.groups.refused_launches(),
    "the printed policy": _policy,
    "a deleted fleet": lambda life: life.fleets.deleted_fleet(),
}
STEPS: dict[str, Callable[[Life], None]] = {
    "doctor": doctor,
    "create": create,
    "create again": created_again,
    "smoke-test": smoke_test,
    "list": lists,
    "status": status,
    "cost": cost,
    "ssh": ssh,
    "console": console,
    **{name: _probe(name, ask) for name, ask in PROBES.items()},
    "extend": extend,
    "scale": scale,
    "replace": replace,
    "an interruption": interruption,
    "reconcile": reconcile,
    "destroy": destroy,
}


def make_key(folder: Path) -> None:
    """An SSH key for this run alone."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bacalhau-live-test", "-f", folder / "key"],
        check=True,
        timeout=60,
    )


def clean_up(program: Program) -> list[dict[str, Any]]:
    """Delete everything with the tag of the suite; what is left. The cluster's own `destroy` may not have come."""
    from support.live.guardian import NUKE  # noqa: PLC0415 - one list of options for both

    ended = program(*NUKE)
    if ended.code == 0:
        return []
    try:
        data = ended.data
    except (ValueError, KeyError):
        return [{"error": ended.why()}]
    return [*data.get("remaining", ()), *data.get("unsupported", ())] or [{"error": ended.why()}]
