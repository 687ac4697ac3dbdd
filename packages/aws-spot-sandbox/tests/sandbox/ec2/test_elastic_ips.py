"""Elastic IPs. Source: EC2 API Reference, AllocateAddress, AssociateAddress, DisassociateAddress, ReleaseAddress."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from aws_spot_sandbox.ec2 import region
from aws_spot_sandbox.ec2.region import Addresses
from sandbox.ec2.clusters import TAGS, image, instances, refused, spec


def launch(sandbox: Any, *, settle: bool = True, **options: Any) -> str:
    ec2 = sandbox.client()
    arguments = {"ImageId": image(ec2), "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
    instance_id = ec2.run_instances(**arguments | options)["Instances"][0]["InstanceId"]
    if settle:
        sandbox.clock.advance(2)
    return str(instance_id)


def allocate(ec2: Any, **options: Any) -> Any:
    return ec2.allocate_address(Domain="vpc", **options)


def public_ip(ec2: Any, instance_id: str) -> str | None:
    address: str | None = instances(ec2, InstanceIds=[instance_id])[0].get("PublicIpAddress")
    return address


def test_an_address_is_tagged_at_birth_and_found_by_its_tag(sandbox: Any) -> None:
    """AllocateAddress, TagSpecifications; DescribeAddresses, filters `tag:` and `public-ip`."""
    ec2 = sandbox.client()
    address = allocate(ec2, TagSpecifications=spec("elastic-ip"))
    allocate(ec2)
    for name, value in (
        ("tag:bacalhau-cluster", "one"),
        ("tag-key", "bacalhau-cluster"),
        ("public-ip", address["PublicIp"]),
        ("allocation-id", address["AllocationId"]),
    ):
        rows = ec2.describe_addresses(Filters=[{"Name": name, "Values": [value]}])["Addresses"]
        assert [row["AllocationId"] for row in rows] == [address["AllocationId"]]
        assert rows[0]["Tags"] == TAGS
    with refused("InvalidParameterValue"):
        allocate(ec2, TagSpecifications=spec("instance"))


def test_five_addresses_a_region(sandbox: Any) -> None:
    """EC2 User Guide, "Elastic IP address quota"; released addresses do not count."""
    ec2 = sandbox.client()
    addresses = [allocate(ec2) for _ in range(5)]
    with refused("AddressLimitExceeded"):
        allocate(ec2)
    ec2.release_address(AllocationId=addresses[0]["AllocationId"])
    allocate(ec2)
    allocate(sandbox.client(region="eu-west-1"))


def test_the_address_replaces_the_automatic_one(sandbox: Any) -> None:
    """EC2 User Guide, "Elastic IP addresses": the automatic address is released; after disassociation a new one comes."""
    ec2 = sandbox.client()
    instance_id, address = launch(sandbox), allocate(ec2)
    before = public_ip(ec2, instance_id)
    association = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance_id)
    assert public_ip(ec2, instance_id) == address["PublicIp"] != before
    row = ec2.describe_addresses()["Addresses"][0]
    assert (row["InstanceId"], row["AssociationId"]) == (instance_id, association["AssociationId"])
    shown = instances(ec2)[0]["NetworkInterfaces"][0]["Association"]
    assert (shown["PublicIp"], shown["IpOwnerId"]) == (address["PublicIp"], "000000000000")
    ec2.disassociate_address(AssociationId=association["AssociationId"])
    assert public_ip(ec2, instance_id) not in (None, before, address["PublicIp"])
    assert "AssociationId" not in ec2.describe_addresses()["Addresses"][0]


def test_no_automatic_address_for_an_instance_launched_without(sandbox: Any) -> None:
    """EC2 User Guide, "Public IPv4 addresses": only an instance that had one gets a new one."""
    ec2 = sandbox.client()
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    interface = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": False}
    instance_id, address = launch(sandbox, NetworkInterfaces=[interface]), allocate(ec2)
    association = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance_id)
    assert public_ip(ec2, instance_id) == address["PublicIp"]
    ec2.disassociate_address(AssociationId=association["AssociationId"])
    assert public_ip(ec2, instance_id) is None


def test_only_a_running_instance_takes_an_address(sandbox: Any) -> None:
    """Recorded in terraform-provider-aws#21228 (pending), terraform-aws-ec2-instance#95 (terminated), #19699 (interface)."""
    ec2 = sandbox.client()
    instance_id, allocation_id = launch(sandbox, settle=False), allocate(ec2)["AllocationId"]
    interface_id = instances(ec2)[0]["NetworkInterfaces"][0]["NetworkInterfaceId"]
    with refused("InvalidInstanceID"):
        ec2.associate_address(AllocationId=allocation_id, InstanceId=instance_id)
    with refused("IncorrectInstanceState"):
        ec2.associate_address(AllocationId=allocation_id, NetworkInterfaceId=interface_id)
    sandbox.clock.advance(2)
    again = [
        ec2.associate_address(AllocationId=allocation_id, InstanceId=instance_id)["AssociationId"]
        for _ in range(2)
    ]
    assert again[0] == again[1]
    ec2.terminate_instances(InstanceIds=[instance_id])
    with refused("InvalidInstanceID"):
        ec2.associate_address(AllocationId=allocation_id, InstanceId=instance_id)


def test_an_address_moves_unless_that_is_forbidden(sandbox: Any) -> None:
    """AssociateAddress, AllowReassociation: automatic unless false, then Resource.AlreadyAssociated."""
    ec2 = sandbox.client()
    one, two, allocation_id = launch(sandbox), launch(sandbox), allocate(ec2)["AllocationId"]
    ec2.associate_address(AllocationId=allocation_id, InstanceId=one)
    with refused("Resource.AlreadyAssociated"):
        ec2.associate_address(AllocationId=allocation_id, InstanceId=two, AllowReassociation=False)
    ec2.associate_address(AllocationId=allocation_id, InstanceId=two)
    assert [row["InstanceId"] for row in ec2.describe_addresses()["Addresses"]] == [two]


