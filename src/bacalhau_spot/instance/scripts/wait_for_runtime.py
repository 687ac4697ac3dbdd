"""Waits for Docker and GPUs, which Bacalhau detects only at its start."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from .console import Console
from .shell import CommandFailedError, answers, output

DOCKER_S = 300.0
GPU_S = 300.0
_NVIDIA = "0x10de"
_DISPLAY = "0x03"  # the PCI class of display controllers


def wait_for_command(command: list[str], *, seconds: float) -> bool:
    """Retry the command; whether it succeeded within the time."""
    until = time.monotonic() + seconds
    while not answers(command):
        if time.monotonic() > until:
            return False
        time.sleep(1)
    return True


def has_nvidia(devices: str = "/sys/bus/pci/devices") -> bool:
    """Whether there is an NVIDIA GPU, with or without driver."""
    return any(
        (device / "vendor").read_text("ascii").strip() == _NVIDIA
        and (device / "class").read_text("ascii").startswith(_DISPLAY)
        for device in Path(devices).glob("*")
    )


def gpu_problem(*, seconds: float = GPU_S) -> str:
    """Why this instance's GPU is not offered; empty without a GPU or a problem."""
    if not has_nvidia():
        return ""
    if not shutil.which("nvidia-smi"):
        return "this machine has an NVIDIA GPU, but its image has no driver; the node joins without GPU"
    if not wait_for_command(["nvidia-smi", "-L"], seconds=seconds):
        return "nvidia-smi does not answer; the node joins without GPU"
    runtimes = output(["docker", "info", "--format", "{{json .Runtimes}}"], timeout_s=30).stdout
    if "nvidia" not in runtimes:
        return "Docker has no nvidia runtime; GPU jobs will fail on this node"
    return ""


def main() -> int:
    if not wait_for_command(["docker", "info"], seconds=DOCKER_S):
        print("Docker does not answer", flush=True)
        return 1
    try:
        problem = gpu_problem()
    except CommandFailedError as why:
        problem = str(why)
    if problem:
        Console().say("warning", problem)
    return 0


if __name__ == "__main__":
    sys.exit(main())
