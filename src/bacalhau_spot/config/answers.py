"""Checks answers to questions before a file has them: with the schema's own messages, and the files that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.config import external_files
from bacalhau_spot.config.check import check_text
from bacalhau_spot.config.edit import with_values
from bacalhau_spot.config.rules import OWN_ORCHESTRATOR_KEYS
from bacalhau_spot.core.model import OrchestratorMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def answer_problem(
    values: Mapping[str, object], *, folder: Path, home: Path, environ: Mapping[str, str]
) -> str | None:
    """The first problem of a configuration in `folder` that has only these values; None without one."""
    checked = check_text(with_values("", values))
    materials = external_files.read_all(checked.data, base=folder, home=home, environ=environ)
    checked.add((key, False, text) for key, text in materials.failures)
    return next((problem.message for problem in checked.problems), None)


def names_a_file(path: str, *, folder: Path, home: Path) -> bool:
    """Whether a path of a configuration in `folder` is an existing file."""
    return external_files.expand(path, base=folder, home=home).is_file()


def default_orchestrator(values: Iterable[str]) -> dict[str, object]:
    """The choice for a new file with these keys: a managed orchestrator, unless they name or describe another one."""
    described = {"bacalhau", *(f"bacalhau.{key}" for key in OWN_ORCHESTRATOR_KEYS)}
    heads = {tuple(key.split(".")[:2]) for key in values}
    if any(head[0] == "orchestrator" or ".".join(head) in described for head in heads):
        return {}
    return {"orchestrator": OrchestratorMode.MANAGED.value}
