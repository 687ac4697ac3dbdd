"""What a launch stands on: zones, networks, keys, images, credits. `create` and `doctor` ask by the same functions."""

from __future__ import annotations

from typing import Any

import pytest

from bacalhau_spot.core.model import BacalhauSpec
from bacalhau_spot.core.orchestrator.nats_check import NatsCheck, NatsStatus
from bacalhau_spot.engine.doctor import checks
from support.cli_runner import CliResult, CliRunner
from support.networks import BLOCK_ALL, BLOCK_INGRESS, Net


@pytest.fixture(autouse=True)
def _no_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The configured orchestrator is nobody's."""

    async def accepted(address: str, _bacalhau: BacalhauSpec) -> NatsCheck:
        return NatsCheck(address, NatsStatus.ACCEPTED)

    monkeypatch.setattr(checks, "probe_nats", accepted)


def one_line(result: CliResult) -> str:
    return " ".join((result.stdout + result.stderr).split())


def test_a_zone_that_takes_no_subnet_costs_that_zone(sandbox: Any, program: CliRunner) -> None:
    """boto#1904, terraform#3434: AWS offers zones in which it creates no subnets. The others launch; the receipt says so."""
    sandbox.settings.zones_without_subnets = ["us-east-1a"]
    program.configure(nodes=3, regions="[us-east-1]")
    result = program("create", "--yes")
    assert result.code == 0, one_line(result)
    assert "no new subnets in a" in one_line(result)
    nodes = program("list", "-o", "json").data["instances"]
    assert len(nodes) == 3 and "us-east-1a" not in {node["zone"] for node in nodes}


def test_nodes_of_a_region_without_a_zone_that_takes_subnets_move(sandbox: Any, program: CliRunner) -> None:
    """boto#1904: when all zones of a region refuse, its nodes go to the next region, and the receipt says why."""
    ec2 = sandbox.client(region="us-west-1")
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]]
    sandbox.settings.zones_without_subnets = zones
    program.configure(nodes=4, regions="[us-west-1, eu-west-1]")
    result = program("create", "--yes")
    assert result.code == 0, one_line(result)
    assert "no new subnets" in one_line(result)
    assert {node["region"] for node in program("list", "-o", "json").data["instances"]} == {"eu-west-1"}
    program.configure(nodes=4, regions="[us-west-1]")
    assert program("destroy", "--yes").code == 0
    alone = program("create", "--yes")
    assert alone.code == 1 and "ZoneTakesNoSubnet" in one_line(alone)


def test_prices_under_the_vpc_description_are_prices(sandbox: Any, program: CliRunner) -> None:
    """F11: karpenter-provider-aws#2568: older accounts have them under "Linux/UNIX (Amazon VPC)" alone."""
    program.configure(nodes=1, regions="[us-east-1]")
    usual = program("create", "--dry-run").stdout
    sandbox.settings.vpc_prices = True
    older = program("create", "--dry-run").stdout
    assert older == usual and "$" in older
    shown = program("prices", "--type", "t3.medium", "--region", "us-east-1")
    assert shown.code == 0 and "AWS shows no" not in one_line(shown), one_line(shown)


def test_burstable_nodes_run_with_standard_credits_beside_others(sandbox: Any, program: CliRunner) -> None:
    """terraform-provider-aws#29790, #5081: unlimited costs what no sum has; other types take no credit specification."""
    ec2 = sandbox.client()
    path = program.configure(nodes=2, regions="[us-east-1]", more="max_share_per_pool: 0.5\n")
    path.write_text(path.read_text().replace("[t3.medium, t3a.medium]", "[t3.medium, m5.large]"))
    assert program("create", "--yes").code == 0
    rows = ec2.describe_instance_credit_specifications()["InstanceCreditSpecifications"]
    assert all(row["CpuCredits"] == "standard" for row in rows)
    path.write_text(path.read_text().replace("[t3.medium, m5.large]", "[m5.large]"))
    assert program("destroy", "--yes").code == 0
    result = program("create", "--yes")
    assert result.code == 0, one_line(result)
    assert program("destroy", "--yes").code == 0
    path.write_text(
        path.read_text().replace("[m5.large]", "[t3.medium]") + "instance: {cpu_credits: unlimited}\n"
    )
    assert program("create", "--yes").code == 0
    rows = ec2.describe_instance_credit_specifications()["InstanceCreditSpecifications"]
    assert "unlimited" in {row["CpuCredits"] for row in rows}


