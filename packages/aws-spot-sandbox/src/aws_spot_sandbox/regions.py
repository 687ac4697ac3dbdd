"""AWS's regions in a new account: the enabled ones, and those that require an opt-in.

Together the 34 regions of the partition `aws` that botocore's endpoints.json has for EC2; a test compares them. Its
partitions.json names two more, me-west-1 and sa-west-1, which are announced and have no endpoint yet.
"""

from __future__ import annotations

# AWS: General Reference, "Regions, Availability Zones": launched before 20 March 2019, so enabled by default.
ENABLED_BY_DEFAULT: tuple[str, ...] = (
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
)

OPT_IN: tuple[str, ...] = (
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
)
