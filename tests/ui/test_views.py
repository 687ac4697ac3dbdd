"""What the user reads, at three widths."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import RenderableType
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.core.cleanup.deletion_result import DeletionOutcome, DeletionResult, DeletionStatus
from bacalhau_spot.core.cleanup.orchestrator_loss import BucketContents, OrchestratorLoss, ResultsBucket
from bacalhau_spot.core.clusters.listing import Listing
from bacalhau_spot.core.launch.create_result import CreateResult, PoolFailure, RegionResult
from bacalhau_spot.core.launch.group_plan import GroupPlan, GroupStep
from bacalhau_spot.core.launch.plan import Plan, RegionPlan
from bacalhau_spot.core.lifecycle.drain_result import DrainedNode, DrainEnd, DrainResult
from bacalhau_spot.core.model import (
    ORCHESTRATOR_ROLE,
    ROLE_KEY,
    Arch,
    Identity,
    Image,
    Instance,
    Naming,
    Offer,
    Pool,
    Resource,
    State,
)
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan, OrchestratorStep
from bacalhau_spot.core.pricing.cost import Rates
from bacalhau_spot.core.pricing.cost_summary import CostSummary
from bacalhau_spot.core.pricing.orchestrator_cost import orchestrator_cost
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import formatting, views
from bacalhau_spot.ui.views import blocks
from bacalhau_spot.ui.views.blocks import folded
from support.costs import USD_3
from support.rendering import rendered

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ME = Identity("000000000000", "arn:aws:iam::000000000000:user/sandbox")
NAMING = Naming()
TWELVE = tuple(f"region-{number}" for number in range(12))


def instance(number: int, region: str, *, state: State = State.RUNNING, why: str | None = None) -> Instance:
    return Instance(
        id=f"i-{number:017x}",
        region=region,
        zone=f"{region}{'abc'[number % 3]}",
        type="t3.medium",
        state=state,
        launched_at=NOW - timedelta(minutes=7 * number),
        public_ip=f"127.0.1.{number}" if state is State.RUNNING else None,
        private_ip=f"10.0.0.{number}",
        spot_request_id=f"sir-{number:08}",
        subnet_id="subnet-1",
        image_id="ami-1",
        termination_reason=why,
    )


ORCHESTRATOR = replace(
    instance(9, "us-east-1"),
    type="t3.small",
    lifecycle="on-demand",
    spot_request_id=None,
    tags={ROLE_KEY: ORCHESTRATOR_ROLE},
)


NEW = OrchestratorPlan("us-east-1", tuple(OrchestratorStep), "us-east-1a", "t3.small", 20)
WORKS, STOPPED = replace(NEW, steps=()), replace(NEW, steps=(OrchestratorStep.RULES, OrchestratorStep.START))


def region_plan(region: str, *, present: int = 0, launch: int = 3, wanted: int = 3) -> RegionPlan:
    offers = tuple(
        Offer(Pool(type_name, f"{region}{zone}"), Decimal("0.0131"), Arch.X86_64)
        for type_name in ("t3.medium", "t3a.medium")
        for zone in "abc"
    )
    image = Image("ami-1", Arch.X86_64, "/dev/sda1")
    low, high = Decimal("0.0125"), Decimal("0.0151")
    return RegionPlan(region, wanted, present, launch, offers, (image,), low, high, USD_3 if launch else None)


def refused(region: str, code: str, *, moved: int = 0, problem: bool = False) -> RegionResult:
    return RegionResult(
        region,
        requested=3,
        reassigned=moved,
        pool_failures=() if problem else (PoolFailure("t3.medium", f"{region}a", code, "no"),),
        problem=ApiFailure(code, "AWS's own words [with brackets].", "CreateVpc", region)
        if problem
        else None,
    )


def succeeded(region: str, *, extra: int = 0) -> RegionResult:
    instances = tuple(instance(number, region) for number in range(3 + extra))
    return RegionResult(
        region, requested=3, extra=extra, launched=tuple(item.id for item in instances), instances=instances
    )


def resource(kind: str, number: int, region: str = "us-east-1") -> Resource:
    return Resource(kind=kind, id=f"{kind}-{number}", region=region)


ITS_INSTANCE = replace(resource("instance", 9), tags={ROLE_KEY: ORCHESTRATOR_ROLE})


def results_bucket(*, deleted: bool) -> ResultsBucket:
    return ResultsBucket(resource("bucket", 1), BucketContents(1234, 5 * 1024**3), deleted=deleted)


VIEWS: dict[str, RenderableType] = {
    "plan": views.plan_view(
        Plan(
            "c",
            (region_plan("us-east-1"), region_plan("eu-west-1", present=2, launch=1)),
            warnings=("beware",),
        ),
    ),
    "plan, with an orchestrator": views.plan_view(
        Plan(
            "c",
            (region_plan("us-east-1"),),
            orchestrator=NEW,
            orchestrator_cost=orchestrator_cost(NEW, Rates()),
        )
    ),
    "plan, with an orchestrator that exists": views.plan_view(
        Plan(
            "c",
            (region_plan("us-east-1"),),
            orchestrator=WORKS,
            orchestrator_cost=orchestrator_cost(WORKS, Rates()),
        )
    ),
    "plan, only the orchestrator": views.plan_view(
        Plan(
            "c",
            (region_plan("us-east-1", present=3, launch=0),),
            orchestrator=STOPPED,
            orchestrator_cost=orchestrator_cost(STOPPED, Rates()),
        )
    ),
    "plan, an orchestrator without a price": views.plan_view(
        Plan(
            "c",
            (region_plan("us-east-1"),),
            orchestrator=replace(NEW, instance_type="m7i.large"),
            orchestrator_cost=orchestrator_cost(replace(NEW, instance_type="m7i.large"), Rates()),
            list_prices_missing="AccessDeniedException",
        )
    ),
    "plan, nothing to do": views.plan_view(Plan("c", (region_plan("us-east-1", present=3, launch=0),))),
    "plan, too many": views.plan_view(
        Plan("c", (region_plan("us-east-1", present=4, launch=0),), surplus=(instance(1, "us-east-1"),))
    ),
    "plan, removal": views.plan_view(
        Plan(
            "c",
            (region_plan("us-east-1", present=4, launch=0),),
            surplus=(instance(1, "us-east-1"),),
            remove=(instance(1, "us-east-1"),),
            removed_usd=Decimal("0.0145"),
        )
    ),
    "plan, groups": views.plan_view(
        Plan(
            "c",
            (region_plan("us-east-1", present=1, launch=0),),
            groups=(
                GroupPlan("eu-west-1", (GroupStep.RESIZE,), desired=1),
                GroupPlan("us-east-1", (GroupStep.DETACH, GroupStep.DELETE), detach=("i-1",)),
                GroupPlan("us-west-2", (GroupStep.DETACH, GroupStep.DELETE), detach=("i-2", "i-3")),
            ),
        )
    ),
    "plan, too many in two regions": views.plan_view(
        Plan(
            "c",
            (region_plan("us-east-1", present=3, launch=0, wanted=2),),
            surplus=(*(instance(number, "eu-west-1") for number in (1, 2, 3)), instance(4, "us-east-1")),
        )
    ),
    "receipt": views.create_result_view(
        CreateResult("c", 6, 0, (succeeded("us-east-1"), succeeded("eu-west-1")))
    ),
    "receipt, moved": views.create_result_view(
        CreateResult(
            "c",
            6,
            0,
            (succeeded("us-east-1", extra=3), refused("eu-west-1", "InsufficientInstanceCapacity", moved=3)),
        )
    ),
    "receipt, quota in twelve regions": views.create_result_view(
        CreateResult("c", 36, 0, tuple(refused(region, "MaxSpotInstanceCountExceeded") for region in TWELVE))
    ),
    "receipt, some zones refused": views.create_result_view(
        CreateResult(
            "c",
            4,
            1,
            (
                RegionResult(
                    "us-east-1",
                    requested=3,
                    launched=("i-1", "i-2", "i-3"),
                    instances=(instance(1, "us-east-1"),),
                    pool_failures=tuple(
                        PoolFailure(type_name, f"us-east-1{zone}", code, "no")
                        for zone in "abc"
                        for type_name, code in (
                            ("t3.medium", "InsufficientInstanceCapacity"),
                            ("t3a.medium", "UnfulfillableCapacity"),
                            ("m6a.large", "SpotMaxPriceTooLow"),
                        )
                    ),
                ),
            ),
        )
    ),
    "receipt, interrupted": views.create_result_view(
        CreateResult(
            "c", 6, 0, (succeeded("us-east-1"), RegionResult("eu-west-1", requested=3)), interrupted=True
        )
    ),
    "receipt, nodes that would not end": views.create_result_view(
        CreateResult(
            "c",
            3,
            10,
            (
                RegionResult(
                    "eu-west-1",
                    0,
                ),
            ),
            drain=DrainResult(
                tuple(
                    DrainedNode(instance(number, "eu-west-1"), end, 12.0)
                    for number, end in enumerate(DrainEnd, 1)
                ),
                failures=(ApiFailure("InternalError", "m", "TerminateInstances", "eu-west-1"),),
            ),
        )
    ),
    "receipt, lost": views.create_result_view(
        CreateResult(
            "c",
            1,
            0,
            (
                RegionResult(
                    "us-east-1",
                    requested=1,
                    launched=("i-1",),
                    instances=(
                        instance(
                            1, "us-east-1", state=State.TERMINATED, why="Server.SpotInstanceTermination"
                        ),
                    ),
                ),
            ),
        )
    ),
    "list": views.listing_view(
        Listing(
            "c",
            tuple(instance(n, "us-east-1") for n in range(4)),
            ("us-east-1",),
            others=(resource("vpc", 1), resource("subnet", 1), resource("subnet", 2)),
        ),
        wide=False,
        now=NOW,
    ),
    "list, only what a cut-short create left": views.listing_view(
        Listing("c", (), TWELVE, others=(resource("vpc", 1),)), wide=False, now=NOW
    ),
    "list, wide": views.listing_view(
        Listing("c", (instance(1, "us-east-1"),), ("us-east-1",)), wide=True, now=NOW
    ),
    "list, with a managed orchestrator": views.listing_view(
        Listing("c", (instance(1, "us-east-1"),), ("us-east-1",), orchestrator=ORCHESTRATOR),
        wide=False,
        now=NOW,
    ),
    "list, with a managed orchestrator, wide": views.listing_view(
        Listing("c", (instance(1, "us-east-1"),), ("us-east-1",), orchestrator=ORCHESTRATOR),
        wide=True,
        now=NOW,
    ),
    "list, only a managed orchestrator": views.listing_view(
        Listing("c", (), TWELVE, others=(resource("vpc", 1),), orchestrator=ORCHESTRATOR), wide=False, now=NOW
    ),
    "list, nothing": views.listing_view(Listing("c", (), TWELVE), wide=False, now=NOW),
    "list, nothing of another cluster": views.listing_view(
        Listing("c", (), TWELVE), wide=False, now=NOW, configured=False
    ),
    "list, not everywhere": views.listing_view(
        Listing("c", (), ("us-east-1",), (ApiFailure("ReadTimeoutError", "m", "o", "eu-west-1"),)),
        wide=False,
        now=NOW,
    ),
    "destroy, preview": views.deletion_preview_view(
        [resource("instance", 1), resource("instance", 2), resource("vpc", 1, "eu-west-1")],
        unknown=[resource("natgateway", 1)],
        cluster="c",
    ),
    "destroy, preview, with an orchestrator": views.deletion_preview_view(
        [resource("instance", 1), ITS_INSTANCE],
        unknown=[],
        cluster="c",
        loss=OrchestratorLoss(
            (ITS_INSTANCE,), {"guest": 2, "other": 1}, certain=True, results=(results_bucket(deleted=False),)
        ),
        delete_results="bacalhau-spot destroy --delete-results",
    ),
    "destroy, preview, with its results": views.deletion_preview_view(
        [ITS_INSTANCE, results_bucket(deleted=True).resource],
        unknown=[],
        cluster="c",
        loss=OrchestratorLoss(
            (ITS_INSTANCE,), {"guest": 2}, certain=False, results=(results_bucket(deleted=True),)
        ),
        delete_results="bacalhau-spot destroy --delete-results",
    ),
    "destroy, preview, only results": views.deletion_preview_view(
        [],
        unknown=[],
        cluster="c",
        loss=OrchestratorLoss(results=(results_bucket(deleted=False),)),
        delete_results="bacalhau-spot destroy --delete-results",
    ),
    "destroy, preview, blind": views.deletion_preview_view(
        [],
        unknown=[],
        cluster="c",
        unseen=[ApiFailure("ReadTimeoutError", "m", "DescribeTags", "eu-west-1")],
        silent=[ApiFailure("AccessDenied", "m", "ListRoles", "")],
    ),
    "destroyed": views.deletion_result_view(
        DeletionResult(
            "c",
            tuple(
                DeletionOutcome(resource(kind, 1), DeletionStatus.DELETED)
                for kind in ("vpc", "spot-instances-request", "subnet")
            ),
            regions_scanned=TWELVE,
        ),
        naming=NAMING,
    ),
    "destroyed, except for results": views.deletion_result_view(
        DeletionResult(
            "c",
            (
                DeletionOutcome(resource("vpc", 1), DeletionStatus.DELETED),
                DeletionOutcome(
                    results_bucket(deleted=False).resource,
                    DeletionStatus.SKIPPED,
                    reason="r",
                    results=results_bucket(deleted=False).contents,
                ),
            ),
            regions_scanned=TWELVE,
        ),
        naming=NAMING,
        delete_results="bacalhau-spot destroy --delete-results",
    ),
    "destroyed, nothing": views.deletion_result_view(
        DeletionResult("c", regions_scanned=TWELVE), naming=NAMING
    ),
    "destroyed, something left": views.deletion_result_view(
        DeletionResult(
            "c",
            (
                DeletionOutcome(resource("instance", 1), DeletionStatus.DELETED),
                DeletionOutcome(
                    resource("vpc", 1),
                    DeletionStatus.FAILED,
                    ApiFailure("DependencyViolation", "m", "DeleteVpc", "us-east-1"),
                ),
            ),
            remaining=(resource("vpc", 1),),
            unsupported=(resource("natgateway", 1),),
            regions_scanned=TWELVE,
            failed_regions=(ApiFailure("UnauthorizedOperation", "m", "DescribeTags", "me-south-1"),),
        ),
        naming=NAMING,
    ),
    "error": views.error_view(
        UserError(
            "the configuration has 2 problems",
            details=("config.yaml:2:7  nodes: found -1", "config.yaml:5:1  regoins: unknown"),
            hint="did you mean `regions`?",
            docs="docs/configuration.md",
        )
    ),
    "error of AWS in two regions, and another": views.error_view(
        views.error_from_failures(
            [
                ApiFailure(
                    "VpcLimitExceeded",
                    "The maximum number of VPCs has been reached.",
                    "CreateVpc",
                    "eu-west-1",
                ),
                ApiFailure(
                    "VpcLimitExceeded",
                    "The maximum number of VPCs has been reached.",
                    "CreateVpc",
                    "us-east-1",
                ),
                ApiFailure("InsufficientInstanceCapacity", "no", "CreateFleet", "us-west-2"),
            ]
        )
    ),
    "sentence": views.sentence_text("done", after=("bacalhau-spot list",)),
    "configured": views.configured(Path("config.yaml"), changed=False, archives=((Arch.X86_64, "ab" * 32),)),
    "plan, with the archive's sum": views.plan_view(
        Plan("c", (region_plan("us-east-1"),), archives=((Arch.X86_64, "ab" * 32),))
    ),
}


@pytest.mark.parametrize("width", [60, 100, 140])
@pytest.mark.parametrize("name", VIEWS)
def test_what_is_read(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    """Every sentence and table, as it stands on the screen."""
    assert rendered(VIEWS[name], width=width) == snapshot


def test_the_same_error_in_twelve_regions_is_one() -> None:
    """With all regions named, and AWS's code once."""
    text = rendered(VIEWS["receipt, quota in twelve regions"], width=400)
    assert text.count("MaxSpotInstanceCountExceeded") == 1
    assert all(region in text for region in TWELVE)


