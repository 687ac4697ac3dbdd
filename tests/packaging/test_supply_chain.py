"""What an installation consists of: locked packages with known licences, and nothing that the program does not need."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-run.lock", "requirements-build.lock")
# Licences that allow use, change and distribution with a program under Apache-2.0. MPL-2.0 covers its own files alone.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "HPND", "ISC", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0",
    "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
}  # fmt: skip
# Other spellings in older metadata.
SPELLINGS = {
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit": "MIT",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "bsd 3-clause license": "BSD-3-Clause",
}
# Tools of the development with another licence: they run, and no part of them is distributed with the program.
TOOLS = {
    "asyncssh": "EPL-2.0: a server in the tests, which OpenSSH's client refuses",
    "codespell": "GPL-2.0: a check of words",
    "docutils": "parts under other licences, the GPL among them: the site is built with it",
    "pyte": "LGPL-3.0: the pictures of the documentation are taken with it",
}


def pins(lock: str) -> dict[str, str]:
    """Name and block of each package in a lock."""
    blocks = re.split(r"^(?=[\w.-]+==)", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {canonicalize_name(block.partition("==")[0]): block for block in blocks}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_version_and_hashes(lock: str) -> None:
    """And nothing else is in it: no address, no file, no option that would switch the check off."""
    found = pins(lock)
    assert found
    assert [name for name, block in found.items() if "--hash=sha256:" not in block] == []
    lines = [line.strip() for line in (ROOT / lock).read_text(encoding="utf-8").splitlines()]
    strange = [
        line
        for line in lines
        if line
        and not re.fullmatch(r"#.*|[\w.-]+==[\w.+-]+( ; [^\\]+)? \\|--hash=sha256:[0-9a-f]{64}( \\)?", line)
    ]
    assert strange == []


def closure(*names: str) -> set[str]:
    """The packages that these need on any machine, by the metadata of the installed ones."""
    found: set[str] = set()
    queue = [Requirement(name) for name in names]
    while queue:
        wanted = queue.pop()
        name = canonicalize_name(wanted.name)
        key = f"{name}[{','.join(sorted(wanted.extras))}]"
        if key in found:
            continue
        found |= {key, str(name)}
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:  # of another system or Python
            continue
        extras = sorted(wanted.extras)
        queue += [
            inner
            for inner in map(Requirement, needs)
            if inner.marker is None
            or "extra" not in str(inner.marker)
            or any(inner.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    return {name for name in found if "[" not in name}


def test_the_programs_lock_has_only_what_the_program_needs() -> None:
    """With all its extras: no tool of its development, which every container and every runner would install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = ",".join(project["optional-dependencies"])
    needed = closure(f"bacalhau-spot[{extras}]")
    assert sorted(pins("requirements-run.lock").keys() - needed) == []


def text_of(found: Distribution, field: str) -> str:
    return str(found.metadata[field]) if field in found.metadata else ""


def licences(found: Distribution) -> Iterator[str]:
    """By its metadata: the expression, else the classifiers, else the short text (core metadata specification)."""
    expression = text_of(found, "License-Expression")
    if expression:
        yield from re.split(r"\s+(?:AND|OR|WITH)\s+", expression.strip("() "))
        return
    classified = [
        line.rpartition(" :: ")[2]
        for line in found.metadata.get_all("Classifier", [])
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    for text in classified or [text_of(found, "License") or "none"]:
        yield SPELLINGS.get(text.strip().lower(), text.strip().splitlines()[0][:60])


def test_every_installed_dependency_has_an_allowed_licence() -> None:
    locked = pins("requirements.lock").keys()
    found: dict[str, list[str]] = {}
    for name in locked:
        try:
            found[name] = list(licences(distribution(name)))
        except PackageNotFoundError:  # of another system or Python
            continue
    assert len(found) > len(locked) * 0.8, "this environment is not that of the lock"
    strange = {
        name: names
        for name, names in found.items()
        if name not in TOOLS and not (names and ALLOWED.issuperset(names))
    }
    assert strange == {}, "a licence that is not in the list: read it, then add it or do without the package"
    assert locked >= TOOLS.keys()
    assert pins("requirements-run.lock").keys() & TOOLS.keys() == set(), (
        "they would be installed with the program"
    )


def audit_script() -> Any:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(name: str, *bugs: str) -> dict[str, Any]:
    return {"name": name, "version": "1.0", "vulns": [{"id": bug} for bug in bugs]}


SILENT = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("rows", "code", "words"),
    [
        ([row("a"), row("b")], 0, "2 packages audited, 0 vulnerabilities"),
        ([row("a", "PYSEC-1"), row("b")], 1, "vulnerable: a 1.0: PYSEC-1"),
        ([row("a", "PYSEC-0")], 0, "1 excepted"),
        ([row("a"), SILENT], 1, "no statement: c"),
        ([SILENT], 1, "0 packages audited"),
        ([], 1, "0 packages audited"),
    ],
)
def test_the_audit_makes_a_statement_about_every_package(
    rows: list[dict[str, Any]], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Silence is no statement, and no answer is no audit."""
    script = audit_script()
    script.EXCEPTIONS = {"PYSEC-0": "its function is not called"}
    asked: list[str] = []

    def audit(requirements: str) -> tuple[list[dict[str, Any]], str]:
        asked.append(requirements)
        return rows, ""

    assert script.main([], audit=audit) == code
    assert words in capsys.readouterr().out
    locks = [
        (ROOT / name).read_text(encoding="utf-8") for name in ("requirements.lock", "requirements-build.lock")
    ]
    assert [text.count("\n    --hash=") for text in asked] == [lock.count("\n    --hash=") for lock in locks]


@pytest.mark.parametrize(
    ("rows", "words"), [([SILENT], "from here: not found"), ([], "from here: ConnectionError")]
)
def test_without_the_database_ci_says_so_after_one_question(
    rows: list[dict[str, Any]], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def audit(requirements: str) -> tuple[list[dict[str, Any]], str]:
        asked.append(requirements)
        return rows, "Traceback\nConnectionError"

    assert audit_script().main(["--where-reachable"], audit=audit) == 0
    assert words in capsys.readouterr().out
    assert [text.count("==") for text in asked] == [1]


def test_every_exception_of_the_audit_has_a_reason() -> None:
    assert [bug for bug, reason in audit_script().EXCEPTIONS.items() if len(reason.split()) < 3] == []
