"""How the program ends when the surroundings fail: nobody reads any more, the disk is full, the terminal knows ASCII only."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.cli.runtime import aws_profile, safe_streams
from bacalhau_spot.cli.runtime.command_line import read_invocation
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.runner import Runner
from bacalhau_spot.cloud.authorization_messages import with_denial_reason
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.core.iam.permissions import action_of
from bacalhau_spot.core.problem import ApiFailure
from cli.test_signals import start
from support.cli_runner import CliRunner


def run(
    program: CliRunner, *argv: str, stdout: Any = subprocess.PIPE, **variables: str
) -> tuple[int, str, str]:
    """The real program, as another process."""
    result = subprocess.run(
        [sys.executable, "-m", "bacalhau_spot", *argv],
        cwd=program.folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    return result.returncode, (result.stdout or b"").decode(), result.stderr.decode()


def test_nobody_reads_any_more(program: CliRunner) -> None:
    """As `| head` does: the exit code is the command's own, and nothing is said about pipes."""
    read, write = os.pipe()
    os.close(read)
    try:
        code, _, err = run(program, "config", "schema", stdout=write)
    finally:
        os.close(write)
    assert code == 0
    assert err == ""


@pytest.mark.parametrize(
    "words",
    [("status", "--watch", "-o", "ndjson"), ("status", "--watch"), ("logs", "--follow", "--console")],
    ids=" ".join,
)
def test_what_repeats_ends_when_nobody_reads_any_more(
    program: CliRunner, sandbox: Any, words: tuple[str, ...]
) -> None:
    """As with `| head -1`: at the next line, and without a call after it."""
    program.configure(nodes=1, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(20)  # the node boots: its console has the first lines
    process = start(program, *words, "--interval", "2")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    sandbox.clock.advance(600)  # and more of them
    try:
        assert process.wait(timeout=60) in (0, 1)
        assert process.stderr.read().count("error") == 0
    finally:
        process.kill()
        process.wait()


def test_a_full_disk(program: CliRunner) -> None:
    """What could not be written was not delivered: exit 1, and the reason."""
    with Path("/dev/full").open("w") as full:
        code, _, err = run(program, "config", "schema", stdout=full)
    assert code == 1
    assert err == "error: the result could not be written: No space left on device\n"


def test_a_terminal_that_knows_ascii_only(program: CliRunner) -> None:
    """No traceback; JSON stays JSON."""
    code, out, err = run(program, "list", "--profile", "häßlich…", "-o", "json", PYTHONIOENCODING="ascii")
    assert code == 4
    assert out.isascii()
    assert "h\\u00e4\\u00dflich..." in out
    code, out, err = run(program, "list", "--profile", "wrok", PYTHONIOENCODING="ascii:strict")
    assert code == 4
    assert err.startswith("bacalhau-spot list - not AWS: http")


def test_a_call_that_hangs_does_not_keep_the_program(program: CliRunner) -> None:
    """Its thread is left behind; Python would wait for it."""
    code = (
        "import sys, threading; from bacalhau_spot import cli; "
        "threading.Thread(target=threading.Event().wait).start(); sys.argv = ['x', '--version']; cli.main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert result.returncode == 0


def test_ctrl_c_before_anything_was_begun() -> None:
    """While modules are still being read: a word and 130, and no traceback."""
    code = (
        "import sys; from bacalhau_spot import cli\n"
        "def interrupted(*_, **__): raise KeyboardInterrupt\n"
        "cli.run = interrupted; cli.main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (130, b"interrupted\n")


def test_a_stream_that_was_closed() -> None:
    """Python has None for it."""
    stream = safe_streams.wrap(None)
    assert stream.write("x") == 1
    stream.close()


def test_letters_without_a_look_alike() -> None:
    """As JSON writes them, two units where one is not enough."""
    inner = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    stream = safe_streams.wrap(inner)
    stream.write("a·é😀")
    stream.flush()
    assert inner.buffer.getvalue() == b"a-\\u00e9\\ud83d\\ude00"


def test_no_folder_for_the_log(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours where nothing can be written: --debug is named instead of a file."""

    async def broken(self: Aws) -> None:
        raise ValueError("x")

    monkeypatch.setattr(Aws, "identity", broken)
    blocked = program.folder / "a-file"
    blocked.write_text("")
    program.environ["XDG_STATE_HOME"] = str(blocked)
    result = program("list")
    assert result.code == 1
    assert "run the command again with --debug" in result.stderr


def test_debug_shows_every_call(sandbox: Any, program: CliRunner) -> None:
    """Service, action, region, time, outcome; on stderr, so that JSON stays JSON."""
    sandbox.world.settings.deny = ["ec2:DescribeTags"]
    result = program("list", "--region", "us-east-1", "--debug", "-o", "json")
    lines = [line for line in result.stderr.splitlines() if line.startswith("debug: ")]
    assert len(lines) == len(sandbox.world.calls)
    assert any(line.startswith("debug: sts:GetCallerIdentity us-east-1 ") for line in lines)
    assert any("ec2:DescribeTags" in line and "UnauthorizedOperation" in line for line in lines)
    assert result.envelope["exit_code"] == 5


def test_a_denial_is_explained_where_aws_does_so(sandbox: Any, program: CliRunner) -> None:
    """The action for whoever grants it, and no riddle: what AWS encodes is asked for a few times at most."""
    sandbox.world.settings.deny = ["ec2:CreateVpc"]
    program.configure(nodes=1, regions="[us-east-1]")
    result = program("create", "--yes")
    assert result.code == 4
    assert "hint: ask your administrator to allow ec2:CreateVpc (" in result.stderr
    assert "Encoded authorization failure message" not in result.stderr + result.stdout
    decoded = [call for call in sandbox.world.calls if call[1] == "sts:DecodeAuthorizationMessage"]
    assert len(decoded) == 1
    assert "AWS decoded: " in result.stderr
    assert "ec2:CreateVpc on arn:aws:ec2:us-east-1:" in " ".join(result.stderr.split())


def test_what_aws_decodes() -> None:
    """STS API reference, DecodeAuthorizationMessage: the form of the text."""
    text = """{"allowed": false, "explicitDeny": true, "matchedStatements": {"items": [{"statementId": "NoVpcs"}]},
      "context": {"action": "ec2:CreateVpc", "resource": "arn:aws:ec2:eu-west-1:1:vpc/*",
      "conditions": {"items": [{"key": "ec2:Region", "values": {"items": [{"value": "eu-west-1"}]}}]}}}"""
    assert with_denial_reason(text) == (
        "explicitly denied by statement NoVpcs: ec2:CreateVpc on arn:aws:ec2:eu-west-1:1:vpc/*, ec2:Region=eu-west-1"
    )
    assert with_denial_reason("?") == "?"


def test_which_profile_is_meant() -> None:
    """By botocore's rules."""
    assert aws_profile.selected_profile("a", environ={"AWS_PROFILE": "b"}) == "a"
    assert aws_profile.selected_profile(None, environ={"AWS_PROFILE": "b", "AWS_DEFAULT_PROFILE": "c"}) == "c"
    assert aws_profile.selected_profile(None, environ={}) == ""
    assert read_invocation(["list", "--profile", "x"]).common.profile == "x"
    assert read_invocation(["list", "--profile=x"]).common.profile == "x"
    assert read_invocation(["list"]).common.profile is None


def test_what_other_regions_made_up_for_is_no_error(sandbox: Any, program: CliRunner) -> None:
    """It is told with the result, once; what nobody made up for is the error, in AWS's words where we have none."""
    full = {"match": "CreateVpc", "code": "VpcLimitExceeded", "message": "Full.", "region": "us-east-1"}
    sandbox.world.settings.faults = [full]
    program.configure(nodes=2, regions="[us-east-1, us-west-2]")
    result = program("create", "--yes")
    assert result.code == 0
    assert "the account has no room for another VPC in us-east-1 (VpcLimitExceeded)" in result.stdout
    assert "error:" not in result.stderr
    odd = {"match": "CreateFleet", "code": "Whatever", "message": "Strange.", "region": "us-west-1"}
    sandbox.world.settings.faults = [full, odd]
    program.configure(nodes=6, regions="[us-east-1, us-west-2, us-west-1]")
    result = program("create", "--yes")
    assert result.code == 1
    assert "no room for another VPC in us-east-1 (VpcLimitExceeded)" in result.stdout
    assert "error: AWS refused a call in us-west-1\n  CreateFleet: Whatever: Strange.\n" in result.stderr
    assert "VpcLimitExceeded: Full." not in result.stderr


def test_an_action_is_named_as_it_is_granted() -> None:
    """Where AWS names none, by the call: an administrator knows `ec2:CreateFleet`, and no CreateFleet."""
    failure = ApiFailure(
        "UnauthorizedOperation", "You are not authorized to perform this operation.", "CreateFleet", ""
    )
    assert action_of(failure) == "ec2:CreateFleet"
    assert (
        action_of(replace(failure, message="is not authorized to perform: ec2:RunInstances"))
        == "ec2:RunInstances"
    )
    assert (
        action_of(replace(failure, operation="ListTagsForResource")) == "ListTagsForResource"
    )  # of several services
    assert action_of(replace(failure, operation="Unheard")) == "Unheard"


def test_hints_in_json_have_the_options_in_use(program: CliRunner) -> None:
    """C12: a command in an error is typed as this one was, for programs too."""
    other = program.configure().rename(program.folder / "other.yaml")
    result = program("prune", "--config", str(other), "-o", "json")
    assert result.code == 2
    assert f"`bacalhau-spot configure --config {other} --set " in result.envelope["errors"][0]["hint"]


def test_the_second_ctrl_c_names_a_command_that_can_be_copied(
    program: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C12: with the options of this run, like every other hint."""

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("bacalhau_spot.cli.runtime.runner.os._exit", leave)
    stderr = StringIO()
    world = Runtime(
        environ={}, cwd=program.folder, home=program.folder, stdin=StringIO(), stdout=StringIO(), stderr=stderr,
        invocation=read_invocation(["create", "--sandbox", "--config", "other.yaml"]),
    )  # fmt: skip
    runner = Runner(world, AwsConnection(access_key_id="k", secret_access_key="s"), api_s=1)
    runner._interrupted()
    with pytest.raises(SystemExit), runner:
        runner._interrupted()
    assert "`bacalhau-spot list --sandbox --config other.yaml` shows the instances" in stderr.getvalue()