def test_one_meaning_is_one_error() -> None:
    """Two codes for expired credentials are one thing to do; AWS's other words stay, with their region."""
    error = views.error_from_failures(
        [
            ApiFailure("RequestExpired", "late", "DescribeVpcs", "us-east-1"),
            ApiFailure("ExpiredToken", "old", "GetCallerIdentity", "eu-west-1"),
            ApiFailure("ExpiredToken", "old", "GetCallerIdentity", "eu-west-2"),
        ]
    )
    assert (error.code, error.regions) == ("ExpiredToken", ("eu-west-1", "eu-west-2", "us-east-1"))
    assert error.what == "your AWS credentials have expired"
    assert error.why == "GetCallerIdentity: ExpiredToken: old"
    assert error.details == ("in us-east-1: DescribeVpcs: RequestExpired: late",)


def test_codes_without_a_row_stay_apart() -> None:
    """Nothing says that they mean the same."""
    failures = [ApiFailure("Strange", "", "A", "us-east-1"), ApiFailure("Stranger", "", "B", "us-east-1")]
    assert views.error_from_failures(failures).details == (
        "also: AWS refused a call in us-east-1 (B: Stranger)",
    )


def test_the_columns_add_up() -> None:
    """What regions took over from each other is counted once."""
    moved = refused("eu-west-1", "InsufficientInstanceCapacity", moved=3)
    result = CreateResult("c", 6, 0, (succeeded("us-east-1", extra=3), moved))
    text = rendered(views.create_result_view(result), width=140)
    counts = dict(re.findall(r"^(us-east-1|eu-west-1) +(\d/\d)", text, flags=re.MULTILINE))
    assert counts == {"us-east-1": "6/6", "eu-west-1": "0/0"}
    assert text.startswith("6 of 6 nodes running\n")


