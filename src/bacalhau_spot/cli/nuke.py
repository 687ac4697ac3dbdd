"""`nuke`: everything that carries our tag, in every region. Not built yet, and says so."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.common import NOTHING_SAID, Common
from bacalhau_spot.cli.result import Result
from bacalhau_spot.cli.runtime import Runtime
from bacalhau_spot.errors import ExitCode, UserError


def nuke(
    *,
    force: Annotated[bool, Parameter(name="--force", negative="")] = False,
    common: Common = NOTHING_SAID,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Delete everything that carries our tag, in every region. Not built yet: it refuses.

    Parameters
    ----------
    force
        Do not ask.
    """
    del force, common, runtime
    raise UserError(
        "nuke is not built yet, and nothing was deleted",
        hint="`bacalhau-spot destroy` removes this cluster from every region; `--cluster NAME` another one",
        exit_code=ExitCode.FAILED,
    )
