"""AWS's refusals as one error for the user: each meaning once, with all its regions, the worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import Category, ErrorInfo, classify, most_severe
from bacalhau_spot.core.iam.permissions import action_of
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui.formatting import comma_list, kind_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.launch.events import ResourceCreated
    from bacalhau_spot.core.problem import ApiFailure

_DOCS = "docs/errors.md"
# Where no single region is to blame, a sentence about one would mislead.
_HERE = "this account"
# A region for addresses in hints, where the problem names none.
_ANY_REGION = "us-east-1"


class ApiRefusalError(UserError):
    """An error that AWS's words led to; programs get its code and its regions by themselves."""

    def __init__(
        self,
        info: ErrorInfo,
        *,
        code: str,
        regions: tuple[str, ...],
        why: str,
        hint: str,
        details: tuple[str, ...],
        exit_code: ExitCode,
    ) -> None:
        super().__init__(
            info.message(comma_list(regions)),
            why=why,
            hint=hint,
            docs=f"{_DOCS}#{info.name}",
            details=details,
            exit_code=exit_code,
        )
        self.code = code
        self.regions = regions


def error_from_failures(
    failures: Sequence[ApiFailure], *, exit_code: ExitCode | None = None, profile: str = ""
) -> ApiRefusalError:
    """All of AWS's refusals as one error: the worst kind first, each kind once with its regions.

    `profile`: the AWS profile in use, for the commands of AWS's own that hints name.
    """
    code = most_severe(failure.code for failure in failures)
    groups = _by_meaning(failures)
    first = next(failure for failure in failures if failure.code == code)
    same = groups.pop(_meaning(first))
    info, regions = _verdict(first), _regions(same)
    return ApiRefusalError(
        info,
        code=first.code,
        regions=regions,
        why=_why(first),
        hint=info.hint_for(
            regions[0] if regions else _ANY_REGION,
            regions=comma_list(regions),
            action=_refused(same),
            profile=profile,
            host=first.operation,  # where the orchestrator's API is, in its own errors
        ),
        details=(*_variants(same, first), *_others(list(groups.values()))),
        exit_code=info.exit_code if exit_code is None else exit_code,
    )


def interrupted_orchestrator() -> UserError:
    """Ctrl-C while the orchestrator was created."""
    return UserError("interrupted before the orchestrator was complete", exit_code=ExitCode.INTERRUPTED)


def with_created(
    error: UserError, created: Sequence[ResourceCreated], *, removable: bool, options: str = ""
) -> UserError:
    """The error that ended the creation of an orchestrator, with the resources that exist and how to go on.

    `removable`: the cluster had nothing before, so `destroy` is the other choice. `options`: of this run, for the next one.
    """
    resources = comma_list([f"{kind_label(made.kind)} {made.id}" for made in created])
    state = f"created {resources}; " if created else ""
    error.details = (*error.details, f"{state}no node was launched")
    remove = "; `bacalhau-spot destroy` removes what was created" if removable and created else ""
    command = "bacalhau-spot create" + options
    again = f"run `{command}` again: it continues{remove}"
    error.hint = f"{error.hint}; then {again}" if error.hint else again
    return error


def _verdict(failure: ApiFailure) -> ErrorInfo:
    return classify(failure.code, failure.message)


def _refused(failures: Sequence[ApiFailure]) -> str:
    """`ec2:CreateVpc and ec2:CreateFleet`: the denied actions, for the person who grants them."""
    return comma_list(sorted(filter(None, {action_of(failure) for failure in failures})))


def _meaning(failure: ApiFailure) -> tuple[ErrorInfo, str]:
    """The key under which problems are grouped. For codes without a row, the code alone."""
    info = _verdict(failure)
    return info, failure.code if info.category is Category.UNKNOWN else ""


def _by_meaning(failures: Sequence[ApiFailure]) -> dict[tuple[ErrorInfo, str], list[ApiFailure]]:
    found: dict[tuple[ErrorInfo, str], list[ApiFailure]] = {}
    for failure in failures:
        found.setdefault(_meaning(failure), []).append(failure)
    return found


def _regions(failures: Sequence[ApiFailure]) -> tuple[str, ...]:
    return tuple(sorted({failure.region for failure in failures if failure.region}))


def _why(failure: ApiFailure) -> str:
    """AWS's words: `CreateVpc: VpcLimitExceeded: The maximum number of VPCs has been reached.`"""
    return ": ".join(part for part in (failure.operation, failure.code, failure.message) if part)


def _variants(same: Sequence[ApiFailure], first: ApiFailure) -> tuple[str, ...]:
    """The same meaning in other words of AWS: another call, or another code. Messages differ by nothing but ids."""
    found: dict[tuple[str, str], list[ApiFailure]] = {}
    for failure in same:
        found.setdefault((failure.operation, failure.code), []).append(failure)
    found.pop((first.operation, first.code))
    return tuple(f"in {comma_list(_regions(group)) or _HERE}: {_why(group[0])}" for group in found.values())


def _others(groups: Sequence[Sequence[ApiFailure]]) -> tuple[str, ...]:
    """One line for each further kind of error."""
    return tuple(
        f"also: {_verdict(group[0]).message(comma_list(_regions(group)))} ({_briefly(group)})"
        for group in sorted(groups, key=lambda group: (classify(group[0].code).category, group[0].code))
    )


def _briefly(group: Sequence[ApiFailure]) -> str:
    """The codes; without a row in the catalogue, AWS's message."""
    if _verdict(group[0]).category is Category.UNKNOWN:
        return _why(group[0])
    return ", ".join(sorted({failure.code for failure in group}))
