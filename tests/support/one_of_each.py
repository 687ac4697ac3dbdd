"""One of every kind that a cleaning up knows, made with plain boto3 and tagged from birth, as a user might have it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bacalhau_spot.core.kinds import ResourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass
class ResourceFixture:
    """A region's worth, with the clients that make them."""

    client: Callable[..., Any]  # (service, region) -> a boto3 client
    region: str
    tags: Mapping[str, str]
    name: str  # part of every name that must be unique
    resource_ids: dict[ResourceKind, list[str]] = field(default_factory=dict)
    vpc: str = ""
    subnet: str = ""
    group: str = ""

    @property
    def ec2(self) -> Any:
        return self.client("ec2", self.region)

    def note(self, kind: ResourceKind, resource_id: str) -> str:
        self.resource_ids.setdefault(kind, []).append(resource_id)
        return resource_id

    def spec(self, *kinds: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": self.list} for kind in kinds]

    @property
    def list(self) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]

    # --- the network

    def network(self, cidr: str = "10.7.0.0/16") -> None:
        ec2 = self.ec2
        self.vpc = ec2.create_vpc(CidrBlock=cidr, TagSpecifications=self.spec("vpc"))["Vpc"]["VpcId"]
        self.note(ResourceKind.VPC, self.vpc)
        zone = f"{self.region}a"
        self.subnet = ec2.create_subnet(
            VpcId=self.vpc,
            CidrBlock=cidr.replace(".0.0/16", ".1.0/24"),
            AvailabilityZone=zone,
            TagSpecifications=self.spec("subnet"),
        )["Subnet"]["SubnetId"]
        self.note(ResourceKind.SUBNET, self.subnet)
        gateway = ec2.create_internet_gateway(TagSpecifications=self.spec("internet-gateway"))
        gateway_id = self.note(ResourceKind.GATEWAY, gateway["InternetGateway"]["InternetGatewayId"])
        ec2.attach_internet_gateway(InternetGatewayId=gateway_id, VpcId=self.vpc)
        egress = ec2.create_egress_only_internet_gateway(
            VpcId=self.vpc, TagSpecifications=self.spec("egress-only-internet-gateway")
        )
        self.note(
            ResourceKind.EGRESS_GATEWAY, egress["EgressOnlyInternetGateway"]["EgressOnlyInternetGatewayId"]
        )
        table = ec2.create_route_table(VpcId=self.vpc, TagSpecifications=self.spec("route-table"))
        table_id = self.note(ResourceKind.ROUTE_TABLE, table["RouteTable"]["RouteTableId"])
        ec2.associate_route_table(RouteTableId=table_id, SubnetId=self.subnet)
        acl = ec2.create_network_acl(VpcId=self.vpc, TagSpecifications=self.spec("network-acl"))
        self.note(ResourceKind.ACL, acl["NetworkAcl"]["NetworkAclId"])
        options = ec2.create_dhcp_options(
            DhcpConfigurations=[{"Key": "domain-name", "Values": ["example.com"]}],
            TagSpecifications=self.spec("dhcp-options"),
        )["DhcpOptions"]["DhcpOptionsId"]
        self.note(ResourceKind.DHCP_OPTIONS, options)
        ec2.associate_dhcp_options(DhcpOptionsId=options, VpcId=self.vpc)
        self._groups()

    def _groups(self) -> None:
        """Two that admit each other, and the VPC's default group that admits one of them."""
        ec2 = self.ec2
        pair = [
            self.note(
                ResourceKind.GROUP,
                ec2.create_security_group(
                    GroupName=f"{self.name}-{index}",
                    Description="one of a pair",
                    VpcId=self.vpc,
                    TagSpecifications=self.spec("security-group"),
                )["GroupId"],
            )
            for index in range(2)
        ]
        default = ec2.describe_security_groups(
            Filters=[
                {"Name": "vpc-id", "Values": [self.vpc]},
                {"Name": "group-name", "Values": ["default"]},
            ]
        )["SecurityGroups"][0]["GroupId"]
        self.group = pair[0]
        for admits, admitted in ((pair[0], pair[1]), (pair[1], pair[0]), (default, pair[0])):
            ec2.authorize_security_group_ingress(
                GroupId=admits,
                IpPermissions=[
                    {
                        "IpProtocol": "tcp",
                        "FromPort": 1,
                        "ToPort": 2,
                        "UserIdGroupPairs": [{"GroupId": admitted}],
                    }
                ],
            )

    def attachments(self) -> None:
        """What hangs in the network: interface, address, NAT, endpoints, peering, flow log."""
        ec2 = self.ec2
        interface = ec2.create_network_interface(
            SubnetId=self.subnet, Groups=[self.group], TagSpecifications=self.spec("network-interface")
        )
        self.note(ResourceKind.INTERFACE, interface["NetworkInterface"]["NetworkInterfaceId"])
        address = ec2.allocate_address(Domain="vpc", TagSpecifications=self.spec("elastic-ip"))
        allocation = self.note(ResourceKind.ADDRESS, address["AllocationId"])
        nat = ec2.create_nat_gateway(
            SubnetId=self.subnet, AllocationId=allocation, TagSpecifications=self.spec("natgateway")
        )
        self.note(ResourceKind.NAT_GATEWAY, nat["NatGateway"]["NatGatewayId"])
        for kind, extra in (
            ("Gateway", {}),
            ("Interface", {"SubnetIds": [self.subnet], "SecurityGroupIds": [self.group]}),
        ):
            endpoint = ec2.create_vpc_endpoint(
                VpcId=self.vpc,
                ServiceName=f"com.amazonaws.{self.region}.{'s3' if kind == 'Gateway' else 'ssm'}",
                VpcEndpointType=kind,
                TagSpecifications=self.spec("vpc-endpoint"),
                **extra,
            )
            self.note(ResourceKind.ENDPOINT, endpoint["VpcEndpoint"]["VpcEndpointId"])
        connect = ec2.create_instance_connect_endpoint(
            SubnetId=self.subnet, TagSpecifications=self.spec("instance-connect-endpoint")
        )
        self.note(
            ResourceKind.CONNECT_ENDPOINT, connect["InstanceConnectEndpoint"]["InstanceConnectEndpointId"]
        )
        other = ec2.create_vpc(CidrBlock="10.99.0.0/16", TagSpecifications=self.spec("vpc"))["Vpc"]["VpcId"]
        self.note(ResourceKind.VPC, other)
        peering = ec2.create_vpc_peering_connection(
            VpcId=self.vpc, PeerVpcId=other, TagSpecifications=self.spec("vpc-peering-connection")
        )["VpcPeeringConnection"]["VpcPeeringConnectionId"]
        self.note(ResourceKind.PEERING, peering)
        ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
        self.client("logs", self.region).create_log_group(
            logGroupName=f"/{self.name}/flow", tags=dict(self.tags)
        )
        self.note(ResourceKind.LOG_GROUP, f"/{self.name}/flow")
        role = f"arn:aws:iam::{self._account()}:role/{self.name}-{self.region}"
        flow = ec2.create_flow_logs(
            ResourceIds=[self.vpc],
            ResourceType="VPC",
            TrafficType="ALL",
            LogGroupName=f"/{self.name}/flow",
            DeliverLogsPermissionArn=role,
            TagSpecifications=self.spec("vpc-flow-log"),
        )
        self.note(ResourceKind.FLOW_LOG, flow["FlowLogIds"][0])

    def _account(self) -> str:
        return str(self.client("sts", self.region).get_caller_identity()["Account"])

    # --- machines

    def storage(self) -> None:
        ec2 = self.ec2
        volume = ec2.create_volume(
            AvailabilityZone=f"{self.region}a",
            Size=1,
            VolumeType="gp3",
            TagSpecifications=self.spec("volume"),
        )["VolumeId"]
        self.note(ResourceKind.VOLUME, volume)
        snapshot = ec2.create_snapshot(VolumeId=volume, TagSpecifications=self.spec("snapshot"))["SnapshotId"]
        self.note(ResourceKind.SNAPSHOT, snapshot)
        image = ec2.register_image(
            Name=f"{self.name}-image",
            Architecture="x86_64",
            RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}],
            TagSpecifications=self.spec("image"),
        )["ImageId"]
        self.note(ResourceKind.IMAGE, image)
        pair = ec2.create_key_pair(KeyName=f"{self.name}-key", TagSpecifications=self.spec("key-pair"))
        self.note(ResourceKind.KEY_PAIR, pair["KeyPairId"])
        placement = ec2.create_placement_group(
            GroupName=f"{self.name}-place", Strategy="spread", TagSpecifications=self.spec("placement-group")
        )
        self.note(ResourceKind.PLACEMENT_GROUP, placement["PlacementGroup"]["GroupId"])
        reservation = ec2.create_capacity_reservation(
            InstanceType="t3.medium",
            InstancePlatform="Linux/UNIX",
            AvailabilityZone=f"{self.region}a",
            InstanceCount=1,
            TagSpecifications=self.spec("capacity-reservation"),
        )
        self.note(ResourceKind.RESERVATION, reservation["CapacityReservation"]["CapacityReservationId"])

    def image_id(self) -> str:
        name = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
        return str(self.client("ssm", self.region).get_parameter(Name=name)["Parameter"]["Value"])

    def template(self) -> str:
        reply = self.ec2.create_launch_template(
            LaunchTemplateName=f"{self.name}-template",
            LaunchTemplateData={"ImageId": self.image_id(), "InstanceType": "t3.medium"},
            TagSpecifications=self.spec("launch-template"),
        )
        return self.note(ResourceKind.TEMPLATE, reply["LaunchTemplate"]["LaunchTemplateId"])

    def launchers(self) -> None:
        """A group, a fleet that keeps its number, a spot fleet, a spot request; all with instances."""
        ec2, template = self.ec2, self.template()
        version = {"LaunchTemplateId": template, "Version": "$Latest"}
        self.client("autoscaling", self.region).create_auto_scaling_group(
            AutoScalingGroupName=f"{self.name}-group",
            LaunchTemplate=version,
            MinSize=1,
            MaxSize=1,
            VPCZoneIdentifier=self.subnet,
            Tags=[{**tag, "PropagateAtLaunch": False} for tag in self.list],
        )
        self.note(ResourceKind.SCALING_GROUP, f"{self.name}-group")
        fleet = ec2.create_fleet(
            Type="maintain",
            LaunchTemplateConfigs=[
                {"LaunchTemplateSpecification": version, "Overrides": [{"SubnetId": self.subnet}]}
            ],
            TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
            TagSpecifications=self.spec("fleet"),
        )
        self.note(ResourceKind.FLEET, fleet["FleetId"])
        spot_fleet = ec2.request_spot_fleet(
            SpotFleetRequestConfig={
                "IamFleetRole": f"arn:aws:iam::{self._account()}:role/fleet",
                "TargetCapacity": 1,
                "LaunchTemplateConfigs": [
                    {"LaunchTemplateSpecification": version, "Overrides": [{"SubnetId": self.subnet}]}
                ],
                "TagSpecifications": self.spec("spot-fleet-request"),
            }
        )
        self.note(ResourceKind.SPOT_FLEET, spot_fleet["SpotFleetRequestId"])
        launched = ec2.run_instances(
            ImageId=self.image_id(),
            InstanceType="t3.medium",
            MinCount=1,
            MaxCount=1,
            SubnetId=self.subnet,
            SecurityGroupIds=[self.group],
            InstanceMarketOptions={"MarketType": "spot"},
            # The instance itself lacks the tag: only its request tells whose it is.
            TagSpecifications=self.spec("spot-instances-request"),
        )
        self.note(ResourceKind.INSTANCE, launched["Instances"][0]["InstanceId"])
        self.note(ResourceKind.SPOT_REQUEST, launched["Instances"][0]["SpotInstanceRequestId"])

    # --- beside EC2

    def services(self) -> None:
        region, name = self.region, self.name
        self.client("ssm", region).put_parameter(
            Name=f"/{name}/parameter", Value="v", Type="String", Tags=self.list
        )
        self.note(ResourceKind.PARAMETER, f"/{name}/parameter")
        self.client("secretsmanager", region).create_secret(
            Name=f"{name}-secret", SecretString="s", Tags=self.list
        )
        self.note(ResourceKind.SECRET, f"{name}-secret")
        events = self.client("events", region)
        events.put_rule(Name=f"{name}-rule", ScheduleExpression="rate(1 day)", Tags=self.list)
        events.put_targets(
            Rule=f"{name}-rule", Targets=[{"Id": "1", "Arn": f"arn:aws:sqs:{region}:{self._account()}:q"}]
        )
        self.note(ResourceKind.RULE, f"{name}-rule")
        self.client("cloudwatch", region).put_metric_alarm(
            AlarmName=f"{name}-alarm",
            MetricName="CPUUtilization",
            Namespace="AWS/EC2",
            Statistic="Average",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            Tags=self.list,
        )
        self.note(ResourceKind.ALARM, f"{name}-alarm")
        self.client("sqs", region).create_queue(QueueName=f"{name}-queue", tags=dict(self.tags))
        self.note(ResourceKind.QUEUE, f"{name}-queue")
        topic = self.client("sns", region).create_topic(Name=f"{name}-topic", Tags=self.list)
        self.note(ResourceKind.TOPIC, topic["TopicArn"].rpartition(":")[2])
        self.client("logs", region).create_log_group(logGroupName=f"/{name}/log", tags=dict(self.tags))
        self.note(ResourceKind.LOG_GROUP, f"/{name}/log")
        self._bucket()

    def _bucket(self) -> None:
        s3, bucket = self.client("s3", self.region), f"{self.name}-{self.region}"
        where = (
            {}
            if self.region == "us-east-1"
            else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        )
        s3.create_bucket(Bucket=bucket, **where)
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": self.list})
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        # A delete marker: a bucket with objects stays, unless the user allows its deletion
        s3.delete_object(Bucket=bucket, Key="results/1")
        s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
        self.note(ResourceKind.BUCKET, bucket)

    def identities(self, path: str = "/bacalhau-spot/beasts/") -> None:
        """Once an account: they are the same everywhere."""
        iam, name = self.client("iam", "us-east-1"), f"{self.name}-role"
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trust, Tags=self.list)
        self.note(ResourceKind.ROLE, name)
        document = json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}],
            }
        )
        iam.put_role_policy(
            RoleName=name,
            PolicyName="inline",
            PolicyDocument=document,
        )
        policy = iam.create_policy(
            PolicyName=f"{self.name}-policy", Path=path, PolicyDocument=document, Tags=self.list
        )["Policy"]["Arn"]
        self.note(ResourceKind.POLICY, f"{self.name}-policy")
        iam.create_policy_version(PolicyArn=policy, PolicyDocument=document)
        iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        iam.create_instance_profile(InstanceProfileName=f"{self.name}-profile", Path=path, Tags=self.list)
        iam.add_role_to_instance_profile(InstanceProfileName=f"{self.name}-profile", RoleName=name)
        self.note(ResourceKind.PROFILE, f"{self.name}-profile")

    def everything(self) -> ResourceFixture:
        """All of it in one region."""
        self.network()
        self.attachments()
        self.storage()
        self.launchers()
        self.services()
        return self
