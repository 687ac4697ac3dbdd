"""Parameter Store: the size of a parameter's value, which moto does not limit.

AWS: Systems Manager API Reference, PutParameter: a value of the standard tier has at most 4 KB, of the advanced tier 8 KB.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call

STANDARD, ADVANCED = 4096, 8192


def check(call: Call) -> None:
    if call.action != "PutParameter":
        return
    request = json.loads(call.body or b"{}")
    size, tier = len(str(request.get("Value") or "").encode()), request.get("Tier") or "Standard"
    if size > STANDARD and tier == "Standard":
        raise AwsError(
            "ValidationException",
            "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter "
            "value, upgrade the parameter to use the advanced-parameter tier. For more information, see "
            "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html",
        )
    if size > ADVANCED:
        raise AwsError(
            "ValidationException",
            "Advanced tier parameters support a maximum parameter value of 8192 characters.",
        )
