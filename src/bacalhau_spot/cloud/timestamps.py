"""A quick parser for the times in replies: dateutil's, which botocore uses, takes 35 µs, and an instance has several.

Set by `set_parser_defaults` of botocore's response parser factory.
"""

from __future__ import annotations

import contextlib
import re
from datetime import datetime
from typing import Any, Final

from botocore.utils import parse_timestamp

# As EC2, STS, IAM and Auto Scaling write it. All other forms are botocore's to parse.
_UTC: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


def timestamp(value: Any) -> datetime:
    """As botocore.utils.parse_timestamp. Raises ValueError or RuntimeError for a value that is no time."""
    if isinstance(value, str) and _UTC.fullmatch(value):
        with contextlib.suppress(ValueError):  # botocore reports it
            return datetime.fromisoformat(value)
    moment: datetime = parse_timestamp(value)
    return moment