def test_the_first_line_of_a_receipt_has_time_and_cost() -> None:
    """Joined nodes if all of them are new, else the new ones of them."""
    result = CreateResult("c", 3, 0, (succeeded("us-east-1"),), elapsed_s=161, usd_per_hour=Decimal("0.2704"))

    def first_line(result: CreateResult) -> str:
        return rendered(views.create_result_view(result)).splitlines()[0]

    assert first_line(result) == "3 of 3 nodes running after 2 min 41 s, $0.27 an hour"
    assert first_line(replace(result, joined=3)) == "3 of 3 nodes joined after 2 min 41 s, $0.27 an hour"
    assert first_line(replace(result, joined=3, existing=1, wanted=4)) == (
        "4 of 4 nodes running, 3 of 3 new ones joined after 2 min 41 s, $0.27 an hour"
    )
    assert first_line(replace(result, joined=2, not_joined=("i-1",), elapsed_s=41)) == (
        "2 of 3 nodes joined after 41 s, $0.27 an hour"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (161, "2 min 41 s"), (3900, "1 h 5 min")],
)
def test_a_wait_has_seconds(seconds: float, text: str) -> None:
    assert formatting.elapsed_text(seconds) == text


@pytest.mark.parametrize("name", VIEWS)
def test_nothing_copied_is_broken(name: str) -> None:
    """However narrow the window: addresses stay whole, because a terminal folds them better than we do."""
    wide = rendered(VIEWS[name], width=2000)
    narrow = rendered(VIEWS[name], width=44)
    assert all(address in narrow for address in re.findall(r"https://\S+", wide))


