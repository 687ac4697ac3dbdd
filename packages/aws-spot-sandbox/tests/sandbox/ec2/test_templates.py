"""Launch templates. Source: EC2 API reference, CreateLaunchTemplate and related actions."""

from __future__ import annotations

import base64
from typing import Any

from sandbox.ec2.clusters import TAGS, build_network, build_template, refused, template_data


def test_a_name_is_unique_in_a_region(sandbox: Any) -> None:
    """InvalidLaunchTemplateName.AlreadyExistsException; another region may have the same name."""
    ec2 = sandbox.client()
    net = build_network(ec2)
    build_template(ec2, net["group"])
    with refused("InvalidLaunchTemplateName.AlreadyExistsException"):
        build_template(ec2, net["group"])
    build_template(sandbox.client(region="eu-west-1"), "sg-elsewhere")


def test_names_are_short_and_plain(sandbox: Any) -> None:
    """InvalidLaunchTemplateName.MalformedException: 3 to 128 characters, letters, digits and `-()./_`."""
    for name in ("ab", "x" * 129, "with space", "ümlaut"):
        with refused("InvalidLaunchTemplateName.MalformedException"):
            build_template(sandbox.client(), "sg-any", name)


def test_user_data_is_at_most_sixteen_kibibytes_raw(sandbox: Any) -> None:
    """InvalidUserData.Malformed: "User data is limited to 16384 bytes" (terraform-aws-github-runner issue 3700)."""
    ec2 = sandbox.client()
    exact = base64.b64encode(b"x" * 16384).decode()
    build_template(ec2, "sg-any", UserData=exact)
    with refused("InvalidUserData.Malformed"):
        build_template(ec2, "sg-any", "two", UserData=base64.b64encode(b"x" * 16385).decode())
    with refused("InvalidUserData.Malformed"):
        build_template(ec2, "sg-any", "three", UserData="%%%")


def test_more_than_fifteen_are_all_listed(sandbox: Any) -> None:
    """DescribeLaunchTemplates paginates by up to 200; moto silently stops at fifteen."""
    ec2 = sandbox.client()
    ids = [build_template(ec2, "sg-any", f"many-{index}") for index in range(17)]
    pages = ec2.get_paginator("describe_launch_templates").paginate(PaginationConfig={"PageSize": 7})
    assert [template["LaunchTemplateId"] for page in pages for template in page["LaunchTemplates"]] == ids
    assert len(ec2.describe_launch_templates()["LaunchTemplates"]) == 17


def test_found_by_name_id_and_tag(sandbox: Any) -> None:
    ec2 = sandbox.client()
    template = build_template(ec2, "sg-any")
    ec2.create_tags(Resources=[template], Tags=[{"Key": "later", "Value": "yes"}])
    launch_template = ec2.describe_launch_templates(LaunchTemplateNames=["bacalhau-t"])["LaunchTemplates"][0]
    assert launch_template["Tags"] == [*TAGS, {"Key": "later", "Value": "yes"}]
    by_tag = [{"Name": "tag:later", "Values": ["yes"]}]
    assert len(ec2.describe_launch_templates(Filters=by_tag)["LaunchTemplates"]) == 1
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        ec2.describe_launch_templates(LaunchTemplateNames=["nobody"])
    with refused("InvalidLaunchTemplateId.NotFound"):
        ec2.describe_launch_templates(LaunchTemplateIds=["lt-00000000000000000"])


def test_versions(sandbox: Any) -> None:
    """$Latest is the newest, $Default the first until changed; the data is returned as it was sent, with its time."""
    ec2 = sandbox.client()
    template = build_template(ec2, "sg-any", InstanceType="t3.small")
    data = template_data("sg-any") | {"InstanceType": "t3.large"}
    sandbox.clock.advance(3600)
    ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=data)
    versions = ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
    times = sorted(version["CreateTime"] for version in versions)
    assert 3600 <= (times[1] - times[0]).total_seconds() < 3660
    for which, name in (("$Latest", "t3.large"), ("$Default", "t3.small")):
        answer = ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=[which])
        shown = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        assert shown["InstanceType"] == name
        assert shown["UserData"] == data["UserData"]
        assert {specification["ResourceType"] for specification in shown["TagSpecifications"]} >= {
            "instance",
            "volume",
        }
        assert "launch-template" not in {
            specification["ResourceType"] for specification in shown["TagSpecifications"]
        }


def test_deleting_frees_the_name(sandbox: Any) -> None:
    ec2 = sandbox.client()
    template = build_template(ec2, "sg-any")
    ec2.delete_launch_template(LaunchTemplateId=template)
    with refused("InvalidLaunchTemplateId.NotFound"):
        ec2.delete_launch_template(LaunchTemplateId=template)
    build_template(ec2, "sg-any")