def test_a_default_disk_key_that_spot_may_not_use(sandbox: Any, program: CliRunner) -> None:
    """F14: runs-on#152: the disks name AWS's own key, so the account's default is not taken."""
    sandbox.settings.default_key_without_spot = True
    program.configure(nodes=1, regions="[us-east-1]")
    result = program("create", "--yes")
    assert result.code == 0, one_line(result)


def test_an_image_whose_key_spot_may_not_use(sandbox: Any, program: CliRunner) -> None:
    """F14: EC2 user guide, "Spot service-linked role": its key needs a grant, whatever key the disks name; create says so."""
    sandbox.settings.default_key_without_spot = True
    ec2 = sandbox.client()
    key = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=8, Encrypted=True, KmsKeyId=key)
    snapshot = ec2.create_snapshot(VolumeId=volume["VolumeId"])["SnapshotId"]
    reply = ec2.register_image(
        Name="encrypted",
        Architecture="x86_64",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
    )
    program.configure(nodes=1, regions="[us-east-1]", more=f"image: {reply['ImageId']}\n")
    planned = one_line(program("create", "--dry-run"))
    assert f"{reply['ImageId']} in us-east-1 is encrypted" in planned, planned
    assert f"{reply['ImageId']} in us-east-1 is encrypted" in one_line(program("doctor"))
    result = program("create", "--yes")
    words = one_line(result)
    assert result.code != 0 and "its disk could not be decrypted" in words, words
    assert "AWSServiceRoleForEC2Spot" in words and "bacalhau-spot explain permissions" in words
    assert "get-ebs-default-kms-key-id --region us-east-1" in words


def test_images_that_no_node_can_start_from(sandbox: Any, program: CliRunner) -> None:
    """F18 (cloud-custodian's recording), F21 (karpenter-provider-aws#5283): said by create and doctor, nothing is made."""
    ec2 = sandbox.client()
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=40)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}
    large = ec2.register_image(
        Name="large", Architecture="x86_64", RootDeviceName="/dev/sda1", BlockDeviceMappings=[disk]
    )
    old = ec2.register_image(Name="old", ImageLocation="bucket/image.manifest.xml", Architecture="x86_64")
    for resource, words in (
        (large, "needs a root volume of 40 GiB"),
        (old, "has no EBS root volume"),
    ):
        program.configure(nodes=1, regions="[us-east-1]", more=f"image: {resource['ImageId']}\n")
        result = program("create", "--yes")
        assert result.code == 2 and words in one_line(result), one_line(result)
        assert words in one_line(program("doctor"))
    assert len(ec2.describe_vpcs()["Vpcs"]) == 1


def a_vpc(ec2: Any, *, cidr: str = "10.9.0.0/16", subnet: bool = True) -> tuple[str, str]:
    """A VPC of the user's with one subnet and no way out; its id and its main route table's."""
    vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    if subnet:
        ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/20", AvailabilityZone="us-east-1a")
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    return vpc, table["RouteTableId"]


