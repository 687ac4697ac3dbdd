"""Network interfaces. AWS's services create some in the user's VPC, which the user can neither detach nor delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.ec2 import filters, paging
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_spot_sandbox.ec2.region import Answer, Args, Region

NOT_YOURS = "You are not allowed to manage 'ela-attach' attachments."


def managed(
    region: Region, subnet: Any, *, kind: str, requester: str, description: str, groups: Iterable[str] = ()
) -> str:
    """Create an interface managed by a service, and return its id."""
    eni = region.backend.create_network_interface(
        subnet, None, group_ids=list(groups), description=description
    )
    own(eni, kind=kind, requester=requester, description=description)
    return str(eni.id)


def own(eni: Any, *, kind: str, requester: str, description: str) -> None:
    """Mark the interface as managed by a service."""
    eni.requester_managed = True
    eni.requester_id = requester
    eni.interface_type = kind
    eni.description = description
    eni.status = "in-use"


def remove(region: Region, interface_id: str) -> None:
    """Delete the interface with its owner. Its Elastic IP remains allocated."""
    eni = region.backend.enis.pop(interface_id, None)
    region.forget_tags(interface_id)
    for address in region.backend.addresses:
        if eni is not None and address.eni is eni:
            address.eni = address.instance = address.association_id = None


def _attachment(eni: Any) -> dict[str, Any] | None:
    if eni.instance is not None:
        return {
            "AttachmentId": eni.attachment_id,
            "InstanceId": eni.instance.id,
            "InstanceOwnerId": ACCOUNT_ID,
            "DeviceIndex": eni.device_index or 0,
            "DeleteOnTermination": str(eni.delete_on_termination).lower() == "true",
            "Status": "attached",
        }
    if eni.requester_managed:
        return {
            "AttachmentId": f"ela-attach-{eni.id[4:]}",
            "InstanceOwnerId": "amazon-aws",
            "DeviceIndex": 1,
            "DeleteOnTermination": False,
            "Status": "attached",
        }
    return None


def _status(eni: Any) -> str:
    return "in-use" if eni.instance is not None or eni.requester_managed else "available"


def elastic_ip(region: Region, eni: Any) -> Any:
    """The Elastic IP of an interface, if any."""
    return next(
        (address for address in region.backend.addresses if address.eni is eni and address.association_id),
        None,
    )


def association(region: Region, eni: Any) -> dict[str, Any] | None:
    elastic = elastic_ip(region, eni)
    public = elastic.public_ip if elastic else eni.public_ip
    if not public:
        return None
    return {
        "PublicIp": public,
        "IpOwnerId": ACCOUNT_ID if elastic else "amazon",
        "AllocationId": elastic.allocation_id if elastic else None,
        "AssociationId": elastic.association_id if elastic else None,
    }


def _groups(eni: Any) -> list[dict[str, str]]:
    groups = {group.id: group for group in eni.group_set}
    return [{"GroupId": group.id, "GroupName": group.name} for group in groups.values()]


def described(region: Region, eni: Any) -> dict[str, Any]:
    return {
        "NetworkInterfaceId": eni.id,
        "SubnetId": eni.subnet.id,
        "VpcId": eni.subnet.vpc_id,
        "AvailabilityZone": eni.subnet.availability_zone,
        "Description": eni.description or "",
        "OwnerId": ACCOUNT_ID,
        "RequesterId": eni.requester_id if eni.requester_managed else None,
        "RequesterManaged": bool(eni.requester_managed),
        "InterfaceType": eni.interface_type,
        "Status": _status(eni),
        "MacAddress": eni.mac_address,
        "PrivateIpAddress": eni.private_ip_address,
        "SourceDestCheck": True,
        "Groups": _groups(eni),
        "Attachment": _attachment(eni),
        "Association": association(region, eni),
        "PrivateIpAddresses": [
            {
                "PrivateIpAddress": private_ip_address.get("PrivateIpAddress"),
                "Primary": bool(private_ip_address.get("Primary")),
            }
            for private_ip_address in eni.private_ip_addresses
        ],
        "TagSet": region.tag_set(eni.id),
    }


def describe_interfaces(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, DescribeNetworkInterfaces."""
    wanted = args.get("NetworkInterfaceIds")
    enis = [find(region, eni_id) for eni_id in wanted] if wanted else list(region.backend.enis.values())
    getters: dict[str, filters.Getter[Any]] = {
        "network-interface-id": lambda eni: eni.id,
        "vpc-id": lambda eni: eni.subnet.vpc_id,
        "subnet-id": lambda eni: eni.subnet.id,
        "availability-zone": lambda eni: eni.subnet.availability_zone,
        "group-id": lambda eni: [group["GroupId"] for group in _groups(eni)],
        "group-name": lambda eni: [group["GroupName"] for group in _groups(eni)],
        "status": _status,
        "description": lambda eni: eni.description or "",
        "interface-type": lambda eni: eni.interface_type,
        "requester-managed": lambda eni: bool(eni.requester_managed),
        "attachment.instance-id": lambda eni: eni.instance.id if eni.instance is not None else None,
        "attachment.attachment-id": lambda eni: eni.attachment_id,
        "private-ip-address": lambda eni: eni.private_ip_address,
        "association.public-ip": lambda eni: (association(region, eni) or {}).get("PublicIp"),
        "association.allocation-id": lambda eni: (association(region, eni) or {}).get("AllocationId"),
    }
    enis = filters.select(enis, args.get("Filters"), getters, lambda eni: region.tags(eni.id))
    page, token = paging.page(enis, args, smallest=5)
    return {"NetworkInterfaces": [described(region, eni) for eni in page], "NextToken": token}


def find(region: Region, interface_id: str) -> Any:
    eni = region.backend.enis.get(interface_id)
    if eni is None:
        raise AwsError(
            "InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{interface_id}' does not exist"
        )
    return eni


def check_delete(region: Region, args: Args) -> None:
    """AWS: EC2 API Reference, DeleteNetworkInterface: detach it first. A service's interface cannot be deleted."""
    eni = region.backend.enis.get(args.get("NetworkInterfaceId"))
    if eni is None:
        return  # moto returns the error for an unknown id
    if eni.requester_managed:
        raise AwsError("OperationNotPermitted", NOT_YOURS)
    if eni.attachment_id:
        raise AwsError("InvalidParameterValue", f"Network interface '{eni.id}' is currently in use.")


def release_addresses(region: Region, args: Args) -> None:
    """AWS: EC2 user guide, "Delete a network interface": disassociates its Elastic IPs, which stay allocated."""
    for address in region.backend.addresses:
        if address.eni is not None and address.eni.id == args.get("NetworkInterfaceId"):
            region.backend.disassociate_address(association_id=address.association_id)


def check_detach(region: Region, args: Args) -> None:
    """AWS: EC2 API Reference, DetachNetworkInterface: the primary interface of an instance cannot be detached."""
    attachment_id = str(args.get("AttachmentId"))
    if attachment_id.startswith("ela-attach-"):
        raise AwsError("OperationNotPermitted", NOT_YOURS)
    for eni in region.backend.enis.values():
        if eni.attachment_id == attachment_id and not eni.device_index:
            raise AwsError(
                "OperationNotPermitted",
                "The network interface at device index 0 and networkCard index 0 cannot be detached.",
            )
