"""What keeps a resource from being deleted. AWS says only that something does (`DependencyViolation`), and never what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.shapes import tags_of
from bacalhau_spot.core.receipt import Blocker
from bacalhau_spot.core.teardown import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bacalhau_spot.cloud.cleaning.handler import Row
    from bacalhau_spot.cloud.session import Session
    from bacalhau_spot.core.model import Resource


@dataclass(frozen=True, slots=True)
class _Question:
    """One list of EC2's, filtered by what is blocked. `free` is the AWS CLI's command, without region and id."""

    kind: Kind
    operation: str
    key: str
    id_key: str
    filter: str
    free: str
    filters: str = "Filters"
    counts: Callable[[Row], bool] = lambda _row: True


def _own(row: Row) -> bool:
    """AWS's own, made with the VPC, goes with it."""
    main = any(one.get("Main") for one in row.get("Associations") or ())
    return not (row.get("GroupName") == "default" or row.get("IsDefault") or main)


def _interfaces(by: str, counts: Callable[[Row], bool] = lambda _row: True) -> _Question:
    return _Question(
        Kind.INTERFACE,
        "describe_network_interfaces",
        "NetworkInterfaces",
        "NetworkInterfaceId",
        by,
        "delete-network-interface --network-interface-id",
        counts=counts,
    )


def _nats(by: str) -> _Question:
    return _Question(
        Kind.NAT_GATEWAY,
        "describe_nat_gateways",
        "NatGateways",
        "NatGatewayId",
        by,
        "delete-nat-gateway --nat-gateway-id",
        filters="Filter",
        counts=lambda row: row.get("State") != "deleted",
    )


def _peerings(by: str) -> _Question:
    return _Question(
        Kind.PEERING,
        "describe_vpc_peering_connections",
        "VpcPeeringConnections",
        "VpcPeeringConnectionId",
        by,
        "delete-vpc-peering-connection --vpc-peering-connection-id",
        counts=lambda row: row.get("Status", {}).get("Code") in {"active", "pending-acceptance"},
    )


_QUESTIONS: dict[Kind, tuple[_Question, ...]] = {
    Kind.VPC: (
        _interfaces("vpc-id"),
        _nats("vpc-id"),
        _peerings("requester-vpc-info.vpc-id"),
        _peerings("accepter-vpc-info.vpc-id"),
        _Question(
            Kind.ENDPOINT,
            "describe_vpc_endpoints",
            "VpcEndpoints",
            "VpcEndpointId",
            "vpc-id",
            "delete-vpc-endpoints --vpc-endpoint-ids",
            counts=lambda row: str(row.get("State", "")).lower() != "deleted",
        ),
        _Question(
            Kind.SUBNET, "describe_subnets", "Subnets", "SubnetId", "vpc-id", "delete-subnet --subnet-id"
        ),
        _Question(
            Kind.GROUP,
            "describe_security_groups",
            "SecurityGroups",
            "GroupId",
            "vpc-id",
            "delete-security-group --group-id",
            counts=_own,
        ),
        _Question(
            Kind.ROUTE_TABLE,
            "describe_route_tables",
            "RouteTables",
            "RouteTableId",
            "vpc-id",
            "delete-route-table --route-table-id",
            counts=_own,
        ),
        _Question(
            Kind.ACL,
            "describe_network_acls",
            "NetworkAcls",
            "NetworkAclId",
            "vpc-id",
            "delete-network-acl --network-acl-id",
            counts=_own,
        ),
        _Question(
            Kind.GATEWAY,
            "describe_internet_gateways",
            "InternetGateways",
            "InternetGatewayId",
            "attachment.vpc-id",
            "detach-internet-gateway --internet-gateway-id",
        ),
    ),
    Kind.SUBNET: (_interfaces("subnet-id"), _nats("subnet-id")),
    Kind.GROUP: (_interfaces("group-id"),),
    Kind.ROUTE_TABLE: (),
    Kind.DHCP_OPTIONS: (
        _Question(
            Kind.VPC,
            "describe_vpcs",
            "Vpcs",
            "VpcId",
            "dhcp-options-id",
            "associate-dhcp-options --dhcp-options-id default --vpc-id",
        ),
    ),
    Kind.SNAPSHOT: (
        _Question(
            Kind.IMAGE,
            "describe_images",
            "Images",
            "ImageId",
            "block-device-mapping.snapshot-id",
            "deregister-image --image-id",
        ),
    ),
}


