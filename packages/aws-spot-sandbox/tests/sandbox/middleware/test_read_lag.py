"""AWS: EC2 API Reference, "Eventual consistency in the Amazon EC2 API"."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.middleware.errors import refusal

LAG_S = 4.0
NO_VPC = ("InvalidVpcID.NotFound", 400)
CIDR = {"CidrBlock": "10.0.0.0/16"}


@pytest.fixture
def ec2(sandbox: Any) -> Any:
    sandbox.settings.read_lag_s = LAG_S
    return sandbox.client()


def vpc_ids(ec2: Any, **narrowed: Any) -> set[str]:
    return {vpc["VpcId"] for vpc in ec2.describe_vpcs(**narrowed)["Vpcs"]}


def test_what_was_made_is_not_listed_yet(sandbox: Any, ec2: Any) -> None:
    """Missing from lists within the lag, listed afterwards; older ones are listed all the time."""
    old = vpc_ids(ec2)
    vpc_id = ec2.create_vpc(**CIDR)["Vpc"]["VpcId"]
    assert vpc_ids(ec2) == old
    sandbox.clock.advance(LAG_S)
    assert vpc_ids(ec2) == {*old, vpc_id}


def test_asked_for_by_its_id(sandbox: Any, ec2: Any) -> None:
    """InvalidVpcID.NotFound although CreateVpc has just returned the id."""
    vpc_id = ec2.create_vpc(**CIDR)["Vpc"]["VpcId"]
    assert refusal(ec2.describe_vpcs, VpcIds=[vpc_id]) == NO_VPC
    sandbox.clock.advance(LAG_S)
    assert vpc_ids(ec2, VpcIds=[vpc_id]) == {vpc_id}


def test_what_came_with_it(ec2: Any) -> None:
    """A new VPC's group and table are not listed before the VPC."""
    vpc_id = ec2.create_vpc(**CIDR)["Vpc"]["VpcId"]
    query = {"Filters": [{"Name": "vpc-id", "Values": [vpc_id]}]}
    assert ec2.describe_security_groups(**query)["SecurityGroups"] == []
    assert ec2.describe_route_tables(**query)["RouteTables"] == []


def test_writes_see_it_sooner(sandbox: Any, ec2: Any) -> None:
    """A mutating call finds it after half the lag, while lists still omit it."""
    vpc_id = ec2.create_vpc(**CIDR)["Vpc"]["VpcId"]
    subnet = {"VpcId": vpc_id, "CidrBlock": "10.0.0.0/24"}
    assert refusal(ec2.create_subnet, **subnet) == NO_VPC
    sandbox.clock.advance(LAG_S / 2)
    ec2.create_subnet(**subnet)
    assert vpc_id not in vpc_ids(ec2)


@pytest.mark.parametrize(
    ("kind", "make", "use", "code"),
    [
        (
            "InternetGateway",
            "create_internet_gateway",
            "delete_internet_gateway",
            "InvalidInternetGatewayID.NotFound",
        ),
        ("Group", "create_security_group", "delete_security_group", "InvalidGroup.NotFound"),
    ],
)
def test_each_kind_has_its_code(ec2: Any, kind: str, make: str, use: str, code: str) -> None:
    """AWS: EC2 API Reference, "Error codes"."""
    arguments = {"GroupName": "g", "Description": "d"} if kind == "Group" else {}
    answer = getattr(ec2, make)(**arguments)
    resource_id = answer.get(f"{kind}Id") or answer[kind][f"{kind}Id"]
    assert refusal(getattr(ec2, use), **{f"{kind}Id": resource_id}) == (code, 400)


def test_templates_by_name(sandbox: Any, ec2: Any) -> None:
    """The template is not found by name either, but the name is in use."""
    request = {"LaunchTemplateName": "one", "LaunchTemplateData": {"InstanceType": "t3.micro"}}
    ec2.create_launch_template(**request)
    names = {"LaunchTemplateNames": ["one"]}
    code = ("InvalidLaunchTemplateName.NotFoundException", 400)
    assert refusal(ec2.describe_launch_templates, **names) == code
    assert (
        refusal(ec2.create_launch_template, **request)[0]
        == "InvalidLaunchTemplateName.AlreadyExistsException"
    )
    sandbox.clock.advance(LAG_S)
    assert len(ec2.describe_launch_templates(**names)["LaunchTemplates"]) == 1


def test_instances(sandbox: Any, ec2: Any) -> None:
    """A launched instance and its reservation are not listed within the lag; afterwards both are."""
    image = sandbox.client("ssm").get_parameter(
        Name="/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
    )["Parameter"]["Value"]
    answer = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=2, MaxCount=2)
    ids = [instance["InstanceId"] for instance in answer["Instances"]]
    assert ec2.describe_instances()["Reservations"] == []
    assert refusal(ec2.describe_instances, InstanceIds=ids) == ("InvalidInstanceID.NotFound", 400)
    sandbox.clock.advance(LAG_S)
    (reservation,) = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    assert len(reservation["Instances"]) == 2


def test_tags(sandbox: Any, ec2: Any) -> None:
    """DescribeTags lags like the resources."""
    spec = [{"ResourceType": "vpc", "Tags": [{"Key": "k", "Value": "v"}]}]
    ec2.create_vpc(TagSpecifications=spec, **CIDR)
    assert ec2.describe_tags()["Tags"] == []
    sandbox.clock.advance(LAG_S)
    assert len(ec2.describe_tags()["Tags"]) == 1


def test_what_was_deleted_is_still_listed(sandbox: Any, ec2: Any) -> None:
    """A query that was made before the deletion returns the same reply within the lag."""
    vpc_id = ec2.create_vpc(**CIDR)["Vpc"]["VpcId"]
    sandbox.clock.advance(LAG_S)
    assert vpc_id in vpc_ids(ec2)
    ec2.delete_vpc(VpcId=vpc_id)
    assert vpc_id in vpc_ids(ec2)
    sandbox.clock.advance(LAG_S)
    assert vpc_id not in vpc_ids(ec2)


def test_no_lag_unless_switched_on(sandbox: Any) -> None:
    """The default is consistent."""
    ec2 = sandbox.client()
    vpc_id = ec2.create_vpc(**CIDR)["Vpc"]["VpcId"]
    assert vpc_id in vpc_ids(ec2)
