"""docs/threat-model.md lists what listens: on a node, on an orchestrator's machine, and on this one."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.instance import bacalhau_config, orchestrator_config
from support import trust_figures
from support.cli_runner import CliRunner
from support.node_specs import PLAIN
from support.planted_secrets import API_KEY, BACALHAU_TOKEN, PLANTED, SESSION_TOKEN

PAGE = (Path(__file__).parents[2] / "docs" / "threat-model.md").read_text()
_ROW = re.compile(r"^\| (node|managed orchestrator) \| (\S+) \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
_OPEN = {"`ssh_cidrs`": "192.0.2.0/24", "all addresses": "0.0.0.0/0"}


def listed(machine: str) -> dict[int, str]:
    """The ports that the page says are open from outside, and to whom."""
    return {
        int(port): _OPEN[admitted.strip()]
        for name, port, _, admitted in _ROW.findall(PAGE)
        if name == machine and admitted.strip() != "nobody"
    }


def admitted(groups: list[dict[str, Any]]) -> dict[int, str]:
    """Single ports by their only source; anything else fails."""
    found: dict[int, str] = {}
    for group in groups:
        for rule in group["IpPermissions"]:
            assert rule["FromPort"] == rule["ToPort"] and rule["IpProtocol"] == "tcp", rule
            (source,) = rule["IpRanges"]
            assert not rule.get("Ipv6Ranges") and not rule["UserIdGroupPairs"], rule
            found[rule["FromPort"]] = source["CidrIp"]
    return found


def test_security_groups_admit_what_the_page_lists(sandbox: Any, program: CliRunner) -> None:
    """A node's group and that of a managed orchestrator; no other group of the cluster admits anything."""
    path = program.configure(nodes=1, regions="[us-west-2]")
    text = path.read_text()
    path.write_text(text[: text.index("bacalhau:")] + "orchestrator: managed\n")
    result = program("create", "--yes", "--wait", "running")
    assert result.code == 0, result.stderr
    ec2 = sandbox.client("ec2", "us-west-2")
    groups = ec2.describe_security_groups(Filters=[{"Name": "tag-key", "Values": ["bacalhau-cluster"]}])
    by_role: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for group in groups["SecurityGroups"]:
        roles = {tag["Value"] for tag in group["Tags"] if tag["Key"] == "BacalhauRole"}
        by_role["orchestrator" in roles].append(group)
    assert admitted(by_role[False]) == listed("node")
    assert admitted(by_role[True]) == listed("managed orchestrator")
    check_credentials(sandbox, program, result.stdout + result.stderr)


def check_credentials(sandbox: Any, program: CliRunner, shown: str) -> None:
    """What `create` made for a managed orchestrator is in its parameter; the token alone is in the nodes' user data, too."""
    ssm, ec2 = sandbox.client("ssm", "us-west-2"), sandbox.client("ec2", "us-west-2")
    (name,) = (
        row["Name"]
        for row in ssm.describe_parameters()["Parameters"]
        if row["Name"].endswith("/orchestrator")
    )
    parameter = ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]
    assert parameter["Type"] == "SecureString"
    values = json.loads(parameter["Value"])
    texts = [value for value in values.values() if isinstance(value, str) and len(value) >= 20]
    keys = [text for text in texts if "PRIVATE KEY" in text]
    tokens = [text for text in texts if "-----" not in text]
    assert keys and tokens
    files = "".join(
        path.read_text(errors="replace") for path in (program.folder / ".local").rglob("*") if path.is_file()
    )
    tags = json.dumps(ec2.describe_tags()["Tags"])
    for secret in (*keys, *tokens):
        for where, text in (("output", shown), ("files", files), ("tags", tags)):
            assert secret not in text and json.dumps(secret)[1:-1] not in text, where
    assert "PRIVATE KEY" not in files + shown


def test_bacalhau_listens_where_the_page_says() -> None:
    node = bacalhau_config.compute(PLAIN, region="us-east-1")
    assert node["API"] == {"Host": "127.0.0.1", "Port": 1234}
    assert "| node | 1234 | 127.0.0.1 | nobody |" in PAGE
    assert {orchestrator_config.NATS_PORT, orchestrator_config.API_PORT_PUBLIC} < set(
        listed("managed orchestrator")
    )


@pytest.fixture
def surroundings(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of a terminal with secrets in its environment; the sandbox in it is stopped at the end."""
    environ = {
        **os.environ,
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "AWS_SESSION_TOKEN": SESSION_TOKEN,
        "BACALHAU_TOKEN": BACALHAU_TOKEN,
        "MY_API_KEY": API_KEY,
    }
    yield environ
    call(environ, "sandbox", "stop")


def call(environ: dict[str, str], *words: str) -> str:
    """A real process, under a umask that hides nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "bacalhau_spot", *words],
        env=environ, capture_output=True, text=True, timeout=120, umask=0, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def sockets_of(pid: int) -> list[str]:
    """The addresses on which a process listens (proc(5), /proc/net/tcp: hexadecimal, in the machine's order of bytes)."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(str(link.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            address = int(fields[1].partition(":")[0], 16).to_bytes(4, "little")
            found.append(".".join(map(str, address)))
    lines6 = Path("/proc/net/tcp6").read_text().splitlines()[1:] if Path("/proc/net/tcp6").exists() else []
    assert not [line for line in lines6 if f"socket:[{line.split()[9]}]" in inodes]
    return found


@pytest.mark.skipif(not trust_figures.FULL, reason="a real process for some seconds: `make trust`")
@pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="only Linux lists the sockets of a process there"
)
def test_the_sandbox_of_a_terminal_with_secrets(surroundings: dict[str, str], tmp_path: Path) -> None:
    """One socket on loopback; no secret in its environment or command line; private files; no core file."""
    began = time.process_time()
    call(surroundings, "sandbox", "start")
    state = tmp_path / "state" / "bacalhau-spot"
    pid = json.loads((state / "sandbox.json").read_text())["pid"]
    assert sockets_of(pid) == ["127.0.0.1"]
    process = Path(f"/proc/{pid}")
    for name in ("environ", "cmdline"):
        content = (process / name).read_bytes().decode(errors="replace")
        assert not [secret for secret in PLANTED if secret in content], name
    limits = (process / "limits").read_text()
    assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE), limits
    for path in (state, *state.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert state.stat().st_uid == os.geteuid()
    trust_figures.record("listens", cases=1, cpu_s=time.process_time() - began)
