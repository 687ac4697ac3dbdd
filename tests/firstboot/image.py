"""A disk to boot from: Debian with cloud-init, made once and kept. Nothing of ours is on it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
TOOLS = ("qemu-system-x86_64", "mmdebstrap", "mke2fs")
# What an EC2 image has and this test needs; busybox is what the containers of the test are made of.
PACKAGES = (
    *(
        "systemd",
        "systemd-sysv",
        "dbus",
        "udev",
        "openssh-server",
        "linux-image-cloud-amd64",
        "ca-certificates",
        "e2fsprogs",
    ),
    *("iproute2", "sudo", "ifupdown", "isc-dhcp-client", "cloud-init", "busybox-static"),
)
SIZE = "6G"
# Here for reasons of this image: its disk does not grow, its only data source is EC2's.
CLOUD_CFG = """\
datasource_list: [Ec2]
datasource: {Ec2: {strict_id: false, max_wait: 60, timeout: 10}}
resize_rootfs: false
growpart: {mode: "off"}
locale: C.UTF-8
"""
# The disk is as old as the suite's release, like an image that somebody made weeks ago.
BEHIND = Path(__file__).with_name("outdated_image.py")
# The machine's date may be far from the archive's.
APT_CONF = 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n'


@dataclass(frozen=True)
class Image:
    disk: Path
    kernel: Path
    initrd: Path


def missing() -> str:
    """Why no image can be made here; empty when one can."""
    lacking = [tool for tool in TOOLS if not shutil.which(tool)]
    if lacking:
        return f"not installed: {', '.join(lacking)} (apt-get install qemu-system-x86 mmdebstrap e2fsprogs)"
    return "" if os.geteuid() == 0 else "making the image needs root"


def _recipe() -> str:
    return hashlib.sha256(
        repr((SUITE, PACKAGES, SIZE, CLOUD_CFG, BEHIND.read_text(), APT_CONF)).encode()
    ).hexdigest()[:12]


def image() -> Image:
    """The image, from the cache when its recipe is the same."""
    cache = Path(os.environ.get("BACALHAU_SPOT_IMAGES", "/var/tmp/bacalhau-spot-images")) / _recipe()
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.parent) as work:
            _make(Path(work))
            ready = Path(work) / "ready"
            ready.rename(cache)
    return Image(cache / "disk", cache / "vmlinuz", cache / "initrd")


def _make(work: Path) -> None:
    root, ready = work / "root", work / "ready"
    ready.mkdir()
    subprocess.run(
        [
            *("mmdebstrap", "--variant=minbase", "--mode=root", "--format=directory"),
            f"--include={','.join(PACKAGES)}",
            f'--customize-hook={sys.executable} {BEHIND} "$1"',
            *(SUITE, str(root)),
        ],
        check=True,
    )
    (root / "etc/cloud/cloud.cfg.d/99-test.cfg").write_text(CLOUD_CFG)
    (root / "etc/apt/apt.conf.d/99-test").write_text(APT_CONF)
    (root / "etc/hostname").write_text("localhost\n")
    for kind in ("vmlinuz", "initrd"):
        newest = max((root / "boot").glob(f"{kind}*"))
        shutil.copy(newest, ready / kind)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(ready / "disk"), SIZE], check=True)
    shutil.rmtree(root)
