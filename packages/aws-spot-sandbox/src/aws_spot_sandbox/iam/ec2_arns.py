"""The resources of an EC2 call: their ARNs and current tags, from moto's stores."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend

from aws_spot_sandbox.ec2.tags import kind_of
from aws_spot_sandbox.http_types import Call
from aws_spot_sandbox.iam.policy_evaluator import Ask, Context
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from aws_spot_sandbox.http_types import Handler

Tags = dict[str, str]
# Their ARNs have no account id.
_PUBLIC = frozenset({"image", "snapshot"})


@dataclass(frozen=True)
class Thing:
    """A resource that policies can name. `fresh`: it is yet to be created, and the tags are those of the request."""

    arn: str
    tags: Mapping[str, str]
    fresh: bool = False
    vpc_arn: str = ""

    def ask(self, action: str, **more: str) -> Ask:
        context = requested(self.tags) if self.fresh else {}
        if not self.fresh:
            context = {
                f"{key}/{name}": (self.tags[name],) for key in _tag_keys(self.arn) for name in self.tags
            }
        if self.vpc_arn:
            context["ec2:Vpc"] = (self.vpc_arn,)
        return Ask(
            action, self.arn, context | {name.replace("__", ":"): (value,) for name, value in more.items()}
        )


# Services with their own prefix for `ResourceTag` (IAM: for users and roles only).
_OWN_TAG_KEYS = ("ec2", "autoscaling", "ssm", "secretsmanager")


def _tag_keys(resource_arn: str) -> Iterator[str]:
    """The condition keys of a resource's tags."""
    yield "aws:ResourceTag"
    service, rest = resource_arn.split(":", 5)[2], resource_arn.split(":", 5)[5]
    if service in _OWN_TAG_KEYS or (service == "iam" and rest.startswith(("role/", "user/"))):
        yield f"{service}:ResourceTag"


def requested(tags: Mapping[str, str]) -> Context:
    """The condition keys of the tags in a request."""
    context: Context = {f"aws:RequestTag/{name}": (value,) for name, value in tags.items()}
    return context | ({"aws:TagKeys": tuple(tags)} if tags else {})


def arn(service: str, region: str, rest: str, *, account: str = ACCOUNT_ID) -> str:
    return f"arn:aws:{service}:{region}:{account}:{rest}"


def tag_dict(rows: Iterable[Mapping[str, str]] | None) -> Tags:
    return {row["Key"]: row.get("Value", "") for row in rows or ()}


# --- EC2


def of_ec2(region: str, resource_id: str) -> Thing:
    """An EC2 resource by its id, which need not exist."""
    backend: Any = get_backend("ec2")[ACCOUNT_ID][region]
    kind = kind_of(resource_id)
    return Thing(
        ec2_arn(region, kind, resource_id),
        dict(backend.tags.get(resource_id) or {}),
        vpc_arn=_vpc(backend, region, kind, resource_id),
    )


def ec2_arn(region: str, kind: str, resource_id: str) -> str:
    return arn("ec2", region, f"{kind}/{resource_id}", account="" if kind in _PUBLIC else ACCOUNT_ID)


def new_in_ec2(region: str, kind: str, tags: Mapping[str, str], *, vpc_arn: str = "") -> Thing:
    """`vpc_arn`: the VPC of the new resource; used only for kinds that are created in a VPC."""
    inside = vpc_arn if kind == "network-interface" else ""
    return Thing(ec2_arn(region, kind, "*"), tags, fresh=True, vpc_arn=inside)


def vpc_of(region: str, subnet_id: str) -> str:
    """The ARN of a subnet's VPC; empty if there is no such subnet."""
    return _vpc(get_backend("ec2")[ACCOUNT_ID][region], region, "subnet", subnet_id)


def default_group(region: str, vpc_id: str) -> list[str]:
    """The security group of an instance whose launch names none."""
    groups = get_backend("ec2")[ACCOUNT_ID][region].groups.get(vpc_id) or {}
    return [group.id for group in groups.values() if group.name == "default"]


def _vpc(backend: Any, region: str, kind: str, resource_id: str) -> str:
    """The ARN of its VPC, for kinds that have the condition key ec2:Vpc; else empty."""
    stores: dict[str, Callable[[], Iterable[Mapping[str, Any]]]] = {
        "network-acl": lambda: [backend.network_acls],
        "network-interface": lambda: [backend.enis],
        "route-table": lambda: [backend.route_tables],
        "security-group": backend.groups.values,
        "subnet": backend.subnets.values,
    }
    if kind not in stores:
        return ""
    resources = [store[resource_id] for store in stores[kind]() if resource_id in store]
    if not resources:
        return ""
    vpc_id = resources[0].subnet.vpc_id if kind == "network-interface" else resources[0].vpc_id
    return ec2_arn(region, "vpc", vpc_id)


_ID = re.compile(r"[a-z]+-[0-9a-z-]{8,}")


def ids_in(value: Any) -> Iterator[str]:
    """All EC2 ids in a call's parameters."""
    if isinstance(value, str):
        if _ID.fullmatch(value) and kind_of(value):
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from ids_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from ids_in(inner)


# Prefixes of attachment ids -> the call that lists the attachment, its filter, and the elements with the ids.
_ATTACHMENTS = {
    "eni-attach": (
        "DescribeNetworkInterfaces",
        "attachment.attachment-id",
        ("networkInterfaceId", "instanceId"),
    ),
    "eipassoc": ("DescribeAddresses", "association-id", ("allocationId", "networkInterfaceId")),
}


def attached(ec2: Handler, region: str, attachment_id: str) -> list[str]:
    """The ids of the resources that an attachment connects."""
    prefix = attachment_id.rpartition("-")[0]
    if prefix == "rtbassoc":
        return _table_and_subnet(region, attachment_id)
    if prefix not in _ATTACHMENTS:
        return []
    action, name, elements = _ATTACHMENTS[prefix]
    params = {"Filter.1.Name": name, "Filter.1.Value.1": attachment_id}
    text = ec2(Call("ec2", region, action, params)).body.decode()
    return list(dict.fromkeys(re.findall(rf"<(?:{'|'.join(elements)})>([a-z]+-[0-9a-z]+)<", text)))


def _table_and_subnet(region: str, association_id: str) -> list[str]:
    tables = get_backend("ec2")[ACCOUNT_ID][region].route_tables.values()
    return [
        str(association[key])
        for table in tables
        for association in table.associations
        if association.get("RouteTableAssociationId") == association_id
        for key in ("RouteTableId", "SubnetId")
        if association.get(key)
    ]


def placement_group(ec2: Handler, region: str, name: str) -> str:
    """Its id, or the name if there is no such group."""
    text = ec2(Call("ec2", region, "DescribePlacementGroups", {"GroupName.1": name})).body.decode()
    match = re.search(r"<groupId>([^<]+)<", text)
    return match[1] if match else name
