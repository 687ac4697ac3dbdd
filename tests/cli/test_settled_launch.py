"""A pass of `reconcile` right after a launch into a living cluster, while AWS's lists do not show the new nodes."""

from __future__ import annotations

from typing import Any

import pytest

from support.cli_runner import CliRunner
from support.storms import Watch, ask_sandbox_orchestrator, fixed_prices, living, machines, region_of


@pytest.fixture
def user(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    ask_sandbox_orchestrator(sandbox, monkeypatch)
    fixed_prices(sandbox)
    program.configure(nodes=4, regions="[us-east-1]")
    assert program("create", "--yes", "--wait", "none").code == 0
    sandbox.clock.advance(600)
    # The fleet's own list shows it before the others do (EC2 API reference, "Eventual consistency": no order).
    sandbox.settings.list_lag_s = {"DescribeInstances": 40.0, "DescribeTags": 40.0}
    return program


@pytest.mark.parametrize("launch", [("create", "--wait", "none"), ("scale", "6", "--write"), ("reconcile",)])
def test_a_pass_after_a_launch_counts_its_nodes(
    sandbox: Any, user: CliRunner, launch: tuple[str, ...]
) -> None:
    """One node is interrupted meanwhile: the pass launches another number, so no client token repeats the first launch."""
    first = machines(sandbox)[0]
    user.configure(nodes=6, regions="[us-east-1]")
    watch = Watch(sandbox)
    with watch.watching():
        assert user(*launch, *(() if launch[0] == "reconcile" else ("--yes",))).code in {0, 1}
        assert living(sandbox).total() == 6
        sandbox.server.interrupt(region_of(first), first.id, notice_s=1)
        sandbox.clock.advance(2)
        user("reconcile", "-o", "ndjson")
    assert living(sandbox).total() == 6
    assert watch.most == 6
