"""Errors: what happened, why (AWS's code once), what to do. The same error in twelve regions is one error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from bacalhau_spot.core.verdict import Fault, judge, worst
from bacalhau_spot.errors import DOCS_URL, ExitCode, UserError
from bacalhau_spot.ui.views.text import Said
from bacalhau_spot.ui.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.receipt import Problem

_DOCS = "docs/errors.md"
# Where no single region is to blame, a sentence about one would mislead.
_HERE = "this account"


def error_view(error: UserError) -> Group:
    """`error: …`, why, details, a blank line, `hint: …`, `docs: …`. Readable without colour; nothing is folded badly."""
    parts: list[RenderableType] = [Text.assemble(("error: ", "bold red"), error.what)]
    if error.why:
        parts.append(Text(f"  {error.why}"))
    parts.extend(Text(f"  {detail}") for detail in error.details)
    if error.hint or error.docs:
        parts.append(Text(""))
    if error.hint:
        parts.append(Said(error.hint, prefix="hint: "))
    if error.docs:
        parts.append(Said(f"{DOCS_URL}/{error.docs}", prefix="docs: ", whole=True))
    return Group(*parts)


def from_problems(problems: Sequence[Problem], *, exit_code: ExitCode | None = None) -> UserError:
    """All of AWS's refusals as one error: the worst kind first, each kind once with its regions."""
    code = worst(problem.code for problem in problems)
    first = next(problem for problem in problems if problem.code == code)
    same = [problem for problem in problems if problem.code == code]
    verdict = judge(first.code)
    regions = _regions(same)
    others = _others([problem for problem in problems if problem.code != code])
    return UserError(
        verdict.sentence.format(region=listed(regions) or _HERE),
        why=_why(first),
        details=others,
        hint=verdict.hint.format(region=regions[0] if regions else "us-east-1"),
        docs=_DOCS if verdict.fault is not Fault.UNKNOWN else "",
        exit_code=verdict.exit_code if exit_code is None else exit_code,
    )


def _regions(problems: Sequence[Problem]) -> list[str]:
    return sorted({problem.region for problem in problems if problem.region})


def _why(problem: Problem) -> str:
    """AWS's words: `CreateVpc: VpcLimitExceeded: The maximum number of VPCs has been reached.`"""
    return ": ".join(part for part in (problem.operation, problem.code, problem.message) if part)


def _others(problems: Sequence[Problem]) -> tuple[str, ...]:
    """One line for each further kind of error."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.code, []).append(problem)
    return tuple(
        f"also: {judge(code).sentence.format(region=listed(_regions(group)) or _HERE)} ({code})"
        for code, group in sorted(found.items(), key=lambda item: judge(item[0]).fault)
    )