@pytest.mark.parametrize("name", ["list", "list, wide", "receipt", "plan"])
def test_no_id_is_ever_broken(name: str) -> None:
    """In a window that is too narrow even for what must be shown, the terminal folds lines, and what is copied is whole."""
    ids = r"i-[0-9a-f]{17}|(?:us|eu)-(?:east|west)-1"
    assert set(re.findall(ids, rendered(VIEWS[name], width=30))) == set(
        re.findall(ids, rendered(VIEWS[name], width=300))
    )


def test_no_line_ends_between_a_number_and_its_noun() -> None:
    """In sentences and in cells, at every width; the text itself has ordinary blanks."""
    kinds = "12 spot requests, 13 subnets, 4 VPCs, 1 Elastic IP address"
    table = blocks.TextTable(("region", "to delete"), [("us-east-1", kinds)])
    for width in range(30, 90):
        for shown in (table, blocks.Paragraph(f"other resources in 4 regions: {kinds}")):
            lines = rendered(shown, width=width).splitlines()
            assert not [line for line in lines if re.search(r"(?<!\S)\d+$", line)], (width, lines)
            assert "12 spot" in "\n".join(lines)


_EVENTS = blocks.TextTable(
    ("time", "event", "region", "node", "details"),
    [
        ("2026-11-29 09:53:57", "launched", "ap-southeast-1", "i-11718f0d7516a2fe7", ""),
        (
            "2026-11-29 09:55:00",
            "interrupted",
            "ap-southeast-1",
            "i-11718f0d7516a2fe7",
            "no capacity; not replaced",
        ),
    ],
    total=("total", "", "", "", "2 events"),
)


