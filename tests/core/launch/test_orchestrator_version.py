"""`create` says that a managed orchestrator keeps the version that it was launched with."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bacalhau_spot.core.inventory import AccountContext
from bacalhau_spot.core.launch.facts import LaunchFacts
from bacalhau_spot.core.launch.plan_warnings import plan_warnings
from bacalhau_spot.core.model import (
    BacalhauSpec,
    ClusterSpec,
    Identity,
    Instance,
    Naming,
    OrchestratorMode,
    OrchestratorSpec,
    RegionSpec,
    State,
)
from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState
from bacalhau_spot.core.tags import VERSION_KEY

HOST = Instance(
    id="i-0boss",
    region="us-east-1",
    zone="us-east-1a",
    type="t3.small",
    state=State.RUNNING,
    launched_at=datetime(2026, 11, 23, tzinfo=UTC),
    tags={VERSION_KEY: "v1.9.3"},
)
SPEC = ClusterSpec(
    name="c",
    naming=Naming(),
    regions=(RegionSpec("us-east-1"),),
    nodes=1,
    instance_types=("t3.medium",),
    orchestrator=OrchestratorSpec(OrchestratorMode.MANAGED),
    bacalhau=BacalhauSpec(version="v1.9.4"),
)
FACTS = LaunchFacts(
    spec=SPEC,
    account=AccountContext(Identity("0", "arn"), ()),
    orchestrator=OrchestratorState("us-east-1", instance=HOST),
)


def about_versions(facts: LaunchFacts) -> list[str]:
    return [text for text in plan_warnings(facts) if "bacalhau.version" in text]


def test_another_version_is_named_with_the_way_to_it() -> None:
    (text,) = about_versions(FACTS)
    assert text == (
        "the managed orchestrator runs Bacalhau v1.9.3, and the configuration has `bacalhau.version: v1.9.4`. "
        "`aws ec2 terminate-instances --region us-east-1 --instance-ids i-0boss` and then `bacalhau-spot create` "
        "replaces it and keeps its jobs"
    )


def test_the_same_and_an_unknown_version_are_no_difference() -> None:
    same = replace(FACTS, spec=replace(SPEC, bacalhau=BacalhauSpec(version="v1.9.3")))
    untagged = replace(FACTS, orchestrator=OrchestratorState("us-east-1", instance=replace(HOST, tags={})))
    assert about_versions(same) == about_versions(untagged) == []
