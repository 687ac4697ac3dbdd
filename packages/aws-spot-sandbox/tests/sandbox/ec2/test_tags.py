"""Tags and their index. Source: EC2 user guide, "Tag restrictions"; API reference, CreateTags, DescribeTags."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.ec2.clusters import build_network, build_template, image, refused

VPC = "vpc"


def make(ec2: Any, *tags: tuple[str, str]) -> str:
    pairs = [{"Key": key, "Value": value} for key, value in tags]
    reply = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": VPC, "Tags": pairs}])
    return str(reply["Vpc"]["VpcId"])


def rows(ec2: Any, *filters: tuple[str, str]) -> list[Any]:
    conditions = [{"Name": name, "Values": [value]} for name, value in filters]
    pages = ec2.get_paginator("describe_tags").paginate(Filters=conditions)
    return [row for page in pages for row in page["Tags"]]


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ((("aws:mine", "x"),), "InvalidParameterValue"),
        ((("k" * 128, "x"),), "InvalidParameterValue"),
        ((("k", "v" * 257),), "InvalidParameterValue"),
        ((("k", "1"), ("k", "2")), "InvalidParameterValue"),
        (tuple((f"k{index}", "x") for index in range(51)), "TagLimitExceeded"),
    ],
)
def test_what_no_tag_may_be(sandbox: Any, tags: tuple[tuple[str, str], ...], code: str) -> None:
    """Reserved prefix, 127 and 256 characters, duplicate keys, fifty tags. Nothing is created."""
    ec2 = sandbox.client()
    with refused(code):
        make(ec2, *tags)
    assert len(ec2.describe_vpcs()["Vpcs"]) == 1
    vpc = make(ec2)
    with refused(code):
        ec2.create_tags(Resources=[vpc], Tags=[{"Key": key, "Value": value} for key, value in tags])


@pytest.mark.parametrize("text", ["\x00", "\x1b[31m", "a\x0bb", "\x08", "\ufffe"])
def test_no_character_that_xml_cannot_carry(sandbox: Any, text: str) -> None:
    """EC2 user guide, "Tag restrictions"; XML 1.0, 2.2 "Characters". Otherwise no list of the region could be read."""
    ec2 = sandbox.client()
    vpc = make(ec2)
    for tag in ({"Key": "k", "Value": text}, {"Key": text, "Value": "v"}):
        with refused("InvalidParameterValue"):
            ec2.create_tags(Resources=[vpc], Tags=[tag])
        with refused("InvalidParameterValue"):
            make(ec2, (tag["Key"], tag["Value"]))
    with refused("InvalidParameterValue"):
        ec2.create_security_group(GroupName="g", Description=text, VpcId=vpc)
    assert rows(ec2) == []
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "k", "Value": "a\tb; {c}"}])
    assert [row["Value"] for row in rows(ec2)] == ["a\tb; {c}"]


def test_a_templates_tags_are_checked_too(sandbox: Any) -> None:
    ec2 = sandbox.client()
    net = build_network(ec2)
    bad = [{"ResourceType": "instance", "Tags": [{"Key": "aws:x", "Value": "y"}]}]
    with refused("InvalidParameterValue"):
        build_template(ec2, net["group"], TagSpecifications=bad)


def test_fifty_tags_in_all(sandbox: Any) -> None:
    ec2 = sandbox.client()
    vpc = make(ec2, *((f"k{index}", "x") for index in range(50)))
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "k1", "Value": "other"}])
    with refused("TagLimitExceeded"):
        ec2.create_tags(Resources=[vpc], Tags=[{"Key": "more", "Value": "x"}])


NOT_IN_METADATA = ("Patch Group", "k8s.io/cluster", "_index", "..", "Größe")


@pytest.mark.parametrize("key", NOT_IN_METADATA)
def test_metadata_takes_fewer_keys(sandbox: Any, key: str) -> None:
    """EC2 user guide, "View tags for your EC2 instances using instance metadata"; the error of karpenter#1527."""
    ec2 = sandbox.client()
    tags = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": "x"}]}]
    plain = ec2.run_instances(
        ImageId=image(ec2), MinCount=1, MaxCount=1, InstanceType="t3.medium", TagSpecifications=tags
    )
    (row,) = plain["Instances"]
    assert row["MetadataOptions"]["InstanceMetadataTags"] == "disabled"
    with refused("InvalidParameterValue"):
        ec2.modify_instance_metadata_options(InstanceId=row["InstanceId"], InstanceMetadataTags="enabled")
    enabled = {"HttpTokens": "required", "InstanceMetadataTags": "enabled"}
    with refused("InvalidParameterValue"):
        ec2.run_instances(
            ImageId=image(ec2),
            MinCount=1,
            MaxCount=1,
            InstanceType="t3.medium",
            MetadataOptions=enabled,
            TagSpecifications=tags,
        )
    (row,) = ec2.run_instances(
        ImageId=image(ec2), MinCount=1, MaxCount=1, InstanceType="t3.medium", MetadataOptions=enabled
    )["Instances"]
    assert row["MetadataOptions"]["InstanceMetadataTags"] == "enabled"
    ec2.create_tags(
        Resources=[row["InstanceId"]], Tags=[{"Key": "a+b-c=d.e,f_g:h@1", "Value": "any / value"}]
    )
    with refused("InvalidParameterValue"):
        ec2.create_tags(Resources=[row["InstanceId"]], Tags=[{"Key": key, "Value": "x"}])