def test_a_vpc_from_which_nodes_cannot_join_is_refused_first(sandbox: Any, program: CliRunner) -> None:
    """Complaint 4 (parallelcluster#3604, skypilot#6746), F12: not there, without subnets, without a way out: said first."""
    ec2 = sandbox.client()
    bare, closed = a_vpc(ec2, subnet=False)[0], a_vpc(ec2)[0]
    for vpc, words in (
        ("vpc-0123456789abcdef0", "there is no vpc-0123456789abcdef0"),
        (bare, "has no subnet in us-east-1"),
        (closed, "no subnet whose default route leads to an internet gateway"),
    ):
        program.configure(nodes=1, regions=f"{{us-east-1: {{vpc_id: {vpc}}}}}")
        result = program("create", "--yes")
        assert result.code == 2 and words in one_line(result), one_line(result)
        assert words in one_line(program("doctor"))
    assert not ec2.describe_launch_templates()["LaunchTemplates"]


def test_the_public_subnet_is_taken_and_not_the_roomiest(sandbox: Any, program: CliRunner) -> None:
    """F12: in a usual VPC the private subnets are the large ones; a node there would never join."""
    ec2 = sandbox.client()
    vpc, _ = a_vpc(ec2)
    small = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.64.0/24", AvailabilityZone="us-east-1a")["Subnet"][
        "SubnetId"
    ]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=small)
    program.configure(nodes=1, regions=f"{{us-east-1: {{vpc_id: {vpc}}}}}")
    result = program("create", "--yes")
    assert result.code == 0, one_line(result)
    rows = ec2.describe_instances()["Reservations"]
    assert [instance["SubnetId"] for row in rows for instance in row["Instances"]] == [small]


def test_private_nodes_behind_a_nat(sandbox: Any, program: CliRunner) -> None:
    """`public_ip: false`: the subnet that leads to a NAT is taken, and no address is public or priced."""
    ec2 = sandbox.client()
    vpc, table = a_vpc(ec2)
    (subnet,) = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    nat = ec2.create_nat_gateway(SubnetId=subnet["SubnetId"], ConnectivityType="private")["NatGateway"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat["NatGatewayId"])
    program.configure(
        nodes=1, regions=f"{{us-east-1: {{vpc_id: {vpc}}}}}", more="instance: {public_ip: false}\n"
    )
    words = one_line(program("create", "--yes"))
    assert "EC2 Instance Connect Endpoint" in words and "bacalhau-spot explain ssh" in words, words
    result = program("create", "--dry-run", "-o", "json")
    assert result.code == 0, one_line(result)
    assert float(result.data["plan"]["estimate"]["addresses_usd_per_hour"]) == 0
    (node,) = program("list", "-o", "json").data["instances"]
    assert node["public_ip"] is None
    program.configure(nodes=1, regions="[us-west-1]", more="instance: {public_ip: false}\n")
    own = program("create", "--yes")
    assert own.code == 2 and "which has no NAT" in one_line(own)


def test_nothing_is_launched_where_public_access_is_blocked(sandbox: Any, program: CliRunner) -> None:
    """F13: EC2 API reference, VpcBlockPublicAccessOptions: both modes block an internet gateway's traffic."""
    program.configure(nodes=1, regions="[us-east-1]")
    for mode in ("block-bidirectional", "block-ingress"):
        sandbox.settings.block_public_access = {"*": mode}
        result = program("create", "--yes")
        assert result.code == 2 and f"VPC Block Public Access is {mode}" in one_line(result), one_line(result)
        assert f"VPC Block Public Access is {mode}" in one_line(program("doctor"))
    assert len(sandbox.client().describe_vpcs()["Vpcs"]) == 1
    sandbox.settings.block_public_access = {}
    sandbox.settings.deny = ["ec2:DescribeVpcBlockPublicAccessOptions"]
    result = program("create", "--yes")
    assert result.code == 0 and "Block Public Access" in one_line(result), one_line(result)


def test_an_excluded_subnet_is_launched_into(sandbox: Any, program: CliRunner) -> None:
    """F13: an exclusion exempts a subnet from the account's mode (EC2 API reference, VpcBlockPublicAccessExclusion)."""
    net = Net(sandbox)
    sandbox.settings.block_public_access = BLOCK_ALL
    program.configure(nodes=1, regions=f"{{us-east-1: {{vpc_id: {net.vpc}}}}}")
    result = program("create", "--yes")
    words = one_line(result)
    assert result.code == 2 and "VPC Block Public Access is block-bidirectional" in words, words
    assert f"an exclusion of the VPC, or of {net.public}" in words
    net.exclude(SubnetId=net.public)
    result = program("create", "--yes")
    assert result.code == 0, one_line(result)
    assert [node["public_ip"] for node in program("list", "-o", "json").data["instances"]] != [None]


