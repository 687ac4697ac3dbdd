"""Compares every locked package with the database of known vulnerabilities, by pip-audit.

`python .ci/audit.py` exits with 1 for a vulnerability that is not excepted below, and for a package without a statement. With
`--where-reachable`, as in .ci/run, it asks about one package first, and exits with 0 if the database, which is on the internet,
makes no statement about that.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parent.parent
# The first has all packages of the program's own lock, too.
LOCKS = ("requirements.lock", "requirements-build.lock")
# Vulnerabilities that do not apply to this program: the id, and the reason.
EXCEPTIONS: Mapping[str, str] = {}
TIMEOUT_S = 600

Row = dict[str, Any]


def pip_audit(requirements: str) -> tuple[list[Row], str]:
    """A row for each package of these lines of a lock, and pip-audit's words. No rows: it has failed."""
    with tempfile.TemporaryDirectory() as folder:
        lock, out = Path(folder) / "lock", Path(folder) / "report.json"
        lock.write_text(requirements, encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - the tool of this environment
            [
                *(sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--requirement", str(lock)),
                *("--format", "json", "--output", str(out), "--progress-spinner", "off", "--timeout", "15"),
            ],
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
        rows = json.loads(out.read_text(encoding="utf-8"))["dependencies"] if out.exists() else []
        return rows, done.stderr.strip()


def blocks(lock: str) -> list[str]:
    """The lines of each package."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]


def is_audited(row: Row) -> bool:
    return "vulns" in row


def main(arguments: list[str], *, audit: Callable[[str], tuple[list[Row], str]] = pip_audit) -> int:
    if "--where-reachable" in arguments:
        rows, words = audit(blocks(LOCKS[0])[0])
        if not any(map(is_audited, rows)):
            reason = rows[0].get("skip_reason", "") if rows else (words.splitlines() or ["no answer"])[-1]
            sys.stdout.write(
                f"no audit: the database of vulnerabilities cannot be reached from here: {reason}\n"
            )
            return 0
    return report([row for lock in LOCKS for row in audit("".join(blocks(lock)))[0]])


def report(rows: list[Row]) -> int:
    """Print the result; the exit code."""
    audited = {row["name"]: row for row in rows if is_audited(row)}
    silent = sorted({row["name"] for row in rows} - audited.keys())
    found = sorted(
        f"{name} {row['version']}: {bug['id']}" for name, row in audited.items() for bug in row["vulns"]
    )
    open_ones = [line for line in found if line.rpartition(": ")[2] not in EXCEPTIONS]
    lines = [f"vulnerable: {line}" for line in open_ones] + [f"no statement: {name}" for name in silent]
    lines.append(
        f"{len(audited)} packages audited, {len(open_ones)} vulnerabilities, {len(found) - len(open_ones)} excepted, "
        f"{len(silent)} packages without a statement"
    )
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0 if audited and len(lines) == 1 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
