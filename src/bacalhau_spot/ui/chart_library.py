"""The charting library, altair: an extra that takes most of a second to import, so only on request."""

from __future__ import annotations

from typing import Any

from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.extras import install_command


def load_charts(what: str, *, instead: str) -> Any:
    """The library. Raises UserError when it or its helpers are missing. `what`: needs it; `instead`: advice without it."""
    try:
        import altair  # noqa: ICN001, PLC0415 - an extra
        import jinja2  # noqa: F401, PLC0415 - the template of the page
        import vl_convert  # noqa: F401, PLC0415 - what altair writes pictures with
    except ImportError:
        raise UserError(
            f"{what} needs the extra `plot`, which is not installed",
            hint=f"install it with `{install_command('plot')}` in this program's folder, or run "
            f"`uv run --with altair --with vl-convert-python -s deploy_spot.py`; {instead}",
            exit_code=ExitCode.USAGE,
        ) from None
    except RuntimeError as error:  # altair looks for its cache in the home directory while it is imported
        raise UserError(
            f"{what} needs a home directory",
            why=str(error),
            hint="`export HOME=DIRECTORY` names one",
            exit_code=ExitCode.USAGE,
        ) from error
    return altair
