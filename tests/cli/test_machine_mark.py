"""The mark of a machine in the lock: what counts as the same machine, and what does not."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bacalhau_spot.cli.state import machine_mark as module
from bacalhau_spot.cli.state.machine_mark import machine_mark


def test_it_stays_the_same_and_its_file_is_private(tmp_path: Path) -> None:
    state = tmp_path / "state"
    mark = machine_mark(state, host="laptop")
    assert len(mark) == 16
    assert machine_mark(state, host="laptop") == mark
    assert list(state.iterdir()) == [state / "machine"]
    assert stat.S_IMODE((state / "machine").stat().st_mode) == 0o600


@pytest.mark.parametrize("part", ["_boot", "_namespace"])
def test_another_boot_and_another_container_are_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Also with the same state folder, on a volume or a network drive."""
    mark = machine_mark(tmp_path, host="laptop")
    monkeypatch.setattr(module, part, lambda: "another")
    assert machine_mark(tmp_path, host="laptop") != mark


def test_another_host_and_another_folder_are_another_machine(tmp_path: Path) -> None:
    mark = machine_mark(tmp_path / "a", host="laptop")
    assert machine_mark(tmp_path / "a", host="desktop") != mark
    assert machine_mark(tmp_path / "b", host="laptop") != mark


def test_without_linux_s_files_the_folder_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("_boot", "_namespace"):
        monkeypatch.setattr(module, part, str)
    assert machine_mark(tmp_path / "a", host="laptop") not in {
        "",
        machine_mark(tmp_path / "b", host="laptop"),
    }


def _as_folder(path: Path) -> None:
    path.mkdir()


def _as_link(path: Path) -> None:
    (path.parent / "theirs").write_text("")
    path.symlink_to(path.parent / "theirs")


@pytest.mark.parametrize("made", [_as_folder, _as_link])
def test_a_folder_that_cannot_keep_the_number_has_no_mark(
    tmp_path: Path, made: Callable[[Path], None]
) -> None:
    """The machine is then unknown, and the lease of the lock decides."""
    made(tmp_path / "machine")
    assert machine_mark(tmp_path, host="laptop") == ""


@pytest.mark.parametrize("text", ["", "no number", "0" * 4096])
def test_a_damaged_file_is_written_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "machine").write_text(text)
    mark = machine_mark(tmp_path, host="laptop")
    assert mark and machine_mark(tmp_path, host="laptop") == mark
