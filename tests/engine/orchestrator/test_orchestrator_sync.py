"""Having nodes forgotten: what is refused alike is not asked again, and Ctrl-C leaves the rest."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from bacalhau_spot.core.orchestrator.orchestrator_nodes import Membership, NodeListing, OrchestratorNode
from bacalhau_spot.core.orchestrator.prune import PruneResult
from bacalhau_spot.engine.aws_calls.caller import CancelSignal
from bacalhau_spot.engine.orchestrator.orchestrator_sync import remove_nodes, remove_stale
from bacalhau_spot.orchestrator.port import OrchestratorError

NAMES = [f"n-{number:02}" for number in range(30)]


@dataclass
class Fake:
    """Answers `code` for the nodes in `refused`; presses Ctrl-C after `stop_after` removals."""

    refused: set[str] = field(default_factory=set)
    code: str = "OrchestratorAnswer"
    listed: tuple[OrchestratorNode, ...] | None = ()
    stop: CancelSignal = field(default_factory=CancelSignal)
    stop_after: int | None = None
    requests: list[str] = field(default_factory=list)
    address: str = "http://o:1234"

    async def listing(self) -> NodeListing:
        return NodeListing(await self.nodes())

    async def nodes(self) -> tuple[OrchestratorNode, ...]:
        if self.listed is None:
            raise OrchestratorError("OrchestratorTimeout", "no answer", address=self.address)
        return self.listed

    async def remove(self, node_id: str) -> None:
        self.requests.append(node_id)
        await asyncio.sleep(0)
        if self.stop_after is not None and len(self.requests) >= self.stop_after:
            self.stop.set(by_user=True)
        if node_id in self.refused:
            raise OrchestratorError(self.code, "no", address=self.address)

    async def version(self) -> str:
        return "v1.9.3"

    def forget(self) -> PruneResult:
        return asyncio.run(remove_nodes(self, NAMES, stop=self.stop))


def all_names(result: PruneResult) -> list[str]:
    return sorted((*result.removed, *result.remaining))


def test_each_is_asked_for_once() -> None:
    fake = Fake()
    result = fake.forget()
    assert result.removed == tuple(NAMES) and not result.remaining
    assert sorted(fake.requests) == NAMES


def test_trouble_with_one_node_is_not_trouble_with_the_others() -> None:
    result = Fake(refused={"n-03", "n-20"}).forget()
    assert [name for name, _ in result.failed] == ["n-03", "n-20"]
    assert len(result.removed) == 28 and result.not_removed == ()


def test_a_key_that_may_not_is_not_tried_thirty_times() -> None:
    """Nor is an orchestrator that does not answer."""
    for code in ("OrchestratorForbidden", "OrchestratorUnreachable"):
        fake = Fake(refused=set(NAMES), code=code)
        result = fake.forget()
        assert 0 < len(fake.requests) <= 8
        assert len(result.failed) == len(fake.requests)
        assert all_names(result) == NAMES
        assert {failure.code for failure in result.problems} == {code}


def test_after_ctrl_c_nothing_new_is_asked_and_what_was_done_is_told() -> None:
    fake = Fake(stop_after=10)
    result = fake.forget()
    assert result.interrupted
    assert 10 <= len(fake.requests) < 20
    assert sorted(fake.requests) == list(result.removed)
    assert all_names(result) == NAMES


# What AWS is not asked through: no node is in doubt.
SILENT: Any = SimpleNamespace(stop=CancelSignal())


def test_after_a_teardown_only_the_nodes_of_what_ended_are_forgotten() -> None:
    def member(name: str, instance_id: str, provider: str = "aws") -> OrchestratorNode:
        labels = {"instance-id": instance_id, "provider": provider}
        return OrchestratorNode(name, connected=True, membership=Membership.APPROVED, labels=labels)

    fake = Fake(listed=(member("a", "i-1"), member("b", "i-2"), member("c", "i-1", "gcp"), member("d", "")))
    result = asyncio.run(remove_stale(SILENT, fake, {"i-1", "i-3"}, cluster="one", regions=()))
    assert (result.removed, fake.requests) == (("a",), ["a"])


def test_a_list_that_does_not_come_is_told_and_not_raised() -> None:
    fake = Fake(listed=None)
    result = asyncio.run(remove_stale(SILENT, fake, {"i-1"}, cluster="one", regions=()))
    assert result.problem is not None and result.problem.code == "OrchestratorTimeout"
    assert fake.requests == []
