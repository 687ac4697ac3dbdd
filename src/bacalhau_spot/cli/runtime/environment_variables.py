"""The environment variables of bacalhau-spot, and warnings about unknown ones with its prefix."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PREFIX: Final = "BACALHAU_SPOT_"
CONFIG: Final = f"{PREFIX}CONFIG"
ADVISOR_URL: Final = f"{PREFIX}ADVISOR_URL"
EVENT: Final = f"{PREFIX}EVENT"
# The purpose of each; docs/configuration.md has the same table.
VARIABLES: Final = {
    CONFIG: "the configuration file, unless `--config` names one",
    ADVISOR_URL: "where the interruption rates of `offers` are read, in place of AWS's own file; empty: nowhere",
    EVENT: "set for the commands under `notify`: the kind of the notice",
}


def unknown_variables(names: Iterable[str], *, configured: str) -> Iterator[str]:
    """A warning for each unused variable with the prefix. `configured`: the configuration, which may use some itself."""
    for name in sorted(names):
        if not name.startswith(PREFIX) or name in VARIABLES or name in configured:
            continue
        ends = [known.removeprefix(PREFIX) for known in VARIABLES]
        close = difflib.get_close_matches(name.removeprefix(PREFIX), ends, n=1, cutoff=0.6)
        hint = f"did you mean {PREFIX}{close[0]}?" if close else f"there are {' and '.join(VARIABLES)}"
        yield f"unknown environment variable {name}: {hint}"
