"""The fields of a catalog entry: the category of an error, the engine's reaction, and the text for the user."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from bacalhau_spot.core.partitions import in_console
from bacalhau_spot.errors import ExitCode

# Without a size, `offers` compares only the configured instance types.
MORE_TYPES = "`bacalhau-spot offers --vcpus 2..4 --memory 4..`"
# Hints that several errors share.
AGAIN_IN_A_MINUTE = "run the same command again in a minute"
WAIT_FOR_OTHERS = "wait a minute, then run the same command again; it adds only the missing nodes"
# In a hint, if AWS does not name the denied action.
_SOME_ACTION = "the action that AWS names"


class Category(IntEnum):
    """The cause of an error, most serious first. Of several errors in one response, the first is reported."""

    CREDENTIALS = 0
    PERMISSION = 1
    CONFIG = 2
    QUOTA = 3
    PRICE = 4
    CAPACITY = 5
    UNKNOWN = 6  # nobody's but ours, or not known
    AWS = 7  # AWS's own trouble
    NETWORK = 8  # between here and AWS
    THROTTLED = 9
    BUSY = 10  # something is still going away, or still being made
    LAG = 11  # a fresh id that reads do not show yet, or something that has gone
    EXISTS = 12  # what we wanted is already so


class Recovery(StrEnum):
    """The engine's reaction."""

    RETRY = "retry"  # the same call again, within its deadline
    OTHER_REGION = "other region"  # AWS has tried the region's pools; others may have room
    STOP_REGION = "stop region"
    STOP = "stop"  # nothing else can succeed either
    DONE = "done"  # as good as success


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """One meaning, shared by one or more error codes.

    `name` is its heading in the documentation. `sentence` may contain {region}. `hint` may also contain {regions} (all affected
    regions), {action} (the denied action), {profile} (a space and the option for the profile in use), {quota} (the code of the
    spot quota), {host} (the orchestrator's API), and {other} (the same address with http instead of https, or the reverse).
    `retry_s`: of Recovery.RETRY, the longest time for repetitions; None: the deadline of the call.
    """

    name: str
    category: Category
    recovery: Recovery
    sentence: str
    hint: str = ""
    retry_s: float | None = None

    @property
    def exit_code(self) -> ExitCode:
        if self.category in {Category.CREDENTIALS, Category.PERMISSION}:
            return ExitCode.DENIED
        return ExitCode.USAGE if self.category is Category.CONFIG else ExitCode.FAILED

    def message(self, region: str) -> str:
        """The sentence for one region or a list of regions. Without either, it names no region."""
        if region:
            return self.sentence.format(region=region)
        plain = self.sentence.replace(" in {region}", "").replace(" for {region}", "")
        return plain.format(region="this account")

    def hint_for(
        self,
        region: str,
        *,
        regions: str = "",
        action: str = "",
        profile: str = "",
        quota: str = "",
        host: str = "",
    ) -> str:
        """The hint, ready to follow. `region`: the one for commands and addresses; `regions`: all, as a list."""
        text = self.hint.format(
            region=region,
            regions=regions or region,
            action=action or _SOME_ACTION,
            profile=f" --profile {profile}" if profile else "",
            quota=quota or "L-34B43A08",
            host=host or "HOST:1234",
            other=_other(host or "http://HOST:1234"),
        )
        return in_console(text, region=region)


def _other(url: str) -> str:
    scheme, sign, rest = url.rpartition("://")
    return f"http{'' if scheme == 'https' else 's'}://{rest}" if sign else url


Rows = dict[str, ErrorInfo]


def rows_for(info: ErrorInfo, *codes: str) -> Rows:
    """One row for each of `codes`, all with `info`."""
    return dict.fromkeys(codes, info)