async def find_blockers(session: Session, region: str, resource: Resource) -> list[Blocker]:
    """Everything that AWS shows to depend on the resource, ours or not."""
    kind = Kind(resource.kind)
    if kind in {Kind.ROLE, Kind.POLICY}:
        return await _in_iam(session, resource)
    found = [
        blocker
        for question in _QUESTIONS.get(kind, ())
        for blocker in await _asked(session, region, question, resource.id)
    ]
    if kind is Kind.GATEWAY:
        mapped = _interfaces("vpc-id", counts=lambda row: bool(row.get("Association")))
        for vpc_id in resource.attached_to:
            found += await _asked(session, region, mapped, vpc_id)
    if kind is Kind.GROUP:
        found += await _rules(session, region, resource.id)
    return found


async def _asked(session: Session, region: str, question: _Question, value: str) -> list[Blocker]:
    asked: dict[str, Any] = {question.filters: [{"Name": question.filter, "Values": [value]}]}
    rows = await session.pages("ec2", region, question.operation, question.key, **asked)
    return [_blocker(question, row, region, value) for row in rows if question.counts(row)]


def _blocker(question: _Question, row: Row, region: str, value: str) -> Blocker:
    own_id = str(row[question.id_key])
    attachment = row.get("Attachment") or {}
    instance = str(attachment.get("InstanceId") or "")
    command = f"aws ec2 {question.free} {own_id} --region {region}"
    if instance:
        command = f"aws ec2 terminate-instances --instance-ids {instance} --region {region}"
    elif row.get("RequesterManaged"):
        command = ""  # its service deletes it with what it belongs to
    elif question.kind is Kind.GATEWAY:
        command = f"{command} --vpc-id {value}"
    return Blocker(
        kind=question.kind.value, id=own_id, owner=_owner(row, instance), of=instance, free=command
    )


def _owner(row: Row, instance: str) -> str:
    """Whose it is, as far as AWS shows."""
    if row.get("RequesterManaged") or row.get("InterfaceType") not in {None, "interface"}:
        parts = (row.get("InterfaceType"), row.get("RequesterId"), row.get("Description"))
        return f"an AWS service ({', '.join(str(part) for part in parts if part)})"
    tags = tags_of({"Tags": row.get("Tags") or row.get("TagSet") or ()})
    name = f" named {tags['Name']}" if tags.get("Name") else ""
    return f"instance {instance}{name}" if instance else name.strip()


async def _rules(session: Session, region: str, group_id: str) -> list[Blocker]:
    """Rules of other groups that name this one. EC2 has no filter for them."""
    rows = await session.pages("ec2", region, "describe_security_group_rules", "SecurityGroupRules")
    found = []
    for row in rows:
        other = row["GroupId"]
        if (row.get("ReferencedGroupInfo") or {}).get("GroupId") == group_id and other != group_id:
            way = "egress" if row.get("IsEgress") else "ingress"
            rule = row["SecurityGroupRuleId"]
            command = (
                f"aws ec2 revoke-security-group-{way} --group-id {other} --security-group-rule-ids {rule} "
                f"--region {region}"
            )
            found.append(
                Blocker(
                    kind="security-group-rule",
                    id=rule,
                    owner=f"security group {other}",
                    of=other,
                    free=command,
                )
            )
    return found


async def _in_iam(session: Session, resource: Resource) -> list[Blocker]:
    if resource.kind == Kind.ROLE:
        reply = await session.everything("iam", None, "list_instance_profiles_for_role", RoleName=resource.id)
        names: Sequence[str] = [row["InstanceProfileName"] for row in reply.get("InstanceProfiles", ())]
        return [
            Blocker(
                kind=Kind.PROFILE.value,
                id=name,
                owner="",
                free=f"aws iam remove-role-from-instance-profile --instance-profile-name {name} --role-name {resource.id}",
            )
            for name in names
        ]
    reply = await session.everything("iam", None, "list_entities_for_policy", PolicyArn=resource.handle)
    return [
        Blocker(
            kind=Kind.ROLE.value,
            id=row["RoleName"],
            owner="",
            free=f"aws iam detach-role-policy --role-name {row['RoleName']} --policy-arn {resource.handle}",
        )
        for row in reply.get("PolicyRoles", ())
    ]
