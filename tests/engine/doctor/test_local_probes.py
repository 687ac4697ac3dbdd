"""What `doctor` asks of this machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bacalhau_spot.engine.doctor.local_probes import newest_version

PIP = """\
#!/bin/sh
env > "$(dirname "$0")/environment"
echo "bacalhau-spot (1.2.3)"
"""


@pytest.fixture
def pip(tmp_path: Path) -> Path:
    """The folder of one that notes its variables."""
    program = tmp_path / "pip"
    program.write_text(PIP)
    program.chmod(0o755)
    return tmp_path


def test_pip_gets_the_variables_of_its_index_and_no_secret(pip: Path) -> None:
    secret = {"AWS_SECRET_ACCESS_KEY": "s" * 40, "BACALHAU_API_KEY": "k" * 40, "AWS_SESSION_TOKEN": "t" * 40}
    own = {"PIP_INDEX_URL": "https://example.com/simple", "HTTPS_PROXY": "http://127.0.0.1:1", "LC_ALL": "C"}
    path = {"PATH": f"{pip}:{os.environ['PATH']}"}
    assert asyncio.run(newest_version("bacalhau-spot", environ={**secret, **own, **path})) == ("1.2.3", "")
    lines = (pip / "environment").read_text().splitlines()
    got = dict(line.split("=", 1) for line in lines)
    assert got.items() >= {**own, **path}.items()
    assert not set(got) & set(secret)
    assert not [name for name in got if name.startswith(("AWS_", "BACALHAU_"))]
