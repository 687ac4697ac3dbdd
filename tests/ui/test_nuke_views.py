"""What is read before and after a cleaning up, at three widths."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from rich.console import RenderableType
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.found import Found
from bacalhau_spot.core.model import Identity, Naming, Resource
from bacalhau_spot.core.receipt import Blocker, Fate, Outcome, Problem, TeardownReceipt
from bacalhau_spot.core.tags import Scope
from bacalhau_spot.core.teardown import Kind
from bacalhau_spot.ui import views
from support.rendering import rendered

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
NAMING = Naming()
OURS = {"bacalhau-cluster": "bacalhau-aws-spot"}


def resource(
    kind: Kind, number: int, *, tags: dict[str, str] = OURS, minutes: int = 0, protection: str = ""
) -> Resource:
    return Resource(
        kind=kind.value,
        id=f"{kind.value[:3]}-{number:017x}",
        region="us-east-1" if number % 2 else "eu-west-1",
        name=f"bacalhau-{kind.value}",
        tags=tags,
        created_at=NOW - timedelta(minutes=minutes) if minutes else None,
        protection=protection,
    )


def found(**more: object) -> Found:
    return Found(
        identity=Identity("000000000000", "arn:aws:iam::000000000000:user/sandbox"),
        alias="acme-data",
        scope=Scope("bacalhau-cluster", "bacalhau-aws-spot", creator="us"),
        now=NOW,
        looked_into=("eu-west-1", "us-east-1"),
        **more,  # type: ignore[arg-type]  # each is of its own type
    )


VPC, TABLE, SUBNET = resource(Kind.VPC, 1), resource(Kind.ROUTE_TABLE, 1), resource(Kind.SUBNET, 1)
DB = Blocker(
    "network-interface",
    "eni-00000000000000009",
    owner="instance i-00000000000000009 named corp-db",
    of="i-00000000000000009",
    free="aws ec2 terminate-instances --instance-ids i-00000000000000009 --region us-east-1",
)
DENIED = Problem("UnauthorizedOperation", "no", "DeleteVpc", "eu-west-1", "request-1")
BUSY = Problem(
    "DependencyViolation", "The subnet has dependencies.", "DeleteSubnet", "us-east-1", "request-2"
)

VIEWS: dict[str, RenderableType] = {
    "found, one cluster": views.nuke_preview_view(
        found(doomed=(VPC, resource(Kind.INSTANCE, 1, minutes=1)), usd_per_hour=Decimal("0.0131"))
    ),
    "found, everything that can be said": views.nuke_preview_view(
        found(
            doomed=(
                VPC,
                resource(Kind.INSTANCE, 2, minutes=90, protection="termination protection"),
                resource(Kind.INSTANCE, 3, minutes=90, tags={}),
                resource(Kind.VOLUME, 4, minutes=3000, tags={"bacalhau-cluster": "second"}),
            ),
            spared=((resource(Kind.VPC, 7), "it came with the account"),),
            unknown=(Resource(kind="lambda:function", id="arn:aws:lambda:…:f", region="us-east-1"),),
            denied=(DENIED,),
            foundlings={"vol-1": "us-east-1"},
            left_out=("ap-south-1",),
            not_enabled=("af-south-1", "me-south-1"),
            unseen=(Problem("ReadTimeoutError", "", "DescribeTags", "sa-east-1"),),
            in_the_way=((VPC, DB),),
            usd_per_hour=Decimal("1.52"),
        )
    ),
    "found, nothing": views.nuke_preview_view(found()),
    "found, nothing where it could be looked for": views.nuke_preview_view(
        found(unseen=(Problem("UnauthorizedOperation", "no", "DescribeTags", "sa-east-1"),))
    ),
    "found, without a spot price": views.nuke_preview_view(found(doomed=(resource(Kind.INSTANCE, 1),))),
    "order": views.order_view(),
    "left, with what keeps it": views.teardown_receipt_view(
        TeardownReceipt(
            "bacalhau-aws-spot",
            (
                Outcome(resource(Kind.INSTANCE, 1), Fate.DELETED),
                Outcome(resource(Kind.VOLUME, 1), Fate.GONE),
                Outcome(resource(Kind.VPC, 7), Fate.SKIPPED, why="it came with the account"),
                Outcome(SUBNET, Fate.BLOCKED, BUSY, blockers=(DB,)),
                Outcome(
                    TABLE,
                    Fate.BLOCKED,
                    Problem("HeldByAnother", f"{SUBNET.id} uses it and stays", "", "us-east-1"),
                    blockers=(Blocker("subnet", SUBNET.id, owner="ours: The subnet has dependencies."),),
                ),
                Outcome(resource(Kind.VPC, 2), Fate.FAILED, DENIED),
            ),
            remaining=(SUBNET, TABLE, resource(Kind.VPC, 2)),
            looked_into=("eu-west-1", "us-east-1"),
        ),
        naming=NAMING,
        command="nuke",
    ),
    "interrupted, with much left": views.teardown_receipt_view(
        TeardownReceipt(
            "bacalhau-aws-spot",
            (
                Outcome(resource(Kind.FLEET, 1), Fate.DELETED),
                *(Outcome(resource(Kind.INSTANCE, number), Fate.LEFT) for number in range(12)),
                Outcome(SUBNET, Fate.LEFT),
            ),
            remaining=(SUBNET,),
            looked_into=("eu-west-1", "us-east-1"),
            interrupted=True,
        ),
        naming=NAMING,
        command="nuke",
    ),
}


@pytest.mark.parametrize("width", [60, 100, 140])
@pytest.mark.parametrize("name", VIEWS)
def test_what_is_read(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert rendered(VIEWS[name], width=width) == snapshot


@pytest.mark.parametrize("name", VIEWS)
def test_what_is_to_be_copied_is_whole(name: str) -> None:
    """Each command on a line of its own, each id in one piece, however narrow the window; and no empty lines."""
    lines = rendered(VIEWS[name], width=40).splitlines()
    for line in rendered(VIEWS[name], width=2000).splitlines():
        if "aws ec2" in line:
            assert line.strip() in [one.strip() for one in lines]
    assert all(line.strip() for line in lines)
