"""An account that is full of others' resources: of any kind, and some of them tagged and named almost as ours."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from support import busy_account
from support.one_of_each import ResourceFixture

KEY, NAME = "bacalhau-cluster", "bacalhau-aws-spot"
CREATOR = busy_account.OURS["CreatedBy"]
# Other cases, longer and shorter, wildcards as text, a value without letters, and tags of this program that are not enough.
NEAR: tuple[Mapping[str, str], ...] = (
    {"Bacalhau-Cluster": NAME, "CreatedBy": CREATOR},
    {KEY.upper(): NAME, "CreatedBy": CREATOR},
    {KEY: NAME.upper()},
    {KEY: NAME.title(), "Name": "bacalhau-node"},
    {KEY: f"{NAME}-2"},
    {KEY: f"x{NAME}"},
    {KEY: NAME[:-1]},
    {KEY: NAME.replace("-", "\N{HYPHEN}")},
    {KEY: ""},
    {KEY: "*"},
    {KEY: "bacalhau*"},
    {KEY: "bacalhau-aws-spo?"},
    {KEY: "third", "CreatedBy": "somebody-else"},
    {f"{KEY}-2": NAME, "CreatedBy": CREATOR},
    {f"x{KEY}": NAME, "CreatedBy": CREATOR},
    {f"{KEY} ": NAME, "CreatedBy": CREATOR},
    {KEY: NAME.swapcase(), "createdby": CREATOR, "BacalhauExpiresAt": "2020-01-01T00:00:00Z"},
    {"CreatedBy": CREATOR, "Name": "bacalhau-vpc"},
    {"Name": "bacalhau-node"},
    {"cluster": f"{KEY}={NAME}"},
    {"kubernetes.io/cluster/theirs": "owned"},
    {"*": "*"},
    {},
)
# No spaces at the ends: moto's S3 drops them, and `bacalhau-cluster ` becomes our own key.
_PLAIN = re.compile(r"(?! )[A-Za-z0-9 _.:/=+@-]*(?<! )")
PLAIN = [tags for tags in NEAR if all(map(_PLAIN.fullmatch, (*tags.keys(), *tags.values())))]
NOBODY = json.dumps({"Version": "2012-10-17", "Statement": []})


class ForeignAccount:
    """Makes `size` resources over the regions, each of a kind and with tags that the seed chooses."""

    def __init__(self, sandbox: Any, regions: Sequence[str], seed: int) -> None:
        self.sandbox, self.regions = sandbox, regions
        self.random = random.Random(seed)
        self.numbers = count(1)
        self.networks: dict[str, list[tuple[str, str, str]]] = {region: [] for region in regions}
        self.instances: dict[str, list[str]] = {region: [] for region in regions}
        self.templates: dict[str, list[str]] = {region: [] for region in regions}
        room = (
            "vpcs",
            "internet_gateways",
            "elastic_ips",
            "security_groups_per_vpc",
            "nat_gateways_per_zone",
        )
        sandbox.settings.quotas = dict.fromkeys(room, 100_000)

    def fill(self, size: int) -> None:
        for region in self.regions:
            self.network(region)
            self.template(region)
        kinds = self._kinds()
        for maker in self.random.choices(list(kinds), weights=list(kinds.values()), k=size):
            maker(self.random.choice(self.regions))
        self.sandbox.clock.advance(300)
        self.sandbox.server.settle()

    def _kinds(self) -> dict[Callable[[str], object], int]:
        return {
            self.instance: 20,
            self.volume: 15,
            self.security_group: 12,
            self.interface: 8,
            self.network: 3,
            self.subnet: 3,
            self.snapshot: 5,
            self.key_pair: 4,
            self.address: 4,
            self.template: 4,
            self.scaling_group: 3,
            self.fleet: 2,
            self.spot_request: 2,
            self.parameter: 3,
            self.log_group: 3,
            self.queue: 2,
            self.topic: 1,
            self.role: 2,
            self.bucket: 1,
        }

    # What is of others in the regions

    def network(self, region: str) -> None:
        ec2, octet = self._ec2(region), self.random.randint(1, 250)
        vpc = ec2.create_vpc(CidrBlock=f"10.{octet}.0.0/16", TagSpecifications=self._tagged("vpc"))["Vpc"][
            "VpcId"
        ]
        subnet = self._new_subnet(region, vpc, f"10.{octet}.0.0/20")
        group = ec2.create_security_group(
            GroupName="bacalhau-nodes",
            Description="theirs",
            VpcId=vpc,
            TagSpecifications=self._tagged("security-group"),
        )["GroupId"]
        gateway = ec2.create_internet_gateway(TagSpecifications=self._tagged("internet-gateway"))
        ec2.attach_internet_gateway(
            InternetGatewayId=gateway["InternetGateway"]["InternetGatewayId"], VpcId=vpc
        )
        self.networks[region].append((vpc, subnet, group))

    def subnet(self, region: str) -> None:
        vpc, _, _ = self.random.choice(self.networks[region])
        there = self._ec2(region).describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
        begin = there[0]["CidrBlock"].rsplit(".", 2)[0]
        if len(there) < 15:
            self._new_subnet(region, vpc, f"{begin}.{16 * len(there)}.0/20")

    def security_group(self, region: str) -> None:
        vpc, _, other = self.random.choice(self.networks[region])
        group = self._ec2(region).create_security_group(
            GroupName=f"bacalhau-{next(self.numbers)}",
            Description="theirs",
            VpcId=vpc,
            TagSpecifications=self._tagged("security-group"),
        )["GroupId"]
        pair = {"UserIdGroupPairs": [{"GroupId": other}]}
        self._ec2(region).authorize_security_group_ingress(
            GroupId=group, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, **pair}]
        )

    def interface(self, region: str) -> None:
        _, subnet, group = self.random.choice(self.networks[region])
        self._ec2(region).create_network_interface(
            SubnetId=subnet, Groups=[group], TagSpecifications=self._tagged("network-interface")
        )

    def instance(self, region: str) -> None:
        _, subnet, group = self.random.choice(self.networks[region])
        where = {"SubnetId": subnet, "SecurityGroupIds": [group]} if self.random.random() < 0.8 else {}
        row = self._ec2(region).run_instances(
            ImageId=self._image(region),
            InstanceType=self.random.choice(["t3.small", "t3.medium", "m6a.large"]),
            MinCount=1,
            MaxCount=1,
            TagSpecifications=self._tagged("instance", "volume"),
            **where,
        )["Instances"][0]
        self.instances[region].append(row["InstanceId"])

    def volume(self, region: str) -> None:
        self._ec2(region).create_volume(
            AvailabilityZone=f"{region}a", Size=1, TagSpecifications=self._tagged("volume")
        )

    def snapshot(self, region: str) -> None:
        ec2 = self._ec2(region)
        volume = ec2.create_volume(AvailabilityZone=f"{region}a", Size=1)["VolumeId"]
        snapshot = ec2.create_snapshot(VolumeId=volume, TagSpecifications=self._tagged("snapshot"))[
            "SnapshotId"
        ]
        if self.random.random() < 0.5:
            ec2.register_image(
                Name=f"bacalhau-{next(self.numbers)}",
                Architecture="x86_64",
                RootDeviceName="/dev/sda1",
                BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
                TagSpecifications=self._tagged("image"),
            )

    def key_pair(self, region: str) -> None:
        self._ec2(region).create_key_pair(
            KeyName=f"bacalhau-{next(self.numbers)}", TagSpecifications=self._tagged("key-pair")
        )

    def address(self, region: str) -> None:
        ec2 = self._ec2(region)
        made = ec2.allocate_address(Domain="vpc", TagSpecifications=self._tagged("elastic-ip"))
        if self.instances[region] and self.random.random() < 0.5:
            self.sandbox.clock.advance(5)  # a pending instance takes none
            ec2.associate_address(AllocationId=made["AllocationId"], InstanceId=self.instances[region].pop())

    def template(self, region: str) -> None:
        reply = self._ec2(region).create_launch_template(
            LaunchTemplateName=f"{NAME}-{next(self.numbers)}",
            LaunchTemplateData={"ImageId": self._image(region), "InstanceType": "t3.small"},
            TagSpecifications=self._tagged("launch-template"),
        )
        self.templates[region].append(reply["LaunchTemplate"]["LaunchTemplateId"])

    def scaling_group(self, region: str) -> None:
        """AWS gives its instance the tag aws:autoscaling:groupName, which nobody else can set."""
        _, subnet, _ = self.random.choice(self.networks[region])
        self.sandbox.client("autoscaling", region).create_auto_scaling_group(
            AutoScalingGroupName=f"{NAME}-{next(self.numbers)}",
            LaunchTemplate={
                "LaunchTemplateId": self.random.choice(self.templates[region]),
                "Version": "$Latest",
            },
            MinSize=1,
            MaxSize=1,
            VPCZoneIdentifier=subnet,
            Tags=[{**tag, "PropagateAtLaunch": True} for tag in self._tags()],
        )

    def fleet(self, region: str) -> None:
        """Likewise aws:ec2:fleet-id."""
        _, subnet, _ = self.random.choice(self.networks[region])
        version = {"LaunchTemplateId": self.random.choice(self.templates[region]), "Version": "$Latest"}
        self._ec2(region).create_fleet(
            Type="maintain",
            LaunchTemplateConfigs=[
                {"LaunchTemplateSpecification": version, "Overrides": [{"SubnetId": subnet}]}
            ],
            TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
            TagSpecifications=self._tagged("fleet"),
        )

    def spot_request(self, region: str) -> None:
        _, subnet, _ = self.random.choice(self.networks[region])
        self._ec2(region).request_spot_instances(
            Type=self.random.choice(["one-time", "persistent"]),
            InstanceCount=1,
            LaunchSpecification={
                "ImageId": self._image(region),
                "InstanceType": "t3.small",
                "SubnetId": subnet,
            },
            TagSpecifications=self._tagged("spot-instances-request"),
        )

    def parameter(self, region: str) -> None:
        self.sandbox.client("ssm", region).put_parameter(
            Name=f"/bacalhau-spot/theirs/{next(self.numbers)}",
            Value="v",
            Type="String",
            Tags=self._plain_tags(),
        )

    def log_group(self, region: str) -> None:
        self.sandbox.client("logs", region).create_log_group(
            logGroupName=f"/{NAME}/{next(self.numbers)}",
            tags={tag["Key"]: tag["Value"] for tag in self._plain_tags()},
        )

    def queue(self, region: str) -> None:
        self.sandbox.client("sqs", region).create_queue(
            QueueName=f"{NAME}-{next(self.numbers)}",
            tags={tag["Key"]: tag["Value"] for tag in self._plain_tags()},
        )

    def topic(self, region: str) -> None:
        self.sandbox.client("sns", region).create_topic(
            Name=f"{NAME}-{next(self.numbers)}", Tags=self._plain_tags()
        )

    def bucket(self, region: str) -> None:
        s3, name = self.sandbox.client("s3", region), f"{NAME}-{next(self.numbers)}"
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **where)
        tags = self._plain_tags()
        if tags:
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})

    def role(self, _: str) -> None:
        iam, name = self.sandbox.client("iam", "us-east-1"), f"bacalhau-{next(self.numbers)}"
        path = self.random.choice(["/", "/bacalhau-spot/theirs/"])
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=NOBODY, Tags=self._plain_tags())

    # What was not made by us, and yet carries our tag

    def tag_default_vpc(self, region: str) -> None:
        """The account's default VPC and its parts. AWS made them."""
        ec2 = self._ec2(region)
        (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        inside = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
        ids = [vpc["VpcId"]]
        ids += [row["SubnetId"] for row in ec2.describe_subnets(Filters=inside)["Subnets"]]
        ids += [row["RouteTableId"] for row in ec2.describe_route_tables(Filters=inside)["RouteTables"]]
        ids += [row["NetworkAclId"] for row in ec2.describe_network_acls(Filters=inside)["NetworkAcls"]]
        groups = ec2.describe_security_groups(
            Filters=[*inside, {"Name": "group-name", "Values": ["default"]}]
        )
        ids += [row["GroupId"] for row in groups["SecurityGroups"]]
        ec2.create_tags(Resources=ids, Tags=_list(busy_account.OURS))

    def tag_shared_vpc(self, region: str) -> str:
        """A VPC of another account, which shares it with this one; a participant may tag it."""
        vpc, subnet, _ = self.networks[region][0]
        self._ec2(region).create_tags(Resources=[vpc, subnet], Tags=_list(busy_account.OURS))
        self.sandbox.settings.shared_vpcs = [vpc]
        return vpc

    # What others hang on a cluster that is there

    def scaling_group_on_our_template(self, region: str) -> None:
        """From a version of its own, in a network of its own."""
        _, subnet, group = self.networks[region][-1]
        ec2 = self._ec2(region)
        template = self._our_template(region)
        version = ec2.create_launch_template_version(
            LaunchTemplateId=template,
            LaunchTemplateData={
                "ImageId": self._image(region),
                "InstanceType": "t3.small",
                "SecurityGroupIds": [group],
            },
        )["LaunchTemplateVersion"]["VersionNumber"]
        self.sandbox.client("autoscaling", region).create_auto_scaling_group(
            AutoScalingGroupName=f"theirs-{next(self.numbers)}",
            LaunchTemplate={"LaunchTemplateId": template, "Version": str(version)},
            MinSize=1,
            MaxSize=1,
            VPCZoneIdentifier=subnet,
        )

    def instance_from_our_values(self, region: str) -> None:
        """As if by hand from the console: our image and type, in a network of theirs, with our names and without our tag."""
        _, subnet, group = self.networks[region][-1]
        self._ec2(region).run_instances(
            ImageId=self._image(region),
            InstanceType="t3.medium",
            MinCount=1,
            MaxCount=1,
            SubnetId=subnet,
            SecurityGroupIds=[group],
            InstanceMarketOptions={"MarketType": "spot"},
            TagSpecifications=[{"ResourceType": "instance", "Tags": _list({"Name": "bacalhau-node"})}],
        )

    def _our_template(self, region: str) -> str:
        tagged = [{"Name": f"tag:{KEY}", "Values": [NAME]}]
        rows = self._ec2(region).describe_launch_templates(Filters=tagged)["LaunchTemplates"]
        exact = [row for row in rows if {"Key": KEY, "Value": NAME} in row["Tags"]]
        return str(exact[0]["LaunchTemplateId"])

    def _new_subnet(self, region: str, vpc: str, cidr: str) -> str:
        reply = self._ec2(region).create_subnet(
            VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{region}a", TagSpecifications=self._tagged("subnet")
        )
        return str(reply["Subnet"]["SubnetId"])

    def _image(self, region: str) -> str:
        return ResourceFixture(self.sandbox.client, region, {}, "x").image_id()

    def _ec2(self, region: str) -> Any:
        return self.sandbox.client("ec2", region)

    def _tags(self) -> list[dict[str, str]]:
        return _list(self.random.choice(NEAR))

    def _plain_tags(self) -> list[dict[str, str]]:
        """For other services than EC2, which take fewer characters (IAM API reference, Tag)."""
        return _list(self.random.choice(PLAIN))

    def _tagged(self, *kinds: str) -> list[dict[str, Any]]:
        tags = self._tags()
        return [{"ResourceType": kind, "Tags": tags} for kind in kinds] if tags else []


def _list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