def test_metadata_options_that_are_not_named_stay(sandbox: Any) -> None:
    """EC2 API reference, ModifyInstanceMetadataOptions."""
    ec2 = sandbox.client()
    (row,) = ec2.run_instances(
        ImageId=image(ec2),
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.medium",
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
    )["Instances"]
    ec2.modify_instance_metadata_options(InstanceId=row["InstanceId"], InstanceMetadataTags="enabled")
    (row,) = ec2.describe_instances(InstanceIds=[row["InstanceId"]])["Reservations"][0]["Instances"]
    assert row["MetadataOptions"] == {
        "State": "applied",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
        "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": "enabled",
    }


def test_the_index_is_filtered(sandbox: Any) -> None:
    """By key, value, resource type and id, or by `tag:key`."""
    ec2 = sandbox.client()
    vpc = make(ec2, ("cluster", "one"), ("Name", "x"))
    net = build_network(ec2)
    assert {row["ResourceId"] for row in rows(ec2, ("key", "cluster"))} == {vpc}
    assert {row["ResourceType"] for row in rows(ec2, ("resource-type", "subnet"))} == {"subnet"}
    assert len(rows(ec2, ("resource-id", net["group"]))) == 2
    assert rows(ec2, ("tag:cluster", "one"))[0]["ResourceId"] == vpc
    assert rows(ec2, ("key", "cluster"), ("value", "two")) == []
    assert rows(ec2, ("key", "clus*"), ("value", "on?")) != []


def test_a_wildcard_can_be_meant_literally(sandbox: Any) -> None:
    r"""A backslash escapes `*`, `?` and `\` (EC2 user guide, "Filter your resources")."""
    ec2 = sandbox.client()
    make(ec2, ("cluster", "a*"))
    make(ec2, ("cluster", "abc"))
    assert len(rows(ec2, ("value", "a*"))) == 2
    assert [row["Value"] for row in rows(ec2, ("value", r"a\*"))] == ["a*"]
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "tag:cluster", "Values": [r"a\*"]}])["Vpcs"]
    assert {"Key": "cluster", "Value": "a*"} in [tag for vpc in vpcs for tag in vpc["Tags"]]


def test_what_is_deleted_leaves_the_index(sandbox: Any) -> None:
    ec2 = sandbox.client()
    vpc = make(ec2, ("cluster", "one"))
    group = ec2.create_security_group(
        GroupName="g",
        Description="g",
        VpcId=vpc,
        TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": "cluster", "Value": "one"}]}],
    )["GroupId"]
    assert len(rows(ec2, ("key", "cluster"))) == 2
    ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=vpc)
    assert rows(ec2, ("key", "cluster")) == []


def test_tags_come_and_go(sandbox: Any) -> None:
    """DeleteTags with a value removes only that value; unknown resources cannot be tagged."""
    ec2 = sandbox.client()
    vpc = make(ec2, ("a", "1"), ("b", "2"))
    ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "a", "Value": "other"}, {"Key": "b"}])
    assert [(row["Key"], row["Value"]) for row in rows(ec2, ("resource-id", vpc))] == [("a", "1")]
    with refused("InvalidVpcID.NotFound"):
        ec2.create_tags(Resources=["vpc-00000000000000000"], Tags=[{"Key": "a", "Value": "1"}])
    with refused("InvalidID"):
        ec2.create_tags(Resources=["nonsense-1"], Tags=[{"Key": "a", "Value": "1"}])