def test_a_second_address_displaces_the_first_which_stays_allocated(sandbox: Any) -> None:
    """AssociateAddress: an existing address of the instance is disassociated but remains allocated."""
    ec2 = sandbox.client()
    instance_id, addresses = launch(sandbox), [allocate(ec2) for _ in range(2)]
    for address in addresses:
        ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance_id)
    rows = {row["AllocationId"]: row.get("InstanceId") for row in ec2.describe_addresses()["Addresses"]}
    assert rows == {addresses[0]["AllocationId"]: None, addresses[1]["AllocationId"]: instance_id}
    assert public_ip(ec2, instance_id) == addresses[1]["PublicIp"]


def test_an_address_needs_an_internet_gateway(sandbox: Any) -> None:
    """EC2 API Reference, "Error codes": Gateway.NotAttached."""
    ec2 = sandbox.client()
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24", AvailabilityZone="us-east-1a")[
        "Subnet"
    ]["SubnetId"]
    instance_id, allocation_id = launch(sandbox, SubnetId=subnet), allocate(ec2)["AllocationId"]
    with refused("Gateway.NotAttached"):
        ec2.associate_address(AllocationId=allocation_id, InstanceId=instance_id)


@pytest.mark.parametrize(
    ("call", "arguments", "code"),
    [
        ("associate_address", {"InstanceId": "i-00000000000000000"}, "MissingParameter"),
        (
            "associate_address",
            {"AllocationId": "eipalloc-00000000000000000", "InstanceId": "i-00000000000000000"},
            "InvalidAllocationID.NotFound",
        ),
        ("associate_address", {"PublicIp": "127.0.0.9", "InstanceId": "i-0"}, "InvalidAddress.NotFound"),
        ("disassociate_address", {}, "MissingParameter"),
        (
            "disassociate_address",
            {"AssociationId": "eipassoc-00000000000000000"},
            "InvalidAssociationID.NotFound",
        ),
        ("disassociate_address", {"PublicIp": "127.0.0.9"}, "AuthFailure"),
        ("release_address", {}, "MissingParameter"),
        (
            "release_address",
            {"AllocationId": "eipalloc-00000000000000000"},
            "InvalidAllocationID.NotFound",
        ),
        ("release_address", {"PublicIp": "127.0.0.9"}, "AuthFailure"),
        ("describe_addresses", {"PublicIps": ["127.0.0.9"]}, "InvalidAddress.NotFound"),
        (
            "describe_addresses",
            {"AllocationIds": ["eipalloc-00000000000000000"]},
            "InvalidAllocationID.NotFound",
        ),
        ("describe_addresses", {"Filters": [{"Name": "nothing", "Values": ["x"]}]}, "InvalidParameterValue"),
    ],
)
def test_wrong_names_are_refused(sandbox: Any, call: str, arguments: dict[str, Any], code: str) -> None:
    """EC2 API Reference, "Error codes"; ReleaseAddress: AuthFailure for an address of somebody else."""
    with refused(code):
        getattr(sandbox.client(), call)(**arguments)


def test_an_address_in_use_is_not_released(sandbox: Any) -> None:
    """ReleaseAddress: InvalidIPAddress.InUse until it is disassociated."""
    ec2 = sandbox.client()
    instance_id, address = launch(sandbox), allocate(ec2)
    association = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance_id)
    with refused("InvalidIPAddress.InUse"):
        ec2.release_address(AllocationId=address["AllocationId"])
    ec2.disassociate_address(AssociationId=association["AssociationId"])
    ec2.release_address(AllocationId=address["AllocationId"])
    assert ec2.describe_addresses()["Addresses"] == []
    assert ec2.describe_tags()["Tags"] == []


def test_addresses_are_distinct_loopback_addresses(sandbox: Any) -> None:
    """The sandbox's own rule: no address is a real host's, and none is an instance's."""
    elastic = [ip_address(allocate(sandbox.client())["PublicIp"]) for _ in range(5)]
    instance = ip_address(public_ip(sandbox.client(), launch(sandbox)) or "")
    assert len({*elastic, instance}) == 6
    assert all(address in ip_network("127.0.0.0/8") for address in (*elastic, instance))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have one loopback address")
@pytest.mark.parametrize("port", [1, 1024, 65_535])
def test_a_program_can_listen_on_an_address(port: int) -> None:
    """The sandbox's own rule, for each sandbox of this machine, and for its last address."""
    addresses = Addresses(port=port)
    allocated = [addresses.next_elastic() for _ in range(126)]
    assert len(set(allocated)) == 126
    assert addresses.next_elastic() is None
    for address in (allocated[0], allocated[-1]):
        with socket.socket() as listener:
            listener.bind((address, 0))


def test_two_sandboxes_have_no_address_in_common() -> None:
    """The sandbox's own rule: they run at the same time, with different ports."""
    of_port = {
        port: {Addresses(port=port).next_elastic() for _ in range(1)} for port in (50_000, 50_001, 50_002)
    }
    assert len(set().union(*of_port.values())) == 3


def test_where_only_one_address_can_be_bound_it_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS 127.0.0.1 is the only configured loopback address."""
    monkeypatch.setattr(region, "_can_listen", lambda address: address == "127.0.0.1")
    addresses = Addresses(port=50_000)
    first, second = addresses.next_elastic(), addresses.next_elastic()
    assert first == "127.0.0.1" != second
    addresses.give_back("127.0.0.1")
    assert addresses.next_elastic() == "127.0.0.1"
