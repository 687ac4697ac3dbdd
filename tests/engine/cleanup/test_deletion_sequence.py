"""The changes that a teardown asks for, in their order and at their moments, and the statuses that the report gives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import Cloud, Deletion
from bacalhau_spot.core.cleanup.deletion_result import DeletionResult, DeletionStatus
from bacalhau_spot.core.error_catalog.internal import TIME_OVER
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.launch.events import Deleted, Deleting, Event, RegionFailed, ResourceFound
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.tags import Scope
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.cleanup.nuke import nuke_resources
from bacalhau_spot.engine.cleanup.region_teardown import DeletionOptions
from bacalhau_spot.engine.cleanup.scan_result import ScanRequest
from bacalhau_spot.errors import ExitCode
from support.clock import FakeClock
from support.engine_clock import EngineClock
from support.in_memory_cloud import InMemoryCloud, InMemoryResource

REGION = "r-0"
TAGS = {"bacalhau-cluster": "c"}
SCOPE = Scope("bacalhau-cluster", "c")


class NoBreath(EngineClock):
    breath_s = 0.0


class RecordingCloud(InMemoryCloud):
    """Keeps each change as `seconds call ids`. `refuse`: what the n-th change raises instead."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.begun_s = self.clock.now()
        self.changes: list[str] = []
        self.lists: list[str] = []
        self.refuse: dict[int, Exception] = {}
        self.calls: AwsCalls | None = None
        self.stop_at = 0

    def _note(self, name: str, ids: Sequence[str]) -> None:
        self.changes.append(f"{self.clock.now() - self.begun_s:.0f} {name} {' '.join(ids)}")
        if self.calls is not None and len(self.changes) == self.stop_at:
            self.calls.stop.set(by_user=True)
        if len(self.changes) in self.refuse:
            raise self.refuse[len(self.changes)]

    async def find(
        self, region: str, kind: ResourceKind, scope: Scope, *, ids: Sequence[str] = ()
    ) -> tuple[Resource, ...]:
        self.lists.append(f"{region} {kind}")
        return await super().find(region, kind, scope, ids=ids)

    async def delete(self, region: str, kind: ResourceKind, resources: Sequence[Resource]) -> Deletion:
        self._note("delete", [resource.id for resource in resources])
        return await super().delete(region, kind, resources)

    async def unprotect(self, region: str, resource: Resource) -> None:
        self._note("unprotect", [resource.id])
        await super().unprotect(region, resource)

    async def revoke_mutual_rules(self, region: str, **what: Any) -> Deletion:
        self._note("revoke_mutual_rules", [*what["groups"], *what["vpcs"]])
        return await super().revoke_mutual_rules(region, **what)


@pytest.fixture
def cloud() -> RecordingCloud:
    """One cluster, as `create` makes it, with a role beside it."""
    recording_cloud = RecordingCloud()

    def add(kind: ResourceKind, name: str, region: str = REGION, **more: Any) -> None:
        recording_cloud.add(InMemoryResource(kind, name, region, dict(TAGS), **more))

    add(ResourceKind.VPC, "vpc")
    for letter in "ab":
        add(ResourceKind.SUBNET, f"subnet-{letter}", uses={"vpc"})
        add(ResourceKind.INSTANCE, f"i-{letter}", uses={f"subnet-{letter}"}, takes_s=40.0)
        add(ResourceKind.INTERFACE, f"eni-{letter}", uses={f"subnet-{letter}", "sg"}, dies_with=f"i-{letter}")
        add(ResourceKind.VOLUME, f"vol-{letter}", dies_with=f"i-{letter}")
        add(ResourceKind.SPOT_REQUEST, f"sir-{letter}", children=[f"i-{letter}"])
    add(ResourceKind.GROUP, "sg", uses={"vpc"})
    add(ResourceKind.GATEWAY, "igw", uses={"vpc"})
    add(ResourceKind.FLEET, "fleet", children=["i-a", "i-b"])
    add(ResourceKind.TEMPLATE, "lt")
    add(ResourceKind.PARAMETER, "token")
    add(ResourceKind.PROFILE, "profile", GLOBAL)
    add(ResourceKind.ROLE, "role", GLOBAL)
    return recording_cloud


def nuked(
    cloud: RecordingCloud,
    options: DeletionOptions | None = None,
    *,
    regions: Sequence[str] = (REGION,),
    timeout_s: float = 1800.0,
) -> tuple[DeletionResult, list[Event]]:
    seen: list[Event] = []
    cloud.calls = AwsCalls(
        cast("Cloud", cloud),
        clock=NoBreath(cloud.clock),
        emit=seen.append,
        api_s=60,
        jitter=lambda: 0.5,
        run_id="run",
    )
    result = asyncio.run(
        nuke_resources(
            regions,
            True,
            calls=cloud.calls,
            search=ScanRequest(SCOPE),
            options=options,
            timeout_s=timeout_s,
        )
    )
    return result, seen


