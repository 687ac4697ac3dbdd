"""The bounds of MaxResults for EC2's lists: from botocore's model, or else from AWS's documentation."""

from __future__ import annotations

import re
from functools import cache

from moto.core.utils import get_service_model

# Operations whose bounds are only in the API reference.
_PAGE_BOUNDS = {
    "DescribeInstances": (5, 1000),
    "DescribeInstanceStatus": (5, 1000),
    "DescribeVolumes": (5, 1000),
    "DescribeSnapshots": (5, 1000),
    "DescribeSpotInstanceRequests": (5, 1000),
    "DescribeVpcEndpoints": (5, 1000),
}
_DOCUMENTED_BOUNDS = re.compile(r"(?:between|[Vv]alid range:?) ([\d,]+) (?:and|to|-) ([\d,]+)")


@cache
def page_bounds(action: str) -> tuple[int, int]:
    """The minimum and maximum of `MaxResults`: from the model, its documentation or the API reference, else (1, 1000)."""
    size = get_service_model("ec2").operation_model(action).input_shape.members["MaxResults"]
    if "max" in size.metadata:
        return int(size.metadata.get("min", 1)), int(size.metadata["max"])
    documented = _DOCUMENTED_BOUNDS.search(size.documentation)
    if documented is not None:
        return int(documented[1].replace(",", "")), int(documented[2].replace(",", ""))
    return _PAGE_BOUNDS.get(action, (1, 1000))
