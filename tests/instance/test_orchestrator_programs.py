"""The programs of a managed orchestrator's machine, each alone."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.instance.scripts import (
    download,
    orchestrator_answers,
    orchestrator_boot,
    orchestrator_credentials,
    orchestrator_volume,
    whole_file,
)
from bacalhau_spot.instance.scripts.shell import CommandFailedError
from bacalhau_spot.orchestrator.certificates import new_credentials, renewed
from support.node_fakes import RecordedMessages

CREDENTIALS = new_credentials("127.0.0.9")
TEXT = CREDENTIALS.to_json().reveal()
VALUES: dict[str, str] = json.loads(TEXT)
FACTS: dict[str, Any] = {
    "parameter": "/bacalhau-spot/c-1/orchestrator",
    "device": "/dev/sdf",
    "version": "v1.9.3",
    "download_url": "http://127.0.0.1:9/{version}",
    "sha256": {"x86_64": "0" * 64},
}


# --- the data volume


class Machine:
    """Disks below a folder's /sys, as the kernel shows them. The root file system is on the first partition of `system`."""

    def __init__(self, root: Path, *, system: str = "nvme0n1") -> None:
        self.root = root
        self.identities: dict[str, tuple[str, str]] = {}
        self.disk(system, partitions=(f"{system}p1",))
        number = root.stat().st_dev
        link = root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
        link.parent.mkdir(parents=True)
        link.symlink_to(root / f"sys/block/{system}/{system}p1")

    def disk(
        self,
        name: str,
        *,
        attached_as: str = "",
        model: str = "",
        partitions: tuple[str, ...] = (),
        removable: bool = False,
    ) -> None:
        folder = self.root / "sys/block" / name
        (folder / "device").mkdir(parents=True)
        (folder / "removable").write_text(f"{removable:d}\n")
        for partition in partitions:
            (folder / partition).mkdir()
            (folder / partition / "partition").write_text("1\n")
        self.identities[f"/dev/{name}"] = (attached_as, model)

    def find(self, device: str = "/dev/sdf") -> str:
        return orchestrator_volume.find_disk(
            device, root=str(self.root), identify=self.identities.__getitem__
        )


EBS = "Amazon Elastic Block Store"


def test_on_nitro_the_volume_is_found_by_its_name_in_the_attachment(tmp_path: Path) -> None:
    """The order of NVMe devices has no meaning (EC2 user guide, "Map NVMe device names")."""
    machine = Machine(tmp_path, system="nvme1n1")
    machine.disk("nvme0n1", attached_as="sdg", model=EBS)
    assert machine.find() == ""
    machine.disk("nvme2n1", attached_as="sdf", model=EBS)
    assert machine.find() == "/dev/nvme2n1"
    assert machine.find("/dev/sdg") == "/dev/nvme0n1"


def test_on_xen_it_has_the_kernels_name(tmp_path: Path) -> None:
    machine = Machine(tmp_path, system="xvda")
    machine.disk("xvdb")
    machine.disk("xvdf")
    assert machine.find() == "/dev/xvdf"


def test_instance_storage_and_disks_with_partitions_are_never_taken(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.disk("nvme1n1", model="Amazon EC2 NVMe Instance Storage")
    machine.disk("vdb", partitions=("vdb1",))
    assert machine.find() == ""


def test_elsewhere_the_only_other_disk_is_taken_and_none_of_two(tmp_path: Path) -> None:
    machine = Machine(tmp_path, system="vda")
    machine.disk("sr0", removable=True)
    assert machine.find() == ""
    machine.disk("vdb")
    assert machine.find() == "/dev/vdb"
    machine.disk("vdc")
    assert machine.find() == ""


def test_a_disk_without_nvme_commands_has_no_identity(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(4096))
    assert orchestrator_volume.nvme_identity(str(tmp_path / "disk")) == ("", "")
    assert orchestrator_volume.nvme_identity(str(tmp_path / "missing")) == ("", "")


def test_a_volume_that_is_attached_later_is_waited_for() -> None:
    found = ["", "", "/dev/nvme1n1"]
    pauses: list[float] = []
    disk = orchestrator_volume.wait_for_volume("/dev/sdf", find=lambda _: found.pop(0), sleep=pauses.append)
    assert (disk, len(pauses)) == ("/dev/nvme1n1", 2)
    with pytest.raises(CommandFailedError, match="no volume is attached as /dev/sdf after 600 s"):
        orchestrator_volume.wait_for_volume("/dev/sdf", find=lambda _: "", sleep=pauses.append)
    assert 590 <= sum(pauses) <= 620


class Commands:
    """The programs that would change the machine; `formatted`: the signature after mkfs."""

    def __init__(self, signature: dict[str, str]) -> None:
        self.signature = signature
        self.run: list[str] = []

    def run_command(self, command: list[str], *, timeout_s: float) -> None:
        del timeout_s
        self.run.append(" ".join(word for word in command if not word.startswith("/")))
        if command[0] == "mkfs.ext4":
            self.signature = {"TYPE": "ext4", "UUID": "new"}

    def identified(self, disk: str) -> dict[str, str]:
        del disk
        return self.signature


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str], bytes], Any]:
    """Mounts a disk with a signature and this content -> the commands and the result."""

    def act(signature: dict[str, str], content: bytes) -> tuple[Commands, str]:
        commands = Commands(signature)
        monkeypatch.setattr(orchestrator_volume, "run_command", commands.run_command)
        monkeypatch.setattr(orchestrator_volume, "identified", commands.identified)
        (tmp_path / "disk").write_bytes(content)
        (tmp_path / "fstab").write_text("UUID=root / ext4 defaults 0 1\n")
        found = orchestrator_volume.mount_volume(
            str(tmp_path / "disk"), folder=str(tmp_path / "data"), fstab=str(tmp_path / "fstab")
        )
        return commands, found

    return act