def test_the_mode_behind_a_nat_is_that_of_the_nats_subnet(sandbox: Any, program: CliRunner) -> None:
    """F13: its traffic crosses the internet gateway from there (VPC user guide, "VPC BPA basics"); no public address is named."""
    net = Net(sandbox)
    net.nat()
    program.configure(
        nodes=1, regions=f"{{us-east-1: {{vpc_id: {net.vpc}}}}}", more="instance: {public_ip: false}\n"
    )
    sandbox.settings.block_public_access = BLOCK_ALL
    net.exclude(SubnetId=net.private)
    result = program("create", "--yes")
    words = one_line(result)
    assert result.code == 2 and "so nodes behind one could not join" in words, words
    assert "public address" not in words
    assert "so nodes behind one could not join" in one_line(program("doctor"))
    net.exclude("allow-egress", SubnetId=net.public)
    assert program("create", "--yes").code == 0
    assert program("destroy", "--yes").code == 0
    sandbox.settings.block_public_access = BLOCK_INGRESS
    assert program("create", "--yes").code == 0


def test_a_transit_gateway_is_not_blocked(sandbox: Any, program: CliRunner) -> None:
    """F13: what crosses no internet gateway of the VPC is not impacted (VPC user guide, "VPC BPA basics")."""
    net = Net(sandbox)
    gateway = net.ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    net.route(net.private, TransitGatewayId=gateway)
    sandbox.settings.block_public_access = BLOCK_ALL
    program.configure(
        nodes=1, regions=f"{{us-east-1: {{vpc_id: {net.vpc}}}}}", more="instance: {public_ip: false}\n"
    )
    result = program("create", "--yes")
    assert result.code == 0, one_line(result)


TOO_LONG = (
    "instance: {additional_commands: '"
    + "".join(f"echo {number * 7919}; " for number in range(9000))
    + "'}\n"
)
REFUSALS = {
    "region": ("[xx-north-9]", ""),
    "user-data": ("[us-east-1]", TOO_LONG),
    "image": ("[us-east-1]", "image: ssm:/nobody/has/this\n"),
    "vpc": ("{us-east-1: {vpc_id: vpc-0123456789abcdef0}}", ""),
    "public address": ("[us-east-1]", "instance: {public_ip: false}\n"),
    "pool share": ("[us-east-1]", "max_share_per_pool: 0.01\n"),
    "budget": ("[us-east-1]", "budget_usd_per_hour: 0.001\n"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_doctor_fails_for_whatever_create_refuses_first(sandbox: Any, program: CliRunner, name: str) -> None:
    """Complaint 9 (k0smotron#892): each refusal that comes before the first call that makes something."""
    regions, more = REFUSALS[name]
    program.configure(nodes=30, regions=regions, more=more)
    refused = program("create", "--yes", "-o", "json")
    assert refused.code not in (0, 130) and refused.envelope["errors"], refused.stdout
    what = refused.envelope["errors"][0]["what"]
    checked = program("doctor", "-o", "json")
    if name == "region":  # without regions, a create cannot be checked
        failed = {f["check"]: f["details"] for f in checked.data["findings"] if f["status"] == "FAIL"}
        assert failed == {"regions": ["xx-north-9: no such region"]}, checked.stdout
        return
    failures = [
        finding
        for finding in checked.data["findings"]
        if finding["status"] == "FAIL" and finding["check"] == "create"
    ]
    assert checked.code != 0 and [failure["message"] for failure in failures] == [what], checked.stdout
    assert len(sandbox.client().describe_vpcs()["Vpcs"]) == 1
