"""Progress: the same events always give the same screen."""

from __future__ import annotations

from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.instance_phases import Phase
from bacalhau_spot.core.launch.progress import Progress, apply_event
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
    assert (state.requested, state.running) == (4, 3)


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
    assert (folded(story).deleted, folded(story).found) == (2, 2)


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
