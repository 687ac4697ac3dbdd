"""The tables of docs/promises.md: each promise, the tests that hold it, and the figures of the last recorded run."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "data" / "trust"
SUITE = ROOT / "tests" / "trust"
# The columns of the figures, as tests/support/trust_figures.py writes them.
COUNTS = {
    "leaks": "leaks",
    "double_launches": "double launches",
    "foreign_changes": "foreign changes",
    "wrong": "other faults",
}


@dataclass(frozen=True)
class Promise:
    """`tests`: patterns below the repository. `parts`: beginnings of the names of parts whose figures show it."""

    text: str
    tests: tuple[str, ...]
    parts: tuple[str, ...] = ()


PROMISES = (
    Promise(
        "After a command that is killed at any moment, `list` shows that something is left, and `destroy` deletes all of it; "
        "the same command again finishes the work.",
        (
            "tests/trust/test_killed*.py",
            "tests/engine/launch/test_interrupted_create.py",
            "tests/cli/test_signals.py",
        ),
        ("kill",),
    ),
    Promise(
        "No fault of AWS or of the network leaves a resource behind unnoticed, or a command without an end and words.",
        ("tests/trust/test_*fault*.py", "tests/trust/test_foreign_injector.py", "tests/cli/test_hostile.py"),
        ("fault",),
    ),
    Promise(
        "There are never more nodes than asked for, with retries, lagging lists and two operators at once whose "
        "configurations begin with the same region.",
        (
            "tests/trust/test_histor*.py",
            "tests/trust/test_races.py",
            "tests/cli/test_late_reads.py",
            "tests/cli/test_lists_that_disagree.py",
            "tests/cli/test_operator_lock.py",
        ),
        ("histor", "race"),
    ),
    Promise(
        "`destroy` and `nuke` report success only when AWS no longer lists a resource of the cluster.",
        ("tests/engine/cleanup/*.py", "tests/nuke/*.py", "tests/cli/test_lists_that_disagree.py"),
    ),
    Promise(
        "A resource without the tag of the cluster is never changed.",
        (
            "tests/trust/test_foreign.py",
            "tests/trust/test_foreign_names.py",
            "tests/nuke/test_foreign_dependencies.py",
            "tests/nuke/test_shared_vpc.py",
            "tests/cli/test_foreign_answers.py",
        ),
        ("foreign",),
    ),
    Promise(
        "A cluster that keeps itself has its nodes and stays within its budget, whatever AWS interrupts or refuses.",
        ("tests/cli/test_storms.py", "tests/cli/test_reconcile.py", "tests/cli/test_self_healing.py"),
        ("storm",),
    ),
    Promise(
        "A cluster with a lifetime ends, without a machine of yours.",
        ("tests/cli/test_lifetime.py", "tests/cli/test_group_lifetime.py", "tests/instance/test_expiry.py"),
    ),
    Promise(
        "Invalid input of any kind ends in words, within bounded time and memory.",
        (
            "tests/trust/test_bad_input.py",
            "tests/trust/test_mutated_answers.py",
            "tests/trust/test_cached_files.py",
            "tests/config/test_hostile.py",
            "tests/cli/test_malformed_answers.py",
            "tests/cli/test_garbage.py",
        ),
        ("bad input", "mutated"),
    ),
    Promise(
        "No secret is printed, logged or stored outside of its file, and no escape sequence of others reaches the terminal.",
        (
            "tests/trust/test_private_files.py",
            "tests/cli/test_secret_redaction.py",
        ),
        ("private", "secret"),
    ),
    Promise(
        "`ssh` and `logs` connect only to the machine whose host keys AWS's console shows, and only known ports listen.",
        (
            "tests/trust/test_host_key_refusal.py",
            "tests/trust/test_what_listens.py",
            "tests/cli/test_host_keys.py",
        ),
    ),
    Promise(
        "Data goes only to the addresses that [Where data goes](privacy.md) lists.",
        ("tests/test_privacy.py", "conftest.py"),
    ),
    Promise(
        "The printed policy suffices for every command, and nothing in it can be left out.",
        ("tests/iam/test_enforced.py", "tests/iam/test_iam_policy.py"),
    ),
    Promise(
        "An installation has exactly the files that were tested, and a build has the same bytes each time.",
        ("tests/packaging/*.py", ".ci/distributions", ".ci/audit.py"),
    ),
    Promise(
        "Assumptions about AWS that no test without AWS can prove are listed, and a suite asks AWS about them.",
        ("tests/live/*.py", "tests/trust/test_live*.py"),
    ),
)


def promises() -> str:
    rows = [
        f"| {promise.text} | {', '.join(f'`{name}`' for name in tests_of(promise))} | {_cases(promise)} |"
        for promise in PROMISES
    ]
    return "\n".join(["| promise | tests | cases in the last run |", "|---|---|---|", *rows])


def suite() -> str:
    """The files of the suite, with the first sentence of each."""
    rows = [f"| `{path.name}` | {_summary(path)} |" for path in sorted(SUITE.glob("test_*.py"))]
    return "\n".join(["| file | |", "|---|---|", *rows])


def figures() -> str:
    rows = recorded()
    head = ["part", "cases", *COUNTS.values(), "seed", "CPU, minutes"]
    lines = [
        f"| {row['part']} | {row['cases']:,} | {' | '.join(str(row[name]) for name in COUNTS)} | {row['seed']} "
        f"| {row['cpu_s'] / 60:.1f} |"
        for row in rows
    ]
    total = [f"{sum(row[name] for row in rows):,}" for name in ("cases", *COUNTS)]
    minutes = sum(row["cpu_s"] for row in rows) / 60
    lines.append(f"| all | {' | '.join(total)} | | {minutes:.1f} |")
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines])


def tests_of(promise: Promise) -> list[str]:
    """The files that its patterns match, folders of many files as one."""
    found: dict[str, None] = {}
    for pattern in promise.tests:
        paths = sorted(path for path in ROOT.glob(pattern) if path.name != "__init__.py")
        names = [str(path.relative_to(ROOT)) for path in paths]
        found |= dict.fromkeys([str(Path(pattern).parent)] if pattern.endswith("/*.py") and names else names)
    return list(found)


def recorded() -> list[dict[str, Any]]:
    """The figures of each part, by its name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FIGURES.glob("*.json"))]


def _cases(promise: Promise) -> str:
    parts = [row for row in recorded() if promise.parts and row["part"].startswith(promise.parts)]
    return ", ".join(f"{row['part']}: {row['cases']:,}" for row in parts) or "-"


def _summary(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")
