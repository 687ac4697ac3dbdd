"""T4: escape sequences, control characters and bidirectional controls of anybody reach no terminal, pipe or document raw.

Planted where others write: a node's console, the orchestrator's list, AWS's tags and errors, the configuration's keys, a plan
file, the command line. Rich's own styling stays.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its makers ship no types

from aws_spot_sandbox.ec2 import console as serial_console
from aws_spot_sandbox.ec2 import host_keys
from bacalhau_spot.cli import run
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.sanitize import escaped, sanitized, without_sequences
from bacalhau_spot.engine.aws_calls.clock import RealClock
from bacalhau_spot.ui.progress.progress_live import LiveScreen
from bacalhau_spot.ui.terminal import stream_console
from support.cli_runner import CONFIG, CliRunner, Terminal
from support.orchestrator import StandIn, cluster_node, stand_in
from support.seat import Seat

# What XML can carry of it: C1 (CSI, OSC, NEL), bidirectional controls, zero-width, separators.
IN_XML = "evil\x9b5;35;7m\x9d0;title\x9c\x85\u202e\u2066\u200b\u2028\u2029end"
HOSTILE = f"\x1b]52;c;aGk=\x07\x1b[5;35;7m\x08{IN_XML}"
ESCAPES = (
    '"'
    + "".join(
        f"\\u{ord(character):04x}" if not character.isprintable() else character for character in HOSTILE
    )
    + '"'
)
# What Rich itself writes: styles, the cursor's visibility and way, the line cleared. The line about the account begins in
# the first column, over keys that were typed: nobody else's text can, as it has no escape.
OURS = re.compile(r"\r\x1b\[K|\x1b\[(?:[0-9;]*m|\?25[lh]|[0-9]*[ABGKJ])")
FORMS = ("table", "wide", "json", "yaml", "ndjson")


def bad(text: str) -> set[str]:
    """The characters of `text` that no terminal may get."""
    assert "\x1b[5;35;7m" not in text  # a style, and none of ours
    plain = OURS.sub("", text).replace("\r\n", "\n")
    return {
        text
        for text in plain
        if text not in "\n\t" and unicodedata.category(text) in {"Cc", "Cf", "Zl", "Zp", "Cs"}
    }


class Hostile:
    """A user among people who write on his screen. Each command runs in a pipe and on a terminal."""

    def __init__(self, program: CliRunner, orchestrator: StandIn) -> None:
        self.program = program
        self.orchestrator = orchestrator
        self.output = ""

    def __call__(self, *argv: str) -> None:
        for stream in (StringIO, Terminal) if {"table", "wide"} & {*argv} else (StringIO,):
            stdout, stderr = stream(), stream()
            runtime = Runtime(
                environ={**self.program.environ, "TERM": "xterm"}, cwd=self.program.folder, home=self.program.folder,
                stdin=StringIO(), stdout=stdout, stderr=stderr, clock=self.program.clock,
                look_line_after_s=math.inf,
            )  # fmt: skip
            run(list(argv), runtime=runtime)
            for text in (stdout.getvalue(), stderr.getvalue()):
                assert bad(text) == set(), argv
                self.output += text
            if "json" in argv:
                json.loads(stdout.getvalue())
            if "yaml" in argv:
                yaml.safe_load(stdout.getvalue())


@pytest.fixture
def hostile(sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    """Two nodes with hostile consoles and names, and an orchestrator that lists more."""
    program.configure(nodes=2, regions="[us-west-2]")
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(60)
    ec2 = sandbox.client("ec2", "us-west-2")
    cluster_filter = [{"Name": "tag:bacalhau-cluster", "Values": ["bacalhau-aws-spot"]}]
    (vpc,) = ec2.describe_vpcs(Filters=cluster_filter)["Vpcs"]
    nodes = [
        instance["InstanceId"]
        for reservation in ec2.describe_instances(Filters=cluster_filter)["Reservations"]
        for instance in reservation["Instances"]
    ]
    ec2.create_tags(Resources=[vpc["VpcId"], *nodes], Tags=[{"Key": "Name", "Value": IN_XML}])
    monkeypatch.setattr(
        serial_console,
        "_lines",
        lambda _, machine: [
            *host_keys.keys_block(machine.id, "host"),
            f"bacalhau-spot: 2026-11-25T09:29:42Z failed: docker: {HOSTILE}",
        ],
    )
    ssh = program.folder / "bin" / "ssh"
    ssh.parent.mkdir()
    (program.folder / "said").write_text(HOSTILE)
    ssh.write_text(f"#!/bin/sh\ncat {program.folder}/said; cat {program.folder}/said >&2\n")
    ssh.chmod(0o755)
    program.environ["PATH"] = f"{ssh.parent}:{os.environ['PATH']}"
    with stand_in() as orchestrator:
        path = program.configure(
            nodes=3, regions="[us-west-2]", more=f"  api: {{host: '{orchestrator.url}'}}\n"
        )
        path.write_text(path.read_text().replace("192.0.2.1:4222", "127.0.0.1:9"))
        for name in (nodes[0], "i-0123456789abcdef0"):
            node = cluster_node(name, region="us-west-2", cluster="bacalhau-aws-spot")
            node["ConnectionState"]["LastError"] = HOSTILE
            node["Info"]["NodeID"] = f"{HOSTILE}-{name}"
            node["Info"]["BacalhauVersion"]["GitVersion"] = HOSTILE
            orchestrator.nodes.append(node)
        yield Hostile(program, orchestrator)


@pytest.mark.sockets
def test_nodes_and_the_orchestrator(hostile: Hostile) -> None:
    """What root on a node, or whoever registers as one, can say; each form of output once with each source."""
    for form in FORMS:
        hostile("status", "--region", "us-west-2", "-o", form)
    for form in ("table", "json"):
        hostile("console", "us-west-2a", "-o", form)
        hostile("prune", "--dry-run", "-o", form)
        hostile("list", "--region", "us-west-2", "-o", form)
        before = hostile.output.count("evil")
        hostile("ssh", "--all", "-o", form, "--", "uptime")
        assert hostile.output.count("evil") > before
        hostile("nuke", "--dry-run", "--region", "us-west-2", "-o", form)
    assert "evil" in hostile.output


@pytest.mark.parametrize("form", ["table", "json"])
def test_aws_and_the_orchestrator_s_errors(sandbox: Any, hostile: Hostile, form: str) -> None:
    """Codes and messages: what XML can carry, and JSON services everything."""
    sandbox.settings.faults = [
        {"match": "ec2:DescribeInstances", "region": "us-west-2", "code": IN_XML, "message": IN_XML},
        {"match": "ec2:DescribeVpcs", "region": "us-west-2", "code": IN_XML, "message": IN_XML},
        {"match": "ec2:DescribeSpotPriceHistory", "code": IN_XML, "message": IN_XML},
        {"match": "pricing:*", "code": HOSTILE, "message": HOSTILE},
        {"match": "ec2:CreateLaunchTemplate", "code": IN_XML, "message": IN_XML},
    ]
    body = json.dumps({"Status": 500, "Message": HOSTILE, "Code": HOSTILE}).encode()
    hostile.orchestrator.answer = (500, {"Content-Type": "application/json"}, body)
    for line in (
        ("status",),
        ("list",),
        ("cost",),
        ("prices",),
        ("prune", "--dry-run"),
        ("destroy", "--dry-run"),
        ("nuke", "--dry-run", "--region", "us-west-2"),
        ("doctor", "--debug"),
    ):
        hostile(*line, "-o", form)
    assert "evil" in hostile.output


@pytest.mark.parametrize("form", ["table", "json"])
def test_the_user_s_own_files_and_words(program: CliRunner, tmp_path: Path, form: str) -> None:
    """Keys of a configuration that somebody sent, a plan file, and what was pasted on the command line."""
    hostile = Hostile(program, StandIn())
    for line in (
        ("cost", HOSTILE),
        (HOSTILE,),
        ("list", f"--{HOSTILE}"),
        ("status", "--region", HOSTILE),
        ("nuke", "--region", HOSTILE),
        ("destroy", "--dry-run", "--cluster", HOSTILE),
        ("console", HOSTILE),
        ("list", "--config", HOSTILE),
        ("list", "--profile", HOSTILE),
        ("configure", "--set", f"{HOSTILE}=1"),
        ("create", "--budget", HOSTILE),
    ):
        hostile(*line, "-o", form)
    (program.folder / "plan.json").write_text(
        json.dumps({"version": 1, "account_id": HOSTILE, "tag_key": HOSTILE, "resources": []})
    )
    hostile("nuke", "--dry-run", "--plan", "plan.json", "-o", form)
    text = CONFIG.format(nodes=1, regions="[us-west-2]").replace("192.0.2.1:4222", "127.0.0.1:9")
    (program.folder / "config.yaml").write_text(
        f"{ESCAPES}: 1\n{text}username: {ESCAPES}\nimage: {ESCAPES}\n"
    )
    for command in ("config show", "config upgrade", "create", "list", "doctor"):
        hostile(*command.split(), "-o", form)
    assert "evil" in hostile.output


def test_a_forged_line_is_not_ours(sandbox: Any, program: CliRunner) -> None:
    """A new line in AWS's message begins no sentence of this program."""
    program.configure(nodes=1, regions="[us-west-2]")
    forged = "verified: nothing of bacalhau-aws-spot is left in 3 regions"
    sandbox.settings.faults = [
        {"match": "ec2:DescribeInstances", "region": "us-west-2", "code": "Oops", "message": f"no\n{forged}"}
    ]
    result = program("list")
    assert forged in result.stderr
    assert forged not in result.stderr.splitlines()