def test_prose_without_room_stands_below_its_row() -> None:
    """A gutter of nine columns breaks every word, and the table is wider than the window."""
    lines = rendered(_EVENTS, width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["time", "event", "region", "node"]
    assert lines[2].endswith("i-11718f0d7516a2fe7")
    assert lines[3:] == ["  no capacity; not replaced", "total", "  2 events"]


def test_an_id_without_room_stands_below_its_row_with_its_head() -> None:
    table = blocks.TextTable(
        ("node", "replacement", "age"),
        [("i-11718f0d7516a2fe7", "i-2ac95186499abb5cf", "1 min")],
        right=("age",),
        spare=("age",),
    )
    assert rendered(table, width=36).splitlines() == [
        "node",
        "i-11718f0d7516a2fe7",
        "  replacement: i-2ac95186499abb5cf",
    ]


def test_prose_with_room_stands_beside_its_row() -> None:
    lines = rendered(_EVENTS, width=100).splitlines()
    assert lines[0].endswith("details")
    assert lines[-1].split() == ["total", "2", "events"]


def test_a_last_column_of_numbers_is_not_folded() -> None:
    """Neither is a number parted from its percent sign."""
    table = blocks.TextTable(
        ("region", "total", "saved"),
        [("ap-southeast-1", "$0.0075", "59.25 %")],
        right=("total", "saved"),
    )
    assert rendered(table, width=27).splitlines()[1:] == ["ap-southeast-1  $0.0075  59.25 %"]


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        ("0.9359", "2.11", "$0.94 to $2.11"),
        ("0.0651", "0.1152", "$0.0651 to $0.1152"),
        ("0.004", "1.5", "$0.0040 to $1.5000"),
        ("232.02", "1008.87", "$232.02 to $1,008.87"),
        ("2.111", "2.112", "$2.11"),
        ("0", "0", "$0"),
    ],
)
def test_the_numbers_of_a_range_have_the_same_decimals(low: str, high: str, text: str) -> None:
    assert formatting.usd_range(Decimal(low), Decimal(high)) == text


