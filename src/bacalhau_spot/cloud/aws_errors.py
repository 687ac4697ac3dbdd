"""botocore's exceptions in our words: an AWS code, the message, the operation."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from bacalhau_spot.cloud.port import CloudError


def translate(error: BotoCoreError | ClientError, *, operation: str, region: str) -> CloudError:
    """AWS's code where AWS answered; else the name of botocore's exception, which core.verdict knows as a code."""
    action = operation.replace("_", " ").title().replace(" ", "")
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        meta = error.response.get("ResponseMetadata", {})
        return CloudError(
            str(details.get("Code", "Unknown")),
            str(details.get("Message", "")).strip(),
            operation=action,
            region=region,
            request_id=str(meta.get("RequestId", "")),
        )
    return CloudError(type(error).__name__, str(error), operation=action, region=region)