BLANK = bytes(1 << 23)
MOUNTED = "systemctl start var-lib-bacalhau.mount"


def test_a_blank_volume_is_formatted_and_mounted(mount: Any, tmp_path: Path) -> None:
    commands, found = mount({}, BLANK)
    assert commands.run == ["mkfs.ext4 -q -L bacalhau", "systemctl daemon-reload", MOUNTED]
    assert found == "new, new file system"
    first, second = (tmp_path / "fstab").read_text().splitlines()
    assert first == "UUID=root / ext4 defaults 0 1"
    assert second.split()[:3] == ["UUID=new", str(tmp_path / "data"), "ext4"]
    assert "nofail" in second


def test_a_volume_with_a_file_system_is_mounted_and_not_formatted(mount: Any) -> None:
    commands, found = mount({"TYPE": "ext4", "UUID": "old"}, b"data")
    assert commands.run == ["systemctl daemon-reload", MOUNTED]
    assert found == "old, existing data"


@pytest.mark.parametrize(
    ("signature", "content"),
    [
        ({}, bytes(1 << 20) + b"x"),
        ({"TYPE": "xfs", "UUID": "u"}, b"XFSB"),
        ({"PTTYPE": "gpt"}, b"EFI PART"),
    ],
    ids=["a damaged file system", "another file system", "a partition table"],
)
def test_other_content_is_neither_formatted_nor_mounted(
    mount: Any, tmp_path: Path, signature: dict[str, str], content: bytes
) -> None:
    with pytest.raises(CommandFailedError, match=r"not formatted|expected ext4"):
        mount(signature, content)
    assert (tmp_path / "fstab").read_text() == "UUID=root / ext4 defaults 0 1\n"


@pytest.mark.skipif(
    not (shutil.which("blkid") and shutil.which("mkfs.ext4")), reason="blkid or mkfs.ext4 is not installed"
)
def test_real_tools_identify_a_blank_disk_and_a_formatted_one(tmp_path: Path) -> None:
    """With blkid and mkfs of this machine, on a file."""
    disk = tmp_path / "disk"
    disk.write_bytes(BLANK)
    assert orchestrator_volume.identified(str(disk)) == {}
    assert orchestrator_volume.is_blank(str(disk))
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    assert orchestrator_volume.identified(str(disk))["TYPE"] == "ext4"
    assert not orchestrator_volume.is_blank(str(disk))
    # For blkid, a disk that cannot be read has no signature.
    with pytest.raises(CommandFailedError, match="cannot be read"):
        orchestrator_volume.is_blank(str(tmp_path / "missing"))


def test_fstab_has_one_line_for_the_volume(tmp_path: Path) -> None:
    """A replaced volume replaces the line."""
    fstab = tmp_path / "fstab"
    fstab.write_text("UUID=root / ext4 defaults 0 1\n")
    for uuid in ("one", "two"):
        orchestrator_volume.add_to_fstab(uuid, folder="/var/lib/bacalhau", fstab=str(fstab))
    lines = fstab.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["UUID=root", "UUID=two"]
    assert stat.S_IMODE(fstab.stat().st_mode) == 0o644


# --- the credentials