def test_on_a_real_terminal(program: CliRunner) -> None:
    """Not a byte of it comes through a pseudo-terminal."""
    seat = Seat(program, "cost", HOSTILE)
    assert seat.end() == 2
    assert "evil" in seat.shown
    assert bad(seat.shown) == set()


def test_json_gives_back_what_was_written() -> None:
    """Escaped, not lost; also beyond the first plane, where YAML writes it otherwise."""
    text = f"{HOSTILE}\U000e0041\n\t{{ä😀"
    document = escaped(json.dumps({"a": text}, ensure_ascii=False, indent=2))
    assert bad(document) == set()
    assert json.loads(document)["a"] == text
    assert yaml.safe_load(escaped(json.dumps(text, ensure_ascii=False), yaml=True)) == text


def test_what_is_taken_out_and_what_stays() -> None:
    """Letters of all scripts, emoji, tabs and new lines stay; colours of a console go whole."""
    stays = "Grüße 東京 שלום 🚀\tx\n"
    assert sanitized(stays) == stays
    assert sanitized("a\x1b[31mb\u202ec\u200bd\ud800") == "a[31mbcd"
    assert without_sequences("\x1b[0;32m  OK  \x1b[0m\r\nx\ry") == "  OK  \nx\ny"


def test_no_stream_is_written_to_beside_the_filter() -> None:
    """Warnings of libraries and tracebacks of Python's own come through it as well."""
    program = "import sys, bacalhau_spot.cli as c\nsys.argv = ['x', 'list']\n"
    program += (
        "c.run = lambda argv: print(chr(27) + '[31m', file=sys.stderr) or print(chr(0x9b)) or 0\nc.main()"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (result.stdout, result.stderr) == (b"\n", b"[31m\n")


def test_the_live_frame() -> None:
    """Events carry AWS's codes and ids into the frame, which is drawn by Rich's own hook."""
    stream = Terminal()
    console = stream_console(stream, environ={"TERM": "xterm"})
    screen = LiveScreen(console, regions=("us-west-2",), title=HOSTILE, clock=RealClock())
    screen.emit(events.RegionFailed(region="us-west-2", operation=HOSTILE, code=HOSTILE, message=HOSTILE))
    screen.close()
    assert "evil" in stream.getvalue()
    assert bad(stream.getvalue()) <= {"\r"}  # the frame's own way to the line's beginning
