"""Tags: AWS's rules for them, and the index of all tagged resources in a region."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import filters, paging
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aws_spot_sandbox.ec2.region import Answer, Args, Region

KEY_LIMIT, VALUE_LIMIT, COUNT_LIMIT = 127, 256, 50
# EC2 user guide, "View tags for your EC2 instances using instance metadata".
_IN_METADATA = re.compile(r"[0-9a-zA-Z\-_+=,.@:]{1,255}")
_RESERVED = frozenset({".", "..", "_index"})
# By id prefix: AWS's name of the resource type, and the error code for an unknown id
KINDS = {
    "cr": ("capacity-reservation", "InvalidCapacityReservationId.NotFound"),
    "eice": ("instance-connect-endpoint", "InvalidInstanceConnectEndpointId.NotFound"),
    "eigw": ("egress-only-internet-gateway", "InvalidEgressOnlyInternetGatewayId.NotFound"),
    "fl": ("vpc-flow-log", "InvalidFlowLogId.NotFound"),
    "pcx": ("vpc-peering-connection", "InvalidVpcPeeringConnectionID.NotFound"),
    "pg": ("placement-group", "InvalidPlacementGroupId.NotFound"),
    "sfr": ("spot-fleet-request", "InvalidSpotFleetRequestId"),
    "acl": ("network-acl", "InvalidNetworkAclID.NotFound"),
    "ami": ("image", "InvalidAMIID.NotFound"),
    "dopt": ("dhcp-options", "InvalidDhcpOptionID.NotFound"),
    "eipalloc": ("elastic-ip", "InvalidAllocationID.NotFound"),
    "eni": ("network-interface", "InvalidNetworkInterfaceID.NotFound"),
    "fleet": ("fleet", "InvalidFleetId.NotFound"),
    "i": ("instance", "InvalidInstanceID.NotFound"),
    "igw": ("internet-gateway", "InvalidInternetGatewayID.NotFound"),
    "key": ("key-pair", "InvalidKeyPair.NotFound"),
    "lt": ("launch-template", "InvalidLaunchTemplateId.NotFound"),
    "nat": ("natgateway", "NatGatewayNotFound"),
    "rtb": ("route-table", "InvalidRouteTableID.NotFound"),
    "sg": ("security-group", "InvalidGroup.NotFound"),
    "sgr": ("security-group-rule", "InvalidSecurityGroupRuleId.NotFound"),
    "sir": ("spot-instances-request", "InvalidSpotInstanceRequestID.NotFound"),
    "snap": ("snapshot", "InvalidSnapshot.NotFound"),
    "subnet": ("subnet", "InvalidSubnetID.NotFound"),
    "vol": ("volume", "InvalidVolume.NotFound"),
    "vpc": ("vpc", "InvalidVpcID.NotFound"),
    "vpce": ("vpc-endpoint", "InvalidVpcEndpointId.NotFound"),
}
_JOINED = {"pending-acceptance", "provisioning", "active"}
FILTERS: dict[str, filters.Getter[dict[str, str]]] = {
    "key": lambda row: row["Key"],
    "value": lambda row: row["Value"],
    "resource-id": lambda row: row["ResourceId"],
    "resource-type": lambda row: row["ResourceType"],
}


def kind_of(resource_id: str) -> str:
    return KINDS.get(resource_id.partition("-")[0], ("", ""))[0]


def tags_of(args: Args, kind: str) -> dict[str, str]:
    """The tags of a call that creates one resource. Another resource type raises AWS's error."""
    tags: dict[str, str] = {}
    for specification in args.get("TagSpecifications") or ():
        resource_type = specification.get("ResourceType")
        if resource_type != kind:
            raise AwsError(
                "InvalidParameterValue",
                f"'{resource_type}' is not a valid taggable resource type for this operation.",
            )
        tags.update({str(tag["Key"]): str(tag.get("Value", "")) for tag in specification.get("Tags") or ()})
    return tags


def check_all(args: Args) -> None:
    """Check every tag of a call, and in a launch template those of the resources it launches."""
    data = args.get("LaunchTemplateData") or {}
    for source in (args, data):
        for specification in source.get("TagSpecifications") or ():
            _check(specification.get("Tags") or ())


def _check(tags: Iterable[Mapping[str, str]]) -> None:
    seen: set[str] = set()
    for tag in tags:
        key, value = str(tag.get("Key", "")), str(tag.get("Value", ""))
        if not key:
            raise AwsError("InvalidParameterValue", "Tag key cannot be empty.")
        if key.lower().startswith("aws:"):
            raise AwsError(
                "InvalidParameterValue",
                f"Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use",
            )
        if len(key) > KEY_LIMIT:
            raise AwsError(
                "InvalidParameterValue", f"Tag key exceeds the maximum length of {KEY_LIMIT} characters"
            )
        if len(value) > VALUE_LIMIT:
            raise AwsError(
                "InvalidParameterValue", f"Tag value exceeds the maximum length of {VALUE_LIMIT} characters"
            )
        if key in seen:
            raise AwsError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        seen.add(key)
    if len(seen) > COUNT_LIMIT:
        _refuse_count()


