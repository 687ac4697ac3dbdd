"""The published forms of the output, and what is really printed: neither has a key that the other has not."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # check-jsonschema brings it, without types
from syrupy.assertion import SnapshotAssertion

from bacalhau_spot.cli.app import COMMANDS, GROUPS
from bacalhau_spot.core.cleanup.deletion_result import (
    DeletionOutcome,
    DeletionResult,
    DeletionStatus,
    Dependency,
)
from bacalhau_spot.core.cleanup.nuke_preview import NukePreview
from bacalhau_spot.core.cleanup.orchestrator_loss import BucketContents, OrchestratorLoss, ResultsBucket
from bacalhau_spot.core.clusters.listing import Listing
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.create_result import CreateResult, PoolFailure, RegionResult
from bacalhau_spot.core.launch.instance_phases import Phase
from bacalhau_spot.core.launch.plan import Plan, PoolExposure, RegionPlan
from bacalhau_spot.core.lifecycle.drain_result import DrainedNode, DrainEnd, DrainResult
from bacalhau_spot.core.model import Arch, Identity, Image, Instance, Offer, Pool, Resource, State
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan, OrchestratorStep
from bacalhau_spot.core.orchestrator.prune import PruneResult
from bacalhau_spot.core.orchestrator.smoke_test import Outcome
from bacalhau_spot.core.placement.pool_distribution import pool_distribution
from bacalhau_spot.core.placement.region_selection import RegionDecision, RegionReason
from bacalhau_spot.core.pricing.cost import Rates
from bacalhau_spot.core.pricing.orchestrator_cost import orchestrator_cost
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.core.tags import Scope
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output
from bacalhau_spot.ui.error_messages import error_from_failures
from support.costs import USD_3
from support.golden import golden, golden_lines, output_text
from support.long_tests import sample
from support.recorded_events import CREATE
from support.schemas import FOLDER, first_items, mutants, printed, schema, unnoticed

GOLDEN = sorted(Path(__file__).parent.parent.glob("*/__snapshots__/*/*.json"))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROBLEM = ApiFailure("VpcLimitExceeded", "no more", "CreateVpc", "eu-west-1")
INSTANCE = Instance("i-1", "us-east-1", "us-east-1a", "t3.medium", State.RUNNING, NOW, private_ip="10.0.0.1")
VPC = Resource("vpc", "vpc-1", "us-east-1")
VOLUME = Resource("volume", "vol-1", "us-east-1", created_at=NOW)
POOL = Offer(Pool("t3.medium", "us-east-1a"), Decimal("0.0131"), Arch.X86_64)
UNPRICED = Offer(Pool("t4g.small", "us-east-1a"), None, Arch.ARM64)


def region_plan(name: str, *offers: Offer) -> RegionPlan:
    prices = [offer.usd_per_hour for offer in offers]
    low = None if None in prices else Decimal("0.0131")
    return RegionPlan(name, 2, 0, 2, offers, (Image("ami-1", Arch.X86_64, "/dev/sda1"),), low, low, USD_3)


CHOICES = (
    RegionDecision("us-east-1", True, RegionReason.CHEAPEST, Decimal("0.0131"), 7, 12),
    RegionDecision("eu-west-1", False, RegionReason.NO_OFFER),
)
PLAN = Plan(
    "c",
    (region_plan("us-east-1", POOL),),
    surplus=(INSTANCE,),
    remove=(INSTANCE,),
    choices=CHOICES,
    exposure=PoolExposure(pools=3, max_nodes=2, limit=2),
    archives=((Arch.X86_64, "ab" * 32),),
)
NEW = OrchestratorPlan("us-east-1", tuple(OrchestratorStep), "us-east-1a", "t3.small", 20)
NO_PRICE = Plan("c", (region_plan("us-east-1", POOL, UNPRICED),))
RECEIPT = CreateResult(
    "c",
    4,
    0,
    (
        RegionResult("us-east-1", requested=2, extra=1, launched=("i-1",), instances=(INSTANCE,)),
        RegionResult(
            "eu-west-1",
            requested=2,
            reassigned=1,
            pool_failures=(PoolFailure("t3.medium", "eu-west-1a", "InsufficientInstanceCapacity", "no"),),
            problem=PROBLEM,
        ),
    ),
    drain=DrainResult(
        (DrainedNode(INSTANCE, DrainEnd.SHUT_DOWN, 4.26), DrainedNode(INSTANCE, DrainEnd.KEPT)),
    ),
    resources_created=(("vpc", 2),),
    pools=pool_distribution([INSTANCE]),
)
TEARDOWN = DeletionResult(
    "c",
    tuple(
        DeletionOutcome(
            VPC,
            status,
            PROBLEM if status in {DeletionStatus.FAILED, DeletionStatus.BLOCKED} else None,
            reason="too young",
            request_ids=("req-1",),
            dependencies=(Dependency("network-interface", "eni-1", "an AWS service", "i-1", "aws ec2 …"),),
        )
        for status in (
            DeletionStatus.DELETED,
            DeletionStatus.NOT_FOUND,
            DeletionStatus.FAILED,
            DeletionStatus.BLOCKED,
            DeletionStatus.SKIPPED,
            DeletionStatus.NOT_ATTEMPTED,
        )
    ),
    remaining=(VPC,),
    unsupported=(VPC,),
    regions_scanned=("us-east-1",),
    failed_regions=(PROBLEM,),
)
ORCHESTRATOR = Resource(kind="instance", id="i-9", region="us-east-1", tags={"BacalhauRole": "orchestrator"})
BUCKET = Resource(kind="bucket", id="bacalhau-results-1", region="us-east-1")
RESULTS_BUCKET = ResultsBucket(BUCKET, BucketContents(3, 4096), deleted=False)
LOSS = OrchestratorLoss((ORCHESTRATOR,), {"guest": 2}, certain=True, results=(RESULTS_BUCKET,))
DELETE_RESULTS = "bacalhau-spot destroy --delete-results"
KEPT_RESULTS = DeletionResult(
    "c", (DeletionOutcome(BUCKET, DeletionStatus.SKIPPED, reason="r", results=RESULTS_BUCKET.contents),)
)
FORGOTTEN = PruneResult("http://o:1234", removed=("n-1",), failed=(("n-2", PROBLEM),), not_removed=("n-3",))
FOUND = NukePreview(
    identity=Identity("123456789012", "arn:aws:iam::123456789012:user/u"),
    alias="acme",
    scope=Scope("bacalhau-cluster", "c", creator="us"),
    scanned_at=datetime(2026, 1, 1, tzinfo=UTC),
    to_delete=(VPC, VOLUME),
    excluded=((VPC, "it came with the account"),),
    unsupported=(VPC,),
    denied=(PROBLEM,),
    to_adopt={"i-2": "us-east-1"},
    regions_scanned=("us-east-1",),
    regions_skipped=("eu-west-1",),
    regions_not_enabled=("af-south-1",),
    foreign=(
        (VPC, Dependency("subnet", "subnet-1", fix_command="aws ec2 delete-subnet --subnet-id subnet-1")),
    ),
    partial_failures=(PROBLEM,),
    failed_regions=(PROBLEM,),
    usd_per_hour=Decimal("0.0131"),
)
RESULTS: dict[str, tuple[str, json_output.Data | None]] = {
    "a plan": ("create", {"plan": json_output.plan_data(PLAN)}),
    "a plan with an orchestrator": (
        "create",
        {
            "plan": json_output.plan_data(
                replace(PLAN, orchestrator=NEW, orchestrator_cost=orchestrator_cost(NEW, Rates()))
            )
        },
    ),
    "a plan without prices": ("create", {"plan": json_output.plan_data(NO_PRICE)}),
    "a create": (
        "create",
        {"plan": json_output.plan_data(PLAN), "receipt": json_output.create_data(RECEIPT)},
    ),
    "a list": (
        "list",
        json_output.listing_data(Listing("c", (INSTANCE,), ("us-east-1",), (PROBLEM,), (VPC,))),
    ),
    "a list with an orchestrator": ("list", json_output.listing_data(Listing("c", orchestrator=INSTANCE))),
    "a destroy": ("destroy", json_output.deletion_data(TEARDOWN)),
    "a destroy with an orchestrator": ("destroy", json_output.deletion_data(TEARDOWN, FORGOTTEN)),
    "what would be destroyed": (
        "destroy",
        json_output.destroy_preview_data([VPC], [VPC]),
    ),
    "what would be destroyed with an orchestrator": (
        "destroy",
        json_output.destroy_preview_data([VPC], [], loss=LOSS, delete_results=DELETE_RESULTS),
    ),
    "a destroy that keeps job results": (
        "destroy",
        json_output.deletion_data(KEPT_RESULTS, delete_results=DELETE_RESULTS),
    ),
    "a nuke": ("nuke", json_output.deletion_data(TEARDOWN)),
    "what would be nuked": ("nuke", json_output.nuke_preview_data(FOUND)),
    "what would be nuked with job results": (
        "nuke",
        json_output.nuke_preview_data(
            replace(FOUND, results=(replace(RESULTS_BUCKET, deleted=True),)), delete_results=DELETE_RESULTS
        ),
    ),
    "how it is nuked": ("nuke", json_output.order_data()),
    "a failed list": ("list", None),
    "another command": ("sandbox status", {"running": False}),
}


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_printed_is_what_is_published(name: str) -> None:
    """Every result, with an error of AWS and one of ours beside it."""
    command, data = RESULTS[name]
    schema("output.schema.json").validate(
        printed(command, data, error_from_failures([PROBLEM]), UserError("no", hint="do"))
    )


@pytest.mark.parametrize("name", RESULTS, ids=lambda name: name.replace(" ", "-"))
def test_the_bytes_of_a_result(name: str, snapshot: SnapshotAssertion) -> None:
    """With an error of AWS and one of ours."""
    command, data = RESULTS[name]
    errors = (error_from_failures([PROBLEM]), UserError("no", hint="do"))
    assert output_text(command, data, *errors) == golden(snapshot)


def test_every_command_has_a_published_form() -> None:
    """A new one without is noticed here."""
    schema = json.loads((FOLDER / "output.schema.json").read_text(encoding="utf-8"))
    published = {row["if"]["properties"]["command"]["const"] for row in schema["allOf"]}
    inner = {f"{group} {name}" for group, (_, commands) in GROUPS.items() for name in commands}
    assert published == set(COMMANDS) | inner


@pytest.mark.parametrize(
    "name", ["a create", "a list", "a destroy with an orchestrator", "what would be nuked"]
)
def test_a_key_more_or_less_is_noticed(name: str) -> None:
    """At any depth: whoever changes the output changes what is published with it."""
    command, data = RESULTS[name]
    assert unnoticed(printed(command, data, error_from_failures([PROBLEM]))) == []


def test_golden_files_are_accepted_and_their_mutants_refused() -> None:
    """Whole, all of them; with a key too many, too few, or a value of another type, the first item of each list."""
    form = schema("output.schema.json")
    checked = sample(GOLDEN, every=8)
    for path in GOLDEN:
        document = json.loads(path.read_text(encoding="utf-8"))
        form.validate(document)
        if path not in checked:
            continue
        assert [mutant for mutant in mutants(first_items(document)) if form.is_valid(mutant)] == [], path


def test_an_error_of_aws_has_its_code_and_regions() -> None:
    """A program need not read them out of a sentence; an error of ours has none."""
    errors = printed("create", None, error_from_failures([PROBLEM]), UserError("no"))["errors"]
    assert [(error["code"], error["regions"]) for error in errors] == [
        ("VpcLimitExceeded", ["eu-west-1"]),
        (None, []),
    ]


def test_the_published_forms_are_themselves_in_form() -> None:
    """As the draft that they name asks for."""
    for path in FOLDER.glob("*.json"):
        Draft7Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


STORY: tuple[events.Event, ...] = (
    *CREATE,
    events.InstanceSeen("r", "i", "t", "z", Phase.TERMINATING),
    events.RegionFailed("r", "CreateVpc", "VpcLimitExceeded", "no more"),
    events.ResourceFound("r", "vpc", "vpc-1"),
    events.Deleting("r", "vpc", "vpc-1", ("req-1",)),
    events.Deleted("r", "vpc", "vpc-1"),
    events.OrchestratorChanged("r", "API answers", ready=True),
    events.NodesJoined(1, 2),
    events.SmokeTestStarted("r", 2),
    events.NodeTested("r", "bacalhau-i-1", Outcome.RAN, "", 1.5),
    events.NodeTested("r", "bacalhau-i-2", Outcome.FAILED, "no such image"),
    events.NodeDraining("us-east-1", "i-1", "2026-01-31T12:15:00Z"),
    events.ImageStarted("us-east-1"),
    events.ImageReady("us-east-1", "ami-1"),
    events.Cancelling(),
)


def test_every_event_is_published(snapshot: SnapshotAssertion) -> None:
    """The story holds each kind of event, and each line of it has its form; so has the last line."""
    assert {type(event) for event in STORY} == set(get_args(events.Event))
    stream = StringIO()
    screen = json_output.Ndjson(stream, now=lambda: NOW)
    for event in STORY:
        screen.emit(event)
    last = json_output.envelope(command="create", data=None, exit_code=ExitCode.DONE)
    stream.write(json_output.envelope_text(last, form="ndjson"))
    assert stream.getvalue() == golden_lines(snapshot)
    for line in stream.getvalue().splitlines():
        schema("event.schema.json").validate(json.loads(line))


def test_events_have_the_published_keys() -> None:
    """A field added to an event is added there."""
    forms = {
        form["properties"]["event"]["const"]: form for form in schema("event.schema.json").schema["oneOf"]
    }
    row = {json_output.event_name(kind): kind for kind in get_args(events.Event)}
    assert set(forms) == {*row, "result"}
    for name, kind in row.items():
        keys = ["event", "at", *(item.name for item in fields(kind))]
        assert list(forms[name]["properties"]) == forms[name]["required"] == keys
