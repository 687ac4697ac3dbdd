"""What `prune` shows, at three widths; and what `destroy` says of the orchestrator."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import RenderableType
from rich.text import Text
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.members import Member, Membership
from bacalhau_spot.core.prune import Forgotten, Judged, Pruning, Why
from bacalhau_spot.core.receipt import Problem
from bacalhau_spot.ui import views
from bacalhau_spot.ui.views.prune import WHY
from support.rendering import rendered

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ADDRESS = "https://orchestrator.example.com:1234"
DARK = Problem("UnauthorizedOperation", "no", "DescribeInstances", "eu-west-1")
FORBIDDEN = Problem("OrchestratorForbidden", "HTTP 403: Request Forbidden", ADDRESS, "")
SILENT = Problem("OrchestratorUnreachable", "Connection refused", ADDRESS, "")


def judged(number: int, why: Why, *, region: str = "us-east-1") -> Judged:
    name = f"i-{number:017x}"
    member = Member(
        f"bacalhau-{name}",
        connected=why is Why.CONNECTED,
        membership=Membership.APPROVED,
        labels={"region": region, "instance-id": name},
        since=NOW - timedelta(minutes=7 * number) if number % 2 else None,
    )
    return Judged(member, why)


ALL = Pruning(
    "bacalhau-aws-spot",
    tuple(judged(number, why) for number, why in enumerate(Why, start=1)),
    others=3,
    looked_into=("us-east-1",),
    unseen=(DARK,),
)
NAMES = tuple(one.member.id for one in ALL.gone)
REMOVED = Forgotten(ADDRESS, removed=NAMES)
REFUSED = Forgotten(ADDRESS, removed=NAMES[:1], failed=((NAMES[1], FORBIDDEN),))
STOPPED = Forgotten(ADDRESS, removed=NAMES[:1], left=NAMES[1:], interrupted=True)
ANCIENT = Text("verified: nothing is left")

SHOWN: dict[str, RenderableType] = {
    "to remove": views.prune_preview_view(ALL, address=ADDRESS, now=NOW),
    "nothing to remove": views.prune_preview_view(
        replace(ALL, judged=(judged(1, Why.CONNECTED),), unseen=()), address=ADDRESS, now=NOW
    ),
    "no nodes": views.prune_preview_view(Pruning("c", others=2), address=ADDRESS, now=NOW),
    "no nodes at all": views.prune_preview_view(Pruning("c"), address=ADDRESS, now=NOW),
    "removed": views.prune_receipt_view(replace(ALL, unseen=()), REMOVED),
    "removed, and a region unseen": views.prune_receipt_view(ALL, REMOVED),
    "partly removed": views.prune_receipt_view(replace(ALL, unseen=()), REFUSED),
    "interrupted": views.prune_receipt_view(replace(ALL, unseen=()), STOPPED),
    "destroyed, and forgotten": views.with_forgotten(ANCIENT, REMOVED),
    "destroyed, and some still listed": views.with_forgotten(ANCIENT, REFUSED),
    "destroyed, and nothing was listed": views.with_forgotten(ANCIENT, Forgotten(ADDRESS)),
    "destroyed, and nobody was asked": views.with_forgotten(ANCIENT, None),
}


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("name", SHOWN)
def test_what_is_read(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert rendered(SHOWN[name], width=width) == snapshot


def test_every_reason_has_words() -> None:
    assert set(WHY) == set(Why)


_PRUNE = "`bacalhau-spot prune` removes what is gone"
_DENIED = "OrchestratorForbidden: HTTP 403: Request Forbidden"


@pytest.mark.parametrize(
    ("forgotten", "what"),
    [
        (None, ""),
        (REMOVED, ""),
        (STOPPED, ""),
        (REFUSED, f"{NAMES[1]} ({_DENIED})"),
        (Forgotten(ADDRESS, left=NAMES[1:], failed=((NAMES[0], FORBIDDEN),)), f"2 nodes ({_DENIED})"),
        (
            Forgotten(ADDRESS, problem=SILENT),
            "nodes whose instances ended (OrchestratorUnreachable: Connection refused)",
        ),
    ],
)
def test_what_destroy_warns_of(forgotten: Forgotten | None, what: str) -> None:
    """What is still listed, why, and the command that catches up; nothing when all is well or the user stopped it."""
    told = (f"the orchestrator {ADDRESS} still lists {what}; {_PRUNE}",) if what else ()
    assert views.still_listed(forgotten) == told
