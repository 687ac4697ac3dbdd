"""The error of a refused call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    """The error code and HTTP status."""
    code, status, _ = refusal_in_full(call, **arguments)
    return code, status


def refusal_in_full(call: Callable[..., Any], **arguments: Any) -> tuple[str, int, str]:
    """The error code, HTTP status and message."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Message"],
    )