def test_a_sum_is_in_cents_from_ten_cents_on() -> None:
    assert [formatting.usd_sum(Decimal(text)) for text in ("0.0124", "0.2704", "1008.871")] == [
        "$0.0124",
        "$0.27",
        "$1,008.87",
    ]


def test_the_cost_of_a_cluster_is_a_line() -> None:
    since = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    cost = CostSummary(Decimal("4.119"), Decimal("0.2704"), since)
    listing = Listing("c", (instance(1, "us-east-1"),), ("us-east-1",), cost=cost)
    text = rendered(views.listing_view(listing, wide=False, now=NOW))
    assert "cost: $0.27 an hour, $4.12 since 2026-11-20 08:00 UTC" in text
    gap = replace(cost, usd_per_hour=None, complete=False)
    unknown = rendered(views.listing_view(replace(listing, cost=gap), wide=False, now=NOW))
    assert "cost: unknown, at least $4.12 since" in unknown


def test_a_deletion_says_what_it_saves_and_how_long_it_took() -> None:
    """And has no table where nothing is left: the preview has had it."""
    gone = DeletionOutcome(Resource("vpc", "vpc-1", "us-east-1"), DeletionStatus.DELETED)
    result = DeletionResult(cluster="c", outcomes=(gone,), regions_scanned=("us-east-1",))
    text = rendered(
        views.deletion_result_view(result, naming=NAMING, elapsed_s=31.4, usd_per_hour=Decimal("1.51"))
    )
    assert text.splitlines()[0] == (
        "1 of 1 resource deleted in 1 region after 31 s, which saves about $1.51 an hour"
    )
    assert "region  " not in text


