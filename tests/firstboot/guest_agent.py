#!/usr/bin/python3
# ruff: noqa: EXE001 -- made executable where it is put
"""The `additional_commands` of the test: looks around on the node and reports. Its output is no secret; its exit code is 5."""

import json
import pwd
import shutil
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

REPORT = "http://169.254.169.254/test/report"
# The end of the test's token; spelt so that this file does not hold it.
TOKEN = "terces-yrev"[::-1]
METADATA = "http://169.254.169.254/latest/meta-data/instance-id"
UNITS = ("bacalhau", "bacalhau-spot-watch", "bacalhau-spot-watchdog", "docker")
FILES = [
    "/etc/bacalhau/config.yaml",
    "/etc/bacalhau/node.yaml",
    "/etc/bacalhau/node.env",
    "/etc/bacalhau/token.env",
    "/etc/bacalhau-spot/node.json",
    "/etc/bacalhau-spot/additional_commands",
    "/home/operator/own.txt",
    "/usr/local/bin/bacalhau",
    "/var/lib/bacalhau",
    "/var/log/bacalhau-spot.log",
]


def run(*command: str) -> list[Any]:
    result = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    return [result.returncode, result.stdout.strip()[-400:]]


def about(path: str) -> object:
    try:
        result = Path(path).stat()
    except OSError as error:
        return str(error)
    return [oct(stat.S_IMODE(result.st_mode)), pwd.getpwuid(result.st_uid).pw_name]


def fetch(*network: str) -> list[Any]:
    """What a container gets of the metadata service, and of something that it may reach."""
    container = ("docker", "run", "--rm", *network, "probe", "/bin/busybox")
    may = "http://127.0.0.1:1234/" if network else "http://172.17.0.1:2345/"
    return [
        run(*container, "wget", "-T", "5", "-qO-", METADATA)[0],
        run(*container, "wget", "-T", "20", "-qO-", may)[0],
    ]


def containers() -> dict[str, Any]:
    """One image, made of busybox alone: no registry is asked."""
    Path("/tmp/probe/bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", "/tmp/probe/bin/busybox")
    subprocess.run(
        "tar -C /tmp/probe -c . | docker import - probe", shell=True, check=True, stdout=subprocess.DEVNULL
    )
    web = subprocess.Popen(
        [sys.executable, "-m", "http.server", "2345"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    replies = {"bridge": fetch(), "host": fetch("--network", "host")}
    # Past the timeout of wget as well: a connection by hand, as root, in the host's network.
    replies["netcat"] = run(
        "docker",
        "run",
        "--rm",
        "--network",
        "host",
        "probe",
        "/bin/busybox",
        "nc",
        "-w",
        "5",
        "169.254.169.254",
        "80",
    )
    web.terminate()
    return replies


def token_seen() -> list[str]:
    """Where the token is that others than root can read, and whose command line shows it."""
    seen = [str(path) for path in Path("/proc").glob("[0-9]*/cmdline") if TOKEN in read(path)]
    for folder in ("/etc", "/var/log", "/run", "/usr/local", "/var/lib/cloud"):
        files = (path for path in Path(folder).rglob("*") if path.is_file())
        seen += [str(path) for path in files if path.stat().st_mode & 0o077 and TOKEN in read(path)]
    return seen


def read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def crash() -> dict[str, Any]:
    """Bacalhau is killed: its container goes, another one stays, and the service returns."""
    run(
        "docker",
        "run",
        "--detach",
        "--label",
        "bacalhau-executor=x",
        "probe",
        "/bin/busybox",
        "sleep",
        "9999",
    )
    run("docker", "run", "--detach", "--name", "other", "probe", "/bin/busybox", "sleep", "9999")
    run("systemctl", "kill", "--signal=KILL", "bacalhau")
    for _ in range(60):
        time.sleep(1)
        left = run("docker", "ps", "--quiet", "--filter", "label=bacalhau-executor")[1]
        active = run("systemctl", "is-active", "bacalhau")[1] == "active"
        if active and not left:
            break
    other = run("docker", "ps", "--quiet", "--filter", "name=other")[1]
    run("docker", "rm", "--force", "other")
    return {"containers": left, "other": bool(other), "active": active}


def prune() -> list[Any]:
    """The images after the disk has filled: one in use, one not."""
    run("docker", "run", "--detach", "--name", "user", "probe", "/bin/busybox", "sleep", "9999")
    subprocess.run("tar -C /tmp -c probe | docker import - unused", shell=True, check=True)
    program = (
        "from node import disk_space as d; d.FULL = 0; d.DiskSpace(d.docker_folder(), say=print).check()"
    )
    result = run("env", "-C", "/usr/local/lib/bacalhau-spot", "python3", "-c", program)
    images = run("docker", "images", "--format", "{{.Repository}}")[1].split()
    run("docker", "rm", "--force", "user")
    return [result[0], images]


def main() -> None:
    looked_at = containers()
    report = {
        "crash": crash(),
        "pruned": prune(),
        "logs": run("docker", "info", "--format", "{{.LoggingDriver}}"),
        "active": {unit: run("systemctl", "is-active", unit)[1] for unit in UNITS},
        "enabled": {unit: run("systemctl", "is-enabled", unit)[1] for unit in UNITS},
        "failed": run("systemctl", "--failed", "--plain", "--no-legend"),
        "files": {path: about(path) for path in FILES},
        "sshd": subprocess.run(["sshd", "-T"], check=False, capture_output=True, text=True).stdout,
        "keys": read(Path("/home/operator/.ssh/authorized_keys")),
        "sudo": run("runuser", "-u", "operator", "--", "sudo", "-n", "id", "-u"),
        "password": run("passwd", "-S", "operator"),
        "listening": run("ss", "-Htln"),
        "containers": looked_at,
        "token_seen": token_seen(),
        "journal_has_token": TOKEN
        in subprocess.run(["journalctl", "--no-pager"], check=False, capture_output=True, text=True).stdout,
        "cgroup": run("docker", "info", "--format", "{{.CgroupDriver}} {{.CgroupVersion}}"),
        "daemon": read(Path("/etc/docker/daemon.json")),
    }
    request = urllib.request.Request(REPORT, data=json.dumps(report).encode(), method="POST")
    urllib.request.urlopen(request, timeout=30).close()
    sys.exit(5)


main()
