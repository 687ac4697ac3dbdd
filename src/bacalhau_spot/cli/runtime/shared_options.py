"""The options that every command accepts, before or after its name. The last value counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from bacalhau_spot.cli.runtime.parsers import listed_names

Output = Literal["table", "wide", "json", "yaml", "ndjson"]
Rows = Literal["table", "wide", "json", "yaml", "ndjson", "csv"]
Page = Literal["table", "wide", "json", "yaml", "ndjson", "html"]
AnyOutput = Literal["table", "wide", "json", "yaml", "ndjson", "csv", "html"]


# The last one on a help page.
_EVERY = Group("Options of every command", sort_key=100)


@Parameter(name="*", group=_EVERY)
@dataclass(frozen=True)
class CommonOptions:
    """Options of every command."""

    config: Annotated[
        Path | None, Parameter(name=["--config", "-c"], metavar="FILE", allow_repeating=True)
    ] = None
    """Configuration file (default: $BACALHAU_SPOT_CONFIG, then config.yaml in this folder or one above)."""

    profile: Annotated[str | None, Parameter(name="--profile", metavar="NAME", allow_repeating=True)] = None
    """AWS profile, as in ~/.aws/config. Default: the profile that the AWS CLI would use."""

    sandbox: Annotated[bool, Parameter(name="--sandbox", negative="", allow_repeating=True)] = False
    """Use the sandbox, a local AWS: no machine is launched, nothing costs money."""

    output: Annotated[
        Output, Parameter(name=["--output", "-o", "--format"], metavar="FORMAT", allow_repeating=True)
    ] = "table"
    """Output format on stdout; `--json` is short for `-o json`."""

    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", allow_repeating=True)] = False
    """Only the result and errors: no progress, notes and warnings."""

    no_input: Annotated[bool, Parameter(name="--no-input", negative="", allow_repeating=True)] = False
    """Never ask: a question is an error that names the option which answers it."""

    debug: Annotated[bool, Parameter(name="--debug", negative="", allow_repeating=True)] = False
    """Show the traceback of an unexpected error, and every AWS call."""

    no_color: Annotated[bool, Parameter(name="--no-color", negative="", allow_repeating=True)] = False
    """No colours; also $NO_COLOR."""


@Parameter(name="*", group=_EVERY)
@dataclass(frozen=True)
class TabularOptions(CommonOptions):
    """Options of a command whose result is a table, for spreadsheets too."""

    output: Annotated[
        Rows, Parameter(name=["--output", "-o", "--format"], metavar="FORMAT", allow_repeating=True)
    ] = "table"  # type: ignore[assignment]  # wider
    """Output format on stdout; `csv`: one row for each item; `--json` is short for `-o json`."""

    columns: Annotated[
        tuple[str, ...],
        Parameter(name="--columns", negative="", metavar="COLUMN,...", converter=listed_names),
    ] = ()
    """Only these columns, in this order, as a plain table or with `-o csv`; docs/command-line.md lists them."""


@Parameter(name="*")
@dataclass(frozen=True)
class PageOptions(CommonOptions):
    """Options of a command whose result is a page, for browsers too."""

    output: Annotated[
        Page, Parameter(name=["--output", "-o", "--format"], metavar="FORMAT", allow_repeating=True)
    ] = "table"  # type: ignore[assignment]  # wider
    """Output format on stdout; `html`: a page for a browser."""


@Parameter(name="*")
@dataclass(frozen=True)
class SharedOptions(CommonOptions):
    """All options that are valid before or after any command, with every output format of any command."""

    output: Annotated[AnyOutput, Parameter(name=["--output", "-o", "--format"], allow_repeating=True)] = (
        "table"  # type: ignore[assignment]  # wider
    )

    page: Annotated[
        bool, Parameter(name=["--help", "-h", "--version", "-V"], negative="", allow_repeating=True)
    ] = False


# The value if none of these options is given.
NO_OPTIONS = CommonOptions()
NO_TABULAR_OPTIONS = TabularOptions()
NO_PAGE_OPTIONS = PageOptions()

AT_LEAST_ONE = Parameter(validator=Number(gte=1))
NOT_NEGATIVE = Parameter(validator=Number(gte=0))


def several(*names: str, metavar: str) -> Parameter:
    """An option with a list of names: repeated, or separated by commas, or both."""
    return Parameter(name=names, negative="", metavar=f"{metavar},...", converter=listed_names)


# The former spelling, which `nuke` still accepts.
FORMER_REGIONS = "--regions"
Regions = Annotated[tuple[str, ...], several("--region", "-r", metavar="REGION")]
# A shorter interval shows nothing new, and uses calls that other programs in the account need.
INTERVAL = Parameter(name="--interval", metavar="SECONDS", validator=Number(gte=2, lte=3600))
# At most a day, like the timeouts of the configuration.
_DAY_S = 86400
TIMEOUT = Parameter(name="--timeout", metavar="SECONDS", validator=Number(gte=1, lte=_DAY_S))
SECONDS = Parameter(validator=Number(gte=0, lte=_DAY_S))
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative="")]
DeleteResults = Annotated[bool, Parameter(name="--delete-results", negative="")]
Cluster = Annotated[str | None, Parameter(name="--cluster", metavar="NAME")]
