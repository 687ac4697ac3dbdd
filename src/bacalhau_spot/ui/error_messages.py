"""AWS's refusals as one error for the user: each meaning once, with all its regions, the worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import Category, ErrorInfo, classify, most_severe
from bacalhau_spot.core.iam.permissions import action_of
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui.formatting import comma_list

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        verdict: ErrorInfo,
        *,
        code: str,
        regions: tuple[str, ...],
        why: str,
        hint: str,
        details: tuple[str, ...],
        exit_code: ExitCode,
    ) -> None:
        super().__init__(
            verdict.message(comma_list(regions)),
            why=why,
            hint=hint,
            docs=f"{_DOCS}#{verdict.name}",
            details=details,
            exit_code=exit_code,
        )
        self.code = code
        self.regions = regions


def error_from_failures(
    problems: Sequence[ApiFailure], *, exit_code: ExitCode | None = None, profile: str = ""
) -> ApiRefusalError:
    """All of AWS's refusals as one error: the worst kind first, each kind once with its regions.

    `profile`: the AWS profile in use, for the commands of AWS's own that hints name.
    """
    code = most_severe(problem.code for problem in problems)
    groups = _by_meaning(problems)
    first = next(problem for problem in problems if problem.code == code)
    same = groups.pop(_meaning(first))
    verdict, regions = _verdict(first), _regions(same)
    return ApiRefusalError(
        verdict,
        code=first.code,
        regions=regions,
        why=_why(first),
        hint=verdict.hint_for(
            regions[0] if regions else _ANY_REGION,
            regions=comma_list(regions),
            action=_refused(same),
            profile=profile,
            host=first.operation,  # where the orchestrator's API is, in its own errors
        ),
        details=(*_variants(same, first), *_others(list(groups.values()))),
        exit_code=verdict.exit_code if exit_code is None else exit_code,
    )


def _verdict(problem: ApiFailure) -> ErrorInfo:
    return classify(problem.code, problem.message)


def _refused(problems: Sequence[ApiFailure]) -> str:
    """`ec2:CreateVpc and ec2:CreateFleet`: what AWS refused, for whoever grants it."""
    return comma_list(sorted(filter(None, {action_of(problem) for problem in problems})))


def _meaning(problem: ApiFailure) -> tuple[ErrorInfo, str]:
    """What makes two problems the same one. Of codes without a row nothing is known but the code."""
    verdict = _verdict(problem)
    return verdict, problem.code if verdict.category is Category.UNKNOWN else ""


def _by_meaning(problems: Sequence[ApiFailure]) -> dict[tuple[ErrorInfo, str], list[ApiFailure]]:
    found: dict[tuple[ErrorInfo, str], list[ApiFailure]] = {}
    for problem in problems:
        found.setdefault(_meaning(problem), []).append(problem)
    return found


def _regions(problems: Sequence[ApiFailure]) -> tuple[str, ...]:
    return tuple(sorted({problem.region for problem in problems if problem.region}))


def _why(problem: ApiFailure) -> str:
    """AWS's words: `CreateVpc: VpcLimitExceeded: The maximum number of VPCs has been reached.`"""
    return ": ".join(part for part in (problem.operation, problem.code, problem.message) if part)


def _variants(same: Sequence[ApiFailure], first: ApiFailure) -> tuple[str, ...]:
    """The same meaning in other words of AWS: another call, or another code. Messages differ by nothing but ids."""
    found: dict[tuple[str, str], list[ApiFailure]] = {}
    for problem in same:
        found.setdefault((problem.operation, problem.code), []).append(problem)
    found.pop((first.operation, first.code))
    return tuple(f"in {comma_list(_regions(group)) or _HERE}: {_why(group[0])}" for group in found.values())


def _others(groups: Sequence[Sequence[ApiFailure]]) -> tuple[str, ...]:
    """One line for each further kind of error."""
    return tuple(
        f"also: {_verdict(group[0]).message(comma_list(_regions(group)))} ({_briefly(group)})"
        for group in sorted(groups, key=lambda group: (classify(group[0].code).category, group[0].code))
    )


def _briefly(group: Sequence[ApiFailure]) -> str:
    """The codes; where nothing is known but AWS's words, those."""
    if _verdict(group[0]).category is Category.UNKNOWN:
        return _why(group[0])
    return ", ".join(sorted({problem.code for problem in group}))