def statuses(result: DeletionResult) -> dict[str, str]:
    """Of what was not deleted."""
    return {
        outcome.resource.id: outcome.status
        for outcome in result.outcomes
        if outcome.status != DeletionStatus.DELETED
    }


LAUNCHERS = ["0 delete fleet", "0 delete sir-a sir-b"]
NETWORK = ["40 delete igw", "40 delete sg", "40 delete subnet-a", "40 delete subnet-b"]
ACCOUNT = ["44 delete profile", "44 delete role"]


def test_a_whole_cluster(cloud: RecordingCloud) -> None:
    """Launchers, then what they launched, the network, and when the region is clear what is the same everywhere."""
    result, seen = nuked(cloud)
    assert cloud.changes == [
        *(*LAUNCHERS, "0 delete lt", *NETWORK),
        *("40 delete token", "40 delete vpc", *ACCOUNT),
    ]
    assert statuses(result) == {}
    assert result.exit_code is ExitCode.DONE
    listed_ids = [event.id for event in seen if isinstance(event, ResourceFound)]
    deleted_ids = [event.id for event in seen if isinstance(event, Deleted)]
    requested_ids = [event.id for event in seen if isinstance(event, Deleting)]
    assert len(listed_ids) == len(set(listed_ids)) == 18
    assert sorted(deleted_ids) == sorted(listed_ids)
    assert requested_ids == [
        *("fleet", "sir-a", "sir-b", "lt"),
        *("igw", "sg", "subnet-a", "subnet-b", "token", "vpc", "profile", "role"),
    ]


def test_what_is_excluded_is_not_touched_nor_what_it_needs(cloud: RecordingCloud) -> None:
    result, seen = nuked(
        cloud, DeletionOptions(excluded=lambda resource: "not planned" if resource.id == "subnet-a" else "")
    )
    assert not any("subnet-a" in change for change in cloud.changes)
    assert not any(isinstance(event, ResourceFound) and event.id == "subnet-a" for event in seen)
    assert set(cloud.living()) == {"subnet-a", "vpc", "profile", "role"}
    left = {key: status for key, status in statuses(result).items() if key != "subnet-a"}
    assert statuses(result)["subnet-a"] == DeletionStatus.SKIPPED
    assert left == {
        "vpc": DeletionStatus.BLOCKED,
        "profile": DeletionStatus.NOT_ATTEMPTED,
        "role": DeletionStatus.NOT_ATTEMPTED,
    }
    blocked = next(outcome for outcome in result.outcomes if outcome.resource.id == "vpc")
    assert [(dependency.id, dependency.owner) for dependency in blocked.dependencies] == [
        ("subnet-a", "managed: not planned")
    ]
    assert result.exit_code is ExitCode.FAILED


def test_what_is_protected_stays_unless_the_protection_may_go(cloud: RecordingCloud) -> None:
    cloud.things["lt"].protection = "deletion protection"
    result, _ = nuked(cloud)
    assert not any(change.endswith(" lt") for change in cloud.changes)
    assert statuses(result)["lt"] == DeletionStatus.FAILED
    cloud.changes.clear()
    result, _ = nuked(cloud, DeletionOptions(disable_protection=True))
    assert [change.split(" ", 1)[1] for change in cloud.changes][:2] == ["unprotect lt", "delete lt"]
    assert result.exit_code is ExitCode.DONE


def test_what_a_living_launcher_would_start_again_is_not_ended(cloud: RecordingCloud) -> None:
    cloud.things["fleet"].relaunches = True
    cloud.weather.denied.add((REGION, ResourceKind.FLEET))
    result, _ = nuked(cloud)
    assert not any("i-a" in change for change in cloud.changes)
    problems = {
        outcome.resource.id: outcome.problem.code
        for outcome in result.outcomes
        if outcome.problem is not None
    }
    assert problems["fleet"] == "UnauthorizedOperation"
    assert problems["i-a"] == problems["i-b"] == "LauncherLives"


def test_groups_that_name_each_other_lose_their_rules_first(cloud: RecordingCloud) -> None:
    cloud.add(InMemoryResource(ResourceKind.GROUP, "sg-2", REGION, dict(TAGS), uses={"vpc"}, rules={"sg"}))
    cloud.things["sg"].rules = {"sg-2"}
    result, _ = nuked(cloud)
    revoked = [set(change.split()[2:]) for change in cloud.changes if "revoke_mutual_rules" in change]
    assert revoked == [{"sg", "sg-2", "vpc"}]
    assert result.exit_code is ExitCode.DONE


