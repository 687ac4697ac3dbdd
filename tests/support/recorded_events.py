"""A recorded create: what the engine says while three regions launch, one of them without capacity."""

from __future__ import annotations

from datetime import UTC, datetime

from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.instance_phases import Phase

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()

CREATE: tuple[events.Event, ...] = (
    events.RegionStarted("us-east-1", 2),
    events.RegionStarted("eu-west-1", 2),
    events.ResourceCreated("us-east-1", "vpc", "vpc-1"),
    events.Retrying("us-east-1", "CreateSubnet", "InvalidVpcID.NotFound", 1, 0.5),
    events.FleetResponded("us-east-1", "fleet-1", 2, 2),
    events.FleetResponded(
        "eu-west-1", "fleet-2", 2, 0, (("t3.medium", "eu-west-1a", "InsufficientInstanceCapacity"),)
    ),
    events.NodesReassigned("eu-west-1", 2, (("us-east-1", 2),), "InsufficientInstanceCapacity"),
    events.RegionStarted("us-east-1", 2),
    events.FleetResponded("us-east-1", "fleet-3", 2, 2),
    *(
        events.InstanceSeen("us-east-1", f"i-{number}", "t3.medium", "us-east-1a", Phase.STARTING)
        for number in range(4)
    ),
    events.Waiting("us-east-1", "starting instances", 4),
    *(
        events.InstanceSeen(
            "us-east-1", f"i-{number}", "t3.medium", "us-east-1a", Phase.RUNNING, f"127.0.0.{number}"
        )
        for number in range(3)
    ),
    events.InstanceSeen(
        "us-east-1", "i-3", "t3.medium", "us-east-1a", Phase.LOST, None, "Server.SpotInstanceTermination"
    ),
)
