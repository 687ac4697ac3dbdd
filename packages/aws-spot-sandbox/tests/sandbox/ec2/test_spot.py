"""Spot requests and interruptions. Source: EC2 user guide, "Spot request status", "Spot Instance interruptions"."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.ec2.clusters import build_network, image, instances, refused, spec, states


def launch(ec2: Any, count: int = 1) -> list[Any]:
    instances = ec2.run_instances(
        ImageId=image(ec2),
        InstanceType="t3.micro",
        MinCount=count,
        MaxCount=count,
        InstanceMarketOptions={"MarketType": "spot"},
        TagSpecifications=spec("spot-instances-request"),
    )["Instances"]
    return list(instances)


def requests(ec2: Any, **query: Any) -> list[Any]:
    return list(ec2.describe_spot_instance_requests(**query)["SpotInstanceRequests"])


def summary(ec2: Any) -> tuple[str, str]:
    spot_request = requests(ec2)[0]
    return spot_request["State"], spot_request["Status"]["Code"]


def test_a_fulfilled_request(sandbox: Any) -> None:
    """A running spot instance has an active request with status fulfilled and its id."""
    ec2 = sandbox.client()
    instance = launch(ec2)[0]
    request = requests(ec2, SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])[0]
    assert (request["State"], request["Status"]["Code"]) == ("active", "fulfilled")
    assert request["InstanceId"] == instance["InstanceId"]
    assert request["Type"] == "one-time"
    assert request["LaunchSpecification"]["InstanceType"] == "t3.micro"
    assert request["LaunchedAvailabilityZone"] == instance["Placement"]["AvailabilityZone"]


def test_requests_are_filtered(sandbox: Any) -> None:
    """By tag, state and id; an unknown id is InvalidSpotInstanceRequestID.NotFound."""
    ec2 = sandbox.client()
    first, second = launch(ec2, 2)
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[second["SpotInstanceRequestId"]])
    active = requests(ec2, Filters=[{"Name": "state", "Values": ["active", "open"]}])
    assert [row["InstanceId"] for row in active] == [first["InstanceId"]]
    assert len(requests(ec2, Filters=[{"Name": "tag:bacalhau-cluster", "Values": ["on?"]}])) == 2
    assert requests(ec2, Filters=[{"Name": "tag-key", "Values": ["other"]}]) == []
    with refused("InvalidSpotInstanceRequestID.NotFound"):
        requests(ec2, SpotInstanceRequestIds=["sir-00000000"])


def test_cancelling_does_not_end_the_instance(sandbox: Any) -> None:
    """CancelSpotInstanceRequests: "does not terminate running Spot Instances"; the request stays listed."""
    ec2 = sandbox.client()
    instance = launch(ec2)[0]
    ids = [instance["SpotInstanceRequestId"]]
    answer = ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=ids)["CancelledSpotInstanceRequests"]
    assert answer == [{"SpotInstanceRequestId": ids[0], "State": "cancelled"}]
    assert summary(ec2) == ("cancelled", "request-canceled-and-instance-running")
    sandbox.clock.advance(5)
    assert states(ec2, [instance["InstanceId"]]) == {"running"}
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    assert summary(ec2)[0] == "cancelled"
    with refused("InvalidSpotInstanceRequestID.NotFound"):
        ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[*ids, "sir-00000000"])


def test_terminating_closes_the_request(sandbox: Any) -> None:
    """State closed, status instance-terminated-by-user; cancelling the request then changes nothing."""
    ec2 = sandbox.client()
    instance = launch(ec2)[0]
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    assert summary(ec2) == ("closed", "instance-terminated-by-user")
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    assert summary(ec2) == ("closed", "instance-terminated-by-user")


def test_an_interruption_gives_notice_then_ends_the_instance(sandbox: Any) -> None:
    """Two minutes marked-for-termination, then shutting down with Server.SpotInstanceTermination, then closed."""
    ec2 = sandbox.client()
    instance = launch(ec2)[0]
    sandbox.clock.advance(5)
    sandbox.server.interrupt("us-east-1", instance["InstanceId"], notice_s=120)
    assert summary(ec2) == ("active", "marked-for-termination")
    sandbox.clock.advance(119)
    assert states(ec2, [instance["InstanceId"]]) == {"running"}
    sandbox.clock.advance(1)
    assert states(ec2, [instance["InstanceId"]]) == {"shutting-down"}
    assert summary(ec2) == ("closed", "instance-terminated-no-capacity")
    sandbox.clock.advance(5)
    ended = instances(ec2, InstanceIds=[instance["InstanceId"]])[0]
    assert ended["State"]["Name"] == "terminated"
    assert ended["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    assert ended["StateTransitionReason"].startswith("Service initiated (")


def test_terminating_during_the_notice_is_the_users_doing(sandbox: Any) -> None:
    ec2 = sandbox.client()
    instance = launch(ec2)[0]
    sandbox.clock.advance(5)
    sandbox.server.interrupt("us-east-1", instance["InstanceId"])
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    sandbox.clock.advance(300)
    assert summary(ec2) == ("closed", "instance-terminated-by-user")
    ended = instances(ec2, InstanceIds=[instance["InstanceId"]])[0]
    assert ended["StateReason"]["Code"] == "Client.UserInitiatedShutdown"


def test_the_end_of_a_life_can_be_read(sandbox: Any) -> None:
    """To the second, at any later time within an hour: Status.UpdateTime, StateTransitionReason, StateReason."""
    ec2 = sandbox.client()
    taken, ended = launch(ec2, 2)
    sandbox.clock.advance(5)
    sandbox.server.interrupt("us-east-1", taken["InstanceId"], notice_s=120, reason="price")
    at = datetime.fromtimestamp(sandbox.clock.now(), UTC)
    assert requests(ec2)[0]["Status"]["UpdateTime"] == at
    ec2.terminate_instances(InstanceIds=[ended["InstanceId"]])
    sandbox.clock.advance(3500)
    first, second = (request["Status"] for request in requests(ec2))
    assert (first["Code"], first["UpdateTime"]) == (
        "instance-terminated-by-price",
        at + timedelta(seconds=120),
    )
    assert first["Message"].endswith("exceeds your maximum price.")
    assert (second["Code"], second["UpdateTime"]) == ("instance-terminated-by-user", at)
    first, second = instances(ec2)
    assert first["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    when = at + timedelta(seconds=120)
    assert first["StateTransitionReason"] == f"Service initiated ({when:%Y-%m-%d %H:%M:%S} GMT)"
    assert second["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert second["StateTransitionReason"] == f"User initiated ({at:%Y-%m-%d %H:%M:%S} GMT)"
    sandbox.clock.advance(300)
    assert instances(ec2) == []


def test_the_legacy_request_waits_for_room(sandbox: Any) -> None:
    """RequestSpotInstances: one request per instance; those without capacity stay open; the instances have no tags."""
    sandbox.world.settings.capacity = {"us-east-1": 1}
    ec2 = sandbox.client()
    net = build_network(ec2)
    network = {"DeviceIndex": 0, "SubnetId": net["subnets"]["us-east-1a"], "Groups": [net["group"]]}
    spot_instance_requests = ec2.request_spot_instances(
        InstanceCount=2,
        LaunchSpecification={
            "ImageId": image(ec2),
            "InstanceType": "t3.micro",
            "NetworkInterfaces": [network | {"AssociatePublicIpAddress": True}],
        },
        TagSpecifications=spec("spot-instances-request"),
    )["SpotInstanceRequests"]
    assert [row["State"] for row in spot_instance_requests] == ["active", "open"]
    assert spot_instance_requests[1]["Status"]["Code"] == "capacity-not-available"
    instance = instances(ec2, InstanceIds=[spot_instance_requests[0]["InstanceId"]])[0]
    assert instance["VpcId"] == net["vpc"]
    assert "Tags" not in instance
    ids = [request["SpotInstanceRequestId"] for request in spot_instance_requests]
    answer = ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=ids)["CancelledSpotInstanceRequests"]
    assert {request["State"] for request in answer} == {"cancelled"}
    waiting = requests(ec2, SpotInstanceRequestIds=ids[1:])[0]
    assert waiting["Status"]["Code"] == "canceled-before-fulfillment"


@pytest.mark.parametrize(("notice_s", "earlier_s"), [(120, 0), (20, 100), (600, 0)])
def test_a_shorter_notice_is_one_that_came_earlier(sandbox: Any, notice_s: int, earlier_s: int) -> None:
    """C11: AWS gives two minutes from the mark (EC2 user guide, "Spot Instance interruption notices")."""
    ec2 = sandbox.client()
    instance = launch(ec2)[0]
    sandbox.clock.advance(200)
    before = ec2.describe_spot_instance_requests()["SpotInstanceRequests"][0]["CreateTime"]
    sandbox.server.interrupt("us-east-1", instance["InstanceId"], notice_s=notice_s)
    marked = ec2.describe_spot_instance_requests()["SpotInstanceRequests"][0]["Status"]["UpdateTime"]
    assert (marked - before).total_seconds() == pytest.approx(200 - earlier_s, abs=1)


def test_a_persistent_request_launches_again_until_it_is_cancelled(sandbox: Any) -> None:
    """EC2 user guide, "Spot Instance request types": reopened when its instance ends; cancelling ends no instance."""
    ec2 = sandbox.client()
    (spot_instance_request,) = ec2.request_spot_instances(
        Type="persistent",
        InstanceCount=1,
        LaunchSpecification={"ImageId": image(ec2), "InstanceType": "t3.small"},
    )["SpotInstanceRequests"]
    request = spot_instance_request["SpotInstanceRequestId"]

    def row() -> Any:
        return ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[request])["SpotInstanceRequests"][
            0
        ]

    assert row()["Type"] == "persistent"
    ec2.terminate_instances(InstanceIds=[spot_instance_request["InstanceId"]])
    assert row()["State"] == "open" and "InstanceId" not in row()
    sandbox.clock.sleep(60)
    again = row()["InstanceId"]
    assert row()["State"] == "active" and again != spot_instance_request["InstanceId"]
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[request])
    ec2.terminate_instances(InstanceIds=[again])
    sandbox.clock.sleep(60)
    assert row()["State"] == "cancelled"
    assert states(ec2, [again]) == {"terminated"}
