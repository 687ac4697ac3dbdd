"""Progress: the same events always give the same screen."""

from __future__ import annotations

from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.instance_phases import Phase
from bacalhau_spot.core.launch.progress import Progress, apply_event
from bacalhau_spot.core.orchestrator.smoke_test import Outcome
from support.recorded_events import CREATE


def folded(story: tuple[events.Event, ...]) -> Progress:
    state = Progress()
    for event in story:
        state = apply_event(state, event)
    return state


def test_a_create_adds_up() -> None:
    """What moved counts where it went; what AWS took back counts as lost; the region is done when all have settled."""
    state = folded(CREATE)
    east, west = state.regions["us-east-1"], state.regions["eu-west-1"]
    assert (east.requested, east.launched, east.running, east.lost, east.done) == (4, 4, 3, 1, True)
    assert (west.requested, west.done, west.status_text) == (0, True, "2 moved on")
    assert state.text == "3 of 4 running"


def test_seeing_an_instance_again_changes_no_count() -> None:
    """A phase that is told twice is one instance still."""
    again = (*CREATE, *CREATE[-4:])
    assert folded(again).regions["us-east-1"].running == 3


def test_a_teardown_counts_what_is_gone() -> None:
    """Found and deleted; done when nothing found is left."""
    story = (
        events.ResourceFound("r", "vpc", "vpc-1"),
        events.ResourceFound("r", "subnet", "subnet-1"),
        events.Waiting("r", "deleting vpc", 2),
        events.Deleted("r", "subnet", "subnet-1"),
        events.Deleted("r", "vpc", "vpc-1"),
    )
    assert not folded(story[:4]).regions["r"].done
    assert folded(story).regions["r"].done
    assert folded(story).text == "2 of 2 deleted"


def test_a_failure_and_a_stop_are_kept() -> None:
    """They are what the user looks for at the end."""
    state = folded((events.RegionFailed("r", "CreateVpc", "VpcLimitExceeded", "…"), events.Cancelling()))
    assert state.regions["r"].failed == "VpcLimitExceeded"
    assert state.cancelling


def test_a_refusal_is_not_a_start() -> None:
    """A region that was granted nothing says so; one that keeps some of its nodes is not done while those start."""
    refused = events.FleetResponded("r", "f", 2, 0, (("t", "za", "InsufficientInstanceCapacity"),))
    region = folded((events.RegionStarted("r", 2), refused)).regions["r"]
    assert (region.status_text, region.done) == ("refused: InsufficientInstanceCapacity", True)
    half = events.FleetResponded("r", "f", 4, 2, refused.refusals)
    moved = events.NodesReassigned("r", 2, (("s", 2),), "InsufficientInstanceCapacity")
    region = folded((events.RegionStarted("r", 4), half, moved)).regions["r"]
    assert (region.requested, region.status_text, region.done) == (2, "2 moved on", False)


def test_done_says_what_is_missing() -> None:
    """Two of three that run and no more to come is not simply done."""
    story = (
        events.RegionStarted("r", 3),
        events.FleetResponded("r", "f", 3, 2),
        events.InstanceSeen("r", "i-1", "t", "za", Phase.RUNNING),
        events.InstanceSeen("r", "i-2", "t", "za", Phase.RUNNING),
    )
    assert folded(story[:3]).regions["r"].status_text == "starting instances"
    assert folded(story).regions["r"].status_text == "done, 1 missing"


def running(region: str, instance: str) -> events.InstanceSeen:
    return events.InstanceSeen(region, instance, "t3.medium", f"{region}a", Phase.RUNNING)


def draining(instance: str) -> events.NodeDraining:
    return events.NodeDraining("r", instance, "2026-01-31T12:00:00Z")


def gone(instance: str) -> events.Deleted:
    return events.Deleted("r", "instance", instance)


def texts(story: tuple[events.Event, ...]) -> list[str]:
    """The totals after each event, each once."""
    shown = [folded(story[: number + 1]).text for number in range(len(story))]
    return list(dict.fromkeys(shown))


def test_a_drain_counts_the_nodes_that_have_left() -> None:
    """Also one that is terminated at once, without a drain; no instance was launched, and none is running."""
    story = (
        draining("i-1"),
        draining("i-2"),
        events.Deleting("r", "instance", "i-3"),
        gone("i-3"),
        gone("i-1"),
    )
    assert texts(story) == [
        "0 of 1 drained",
        "0 of 2 drained",
        "0 of 3 drained",
        "1 of 3 drained",
        "2 of 3 drained",
    ]
    assert not folded(story).regions["r"].done
    assert folded((*story, gone("i-2"))).regions["r"].done


def test_each_stage_of_a_replacement_has_its_own_count() -> None:
    """The second batch adds to the first one, and nothing counts more than there is to do."""
    batch = (
        events.RegionStarted("r", 1),
        events.FleetResponded("r", "f", 1, 1),
        running("r", "i-3"),
        events.NodesJoined(1, 1),
        events.SmokeTestStarted("r", 1),
        events.NodeTested("r", "n-3", Outcome.RAN),
        draining("i-1"),
        gone("i-1"),
    )
    second = (
        events.RegionStarted("r", 1),
        events.FleetResponded("r", "f", 1, 1),
        running("r", "i-4"),
        events.NodesJoined(1, 1),
        events.SmokeTestStarted("r", 1),
        events.NodeTested("r", "n-4", Outcome.RAN),
        draining("i-2"),
        gone("i-2"),
    )
    assert texts(batch) == [
        "0 of 1 running",
        "1 of 1 running",
        "1 of 1 joined",
        "0 of 1 tested",
        "1 of 1 tested",
        "0 of 1 drained",
        "1 of 1 drained",
    ]
    assert texts((*batch, *second))[len(texts(batch)) :] == [
        "1 of 2 running",
        "2 of 2 running",
        "1 of 2 tested",
        "2 of 2 tested",
        "1 of 2 drained",
        "2 of 2 drained",
    ]


def test_a_replacement_in_a_group_counts_the_nodes_that_aws_launches() -> None:
    """AWS answers with no number of launched instances, and the old nodes are drained after the new ones run."""
    story = (
        events.RegionStarted("r", 2),
        events.Waiting("r", "AWS launches instances", 2),
        running("r", "i-3"),
        running("r", "i-4"),
        draining("i-1"),
        draining("i-2"),
        gone("i-1"),
        gone("i-2"),
    )
    assert texts(story) == [
        "0 of 2 running",
        "1 of 2 running",
        "2 of 2 running",
        "0 of 1 drained",
        "0 of 2 drained",
        "1 of 2 drained",
        "2 of 2 drained",
    ]


def test_images_are_counted_once_each() -> None:
    """The source is waited for twice, and a region can have an image for each architecture."""
    story = (
        events.ImageStarted("r"),
        events.ImageStarted("s"),
        events.ResourceCreated("r", "instance", "i-1"),
        events.Deleting("s", "snapshot", "snap-1"),
        events.ImageReady("r", "ami-1"),
        events.ImageReady("r", "ami-1"),
        events.ImageReady("s", "ami-2"),
    )
    assert texts(story) == [
        "0 of 1 images ready",
        "0 of 2 images ready",
        "1 of 2 images ready",
        "2 of 2 images ready",
    ]
    assert folded(story).regions["r"].done


def test_the_builder_of_an_image_is_no_node_that_drains() -> None:
    story = (
        events.ImageStarted("r"),
        events.Deleting("r", "instance", "i-1"),
        events.ImageReady("r", "ami-1"),
    )
    assert folded(story).text == "1 of 1 images ready"
