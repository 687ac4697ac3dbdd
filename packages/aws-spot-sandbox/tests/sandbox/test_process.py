"""Folders that the sandbox cannot use. middleware/test_process.py has the other cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aws_spot_sandbox import process
from aws_spot_sandbox.errors import SandboxError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """No traceback: the folder, the reason, and what to do."""
    in_the_way = tmp_path / "state"
    in_the_way.write_text("")
    with pytest.raises(SandboxError, match="cannot keep its files in") as refused:
        process.ensure_running(state_dir=in_the_way / "bacalhau-spot")
    assert str(in_the_way) in refused.value.message
    assert refused.value.why == "Not a directory"
    assert "XDG_STATE_HOME" in refused.value.hint
