"""AWS's reasons for a denial. They are encoded; decoding requires `sts:DecodeAuthorizationMessage`."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

# Repeated denials usually have the same reason.
_MOST = 3


class Denials:
    """Decodes only a few messages per run, and none after AWS has refused one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = _MOST

    def reason(self, proof: str, sts: Callable[[], Any]) -> str:
        """A phrase to append to AWS's message; empty if AWS does not decode it."""
        with self._lock:
            if self._left <= 0:
                return ""
            self._left -= 1
        try:
            text = sts().decode_authorization_message(EncodedMessage=proof)["DecodedMessage"]
        except (BotoCoreError, ClientError):
            with self._lock:
                self._left = 0
            return ""
        return f"; AWS decoded: {with_denial_reason(text)}"


def with_denial_reason(text: str) -> str:
    """`explicitly denied by statement NoBigOnes: ec2:RunInstances on arn:…, ec2:InstanceType=t3.medium`.

    The format of the text: STS API reference, DecodeAuthorizationMessage.
    """
    try:
        details = json.loads(text)
    except ValueError:
        return text
    context = details.get("context", {})
    ids = [row.get("statementId", "") for row in details.get("matchedStatements", {}).get("items", ())]
    named = ", ".join(filter(None, ids))
    why = "explicitly denied" if details.get("explicitDeny") else "nothing allows it"
    by = f" by statement {named}" if named else ""
    conditions = [
        f"{row.get('key')}={'|'.join(value.get('value', '') for value in row.get('values', {}).get('items', ()))}"
        for row in context.get("conditions", {}).get("items", ())
    ]
    return ", ".join([f"{why}{by}: {context.get('action')} on {context.get('resource')}", *conditions])
