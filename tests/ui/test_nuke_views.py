"""What is read before and after a cleaning up, at three widths."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from rich.console import RenderableType
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.cleanup.deletion_result import (
    DeletionOutcome,
    DeletionResult,
    DeletionStatus,
    Dependency,
)
from bacalhau_spot.core.cleanup.nuke_preview import NukePreview
from bacalhau_spot.core.cleanup.orchestrator_loss import BucketContents, ResultsBucket
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import Identity, Naming, Resource
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.core.tags import Scope
from bacalhau_spot.ui import views
from support.rendering import rendered

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
NAMING = Naming()
OURS = {"bacalhau-cluster": "bacalhau-aws-spot"}


def resource(
    kind: ResourceKind, number: int, *, tags: dict[str, str] = OURS, minutes: int = 0, protection: str = ""
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


def preview(**more: object) -> NukePreview:
    return NukePreview(
        identity=Identity("000000000000", "arn:aws:iam::000000000000:user/sandbox"),
        alias="acme-data",
        scope=Scope("bacalhau-cluster", "bacalhau-aws-spot", creator="us"),
        scanned_at=NOW,
        regions_scanned=("eu-west-1", "us-east-1"),
        **more,  # type: ignore[arg-type]  # each is of its own type
    )


VPC, TABLE, SUBNET = (
    resource(ResourceKind.VPC, 1),
    resource(ResourceKind.ROUTE_TABLE, 1),
    resource(ResourceKind.SUBNET, 1),
)
DB = Dependency(
    "network-interface",
    "eni-00000000000000009",
    owner="instance i-00000000000000009 named corp-db",
    parent_id="i-00000000000000009",
    fix_command="aws ec2 terminate-instances --instance-ids i-00000000000000009 --region us-east-1",
)
DENIED = ApiFailure("UnauthorizedOperation", "no", "DeleteVpc", "eu-west-1", "request-1")
BUSY = ApiFailure(
    "DependencyViolation", "The subnet has dependencies.", "DeleteSubnet", "us-east-1", "request-2"
)

VIEWS: dict[str, RenderableType] = {
    "found, one cluster": views.nuke_preview_view(
        preview(
            to_delete=(VPC, resource(ResourceKind.INSTANCE, 1, minutes=1)), usd_per_hour=Decimal("0.0131")
        )
    ),
    "found, everything that can be said": views.nuke_preview_view(
        preview(
            to_delete=(
                VPC,
                resource(ResourceKind.INSTANCE, 2, minutes=90, protection="termination protection"),
                resource(ResourceKind.INSTANCE, 3, minutes=90, tags={}),
                resource(ResourceKind.VOLUME, 4, minutes=3000, tags={"bacalhau-cluster": "second"}),
            ),
            excluded=((resource(ResourceKind.VPC, 7), "it came with the account"),),
            unsupported=(Resource(kind="lambda:function", id="arn:aws:lambda:…:f", region="us-east-1"),),
            denied=(DENIED,),
            to_adopt={"vol-1": "us-east-1"},
            regions_skipped=("ap-south-1",),
            regions_not_enabled=("af-south-1", "me-south-1"),
            failed_regions=(ApiFailure("ReadTimeoutError", "", "DescribeTags", "sa-east-1"),),
            foreign=((VPC, DB),),
            partial_failures=(ApiFailure("UnauthorizedOperation", "", "DescribeNatGateways", "us-west-2"),),
            usd_per_hour=Decimal("1.52"),
        )
    ),
    "found, with an orchestrator and results": views.nuke_preview_view(
        preview(
            to_delete=(
                resource(ResourceKind.INSTANCE, 1, minutes=90, tags={**OURS, "BacalhauRole": "orchestrator"}),
            ),
            results=(ResultsBucket(resource(ResourceKind.BUCKET, 1), BucketContents(7, 900), deleted=False),),
            regions_skipped=("ap-south-1",),
        ),
        delete_results="bacalhau-spot nuke --delete-results",
    ),
    "found, only results": views.nuke_preview_view(
        preview(
            results=(ResultsBucket(resource(ResourceKind.BUCKET, 1), BucketContents(7, 900), deleted=False),),
        ),
        delete_results="bacalhau-spot nuke --delete-results",
    ),
    "found, nothing": views.nuke_preview_view(preview()),
    "found, nothing in the scanned regions": views.nuke_preview_view(
        preview(failed_regions=(ApiFailure("UnauthorizedOperation", "no", "DescribeTags", "sa-east-1"),))
    ),
    "found, all of it retained": views.nuke_preview_view(
        preview(
            excluded=(
                (resource(ResourceKind.INSTANCE, 1, minutes=7), "it is younger than --min-age"),
                (VPC, "it, or what needs it, is younger than --min-age"),
            )
        )
    ),
    "found, without a spot price": views.nuke_preview_view(
        preview(to_delete=(resource(ResourceKind.INSTANCE, 1),))
    ),
    "order": views.order_view(),
    "left, with what keeps it": views.deletion_result_view(
        DeletionResult(
            "bacalhau-aws-spot",
            (
                DeletionOutcome(resource(ResourceKind.INSTANCE, 1), DeletionStatus.DELETED),
                DeletionOutcome(resource(ResourceKind.VOLUME, 1), DeletionStatus.NOT_FOUND),
                DeletionOutcome(
                    resource(ResourceKind.VPC, 7), DeletionStatus.SKIPPED, reason="it came with the account"
                ),
                DeletionOutcome(SUBNET, DeletionStatus.BLOCKED, BUSY, dependencies=(DB,)),
                DeletionOutcome(
                    TABLE,
                    DeletionStatus.BLOCKED,
                    ApiFailure("HeldByAnother", f"{SUBNET.id} uses it and is retained", "", "us-east-1"),
                    dependencies=(
                        Dependency("subnet", SUBNET.id, owner="managed: The subnet has dependencies."),
                    ),
                ),
                DeletionOutcome(resource(ResourceKind.VPC, 2), DeletionStatus.FAILED, DENIED),
            ),
            remaining=(SUBNET, TABLE, resource(ResourceKind.VPC, 2)),
            regions_scanned=("eu-west-1", "us-east-1"),
        ),
        naming=NAMING,
        command="nuke",
    ),
    "interrupted, with much left": views.deletion_result_view(
        DeletionResult(
            "bacalhau-aws-spot",
            (
                DeletionOutcome(resource(ResourceKind.FLEET, 1), DeletionStatus.DELETED),
                *(
                    DeletionOutcome(resource(ResourceKind.INSTANCE, number), DeletionStatus.NOT_ATTEMPTED)
                    for number in range(12)
                ),
                DeletionOutcome(SUBNET, DeletionStatus.NOT_ATTEMPTED),
            ),
            remaining=(SUBNET,),
            regions_scanned=("eu-west-1", "us-east-1"),
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
            assert line.strip() in [line.strip() for line in lines]
    assert all(line.strip() for line in lines)
