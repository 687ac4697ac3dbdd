"""Examples for the fuzz targets, the words that their formats are made of, and mutations of both."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import strategies as st

from bacalhau_spot.cli.app import COMMANDS
from bacalhau_spot.core.ssh.host_keys import BEGIN, END
from support.fuzz_targets import ACCOUNT, SCOPE

_ROOT = Path(__file__).parents[2]
HOSTILE = (
    "evil\x1b]52;c;aGk=\x07\x1b[5;35;7m\x08\x9b5;35;7m\x9d0;title\x9c\x85\u202e\u2066\u200b\u2028\u2029end"
)
_NODE = {
    "Info": {
        "NodeID": "bacalhau-i-0123456789abcdef0",
        "NodeType": "compute",
        "Labels": {"instance-id": "i-0123456789abcdef0", "region": "us-east-1"},
        "BacalhauVersion": {"GitVersion": "v1.9.3"},
        "ComputeNodeInfo": {
            "MaxCapacity": {"CPU": 2, "Memory": 4096, "GPU": 0},
            "ExecutionEngines": ["docker", "wasm"],
            "RunningExecutions": 1,
        },
    },
    "Membership": "APPROVED",
    "Connection": "CONNECTED",
    "ConnectionState": {
        "Status": "CONNECTED",
        "LastError": HOSTILE,
        "ConnectedSince": "2026-11-25T09:00:00Z",
    },
}
_JOB = {
    "Job": {"ID": "j-1", "Name": "n", "State": {"StateType": "Running", "Message": HOSTILE},
            "CreateTime": 1764000000000000000},
    "Executions": {
        "Items": [{"ID": "e-1", "NodeID": "n", "ComputeState": {"StateType": "Completed"}, "RunOutput": {"ExitCode": 0}}],
    },
}  # fmt: skip
_PLAN = {
    "plan_version": 1,
    "account_id": ACCOUNT,
    "scope": {"key": SCOPE.key, "value": SCOPE.value, "creator": SCOPE.creator},
    "resources": [{"region": "us-east-1", "kind": "instance", "id": "i-0123456789abcdef0"}],
}
_LOG_ROWS = (
    {
        "at": "2026-11-25T09:00:00+00:00", "run": "r", "command": "create", "account_id": ACCOUNT, "event": "Launched",
        "cluster": "bacalhau-aws-spot", "region": "us-east-1", "instances": ["i-0123456789abcdef0"], "usd_per_hour": "0.01",
    },
    {"at": "2026-11-25T09:10:00+00:00", "run": "r", "event": "Ended", "account_id": ACCOUNT, "id": "i-0", "ended_at": None},
)  # fmt: skip
_CONSOLE = (
    "[    0.000000] Linux version 6.8\r\n"
    "bacalhau-spot: 2026-11-25T09:29:42Z packages: Docker\r\n"
    f"bacalhau-spot: 2026-11-25T09:30:42Z failed: join: not joined after 600 s: {HOSTILE}\r\n"
    f"{BEGIN}\r\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f root@h\r\n{END}\r\n"
)
_JOURNAL = (
    '{"__REALTIME_TIMESTAMP":"1764000002000000","MESSAGE":"late","_SYSTEMD_UNIT":"docker.service"}\n'
    '{"__REALTIME_TIMESTAMP":"1764000001000000","MESSAGE":[101,27,91,109],"_SYSTEMD_UNIT":"bacalhau.service"}\n'
)
_CACHED = {
    "bacalhau-aws-spot": {"at": "2026-11-25T09:00:00+00:00", "value": {"i-0123456789abcdef0": HOSTILE}}
}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def examples(target: str) -> list[bytes]:
    """At least one that is well-formed."""
    return {
        "configuration_file": [path.read_bytes() for path in sorted((_ROOT / "examples").rglob("*.y*ml"))[:6]]
        + [b"nodes: 2\nregions: [us-east-1]\nbacalhau: {orchestrators: ['nats://h:4222'], token: t}\n"],
        "plan_file": [_json(_PLAN)],
        "audit_log": [b"".join(_json(row) + b"\n" for row in _LOG_ROWS)],
        "console_output": [_CONSOLE.encode()],
        "journal": [_JOURNAL.encode()],
        "orchestrator_answer": [
            _json({"Nodes": [_NODE]}),
            _json(_JOB),
            _json({"Jobs": [_JOB["Job"]]}),
            b'{"JobID": "j-1"}',
        ],
        "interruption_rates": [
            _json({"spot_advisor": {"us-east-1": {"Linux": {"t3.medium": {"s": 70, "r": 1}}}}})
        ],
        "completion": [_json(_CACHED), b"list --region us-"],
        "command_line": [name.encode() for name in COMMANDS]
        + [
            b"nuke\n--plan\nplan.json",
            b"ssh\ni-0\n--\nuptime",
            b"list\n-o\njson\n--region\nus-east-1",
            b"cost\n--columns\nid",
        ],
        "values": [b"10m", b"2026-11-20T08:30", b"2.50", b"1d12h", b"2026-11-20T08:30+02:00"],
        "screen": [HOSTILE.encode(), b"plain \xff\xfe text"],
    }[target]


WORDS: tuple[bytes, ...] = (
    b"\x00", b"\xff", b"\x1b[2J", b"\x1b]0;t\x07", "\u202e".encode(), "\x9b1m".encode(), b"[" * 200, b'{"a":' * 200, b"9" * 5000,
    b"1e999999999", b"NaN", b"-1", b"null", b"true", b"[]", b"{}", b'""', b"0x" + b"f" * 400, b"<<: *a", b"&a", b"*a",
    b"!!python/object",
    b"- ", b": ", b"\n", b"\r", b"\t", b"'", b'"', b"# ", b"---\n", b"...\n", b"|\n", b">\n", b"%YAML 1.1\n", b"? ", b"@", b"`",
    b"~", b"..", b"/dev/zero", b"\\u0000", b"\\ud800", b"9999-12-31T23:59:59Z", b"0001-01-01", b"2026-02-30", b"--", b"--json",
    b"-o", b"--region", b"--config", b"--columns", b"us-east-1", b"nodes", b"regions", b"bacalhau", b"1" * 30, b"e", b".", b",",
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, target: str) -> bytes:
    """One to six edits of an example, or of two joined: a word in, a piece out, a byte changed, a piece twice."""
    known = examples(target)
    data = bytearray(draw(st.sampled_from(known)))
    if draw(st.integers(0, 9)) == 0:
        data += draw(st.sampled_from(known))
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 24)))
        how = draw(st.integers(0, 4))
        if how == 0:
            data[begin:end] = draw(st.sampled_from(WORDS))
        elif how == 1:
            data[begin:begin] = draw(st.sampled_from(WORDS))
        elif how == 2:
            del data[begin:end]
        elif how == 3:
            data[begin:begin] = data[begin:end] * draw(st.integers(1, 40))
        elif begin < len(data):
            data[begin] = draw(st.integers(0, 255))
    return bytes(data)
