"""What is generated is what the tables say, and what is pinned is what is locked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_generated_files_are_up_to_date() -> None:
    """`make docs` would change nothing: commands, exit codes, errors, life cycle, kinds, pinned versions."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr


def test_the_front_door_asks_for_this_folder() -> None:
    """deploy_spot.py is inline metadata and three lines over the package beside it."""
    text = (ROOT / "deploy_spot.py").read_text()
    code = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(code) == 8  # the import, what to say where it fails, and the call
    assert (code[0], code[1].strip(), code[-1]) == ("try:", "from bacalhau_spot.cli import main", "main()")
    assert 'bacalhau-spot = { path = ".", editable = true }' in text


def test_no_file_names_a_package_index() -> None:
    """The machine that installs decides where from."""
    index = "pypi" + ".org"
    tracked = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    ).stdout.split()
    assert [name for name in tracked if index in (ROOT / name).read_text(errors="ignore")] == []
