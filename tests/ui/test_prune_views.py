"""What `prune` shows, at three widths; and what `destroy` says of the orchestrator."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import RenderableType
from rich.text import Text
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.model import Identity
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Membership, OrchestratorNode
from bacalhau_spot.core.orchestrator.prune import PruneDecision, PrunePlan, PruneReason, PruneResult
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.views.prune_view import WHY
from support.golden import golden, output_text
from support.rendering import rendered
from support.schemas import contract

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ADDRESS = "https://orchestrator.example.com:1234"
DARK = ApiFailure("UnauthorizedOperation", "no", "DescribeInstances", "eu-west-1")
FORBIDDEN = ApiFailure("OrchestratorForbidden", "HTTP 403: Request Forbidden", ADDRESS, "")
SILENT = ApiFailure("OrchestratorUnreachable", "Connection refused", ADDRESS, "")


def judged(number: int, why: PruneReason, *, region: str = "us-east-1") -> PruneDecision:
    name = f"i-{number:017x}"
    node = OrchestratorNode(
        f"bacalhau-{name}",
        connected=why is PruneReason.CONNECTED,
        membership=Membership.APPROVED,
        labels={"region": region, "instance-id": name},
        since=NOW - timedelta(minutes=7 * number) if number % 2 else None,
    )
    return PruneDecision(node, why)


ALL = PrunePlan(
    "bacalhau-aws-spot",
    tuple(judged(number, why) for number, why in enumerate(PruneReason, start=1)),
    others=3,
    identity=Identity("000000000000", "arn:aws:iam::000000000000:user/sandbox"),
    regions_scanned=("us-east-1",),
    failed_regions=(DARK,),
)
NAMES = tuple(decision.member.id for decision in ALL.stale)
REMOVED = PruneResult(ADDRESS, removed=NAMES)
REFUSED = PruneResult(ADDRESS, removed=NAMES[:1], failed=((NAMES[1], FORBIDDEN),))
STOPPED = PruneResult(ADDRESS, removed=NAMES[:1], not_removed=NAMES[1:], interrupted=True)
ANCIENT = Text("verified: nothing is left")

SHOWN: dict[str, RenderableType] = {
    "to remove": views.prune_preview_view(ALL, address=ADDRESS, now=NOW),
    "nothing to remove": views.prune_preview_view(
        replace(ALL, decisions=(judged(1, PruneReason.CONNECTED),), failed_regions=()),
        address=ADDRESS,
        now=NOW,
    ),
    "no nodes": views.prune_preview_view(PrunePlan("c", others=2), address=ADDRESS, now=NOW),
    "no nodes at all": views.prune_preview_view(PrunePlan("c"), address=ADDRESS, now=NOW),
    "removed": views.prune_result_view(replace(ALL, failed_regions=()), REMOVED),
    "removed, and a region unseen": views.prune_result_view(ALL, REMOVED),
    "partly removed": views.prune_result_view(replace(ALL, failed_regions=()), REFUSED),
    "interrupted": views.prune_result_view(replace(ALL, failed_regions=()), STOPPED),
    "destroyed, and forgotten": views.with_prune_result(ANCIENT, REMOVED),
    "destroyed, and some still listed": views.with_prune_result(ANCIENT, REFUSED),
    "destroyed, and nothing was listed": views.with_prune_result(ANCIENT, PruneResult(ADDRESS)),
    "destroyed, and nobody was asked": views.with_prune_result(ANCIENT, None),
}


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("name", SHOWN)
def test_what_is_read(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert rendered(SHOWN[name], width=width) == snapshot


@pytest.mark.parametrize(
    "result", [None, REMOVED, REFUSED, STOPPED], ids=["dry-run", "removed", "refused", "stopped"]
)
def test_what_programs_get_is_published(result: PruneResult | None, snapshot: SnapshotAssertion) -> None:
    """A node has a status and, if its removal failed, a problem."""
    data = json_output.prune_data(ALL, result, address=ADDRESS)
    assert output_text("prune", data) == golden(snapshot)
    contract("prune", data)


def test_every_reason_has_words() -> None:
    assert set(WHY) == set(PruneReason)


_PRUNE = "`bacalhau-spot prune` removes them"
_DENIED = "OrchestratorForbidden: HTTP 403: Request Forbidden"


@pytest.mark.parametrize(
    ("forgotten", "what"),
    [
        (None, ""),
        (REMOVED, ""),
        (STOPPED, ""),
        (REFUSED, f"{NAMES[1]} ({_DENIED})"),
        (
            PruneResult(ADDRESS, not_removed=NAMES[1:], failed=((NAMES[0], FORBIDDEN),)),
            f"2 nodes ({_DENIED})",
        ),
        (
            PruneResult(ADDRESS, problem=SILENT),
            "terminated nodes (OrchestratorUnreachable: Connection refused)",
        ),
    ],
)
def test_what_destroy_warns_of(forgotten: PruneResult | None, what: str) -> None:
    """What is still listed, why, and the command that catches up; nothing when all is well or the user stopped it."""
    warnings = (f"the orchestrator {ADDRESS} still lists {what}; {_PRUNE}",) if what else ()
    assert views.not_removed_text(forgotten) == warnings
