"""Service Quotas. Source: Service Quotas API reference; EC2 user guide, "Spot Instance quotas"."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.ec2.clusters import image, refused

STANDARD, G, P5 = "L-34B43A08", "L-3819A6DF", "L-C4BD4855"


def value(sandbox: Any, code: str, *, service: str = "ec2", region: str = "us-east-1") -> float:
    quotas = sandbox.client("service-quotas", region)
    return float(quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])


def test_what_the_switches_say(sandbox: Any) -> None:
    """The narrowest name in the switch; without any, a value that never limits."""
    assert value(sandbox, STANDARD) == 100_000
    sandbox.settings.spot_vcpu_quota = {"*": 64, "us-east-1": 5, "us-east-1/g": 0, "*/p5": 192}
    assert (value(sandbox, STANDARD), value(sandbox, G), value(sandbox, P5)) == (5, 0, 5)
    elsewhere = {"region": "eu-west-1"}
    assert (value(sandbox, STANDARD, **elsewhere), value(sandbox, P5, **elsewhere)) == (64, 192)
    assert value(sandbox, "L-F678F1CE", service="vpc") == 5
    sandbox.settings.quotas = {"vpcs": 2, "elastic_ips": 7}
    assert (value(sandbox, "L-F678F1CE", service="vpc"), value(sandbox, "L-0263D0A3")) == (2, 7)


def test_what_is_shown_is_what_is_refused(sandbox: Any) -> None:
    """Each group of families has its own vCPUs."""
    sandbox.settings.spot_vcpu_quota = {"us-east-1": 2, "us-east-1/x": 4}
    ec2 = sandbox.client()

    def launch(name: str) -> None:
        ec2.run_instances(
            ImageId=image(ec2),
            InstanceType=name,
            MinCount=1,
            MaxCount=1,
            InstanceMarketOptions={"MarketType": "spot"},
        )

    launch("t3.medium")
    with refused("MaxSpotInstanceCountExceeded"):
        launch("m5.large")
    launch("x1e.xlarge")


def test_the_row_and_the_lists(sandbox: Any) -> None:
    """A quota with its name and ARN; AWS's default and the applied value; pages of a list."""
    sandbox.settings.spot_vcpu_quota = {"*": 64}
    quotas = sandbox.client("service-quotas")
    row = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=STANDARD)["Quota"]
    assert row["QuotaName"] == "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"
    assert row["QuotaArn"] == f"arn:aws:servicequotas:us-east-1:000000000000:ec2/{STANDARD}"
    assert (row["Adjustable"], row["GlobalQuota"], row["ServiceCode"]) == (True, False, "ec2")
    default = quotas.get_aws_default_service_quota(ServiceCode="ec2", QuotaCode=STANDARD)["Quota"]
    assert (row["Value"], default["Value"]) == (64, 5)
    pages = quotas.get_paginator("list_service_quotas").paginate(
        ServiceCode="ec2", PaginationConfig={"PageSize": 5}
    )
    codes = [quota["QuotaCode"] for page in pages for quota in page["Quotas"]]
    assert len(codes) == len(set(codes)) > 10
    assert STANDARD in codes
    assert len(quotas.list_aws_default_service_quotas(ServiceCode="vpc")["Quotas"]) == 7


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"ServiceCode": "ec2", "QuotaCode": "L-00000000"}, "NoSuchResourceException"),
        ({"ServiceCode": "nothing", "QuotaCode": STANDARD}, "NoSuchResourceException"),
    ],
)
def test_what_is_not_there(sandbox: Any, query: dict[str, str], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        sandbox.client("service-quotas").get_service_quota(**query)
