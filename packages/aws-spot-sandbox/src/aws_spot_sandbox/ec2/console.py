"""Console output: the serial port's output of the boot so far, including the lines of the node's own programs.

AWS: EC2 API Reference, GetConsoleOutput: the last 64 KB, in base64; `Latest` at any time, on Nitro only; nothing in the
first seconds. AWS does not document when EC2 posts the output without `Latest`; here it is always current.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import catalog, host_keys, instances
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Answer, Args, Region

_LONGEST = 65536
_SILENT_S = 2.0  # no output in the first seconds
# Lines that the operating system prints before the node's programs run: the fraction of `boot_s`, and the text.
_MACHINE = (
    (0.0, "Linux version 6.8.0-1040-aws (buildd@lcy02-amd64-118) #42-Ubuntu SMP"),
    (
        0.0,
        "Command line: BOOT_IMAGE=/vmlinuz-6.8.0-1040-aws root=PARTUUID=8a3b ro console=tty1 console=ttyS0",
    ),
    (0.02, "DMI: Amazon EC2 {type}/, BIOS 1.0 10/16/2017"),
    (0.05, "nvme nvme0: pci function 0000:00:04.0"),
    (0.08, "EXT4-fs (nvme0n1p1): mounted filesystem with ordered data mode"),
    (0.1, "systemd[1]: Detected virtualization amazon."),
    (0.12, "systemd[1]: Hostname set to <{host}>."),
    (0.18, "cloud-init[512]: Cloud-init v. 25.1.4 running 'init-local'"),
    (0.22, "cloud-init[568]: Cloud-init v. 25.1.4 running 'init'"),
    (0.3, "cloud-init[701]: Cloud-init v. 25.1.4 running 'modules:config'"),
    (0.36, "cloud-init[745]: Cloud-init v. 25.1.4 running 'modules:final'"),
)
# cloud-init's last modules, of which one prints the host keys, run after the programs of the user data.
_KEYS_AT = 0.37
_POWER_DOWN = "reboot: Power down"


def get_output(region: Region, args: Args) -> Answer:
    machine = instances.find(region, [str(args.get("InstanceId") or "")])[0]
    if args.get("Latest") and (catalog.type_info(machine.type) or {}).get("Hypervisor") != "nitro":
        raise AwsError(
            "UnsupportedOperation",
            "This instance type does not support retrieving the latest console logs.",
        )
    text = "".join(f"{line}\r\n" for line in _lines(region, machine)).encode()
    if not text:
        return {"InstanceId": machine.id}
    return {
        "InstanceId": machine.id,
        "Timestamp": region.now(),
        "Output": base64.b64encode(text[-_LONGEST:]).decode(),
    }


def _lines(region: Region, machine: Machine) -> list[str]:
    """In chronological order, up to now or to the shutdown."""
    began = machine.started_at
    if began is None or region.now() < began + _SILENT_S:
        return []
    until = region.now() if machine.ending_at is None else min(region.now(), machine.ending_at)
    lines = [*_of_machine(region, machine, began), *region.plugins.console_lines(region, machine)]
    shown = [text for at, text in sorted(lines, key=lambda line: line[0]) if at <= until]
    if machine.ending_at is not None and machine.ending_at <= region.now():
        shown.append(f"[{machine.ending_at - began:12.6f}] {_POWER_DOWN}")
    return shown


def _of_machine(region: Region, machine: Machine, began: float) -> Iterator[tuple[float, str]]:
    host = host_name(machine)
    boot_s = region.world.settings.boot_s
    for part, text in _MACHINE:
        after = boot_s * part
        yield began + after, f"[{after:12.6f}] {text.format(type=machine.type, host=host)}"
    at = max(began + boot_s * _KEYS_AT, region.plugins.scripts_end_at(region, machine))
    if at <= region.now():
        for line in host_keys.fingerprints_block(machine.id, host, at=at):
            yield at, line
        for line in host_keys.keys_block(machine.id, host):
            yield at, line


def host_name(machine: Machine) -> str:
    """Of the machine for itself, from its private address."""
    address = next((eni.private_ip_address for eni in machine.moto.nics.values()), "10-0-0-0")
    return f"ip-{address.replace('.', '-')}"
