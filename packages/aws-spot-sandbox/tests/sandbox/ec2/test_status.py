"""Status checks. Source: EC2 API reference, DescribeInstanceStatus; EC2 user guide, "Status checks for your instances"."""

from __future__ import annotations

from typing import Any

from sandbox.ec2.clusters import image, refused


def launch(ec2: Any, count: int) -> list[str]:
    reply = ec2.run_instances(ImageId=image(ec2), InstanceType="t3.micro", MinCount=count, MaxCount=count)
    return [instance["InstanceId"] for instance in reply["Instances"]]


def statuses(ec2: Any, **query: Any) -> list[Any]:
    pages = ec2.get_paginator("describe_instance_status").paginate(**query)
    return [row for page in pages for row in page["InstanceStatuses"]]


def checks(row: Any) -> tuple[str, str]:
    return row["SystemStatus"]["Status"], row["InstanceStatus"]["Status"]


def test_checks_are_passed_after_a_while(sandbox: Any) -> None:
    """First initializing, then ok; not-applicable for an instance that is not running."""
    ec2 = sandbox.client()
    instance_id = launch(ec2, 1)[0]
    assert checks(statuses(ec2, IncludeAllInstances=True)[0]) == ("not-applicable", "not-applicable")
    sandbox.clock.advance(1 + 29)
    row = statuses(ec2)[0]
    assert checks(row) == ("initializing", "initializing")
    assert row["InstanceStatus"]["Details"] == [{"Name": "reachability", "Status": "initializing"}]
    sandbox.clock.advance(1)
    row = statuses(ec2)[0]
    assert checks(row) == ("ok", "ok")
    assert row["Events"] == []
    ec2.terminate_instances(InstanceIds=[instance_id])
    assert statuses(ec2) == []
    row = statuses(ec2, IncludeAllInstances=True)[0]
    assert (row["InstanceState"]["Name"], *checks(row)) == (
        "shutting-down",
        "not-applicable",
        "not-applicable",
    )


def test_an_impaired_instance(sandbox: Any) -> None:
    """The instance check fails, the system check does not; filters select it."""
    ec2 = sandbox.client()
    bad, good = launch(ec2, 2)
    sandbox.settings.impaired = [bad]
    sandbox.clock.advance(40)
    row = statuses(ec2, Filters=[{"Name": "instance-status.status", "Values": ["impaired"]}])[0]
    assert (row["InstanceId"], *checks(row)) == (bad, "ok", "impaired")
    detail = row["InstanceStatus"]["Details"][0]
    assert detail["Status"] == "failed"
    assert detail["ImpairedSince"].timestamp() == sandbox.clock.now() - 39
    passed = [{"Name": "instance-status.reachability", "Values": ["passed"]}]
    assert [row["InstanceId"] for row in statuses(ec2, Filters=passed)] == [good]


def test_pages(sandbox: Any) -> None:
    """MaxResults is at least 5, and not allowed with ids."""
    ec2 = sandbox.client()
    ids = launch(ec2, 7)
    sandbox.clock.advance(5)
    first = ec2.describe_instance_status(MaxResults=5)
    assert len(first["InstanceStatuses"]) == 5
    assert [row["InstanceId"] for row in statuses(ec2, PaginationConfig={"PageSize": 5})] == ids
    with refused("InvalidParameterValue"):
        ec2.describe_instance_status(MaxResults=4)
    with refused("InvalidParameterCombination"):
        ec2.describe_instance_status(MaxResults=5, InstanceIds=ids)
