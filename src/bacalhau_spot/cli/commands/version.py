"""`version`: the version of this program."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bacalhau_spot import __version__
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions
from bacalhau_spot.ui import json_output, views


def version(
    *,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Print the version of this program."""
    del common, runtime
    return Result("version", view=views.raw(__version__), data=json_output.version_data(__version__))
