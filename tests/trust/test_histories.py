"""Random histories: any sequence of commands by two operators, of events, of kills and of races keeps the promises.

Of each cluster never more nodes than asked for, and those of one batch of a replacement; nothing above the budget; after
`destroy` nothing of the cluster, after `nuke` nothing of any; nothing of others ever changes; exit code 0 tells the truth.
At the end of each history one `create` makes the cluster whole, and `destroy` and `nuke` leave nothing.

TRUST=1 runs 10,000 steps. A history that failed once is kept in histories.json, and runs always.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from support.cli_runner import CliRunner
from support.history import BrokenPromiseError
from support.history_account import HistoryAccount, keep_failure
from support.trust_figures import FULL, SEED, SHARE

KEPT = json.loads((Path(__file__).parent / "histories.json").read_text())
# Histories a seed, and steps a history. In full: 10,000 steps, or those of the seeds that HISTORIES names (first and last).
EXAMPLES, STEPS = (10, 40) if FULL else (1, 12)
SEEDS = [int(number) for number in os.environ.get("HISTORIES", "").split("-") if number]
SEEDS = SEEDS or [SEED, SEED + (max(1, round(25 * SHARE)) if FULL else 1) - 1]

operators = st.integers(0, 1)
few_nodes = st.sampled_from([3, 4, 2, 5, 1, 0])
chosen = st.lists(st.integers(0, 4), min_size=1, max_size=2)
kills = st.none() | st.none() | st.fixed_dictionaries({"at": st.integers(1, 60), "answered": st.booleans()})
edits = st.fixed_dictionaries(
    {},
    optional={
        "nodes": few_nodes,
        "regions": st.lists(st.integers(0, 2), min_size=1, max_size=3, unique=True),
        "types": st.integers(0, 2),
        "version": st.integers(0, 1),
        "labels": st.integers(0, 2),
        "ttl": st.integers(0, 2),
        "strict": st.booleans(),
        "budget": st.none() | st.integers(1, 5),
    },
)
COMMANDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "create": {
        "removal": st.booleans(),
        "wait": st.sampled_from(["", "running", "none"]),
        "ttl": st.sampled_from(["", "", "1h", "none"]),
    },
    "scale": {"nodes": few_nodes, "region": st.none() | st.integers(0, 2)},
    "replace": {"nodes": st.just([]) | chosen, "at_once": st.integers(1, 2), "old_first": st.booleans()},
    "remove": {"nodes": chosen},
    "extend": {"to": st.sampled_from(["4h", "30m", "never"])},
    "reconcile": {"passes": st.integers(1, 2)},
    "prune": {},
    "destroy": {},
    "nuke": {},
}
racing = st.sampled_from(sorted(COMMANDS)).flatmap(
    lambda name: st.tuples(st.just(name), st.fixed_dictionaries({"op": operators, **COMMANDS[name]}))
)


@pytest.fixture
def account(
    sandbox: Any, program: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> HistoryAccount:
    return HistoryAccount(sandbox, program, tmp_path / "account", monkeypatch)


class Histories(RuleBasedStateMachine):
    """Each rule is one step of a history."""

    def __init__(self, account: HistoryAccount, number: int) -> None:
        super().__init__()
        self.account = account
        self.number = number
        self.history = account.new()
        self.failed = False

    def take(self, name: str, **arguments: Any) -> None:
        self.account.kinds[name] += 1
        try:
            self.history.step(name, **arguments)
        except BrokenPromiseError as error:
            self.failed = True
            # Hypothesis hides the error of a history that fails once and passes when it runs again.
            keep_failure("histories", self.number, error)
            raise

    def teardown(self) -> None:
        if not self.failed and self.history.steps:
            self.take("finish", op=len(self.history.steps) % 2)

    @initialize(op=operators, changes=edits, kill=kills)
    def begin(self, op: int, changes: dict[str, Any], kill: Any) -> None:
        self.take("edit", op=op, **changes)
        self.take("share", op=op)
        self.take("create", op=op, kill=kill)

    @rule(op=operators, changes=edits)
    def edit(self, op: int, changes: dict[str, Any]) -> None:
        self.take("edit", op=op, **changes)

    @rule(op=operators)
    def share(self, op: int) -> None:
        self.take("share", op=op)

    @rule(first=racing, second=racing, order=st.integers(0, 2**16))
    def race(self, first: Any, second: Any, order: int) -> None:
        self.take("race", commands=[first, second], seed=order)

    @rule(count=st.integers(1, 3), notice_s=st.sampled_from([1, 120]))
    def interrupt(self, count: int, notice_s: int) -> None:
        self.take("interrupt", count=count, notice_s=notice_s)

    @rule(count=st.integers(1, 2))
    def terminate_by_hand(self, count: int) -> None:
        self.take("terminate_by_hand", count=count)

    @rule(region=st.integers(0, 2), nodes=st.none() | st.integers(0, 1))
    def capacity(self, region: int, nodes: int | None) -> None:
        self.take("capacity", region=region, nodes=nodes)

    @rule(
        match=st.sampled_from(["ec2:*", "CreateFleet", "DescribeInstances", "TerminateInstances", "ec2:De*"]),
        code=st.sampled_from(["RequestLimitExceeded", "InternalError", "ConnectionReset"]),
        count=st.integers(1, 4),
        after=st.booleans(),
    )
    def fault(self, match: str, code: str, count: int, after: bool) -> None:
        self.take("fault", match=match, code=code, count=count, after=after)

    @rule(seconds=st.sampled_from([0.0, 2.0, 5.0]))
    def lag(self, seconds: float) -> None:
        self.take("lag", seconds=seconds)

    @rule(seconds=st.sampled_from([5, 60, 600, 4000]))
    def time(self, seconds: int) -> None:
        self.take("time", seconds=seconds)

    @precondition(lambda self: not self.history.is_calm())
    @rule()
    def calm(self) -> None:
        self.take("calm")


def _command_rule(name: str) -> Any:
    def run(self: Histories, **arguments: Any) -> None:
        self.take(name, **arguments)

    run.__name__ = name
    more = {"write": st.booleans()} if name == "scale" else {}
    rule_of: Any = rule
    return rule_of(op=operators, kill=kills, **COMMANDS[name], **more)(run)


for _name in COMMANDS:
    setattr(Histories, f"command_{_name}", _command_rule(_name))


def explore(account: HistoryAccount, *, number: int) -> None:
    @seed(number)
    def machine() -> Histories:
        return Histories(account, number)

    factory: Any = machine
    run_state_machine_as_test(
        factory,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )


@pytest.mark.parametrize("number", range(SEEDS[0], SEEDS[-1] + 1))
def test_random_histories(account: HistoryAccount, number: int) -> None:
    with account.figures("histories", seed=number):
        explore(account, number=number)


@pytest.mark.parametrize("story", KEPT, ids=[kept["found"] for kept in KEPT])
def test_a_history_that_failed_once(account: HistoryAccount, story: Any) -> None:
    with account.figures("histories"):
        account.tell(story["steps"])