def check_metadata_keys(keys: Iterable[str]) -> None:
    """Of an instance whose metadata has its tags. The error: karpenter-provider-aws#1527, aws-controllers-k8s#1789."""
    for key in keys:
        if not _IN_METADATA.fullmatch(key) or key in _RESERVED:
            raise AwsError(
                "InvalidParameterValue",
                f"'{key}' is not a valid tag key. Tag keys must match pattern ([0-9a-zA-Z\\-_+=,.@:]{{1,255}}), and must "
                "not be a reserved name ('.', '..', '_index')",
            )


def _refuse_count() -> None:
    raise AwsError("TagLimitExceeded", "The maximum number of tags for this resource has been reached.")


def _alive(region: Region) -> set[str]:
    """The ids of all existing resources: moto keeps the tags of deleted ones."""
    backend = region.backend
    names: set[str] = {*region.machines, *region.spot_requests, *_living_fleets(region)}
    for collection in (
        backend.vpcs, backend.internet_gateways, backend.route_tables, backend.enis, backend.volumes,
        backend.snapshots, backend.launch_templates, backend.nat_gateways, backend.network_acls,
        backend.dhcp_options_sets, backend.amis, backend.vpc_end_points, backend.flow_logs,
        backend.egress_only_internet_gateways, region.shelf, region.images,
    ):  # fmt: skip
        names.update(collection)
    names.update(spot_fleet.id for spot_fleet in region.spot_fleets.values() if spot_fleet.state == "active")
    names.update(vpc_pcx.id for vpc_pcx in backend.vpc_pcxs.values() if vpc_pcx._status.code in _JOINED)  # noqa: SLF001 - as moto does
    names.update(subnet.id for subnet in region.subnets())
    names.update(key.id for key in backend.key_pairs.values())
    names.update(address.allocation_id for address in backend.addresses if address.allocation_id)
    for group in region.groups():
        names.add(group.id)
        names.update(rule.id for rule in (*group.ingress_rules, *group.egress_rules))
    return names


def _living_fleets(region: Region) -> Iterator[str]:
    return (fleet.id for fleet in region.fleets.values() if not fleet.state.startswith("deleted"))


def tags_by_id(region: Region) -> dict[str, dict[str, str]]:
    """The index: the tags of all resources that it lists."""
    alive = _alive(region)
    # AWS's tag index is secondary: that it lists one type does not imply that it lists another.
    hidden = region.world.settings.hidden_in_tags
    return {
        resource_id: tags
        for resource_id, tags in region.backend.tags.items()
        if (resource_id in alive or not kind_of(resource_id)) and kind_of(resource_id) not in hidden
    }


def describe_tags(region: Region, args: Args) -> Answer:
    rows = [
        {"Key": key, "Value": value, "ResourceId": resource_id, "ResourceType": kind_of(resource_id)}
        for resource_id, tags in tags_by_id(region).items()
        for key, value in tags.items()
    ]
    plain = [
        condition
        for condition in args.get("Filters") or ()
        if not str(condition.get("Name", "")).startswith("tag:")
    ]
    rows = filters.select(rows, plain, FILTERS)
    for condition in args.get("Filters") or ():
        name = str(condition.get("Name", ""))
        if name.startswith("tag:"):
            wanted = condition.get("Values") or ()
            rows = [
                row for row in rows if row["Key"] == name[4:] and filters.any_matches(wanted, row["Value"])
            ]
    shown, token = paging.page(rows, args, smallest=5)
    return {"Tags": shown, "NextToken": token}


def _check_exist(region: Region, resource_ids: Iterable[str]) -> None:
    alive = _alive(region)
    for resource_id in resource_ids:
        if resource_id not in alive:
            kind, code = KINDS.get(resource_id.partition("-")[0], ("", ""))
            if not kind:
                raise AwsError("InvalidID", f"The ID '{resource_id}' is not valid")
            raise AwsError(code, f"The {kind} ID '{resource_id}' does not exist")


def create_tags(region: Region, args: Args) -> Answer:
    ids, tags = args.get("Resources") or (), args.get("Tags") or ()
    _check(tags)
    _check_exist(region, ids)
    new = {str(tag["Key"]): str(tag.get("Value", "")) for tag in tags}
    for resource_id in ids:
        own = [key for key in {**region.tags(resource_id), **new} if not key.startswith("aws:")]
        if len(own) > COUNT_LIMIT:
            _refuse_count()
        instance = region.machines.get(resource_id)
        if instance is not None and instance.tags_in_metadata:
            check_metadata_keys(new)
    for resource_id in ids:
        region.set_tags(resource_id, new)
        _tell(region, resource_id)
    return {}


def _tell(region: Region, resource_id: str) -> None:
    """The metadata of a running instance has its changed tags at once (EC2 user guide, as above)."""
    instance = region.machines.get(resource_id)
    if instance is not None:
        region.plugins.tagged(region, instance)


def delete_tags(region: Region, args: Args) -> Answer:
    """Without tags, all are deleted except AWS's own. A tag with a value is deleted only if the value matches."""
    for resource_id in args.get("Resources") or ():
        own: dict[str, str] = region.backend.tags.get(resource_id) or {}
        tags: Iterable[Mapping[str, Any]] = args.get("Tags") or [
            {"Key": key} for key in own if not key.startswith("aws:")
        ]
        for tag in list(tags):
            if "Value" not in tag or own.get(tag["Key"]) == tag["Value"]:
                own.pop(tag["Key"], None)
        _tell(region, resource_id)
    return {}
