"""The orchestrator's data volume: found by its name in the attachment, formatted only when blank, and mounted.

On Nitro instances an EBS volume is an NVMe device with another name; its Identify data has the name of the attachment (EC2 user
guide, "Map NVMe device names"). On Xen instances `/dev/sdf` is `/dev/xvdf`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pwd
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import whole_file
from .shell import CommandFailedError, output, run_command

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = "/var/lib/bacalhau"
USER = "_bacalhau"
MOUNT_UNIT = "var-lib-bacalhau.mount"  # of FOLDER, by systemd's rule
ATTACHED_S = 600.0
# After an unclean end, the file system is checked first.
MOUNT_S = 600.0
_PAUSE_S = 2.0
_FSTAB = "/etc/fstab"
# linux/nvme_ioctl.h: NVME_IOCTL_ADMIN_CMD, for a struct nvme_admin_cmd of 72 bytes.
_ADMIN_COMMAND = 0xC0484E41
_IDENTIFY, _CONTROLLER = 0x06, 1
_IDENTIFY_BYTES = 4096
_MODEL = slice(24, 64)
# AWS's part of the vendor specific data.
_ATTACHED_AS = slice(3072, 3104)
_INSTANCE_STORAGE = "Instance Storage"
# blkid(8): "no identification found".
_UNIDENTIFIED = 2
_LOOKED_AT = 1 << 22


def wait_for_volume(
    device: str,
    *,
    find: Callable[[str], str] | None = None,
    seconds: float = ATTACHED_S,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """The disk that is attached as `device`. Raises CommandFailedError if none is attached in time."""
    for _ in range(int(seconds / _PAUSE_S)):
        disk = (find or find_disk)(device)
        if disk:
            return disk
        sleep(_PAUSE_S)
    raise CommandFailedError(f"no volume is attached as {device} after {seconds:.0f} s")


def find_disk(
    device: str,
    *,
    root: str = "/",
    identify: Callable[[str], tuple[str, str]] | None = None,
) -> str:
    """The path of the disk, or an empty string."""
    name = device.rpartition("/")[2]
    names = {name, name.replace("sd", "xvd", 1)}
    unnamed = []
    for disk in _disks(root):
        attached_as, model = (
            (identify or nvme_identity)(f"/dev/{disk}") if disk.startswith("nvme") else ("", "")
        )
        if disk in names or attached_as in names:
            return f"/dev/{disk}"
        if not attached_as and _INSTANCE_STORAGE not in model:
            unnamed.append(disk)
    # A machine whose disks do not have AWS's names: the only one that is not the system's.
    return f"/dev/{unnamed[0]}" if len(unnamed) == 1 else ""


def _disks(root: str) -> list[str]:
    """Whole disks without partitions, except the system's and CD-ROM drives."""
    system = _system_disk(root)
    return sorted(
        block.name
        for block in Path(root, "sys/block").iterdir()
        if (block / "device").exists()
        and block.name != system
        and not _removable(block)
        and not list(block.glob(f"{block.name}*"))
    )


def _removable(block: Path) -> bool:
    try:
        return (block / "removable").read_text().strip() == "1"
    except OSError:
        return False


def _system_disk(root: str) -> str:
    """The disk of the root file system, which may be one of its partitions."""
    number = Path(root).stat().st_dev
    block = Path(root, f"sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    return block.parent.name if (block / "partition").exists() else block.name


def nvme_identity(path: str) -> tuple[str, str]:
    """The name of an NVMe disk in the attachment, without `/dev/`, and its model; empty where it has none."""
    data = ctypes.create_string_buffer(_IDENTIFY_BYTES)
    command = bytearray(
        struct.pack(
            "=BBHIIIQQIIIIIIIIII",
            *(_IDENTIFY, 0, 0, 0, 0, 0, 0, ctypes.addressof(data), 0, _IDENTIFY_BYTES, _CONTROLLER),
            *(0, 0, 0, 0, 0, 0, 0),
        )
    )
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return "", ""
    try:
        fcntl.ioctl(descriptor, _ADMIN_COMMAND, command)
    except OSError:
        return "", ""
    finally:
        os.close(descriptor)
    return _text(data.raw[_ATTACHED_AS]).rpartition("/")[2], _text(data.raw[_MODEL])


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("ascii", "replace").strip()


def mount_volume(disk: str, *, folder: str = FOLDER, unit: str = MOUNT_UNIT, fstab: str = _FSTAB) -> str:
    """Mount the disk's file system, which is created if the disk is blank. Return a description of it.

    Raises CommandFailedError if the disk has other content: it is never formatted again.
    """
    if os.path.ismount(folder):
        return "mounted"
    found = identified(disk)
    if not found:
        if not is_blank(disk):
            raise CommandFailedError(f"{disk} has content, but no file system; it is not formatted")
        run_command(["mkfs.ext4", "-q", "-L", "bacalhau", disk], timeout_s=600)
    identity = found or identified(disk)
    if identity.get("TYPE") != "ext4":
        raise CommandFailedError(f"{disk} has {identity.get('TYPE') or 'a partition table'}, expected ext4")
    Path(folder).mkdir(parents=True, exist_ok=True)
    add_to_fstab(identity["UUID"], folder=folder, fstab=fstab)
    run_command(["systemctl", "daemon-reload"], timeout_s=60)
    # Not `mount`: at a later boot systemd may be checking and mounting it at this moment.
    run_command(["systemctl", "start", unit], timeout_s=MOUNT_S)
    return f"{identity['UUID']}, {'existing data' if found else 'new file system'}"


def identified(disk: str) -> dict[str, str]:
    """The signature on a disk, by blkid's names; empty without any. Raises CommandFailedError if it cannot be read."""
    done = output(["blkid", "--probe", "--output", "export", disk], timeout_s=60)
    if done.returncode == _UNIDENTIFIED:
        return {}
    if done.returncode:
        raise CommandFailedError(f"blkid {disk} ended with {done.returncode}: {done.stdout.strip()[-200:]}")
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def is_blank(disk: str) -> bool:
    """Whether the beginning has zeros only, as a new EBS volume. A damaged file system has no signature, but is not blank.

    Raises CommandFailedError if the disk cannot be read.
    """
    try:
        with Path(disk).open("rb") as raw:
            return not any(raw.read(_LOOKED_AT))
    except OSError as error:
        raise CommandFailedError(f"{disk} cannot be read: {error.strerror}") from None


def add_to_fstab(uuid: str, *, folder: str, fstab: str) -> None:
    """For later boots; the file system grows with its volume. A machine without the volume boots nevertheless."""
    options = "defaults,nofail,x-systemd.device-timeout=60,x-systemd.growfs"
    kept = [line for line in Path(fstab).read_text("utf-8").splitlines() if folder not in line.split()]
    text = "\n".join([*kept, f"UUID={uuid} {folder} ext4 {options} 0 2"])
    whole_file.write_whole(fstab, f"{text}\n")


def give_to_service(folder: str = FOLDER, *, user: str = USER) -> None:
    """The service's user owns the data. Another image may have given it another number."""
    account = pwd.getpwnam(user)
    if Path(folder).stat().st_uid != account.pw_uid:
        run_command(["chown", "-R", f"{user}:", folder], timeout_s=600)
    Path(folder).chmod(0o700)
