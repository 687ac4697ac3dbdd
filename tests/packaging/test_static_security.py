"""Insecure code, by bandit. Ruff's `S` rules have the same numbers and check every file in a moment; here bandit has its say.

One comment excepts a line for both: `# noqa: S603 - the reason`. Bandit takes half a minute for the whole repository: with
TRUST it reads all of it, otherwise the files of the program that have exceptions.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

from support.trust_figures import FULL

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "packages/aws-spot-sandbox/src", "docs", "benchmarks", ".ci")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# Ruff has no rule for these in its stable set. An import alone does nothing: each use of the module has a rule of its own.
IMPORTS = ("B404", "B405", "B406")
# Bandit takes these for something else.
MISTAKEN = {
    (
        "src/bacalhau_spot/core/pricing/usage_history.py",
        "B113",
    ): "`requests` is a dictionary of spot requests",
    ("src/bacalhau_spot/engine/orchestrator/managed_builder.py", "B106"): "no token: an empty text",
    ("src/bacalhau_spot/instance/scripts/metadata.py", "B105"): "no token: an empty text",
    ("packages/aws-spot-sandbox/src/aws_spot_sandbox/inventory.py", "B105"): "no further page: an empty text",
    (
        "packages/aws-spot-sandbox/src/aws_spot_sandbox/services/tagging.py",
        "B105",
    ): "no further page: an empty text",
}
# Rules of bandit that ruff lacks.
ABSENT = {
    "B613": "bidirectional characters: ruff's PLE2502",
    "B614": "PyTorch: not used",
    "B615": "Hugging Face: not used",
    "B703": "Django: not used",
}


@dataclass(frozen=True)
class Finding:
    file: str
    test: str
    lines: tuple[int, ...]
    text: str

    @property
    def rule(self) -> str:
        """Ruff's."""
        return f"S{self.test[1:]}"

    def excepted(self) -> bool:
        if self.test in IMPORTS or (self.file, self.test) in MISTAKEN:
            return True
        shown = (ROOT / self.file).read_text(encoding="utf-8").splitlines()
        comments = [shown[number - 1].partition("# noqa:")[2] for number in self.lines]
        return any(self.rule in re.findall(r"S\d{3}", comment) for comment in comments) or self.by_file()

    def by_file(self) -> bool:
        ignored: dict[str, list[str]] = PROJECT["tool"]["ruff"]["lint"]["per-file-ignores"]
        return any(self.rule in rules and fnmatch(self.file, pattern) for pattern, rules in ignored.items())


def files() -> list[str]:
    """With TRUST all; otherwise those of the program with an exception."""
    wanted = [
        path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if FULL or (folder == "src" and re.search(r"# noqa: S\d", path.read_text(encoding="utf-8")))
    ]
    return [str(path.relative_to(ROOT)) for path in wanted]


def findings(*names: str) -> list[Finding]:
    done = subprocess.run(
        [sys.executable, "-m", "bandit", "-q", "-f", "json", "--exit-zero", *names],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=600,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["errors"] == []
    return [
        Finding(
            row["filename"].removeprefix("./"), row["test_id"], tuple(row["line_range"]), row["issue_text"]
        )
        for row in report["results"]
    ]


def test_every_finding_has_an_exception_with_a_reason(tmp_path: Path) -> None:
    """But the findings in a file with bad code: a check that finds nothing is worth nothing."""
    bad, checked = tmp_path / "bad.py", files()
    bad.write_text("import subprocess\nsubprocess.call(input(), shell=True)\n")
    found = findings(str(bad), *checked)
    assert {finding.test for finding in found if finding.file == str(bad)} == {"B404", "B602"}
    own = [finding for finding in found if finding.file != str(bad)]
    assert own
    assert [finding for finding in own if not finding.excepted()] == []
    seen = {(finding.file, finding.test) for finding in own}
    stale = [key for key in MISTAKEN if key[0] in checked and key not in seen]
    assert stale == [], "an exception that is not needed"


def test_every_comment_that_excepts_a_line_has_a_reason() -> None:
    """Ruff finds those that are not needed (RUF100)."""
    without = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"# noqa: S\d{3}(?!.* -+ \S)", line)
    ]
    assert without == []


def test_ruff_has_a_rule_for_each_of_bandits() -> None:
    """`select = ["ALL"]`: the rules of a new bandit are noticed here."""
    from bandit.core import extension_loader  # type: ignore[import-untyped]  # noqa: PLC0415 - a quarter of a second

    assert PROJECT["tool"]["ruff"]["lint"]["select"] == ["ALL"]
    assert not [rule for rule in PROJECT["tool"]["ruff"]["lint"]["ignore"] if re.fullmatch(r"S\d*", rule)]
    known = set(re.findall(r"\bS\d{3}\b", subprocess.run(
        [sys.executable, "-m", "ruff", "rule", "--all", "--output-format", "json"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout))  # fmt: skip
    manager = extension_loader.MANAGER
    bandits = {plugin.plugin._test_id for plugin in manager.plugins} | {
        row["id"] for rows in manager.blacklist.values() for row in rows
    }
    missing = {test for test in bandits if f"S{test[1:]}" not in known}
    assert missing <= ABSENT.keys(), missing - ABSENT.keys()


@pytest.mark.parametrize("reason", [*MISTAKEN.values(), *ABSENT.values()])
def test_an_exception_is_a_sentence(reason: str) -> None:
    assert len(reason.split()) >= 3
