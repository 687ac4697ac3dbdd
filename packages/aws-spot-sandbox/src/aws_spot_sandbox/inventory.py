"""All resources in the sandbox, as EC2 lists them: tests compare them before and after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from aws_spot_sandbox.http_types import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from aws_spot_sandbox.http_types import Handler

DEFAULT = " (default)"


@dataclass(frozen=True)
class Kind:
    """A resource type: its list call, and the states of deleted resources."""

    name: str
    action: str
    list_name: str
    id_name: str
    state_path: str = ""
    deleted_states: tuple[str, ...] = ()
    service: str = "ec2"


KINDS = (
    Kind("vpc", "DescribeVpcs", "vpcSet", "vpcId"),
    Kind("subnet", "DescribeSubnets", "subnetSet", "subnetId"),
    Kind("igw", "DescribeInternetGateways", "internetGatewaySet", "internetGatewayId"),
    Kind("rtb", "DescribeRouteTables", "routeTableSet", "routeTableId"),
    Kind("sg", "DescribeSecurityGroups", "securityGroupInfo", "groupId"),
    Kind("acl", "DescribeNetworkAcls", "networkAclSet", "networkAclId"),
    Kind("lt", "DescribeLaunchTemplates", "launchTemplates", "launchTemplateId"),
    Kind(
        "instance", "DescribeInstances", "instancesSet", "instanceId", "instanceState/name", ("terminated",)
    ),
    Kind(
        "sir",
        "DescribeSpotInstanceRequests",
        "spotInstanceRequestSet",
        "spotInstanceRequestId",
        "state",
        ("cancelled", "closed", "failed"),
    ),
    Kind("fleet", "DescribeFleets", "fleetSet", "fleetId", "fleetState", ("deleted",)),
    Kind("volume", "DescribeVolumes", "volumeSet", "volumeId"),
    Kind("snapshot", "DescribeSnapshots", "snapshotSet", "snapshotId"),
    Kind("eni", "DescribeNetworkInterfaces", "networkInterfaceSet", "networkInterfaceId"),
    Kind("eip", "DescribeAddresses", "addressesSet", "allocationId"),
    Kind("nat", "DescribeNatGateways", "natGatewaySet", "natGatewayId", "state", ("deleted",)),
    Kind("vpce", "DescribeVpcEndpoints", "vpcEndpointSet", "vpcEndpointId"),
    Kind("key", "DescribeKeyPairs", "keySet", "keyPairId"),
    Kind(
        "asg",
        "DescribeAutoScalingGroups",
        "AutoScalingGroups",
        "AutoScalingGroupName",
        service="autoscaling",
    ),
)
ONLY_MINE: Mapping[str, Mapping[str, str]] = {"DescribeSnapshots": {"Owner.1": "self"}}


@dataclass(frozen=True)
class Thing:
    region: str
    kind: str
    id: str
    default: bool
    state: str

    def __str__(self) -> str:
        return f"{self.region} {self.kind} {self.id}{DEFAULT if self.default else ''}"


def everything(ec2: Handler, regions: Iterable[str]) -> Iterator[Thing]:
    """All existing resources. Those that AWS created with a default VPC are marked."""
    for region in regions:
        default_vpcs: set[str] = set()
        for kind in KINDS:
            for row in _rows(ec2, region, kind):
                resource_id = row.findtext(kind.id_name) or ""
                state = row.findtext(kind.state_path) or "" if kind.state_path else ""
                if kind.name == "vpc" and row.findtext("isDefault") == "true":
                    default_vpcs.add(resource_id)
                if state not in kind.deleted_states or not state:
                    yield Thing(region, kind.name, resource_id, _came_with(kind, row, default_vpcs), state)


def _came_with(kind: Kind, row: ET.Element, vpcs: set[str]) -> bool:
    """Whether AWS created it with a default VPC, unlike a group or table that a user added to one."""
    where = row.findtext("vpcId") or row.findtext("attachmentSet/item/vpcId")
    if where not in vpcs:
        return False
    made_by_aws = {
        "vpc": True,
        "subnet": row.findtext("defaultForAz") == "true",
        "igw": not row.findall("tagSet/item"),
        "rtb": any(main.text == "true" for main in row.findall("associationSet/item/main")),
        "sg": row.findtext("groupName") == "default",
        "acl": row.findtext("default") == "true",
    }
    return made_by_aws.get(kind.name, False)


def _rows(ec2: Handler, region: str, kind: Kind) -> Iterator[ET.Element]:
    token = ""
    while True:
        params = dict(ONLY_MINE.get(kind.action, {})) | ({"NextToken": token} if token else {})
        root = ET.fromstring(ec2(Call(kind.service, region, kind.action, params)).body)  # noqa: S314 - our own answer
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        for rows in root.iter(kind.list_name):
            yield from rows.findall("item" if kind.service == "ec2" else "member")
        token = root.findtext("nextToken") or root.findtext(".//NextToken") or ""
        if not token:
            return
