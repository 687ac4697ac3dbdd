"""Every block of docs/python.md runs as it stands, in the sandbox that a user has; and the page names the whole API."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bacalhau_spot
from bacalhau_spot import sync

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
CONFIG = "nodes: 2\nregions: [us-east-1]\norchestrator: none\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's folder with a small cluster; the sandbox of the machine's other users is not touched."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "config.yaml").write_text(CONFIG)
    python(folder, "-m", "bacalhau_spot", "sandbox", "start")
    python(folder, "-m", "bacalhau_spot", "sandbox", "set", "boot_s=0.2", "pending_s=0", "terminate_s=0")
    yield folder
    python(folder, "-m", "bacalhau_spot", "sandbox", "stop")


def python(folder: Path, *words: str) -> str:
    environ = {
        "HOME": str(folder),
        "XDG_STATE_HOME": str(folder / "state"),
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True, text=True, check=False, cwd=folder, env=environ, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_of_the_page_runs(folder: Path, number: int) -> None:
    (folder / "block.py").write_text(BLOCKS[number])
    python(folder, "-W", "error", "block.py")


def test_the_page_has_blocks() -> None:
    assert len(BLOCKS) >= 5


def test_the_page_names_every_public_name() -> None:
    assert [name for name in (*bacalhau_spot.__all__, *sync.__all__) if f"{name}" not in PAGE] == [
        "__version__"
    ]
    internal = re.findall(r"from bacalhau_spot\.(\w+)", PAGE)
    assert internal == []
