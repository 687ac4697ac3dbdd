"""Spot instance requests: the record of a spot launch, its states, and the interruption."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import filters, machine, paging
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.launch_parameters import Launch
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

# EC2 user guide, "Spot Instance interruption notices".
NOTICE_S = 120.0

PERSISTENT = "persistent"

MESSAGES = {
    "pending-evaluation": "Your Spot request has been submitted for review, and is pending evaluation.",
    "fulfilled": "Your Spot request is fulfilled.",
    "request-canceled-and-instance-running": (
        "Your Spot request is canceled, but your Spot instance is still running."
    ),
    "capacity-not-available": "There is no Spot capacity available that matches your request.",
    "price-too-low": "The request cannot be fulfilled because its price is below the minimum.",
    "canceled-before-fulfillment": "Your Spot request is canceled before it was fulfilled.",
    "instance-terminated-by-user": "Spot instance terminated due to user-initiated termination.",
    "marked-for-termination": "Spot instance marked for termination.",
    "instance-terminated-no-capacity": "Spot instance terminated because there is no capacity to fulfill the request.",
    "instance-terminated-by-price": "Spot instance terminated because the Spot price exceeds your maximum price.",
}
# Reasons for an interruption, as a request's status code
STATUS_BY_REASON = {"capacity": "instance-terminated-no-capacity", "price": "instance-terminated-by-price"}


@dataclass
class SpotRequest:
    """A spot instance request: fulfilled by a launch, or open until it is cancelled."""

    id: str
    instance_id: str
    created: float
    price: str
    launch: Launch
    state: str = "active"
    status: str = "fulfilled"
    updated: float = 0.0
    type: str = "one-time"

    @property
    def persistent(self) -> bool:
        return self.type == PERSISTENT

    def move(self, *, status: str, now: float, state: str = "") -> None:
        self.state, self.status, self.updated = state or self.state, status, now


def record(region: Region, machine: Machine, launch: Launch, *, price: str) -> SpotRequest:
    request = SpotRequest(
        id=machine.spot_request_id,
        instance_id=machine.id,
        created=machine.launched_at,
        price=price,
        launch=launch,
        updated=machine.launched_at,
    )
    return keep(region, request)


def keep(region: Region, request: SpotRequest) -> SpotRequest:
    region.spot_requests[request.id] = request
    region.set_tags(request.id, request.launch.tags.get("spot-instances-request", {}))
    return request


def close(region: Region, machine: Machine, *, status: str) -> None:
    """Update the request of an instance that shuts down. A cancelled request stays cancelled; a persistent one reopens.

    AWS: EC2 user guide, "Spot Instance request types": a persistent request is opened again when its instance ends,
    until it is cancelled.
    """
    request = region.spot_requests.get(machine.spot_request_id)
    if request is not None and request.state == "active" and request.persistent:
        request.instance_id = ""
        request.move(state="open", status="pending-evaluation", now=region.now())
    elif request is not None and request.state == "active":
        request.move(state="closed", status=status, now=region.now())


def interrupt(region: Region, instance_id: str, *, notice_s: float, reason: str = "capacity") -> None:
    """Interrupt the instance: a notice first, then an unconditional shutdown. `reason` is a key of STATUS_BY_REASON."""
    victim = _spot_instance(region, instance_id)
    if victim.state not in (machine.PENDING, machine.RUNNING) or victim.notice_at is not None:
        return
    victim.notice_at, victim.notice_s = region.now(), notice_s
    request = region.spot_requests.get(victim.spot_request_id)
    if request is not None and request.state == "active":
        # A notice under 120 s is recorded as marked earlier, so that clients that count from the mark are right.
        marked = region.now() - max(0.0, NOTICE_S - notice_s)
        request.move(status="marked-for-termination", now=marked)
    # The recommendation "can arrive along with the two-minute interruption notice" (Auto Scaling user guide, "Capacity
    # Rebalancing").
    recommend(region, instance_id)

    def take() -> None:
        close(region, victim, status=STATUS_BY_REASON[reason])
        machine.shut_down(region, victim, code=machine.SPOT_SHUTDOWN, by_user=False)

    region.later(notice_s, take)


def recommend(region: Region, instance_id: str) -> None:
    """Recommend to replace the instance, once (EC2 user guide, "EC2 instance rebalance recommendations")."""
    victim = _spot_instance(region, instance_id)
    if victim.state not in (machine.PENDING, machine.RUNNING) or victim.rebalance_at is not None:
        return
    victim.rebalance_at = region.now()
    for listener in region.on_risk:
        listener(region, victim)


def _spot_instance(region: Region, instance_id: str) -> Machine:
    instance = region.machines.get(instance_id)
    if instance is None or not instance.spot:
        raise AwsError(
            "InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' is no spot instance here"
        )
    return instance


FILTERS: dict[str, filters.Getter[SpotRequest]] = {
    "spot-instance-request-id": lambda request: request.id,
    "instance-id": lambda request: request.instance_id,
    "state": lambda request: request.state,
    "status-code": lambda request: request.status,
    "type": lambda request: request.type,
    "launched-availability-zone": lambda request: request.launch.zone,
    "launch.instance-type": lambda request: request.launch.type,
    "launch.image-id": lambda request: request.launch.image.id,
    "launch.key-name": lambda request: request.launch.data.get("KeyName"),
    "launch.group-id": lambda request: [group.id for group in request.launch.groups],
    "network-interface.subnet-id": lambda request: request.launch.subnet.id,
    "product-description": lambda _: "Linux/UNIX",
    "spot-price": lambda request: request.price,
}


def find(region: Region, request_id: str) -> SpotRequest:
    request = region.spot_requests.get(request_id)
    if request is None:
        raise AwsError(
            "InvalidSpotInstanceRequestID.NotFound",
            f"The spot instance request ID '{request_id}' does not exist",
        )
    return request


def describe_requests(region: Region, args: Args) -> Answer:
    if args.get("SpotInstanceRequestIds"):
        requests = [find(region, request_id) for request_id in args["SpotInstanceRequestIds"]]
    else:
        requests = list(region.spot_requests.values())
    requests = filters.select(requests, args.get("Filters"), FILTERS, lambda request: region.tags(request.id))
    shown, token = paging.page(requests, args, smallest=5)
    return {
        "SpotInstanceRequests": [described(region, request) for request in shown],
        "NextToken": token or "",
    }


def cancel_requests(region: Region, args: Args) -> Answer:
    """Cancelling does not terminate the instance; a closed request stays closed."""
    requests = [find(region, request_id) for request_id in args.get("SpotInstanceRequestIds") or ()]
    for request in requests:
        if request.state == "active":
            request.move(state="cancelled", status="request-canceled-and-instance-running", now=region.now())
        elif request.state == "open":
            request.move(state="cancelled", status="canceled-before-fulfillment", now=region.now())
    states = [{"SpotInstanceRequestId": request.id, "State": request.state} for request in requests]
    return {"CancelledSpotInstanceRequests": states}


def described(region: Region, request: SpotRequest) -> dict[str, Any]:
    launch = request.launch
    return {
        "SpotInstanceRequestId": request.id,
        "InstanceId": request.instance_id or None,
        "State": request.state,
        "Status": {
            "Code": request.status,
            "Message": MESSAGES[request.status],
            "UpdateTime": request.updated,
        },
        "Type": request.type,
        "InstanceInterruptionBehavior": "terminate",
        "CreateTime": request.created,
        "SpotPrice": request.price,
        "ProductDescription": "Linux/UNIX",
        "LaunchedAvailabilityZone": launch.zone if request.instance_id else None,
        "LaunchSpecification": {
            "ImageId": launch.image.id,
            "InstanceType": launch.type,
            "KeyName": launch.data.get("KeyName"),
            "SubnetId": launch.subnet.id,
            "SecurityGroups": [{"GroupId": group.id, "GroupName": group.name} for group in launch.groups],
            "Placement": {"AvailabilityZone": launch.zone},
            "Monitoring": {"Enabled": bool((launch.data.get("Monitoring") or {}).get("Enabled"))},
        },
        "Tags": region.tag_set(request.id) or None,
    }
