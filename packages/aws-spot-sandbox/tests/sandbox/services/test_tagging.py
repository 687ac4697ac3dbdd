"""The Resource Groups Tagging API over all services."""

from __future__ import annotations

from typing import Any


def test_a_tag_without_a_value_has_an_empty_one(sandbox: Any) -> None:
    """Resource Groups Tagging API reference, Tag: the value "can be empty"."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket="theirs")
    s3.put_bucket_tagging(
        Bucket="theirs", Tagging={"TagSet": [{"Key": "team", "Value": ""}, {"Key": "a", "Value": "b"}]}
    )
    (row,) = sandbox.client("resourcegroupstaggingapi").get_resources()["ResourceTagMappingList"]
    assert sorted((tag["Key"], tag["Value"]) for tag in row["Tags"]) == [("a", "b"), ("team", "")]
