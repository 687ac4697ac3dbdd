"""A virtual machine that takes itself for an EC2 instance. No hardware help is needed: QEMU interprets every instruction."""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from typing import TYPE_CHECKING

from firstboot.metadata_server import MAC

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from firstboot.image import Image

UUID = "ec2d1a2b-0000-4000-8000-000000000001"
_LINE = re.compile(r"bacalhau-spot: (\S+) ([a-z]+)(?:: (.*))?")


class Machine:
    """Its console, as EC2 would show it."""

    def __init__(self, console: Path, process: subprocess.Popen[bytes]) -> None:
        self._console = console
        self.process = process
        self.began = time.monotonic()

    def console(self) -> str:
        return self._console.read_text("utf-8", errors="replace") if self._console.exists() else ""

    def phases(self) -> list[tuple[str, str]]:
        """(phase, detail), in order."""
        return [(phase, (detail or "").strip()) for _, phase, detail in _LINE.findall(self.console())]

    def wait_for(self, phase: str, *, seconds: float) -> str:
        """The detail of a phase, once it is on the console."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            details = [detail for name, detail in self.phases() if name == phase]
            if details:
                return details[-1]
            time.sleep(0.5)
        raise AssertionError(f"no `{phase}` within {seconds} s\n{self.console()[-6000:]}")


@contextlib.contextmanager
def boot(
    image: Image,
    console: Path,
    *,
    reboots: bool = False,
    volume: Path | None = None,
    forwarded: Mapping[str, int] | None = None,
    keeps_disk: bool = False,
) -> Iterator[Machine]:
    """The guest's 169.254.169.254 is our loopback, with all its ports. What it writes to its disk is forgotten.

    `volume`: a second disk, an NVMe device as on Nitro, which keeps its content. `forwarded`: an address and port of our
    loopback -> the guest's port. `keeps_disk`: the disk keeps its content, too.
    """
    smbios = f"type=1,manufacturer=Amazon EC2,product=t3.medium,serial={UUID},uuid={UUID}"
    network = (
        "user,id=n0,net=169.254.169.0/24,host=169.254.169.254,dns=169.254.169.253,dhcpstart=169.254.169.15"
    ) + "".join(f",hostfwd=tcp:{ours}-:{port}" for ours, port in (forwarded or {}).items())
    disk = ["-drive", f"file={volume},if=none,format=raw,id=data", "-device", "nvme,drive=data,serial=vol01"]
    command = [
        *("nice", "-n", "5"),
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1536"),
        *("-display", "none", "-monitor", "none", "-serial", f"file:{console}"),
        *([] if reboots else ["-no-reboot"]),
        # On a busy machine, interpreted time is too uneven for the kernel to check its timer.
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        *("-append", "root=/dev/vda rw console=ttyS0 panic=-1 no_timer_check"),
        *("-drive", f"file={image.disk},if=virtio,format=raw,snapshot={'off' if keeps_disk else 'on'}"),
        *(disk if volume else []),
        *("-netdev", network, "-device", f"virtio-net-pci,netdev=n0,mac={MAC}"),
        *("-smbios", "type=0,vendor=Amazon EC2", "-smbios", smbios),
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield Machine(console, process)
    finally:
        process.terminate()
        process.wait(20)