def test_the_files_are_readable_by_the_service_only_and_hold_the_values(tmp_path: Path) -> None:
    orchestrator_credentials.write_credentials(VALUES, folder=str(tmp_path))
    names = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert names == dict.fromkeys(("ca.pem", "server.pem", "server.key", "sha256", "credentials.yaml"), 0o600)
    assert (tmp_path / "server.key").read_text() == CREDENTIALS.server_key.reveal()
    config = json.loads((tmp_path / "credentials.yaml").read_text())
    assert config["Orchestrator"]["Auth"]["Token"] == CREDENTIALS.token.reveal()
    operator, tool = config["API"]["Auth"]["Users"]
    assert (operator["APIKey"], operator["Capabilities"]) == (
        CREDENTIALS.operator_key.reveal(),
        [{"Actions": ["*"]}],
    )
    assert (tool["APIKey"], tool["Capabilities"]) == (
        CREDENTIALS.tool_key.reveal(),
        [{"Actions": ["read:node", "write:node"]}],
    )
    # The authority's key stays in the parameter: the machine signs nothing.
    assert all(CREDENTIALS.ca_key.reveal() not in path.read_text() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    "value",
    ["", "[]", "null", "text", json.dumps({**VALUES, "token": ""}), json.dumps({**VALUES, "ca_pem": 1})],
)
def test_a_parameter_without_credentials_is_refused(value: str) -> None:
    with pytest.raises(CommandFailedError, match="/bacalhau-spot/c-1/orchestrator has no credentials"):
        orchestrator_credentials.read_credentials(lambda: value, str(FACTS["parameter"]))


def test_without_the_data_volume_nothing_is_written(tmp_path: Path) -> None:
    def read() -> str:
        raise AssertionError("not read without the volume")

    with pytest.raises(CommandFailedError, match="the data volume is not mounted"):
        orchestrator_credentials.prepare(FACTS, read, data=str(tmp_path))


def test_a_changed_parameter_is_noticed_and_only_while_the_service_runs(tmp_path: Path) -> None:
    fresh = renewed(CREDENTIALS, "127.0.0.9").to_json().reveal()

    def changed(text: str) -> bool:
        return orchestrator_credentials.has_changed(FACTS, lambda: text, folder=str(tmp_path))

    assert not changed(fresh)
    orchestrator_credentials.write_credentials(VALUES, folder=str(tmp_path))
    assert not changed(TEXT)
    assert changed(fresh)
    with pytest.raises(CommandFailedError, match="has no credentials"):
        changed("{}")  # a broken parameter does not restart a running orchestrator


# --- answers


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_each_new_reason_is_reported_once_until_it_answers(messages: RecordedMessages) -> None:
    clock = Clock()
    results = [OSError("refused"), OSError("refused"), ValueError("INFO"), None]

    def check() -> None:
        result = results.pop(0)
        if result:
            raise result

    orchestrator_answers.wait_for_answers(
        seconds=60, say=messages.say, check=check, now=clock.now, sleep=clock.sleep
    )
    assert messages.lines == [("waiting", "refused"), ("waiting", "INFO")]


def test_no_answer_in_time_is_a_failure_with_the_last_reason(messages: RecordedMessages) -> None:
    clock = Clock()

    def check() -> None:
        raise OSError("connection refused")

    with pytest.raises(CommandFailedError, match="does not answer after 60 s: connection refused"):
        orchestrator_answers.wait_for_answers(
            seconds=60, say=messages.say, check=check, now=clock.now, sleep=clock.sleep
        )
    assert 60 <= clock.at <= 62


# --- the program


def test_an_installed_archive_is_not_downloaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reboot or EC2's recovery; another version or address is downloaded."""
    downloads: list[str] = []

    def install(url: str, *, version: str, sha256: dict[str, str], program: str) -> str:
        del sha256
        downloads.append(f"{url} {version}")
        Path(program).touch()
        return "digest"

    monkeypatch.setattr(download, "install_bacalhau", install)
    where = {"program": str(tmp_path / "bacalhau"), "installed": str(tmp_path / "spot/installed.json")}
    assert orchestrator_boot.install(FACTS, **where) == "digest"
    assert orchestrator_boot.install(FACTS, **where) == "digest"
    assert len(downloads) == 1
    orchestrator_boot.install({**FACTS, "version": "v1.9.4"}, **where)
    (tmp_path / "bacalhau").unlink()
    orchestrator_boot.install({**FACTS, "version": "v1.9.4"}, **where)
    assert len(downloads) == 3


@pytest.mark.parametrize("left", ["", "{", "[]", "{}", "null"])
def test_an_unreadable_record_of_an_installation_means_install_again(
    left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss of power may leave it empty. The next boot must not end with it."""
    monkeypatch.setattr(download, "install_bacalhau", lambda *_, **__: "again")
    program, record = tmp_path / "bacalhau", tmp_path / "installed.json"
    program.touch()
    record.write_text(left)
    assert orchestrator_boot.install(FACTS, program=str(program), installed=str(record)) == "again"
    assert json.loads(record.read_text())["sha256"] == "again"
    assert [path.name for path in tmp_path.glob("*.new")] == []


def test_a_written_file_is_whole_or_the_former_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the disk before it has its name."""
    path = tmp_path / "file"
    path.write_text("former")

    def full(_: int) -> None:
        assert path.read_text() == "former"
        raise OSError("no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        whole_file.write_whole(path, "new")
    assert path.read_text() == "former"
    monkeypatch.undo()
    whole_file.write_whole(path, "new", mode=0o600)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)
