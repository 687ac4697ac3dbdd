"""A notice as its receivers get it, and the output of `notify-test`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from bacalhau_spot.core.notices import NoticeKind
from bacalhau_spot.core.sanitize import without_sequences
from bacalhau_spot.ui.json_output.values import Data, Time, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bacalhau_spot.core.notices import DeliveryResult, Notice

# Discord refuses a longer `content` (Discord developer documentation, "Execute Webhook").
_LONGEST = 2000
NOTICE_VERSION: Literal[1] = 1


class NoticeOutput(TypedDict):
    """The body of a webhook's request, and the standard input of a command."""

    version: Literal[1]
    """of this form of notices"""
    id: str
    """unique; a repeated attempt has the same one"""
    event: NoticeKind
    cluster: str
    """the tag's value"""
    at: Time
    endpoint: str | None
    """the endpoint used instead of AWS, such as `sandbox`; null for AWS"""
    text: str
    """a sentence, which Slack and Mattermost display"""
    content: str
    """the same, which Discord displays"""
    data: Data
    """the facts of the event"""


class DeliveryOutput(TypedDict):
    number: int
    """the place in `notify`, from 1"""
    receiver: str
    """the host of a webhook, or the first word of a command"""
    delivered: bool
    problem: str | None
    notice: NoticeOutput


class NotifyTestOutput(TypedDict):
    deliveries: list[DeliveryOutput]


def notice_data(notice: Notice, *, notice_id: str, at: datetime, endpoint: str) -> NoticeOutput:
    place = f"[{endpoint}] " if endpoint else ""
    text = without_sequences(f"{place}{notice.text}")
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return {
        "version": NOTICE_VERSION,
        "id": notice_id,
        "event": notice.kind,
        "cluster": notice.cluster,
        "at": time_text(at),
        "endpoint": endpoint or None,
        "text": text,
        "content": text,
        "data": notice.data,
    }


def notify_test_data(results: Iterable[tuple[DeliveryResult, NoticeOutput]]) -> NotifyTestOutput:
    return {
        "deliveries": [
            {
                "number": result.number,
                "receiver": result.target.label,
                "delivered": result.delivered,
                "problem": result.problem or None,
                "notice": notice,
            }
            for result, notice in results
        ]
    }
