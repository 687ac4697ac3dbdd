"""The one exception of the operations on AWS."""

from __future__ import annotations


class CloudError(Exception):
    """An error of AWS or the transport. `code` is AWS's or the transport's, `operation` the API action."""

    def __init__(self, code: str, message: str, *, operation: str, region: str, request_id: str = "") -> None:
        super().__init__(f"{operation} in {region}: {code}: {message}")
        self.code = code
        self.message = message
        self.operation = operation
        self.region = region
        self.request_id = request_id
