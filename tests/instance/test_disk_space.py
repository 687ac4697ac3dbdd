"""Unused images go when the disk fills, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.instance.scripts import disk_space
from bacalhau_spot.instance.scripts.shell import CommandFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from support.node_fakes import RecordedMessages


class Disk:
    """A disk, and a `docker` that frees space on it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        program = folder / "docker"
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {folder}/asked\nmv {folder}/after {folder}/used 2>/dev/null\n'
            f"test ! -e {folder}/broken\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        monkeypatch.setattr(disk_space, "used", lambda _: float((folder / "used").read_text()))

    def fill(self, share: float, *, unused: float = 0.0) -> None:
        (self._folder / "used").write_text(str(share))
        (self._folder / "after").write_text(str(share - unused))

    @property
    def asked(self) -> list[str]:
        file = self._folder / "asked"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path, monkeypatch)


PRUNE = "image prune --all --force"


def test_with_space_nothing_is_removed(disk: Disk, messages: RecordedMessages) -> None:
    disk.fill(0.8, unused=0.5)
    disk_space.DiskSpace("/", say=messages.say).check()
    assert (disk.asked, messages.lines) == ([], [])


def test_unused_images_go_when_the_disk_fills(disk: Disk, messages: RecordedMessages) -> None:
    guard = disk_space.DiskSpace("/", say=messages.say)
    disk.fill(0.85, unused=0.44)
    guard.check()
    guard.check()
    assert disk.asked == [PRUNE]
    assert messages.lines == [("pruned", "the disk was 85% full, without unused images 41%")]


def test_a_disk_that_stays_full_is_said_once(disk: Disk, messages: RecordedMessages) -> None:
    guard = disk_space.DiskSpace("/", say=messages.say)
    for _ in range(5):
        disk.fill(0.9)
        guard.check()
    assert messages.lines == [("warning", "the disk is 90% full, and no image is unused")]
    disk.fill(0.5)
    guard.check()
    disk.fill(0.95)
    guard.check()
    assert messages.phases == ["warning", "warning"]


def test_a_refusal_of_dockers_is_an_error(disk: Disk, messages: RecordedMessages, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    disk.fill(0.9)
    with pytest.raises(CommandFailedError, match="docker image prune"):
        disk_space.DiskSpace("/", say=messages.say).check()


def test_the_share_is_of_what_docker_may_use(tmp_path: Path) -> None:
    assert 0 < disk_space.used(str(tmp_path)) < 1
    assert disk_space.used(str(tmp_path / "nothing")) == 0


def test_the_folder_is_dockers_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert disk_space.docker_folder() == "/var/lib/docker"
    (tmp_path / "docker").write_text("#!/bin/sh\necho /mnt/docker\n")
    (tmp_path / "docker").chmod(0o755)
    assert disk_space.docker_folder() == "/mnt/docker"
