"""The errors of the Python API: one class for each exit code of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.api.models import CleanupReport, ClusterHealth, LaunchReceipt


class ApiError(UserError):
    """A command that failed: what happened (`what`), why (`why`), what to do next (`hint`).

    `code`: AWS's error code; None for other errors. `result`: what the command has done or found before it failed; None if
    nothing.
    """

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        hint: str = "",
        docs: str = "",
        details: tuple[str, ...] = (),
        exit_code: ExitCode = ExitCode.FAILED,
        code: str | None = None,
        result: LaunchReceipt | CleanupReport | ClusterHealth | None = None,
    ) -> None:
        super().__init__(what, why=why, hint=hint, docs=docs, details=details, exit_code=exit_code)
        self.code = code
        self.result = result

    def __str__(self) -> str:
        parts = (
            self.what,
            self.why and f"why: {self.why}",
            *self.details,
            self.hint and f"hint: {self.hint}",
        )
        return "\n".join(filter(None, parts))


class ConfigurationError(ApiError):
    """An argument or the configuration is invalid, or its limits do not allow the plan. Nothing was changed."""


class ConfirmationError(ApiError):
    """`nuke_resources` without `force`: `result` is the list of the resources that it would delete. Nothing was changed."""


class AccessError(ApiError):
    """Credentials are missing or invalid, or a permission is missing."""


class IncompleteError(ApiError):
    """A part of the work is left: nodes that were not launched, resources that remain, regions that could not be scanned.

    Also a request that ended before anything was changed, because another command is changing the cluster, or AWS does not
    answer: `result` is then None.
    """


_CLASSES: Mapping[ExitCode, type[ApiError]] = {
    ExitCode.USAGE: ConfigurationError,
    ExitCode.DECLINED: ConfirmationError,
    ExitCode.DENIED: AccessError,
}


def unconfirmed(report: CleanupReport) -> ConfirmationError:
    """Of `nuke_resources` without `force`."""
    return ConfirmationError(
        f"nothing was deleted: {len(report.to_delete)} resources were found, and `force` is not set",
        hint="check `result.to_delete` of this error, then call it with force=True",
        exit_code=ExitCode.DECLINED,
        result=report,
    )


def error_from_output(
    error: Mapping[str, Any],
    *,
    exit_code: ExitCode,
    result: LaunchReceipt | CleanupReport | ClusterHealth | None = None,
) -> ApiError:
    """The exception for an error of the command's output."""
    return _CLASSES.get(exit_code, IncompleteError)(
        error["what"],
        why=error["why"],
        hint=error["hint"],
        docs=error["docs"],
        details=tuple(error["details"]),
        exit_code=exit_code,
        code=error["code"],
        result=result,
    )