def test_long_lists_of_types_are_short() -> None:
    """A region that meets requirements with forty types is still a row."""
    assert formatting.first_few(["a", "b", "c", "d"]) == "a, b, c, d"
    assert formatting.first_few(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_brackets_of_aws_are_brackets() -> None:
    """AWS's messages are not markup."""
    failure = ApiFailure("Whatever", "the parameter [GroupId] is [/wrong]", "CreateVpc", "us-east-1")
    assert "[GroupId] is [/wrong]" in rendered(views.error_view(views.error_from_failures([failure])))


def test_commands_are_printed_as_they_must_be_typed() -> None:
    """In the sandbox, by the script, with another configuration: what is copied works."""
    view = views.create_result_view(CreateResult("c", 3, 0, (succeeded("us-east-1"),)))
    text = rendered(view, program="uv run -s deploy_spot.py", flags=("--sandbox",))
    assert "next: uv run -s deploy_spot.py status --sandbox --watch" in text
    text = rendered(views.sentence_text("gone", after=("bacalhau-spot sandbox stop",)), flags=("--sandbox",))
    assert "next: bacalhau-spot sandbox stop\n" in f"{text}\n"
    text = rendered(views.sentence_text("`bacalhau-spot --help`"), program="uv run -s deploy_spot.py")
    assert text == "`uv run -s deploy_spot.py --help`"


def test_the_summary_leads_from_joined_nodes_to_a_job() -> None:
    """Without an orchestrator no job can run, and the next commands are others."""
    joined = rendered(views.create_result_view(CreateResult("c", 3, 0, (succeeded("us-east-1"),), joined=3)))
    assert "next: bacalhau-spot smoke-test" in joined
    assert "to run a job: bacalhau-spot explain first-job" in joined
    assert "bacalhau-spot explain jobs" in joined and "bacalhau-spot destroy" in joined
    alone = rendered(views.create_result_view(CreateResult("c", 3, 0, (succeeded("us-east-1"),))))
    assert "smoke-test" not in alone and "explain" not in alone


@pytest.mark.parametrize("option", ["--config other.yaml", "-c other.yaml"])
def test_commands_about_the_file_name_it(option: str) -> None:
    """C12: `configure` without it would change another file; the rest of the options it does not take."""
    sentence = views.sentence_text("`bacalhau-spot configure --set nodes=1`, `bacalhau-spot config show`")
    text = rendered(sentence, width=200, flags=("--sandbox", option, "--cluster b", "--profile p"))
    assert text == f"`bacalhau-spot configure {option} --set nodes=1`, `bacalhau-spot config show {option}`"


@pytest.mark.parametrize("other", [" --cluster b", " --cluster=b", " --cluster 'b c'", " --cluster='b c'"])
def test_another_cluster_is_named_only_where_one_can_be(other: str) -> None:
    """`create` makes the configuration's: with --cluster it would be refused."""
    sentence = views.sentence_text("`bacalhau-spot destroy`, `bacalhau-spot create`")
    text = rendered(sentence, width=200, flags=("--sandbox", other.strip(), "--profile p"))
    assert (
        text
        == f"`bacalhau-spot destroy --sandbox{other} --profile p`, `bacalhau-spot create --sandbox --profile p`"
    )


def test_an_errors_exit_code_follows_its_worst_fault() -> None:
    """Denied wins over capacity; the command may know better."""
    failures = [
        ApiFailure("InsufficientInstanceCapacity", "", "CreateFleet", "a"),
        ApiFailure("UnauthorizedOperation", "", "CreateFleet", "b"),
    ]
    assert views.error_from_failures(failures).exit_code is ExitCode.DENIED
    assert views.error_from_failures(failures, exit_code=ExitCode.INCOMPLETE).exit_code is ExitCode.INCOMPLETE


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0.01311", "$0.0131"), ("1.525", "$1.53"), ("0", "$0"), ("0.00001", "$0.0000"), ("999", "$999.00")],
)
def test_money(amount: str, text: str) -> None:
    """Fractions of a cent below a dollar, cents above."""
    assert formatting.usd(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
        (90000, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    """Two units at most."""
    assert formatting.age(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_command_is_never_folded(width: int) -> None:
    """Whatever the window: folded it could not be copied. All else goes on, indented, and loses no word."""
    command = "`aws ec2 describe-vpcs --region eu-west-1`"
    text = f"      name one that there is ({command} lists them), or https://example.com/a/very/long/address instead"
    lines = folded(text, width=width)
    assert any(command in line for line in lines)
    assert " ".join(text.split()) == " ".join(" ".join(lines).split())
    assert all(line.startswith("      ") for line in lines)
    assert all(len(line) <= width or command in line or "https://" in line for line in lines)
