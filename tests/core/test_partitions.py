"""AWS's partitions (F20): held to botocore's own data."""

from __future__ import annotations

import botocore.session
import pytest

from bacalhau_spot.core.doctor import account_checks
from bacalhau_spot.core.error_catalog.classifier import classify
from bacalhau_spot.core.model import Identity
from bacalhau_spot.core.partitions import (
    COMMERCIAL,
    PARTITIONS,
    closest_region,
    partition_in,
    partition_of,
    region_advice,
)

BOTOCORE = {
    row["id"]: row
    for row in botocore.session.Session().get_component("data_loader").load_data("partitions")["partitions"]
}


def test_every_region_of_botocore_is_known() -> None:
    """When this fails after an update of botocore, add what is new to the table."""
    regions_by_partition = {partition.id: set(partition.regions) for partition in PARTITIONS}
    theirs = {
        name: {region for region in row["regions"] if not region.startswith("aws")}
        for name, row in BOTOCORE.items()
    }
    assert regions_by_partition == theirs


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda part: part.id)
def test_domains_and_home(partition: object) -> None:
    """The suffixes under which a partition's endpoints lie, and the region that answers for all."""
    for partition_row in PARTITIONS:
        outputs = BOTOCORE[partition_row.id]["outputs"]
        assert partition_row.domains == (outputs["dnsSuffix"], outputs["dualStackDnsSuffix"])
        assert partition_row.home == outputs["implicitGlobalRegion"]


def test_a_region_newer_than_the_table() -> None:
    assert partition_of("cn-south-9").id == "aws-cn"
    assert partition_of("us-gov-central-1").id == "aws-us-gov"
    assert partition_of("us-isob-north-1").id == "aws-iso-b"
    assert partition_of("us-south-1") is partition_of("xx") is COMMERCIAL
    assert partition_in("arn:aws-cn:iam::1:user/a").id == "aws-cn"
    assert partition_in("not an ARN") is COMMERCIAL


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("us-esat-1", "us-east-1"), ("eu-wset-1", "eu-west-1"), ("us-east1", "us-east-1"), ("nowhere", "")],
)
def test_what_was_meant(typed: str, expected: str) -> None:
    """`us-esat-1` was taken for us-west-1."""
    assert closest_region(typed, COMMERCIAL.regions) == expected


def test_a_region_of_another_partition_is_no_mistyped_one() -> None:
    advice = region_advice(["cn-north-1"], [], known=COMMERCIAL.regions)
    assert "AWS China" in advice and "did you mean" not in advice


def test_consoles_have_the_partitions_address() -> None:
    """Hints led to a console in which the account does not exist."""
    assert "https://cn-north-1.console.amazonaws.cn/" in classify("VcpuLimitExceeded").hint_for("cn-north-1")
    assert "https://us-gov-west-1.console.amazonaws-us-gov.com/" in classify("VcpuLimitExceeded").hint_for(
        "us-gov-west-1"
    )
    root = account_checks.credentials(Identity("1", "arn:aws-cn:iam::1:root"), origin="env")
    assert "https://console.amazonaws.cn/iam" in root.hint
