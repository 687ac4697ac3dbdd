"""Spot fleets, the older kind of fleet, which maintains its number of spot instances until it is cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import fleets, paging
from aws_spot_sandbox.ec2.tags import tags_of
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.fleets import Fleet
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

_LIMIT = 100
_STATES = {
    "active": "active",
    "deleted_terminating": "cancelled_terminating",
    "deleted_running": "cancelled_running",
}


def request(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, RequestSpotFleet. Instances get their tags from the launch template only."""
    config = args.get("SpotFleetRequestConfig") or {}
    if not config.get("LaunchTemplateConfigs"):
        raise AwsError(
            "InvalidSpotFleetRequestConfig", "The sandbox takes spot fleets with LaunchTemplateConfigs only."
        )
    tags = tags_of(config, "spot-fleet-request")
    fleet = fleets.begin(
        region,
        {
            "LaunchTemplateConfigs": config["LaunchTemplateConfigs"],
            "TargetCapacitySpecification": {
                "TotalTargetCapacity": config.get("TargetCapacity") or 0,
                "DefaultTargetCapacityType": "spot",
            },
        },
        fleet_id=region.new_fleet_id().replace("fleet-", "sfr-", 1),
    )
    region.spot_fleets[fleet.id] = fleet
    region.set_tags(fleet.id, tags)
    return {"SpotFleetRequestId": fleet.id}


def describe(region: Region, args: Args) -> Answer:
    """DescribeSpotFleetRequests has no filters."""
    wanted = args.get("SpotFleetRequestIds")
    fleets = [_find(region, fleet_id) for fleet_id in wanted] if wanted else list(region.spot_fleets.values())
    page, token = paging.page(fleets, args)
    return {"SpotFleetRequestConfigs": [_described(region, fleet) for fleet in page], "NextToken": token}


def _find(region: Region, fleet_id: str) -> Fleet:
    fleet = region.spot_fleets.get(fleet_id)
    if fleet is None:
        raise AwsError("InvalidSpotFleetRequestId", f"The spot fleet request ID '{fleet_id}' does not exist.")
    return fleet


def _state(fleet: Fleet) -> str:
    return _STATES.get(fleet.state, "cancelled")


def _described(region: Region, fleet: Fleet) -> dict[str, Any]:
    target = fleet.args["TargetCapacitySpecification"]
    return {
        "SpotFleetRequestId": fleet.id,
        "SpotFleetRequestState": _state(fleet),
        "ActivityStatus": "fulfilled",
        "CreateTime": fleet.created,
        "SpotFleetRequestConfig": {
            "IamFleetRole": "arn:aws:iam::000000000000:role/fleet",
            "TargetCapacity": target["TotalTargetCapacity"],
            "Type": "maintain",
            "LaunchTemplateConfigs": fleet.args["LaunchTemplateConfigs"],
        },
        "Tags": region.tag_set(fleet.id) or None,
    }


def cancel(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, CancelSpotFleetRequests: the call succeeds even if some requests fail."""
    ids, ends = args.get("SpotFleetRequestIds") or [], bool(args.get("TerminateInstances"))
    if len(ids) > _LIMIT:
        raise AwsError("InvalidParameterValue", f"You can cancel up to {_LIMIT} requests at a time.")
    successes, refused = [], []
    for fleet_id in ids:
        fleet = region.spot_fleets.get(fleet_id)
        if fleet is None:
            refused.append(_refusal(fleet_id, "fleetRequestIdDoesNotExist", "does not exist"))
        elif fleet.state != "active":
            refused.append(_refusal(fleet_id, "fleetRequestNotInCancellableState", "is not active"))
        else:
            before = _state(fleet)
            fleets.end(region, fleet, ends=ends)
            successes.append(
                {
                    "SpotFleetRequestId": fleet_id,
                    "PreviousSpotFleetRequestState": before,
                    "CurrentSpotFleetRequestState": _state(fleet),
                }
            )
    return {"SuccessfulFleetRequests": successes, "UnsuccessfulFleetRequests": refused}


def _refusal(fleet_id: str, code: str, what: str) -> dict[str, Any]:
    message = f"The spot fleet request '{fleet_id}' {what}."
    return {"SpotFleetRequestId": fleet_id, "Error": {"Code": code, "Message": message}}