def test_rules_that_may_not_be_revoked_are_the_reason(cloud: RecordingCloud) -> None:
    cloud.add(InMemoryResource(ResourceKind.GROUP, "sg-2", REGION, dict(TAGS), uses={"vpc"}, rules={"sg"}))
    cloud.things["sg"].rules = {"sg-2"}
    denied = CloudError("UnauthorizedOperation", "no", operation="RevokeSecurityGroupIngress", region=REGION)

    async def revoke(region: str, **what: Any) -> Deletion:
        raise denied

    cloud.revoke_mutual_rules = revoke  # type: ignore[method-assign]  # what AWS answers
    result, _ = nuked(cloud)
    problems = {
        outcome.resource.id: outcome.problem.operation
        for outcome in result.outcomes
        if outcome.problem is not None
    }
    assert problems["sg"] == problems["sg-2"] == "RevokeSecurityGroupIngress"


def test_nothing_is_begun_after_a_stop(cloud: RecordingCloud) -> None:
    cloud.stop_at = 2
    result, _ = nuked(cloud)
    assert cloud.changes == LAUNCHERS
    assert result.interrupted
    assert result.exit_code is ExitCode.INTERRUPTED
    assert statuses(result)["lt"] == DeletionStatus.NOT_ATTEMPTED


@pytest.mark.parametrize("number", [1, 4, 9])
def test_credentials_that_end_stop_everything(cloud: RecordingCloud, number: int) -> None:
    expired = CloudError("ExpiredToken", "the token has ended", operation="Delete", region=REGION)
    cloud.refuse = dict.fromkeys(range(number, 99), expired)
    result, seen = nuked(cloud)
    assert len(cloud.changes) <= number + 4, "those that were in flight"
    assert [event.code for event in seen if isinstance(event, RegionFailed)] == ["ExpiredToken"]
    assert [failure.code for failure in result.failed_regions] == ["ExpiredToken"]
    assert result.exit_code is ExitCode.DENIED


def test_a_mistake_of_ours_ends_its_region_and_is_kept(cloud: RecordingCloud) -> None:
    cloud.refuse = {4: ZeroDivisionError("a mistake")}
    cloud.add(InMemoryResource(ResourceKind.VPC, "vpc-2", "r-1", dict(TAGS)))
    result, _ = nuked(cloud, regions=(REGION, "r-1"))
    assert cloud.calls is not None
    assert "vpc-2" not in cloud.living()
    assert "vpc" in cloud.living()
    assert [str(error) for error in cloud.calls.mistakes] == ["a mistake"]
    assert [failure.region for failure in result.failed_regions] == [REGION]
    assert "role" in cloud.living(), "what a region that failed may use stays"


@pytest.mark.parametrize("timeout_s", [0.0, 30.0])
def test_the_deadline_leaves_the_rest(cloud: RecordingCloud, timeout_s: float) -> None:
    result, _ = nuked(cloud, timeout_s=timeout_s)
    assert cloud.changes == ([*LAUNCHERS, "0 delete lt"] if timeout_s else [])
    assert result.exit_code is ExitCode.FAILED
    assert {"vpc", "role"} <= {resource.id for resource in result.remaining}


def test_what_the_deadline_leaves_has_it_as_its_reason(cloud: RecordingCloud) -> None:
    """An error for the user, who otherwise had an exit code of 1 and no word why."""
    result, _ = nuked(cloud, timeout_s=30.0)
    reasons = {
        outcome.resource.id: (outcome.problem.code, outcome.problem.message)
        for outcome in result.outcomes
        if outcome.problem is not None
    }
    assert set(reasons) == {resource.id for resource in result.remaining}
    assert set(reasons.values()) == {(TIME_OVER, "it remained after 30 s, the time for the deletion")}
    assert {failure.code for failure in result.problems} == {TIME_OVER}


def test_what_waits_for_another_says_so(cloud: RecordingCloud) -> None:
    cloud.weather.denied.add((REGION, ResourceKind.GROUP))
    result, _ = nuked(cloud)
    left = {
        outcome.resource.id: outcome.reason
        for outcome in result.outcomes
        if outcome.status == DeletionStatus.NOT_ATTEMPTED
    }
    assert left == dict.fromkeys(("profile", "role"), "resources that may use it remain")


@pytest.mark.parametrize("takes_s", [20.0, 65.0])
def test_what_is_gone_without_an_answer_is_no_reason_to_give_up_the_next(
    cloud: RecordingCloud, takes_s: float
) -> None:
    """AWS deletes the profile, and its answers come later than anybody waits."""
    original = cloud.delete

    async def delete(region: str, kind: ResourceKind, resources: Sequence[Resource]) -> Deletion:
        done = await original(region, kind, resources)
        if kind == ResourceKind.PROFILE:
            cloud.clock.advance(takes_s)
            raise CloudError("ReadTimeoutError", "no answer", operation="Delete", region=region)
        return done

    cloud.delete = delete  # type: ignore[method-assign]  # what AWS answers
    result, _ = nuked(cloud)
    assert cloud.living() == {}
    assert (statuses(result), result.exit_code) == ({}, ExitCode.DONE)
