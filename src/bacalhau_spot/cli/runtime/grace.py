"""The option `--grace` of the commands that drain nodes."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.parsers import duration
from bacalhau_spot.core.lifecycle.drain_result import GRACE_S

Grace = Annotated[str, Parameter(name="--grace", metavar="DURATION")]
DEFAULT_GRACE: Final = f"{GRACE_S // 60}m"
_LONGEST: Final = timedelta(days=1)


def grace_seconds(text: str) -> int:
    """The seconds of `--grace`. Raises UserError."""
    if text.strip() == "0":
        return 0
    return int(duration(text, flag="--grace", longest=_LONGEST).total_seconds())
