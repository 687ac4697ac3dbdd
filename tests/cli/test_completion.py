"""The completion of shells: what `__complete` answers, and what bash, zsh and fish make of it."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.cli.commands.completion import script_text
from bacalhau_spot.cli.runtime.completer import completion_lines
from support.cli_runner import CliRunner

HOME = {"HOME": "/nonexistent"}


def words(line: str, *, folder: Path | None = None, environ: dict[str, str] | None = None) -> list[str]:
    """The candidates for the last word of `line`, which may be empty."""
    answer = completion_lines(
        ["fish", *line.split(" ")], environ={**HOME, **(environ or {})}, cwd=str(folder or "/")
    )
    return [found.partition("\t")[0] for found in answer]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("des", ["destroy"]),
        ("config ", ["show", "upgrade", "schema"]),
        ("--sandbox sandbox st", ["start", "stop", "status"]),
        ("help scal", ["scale"]),
        ("help config sch", ["schema"]),
        ("list --reg", ["--region"]),
        ("list --js", ["--json"]),
        ("--no-", ["--no-input", "--no-color"]),
        ("list --region us-e", ["us-east-1", "us-east-2"]),
        ("list --region=us-e", ["--region=us-east-1", "--region=us-east-2"]),
        ("list -r us-east-1,us-e", ["us-east-1,us-east-2"]),
        ("create --wait ", ["joined", "running", "none"]),
        ("list -o y", ["yaml"]),
        ("status --columns node,ver", ["node,verdict"]),
        ("offers --type c7g.la", ["c7g.large"]),
        ("offers --type c7g", ["c7g.", "c7gd.", "c7gn."]),
        ("offers --family m7g", ["m7g", "m7gd"]),
        ("configure --set bacalhau.api.h", ["bacalhau.api.host="]),
        ("configure --set spread=", ["spread=failover", "spread=strict"]),
        ("iam-policy --command desc", []),
        ("iam-policy --command dest", ["destroy"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("explain lifet", ["lifetime"]),
        ("--config ", [":files"]),
        ("ssh i-1 -- ls ", [":files"]),
        ("create --max-price ", []),
        ("crate ", []),
    ],
)
def test_what_may_follow(line: str, expected: list[str]) -> None:
    assert words(line) == expected


def test_every_candidate_of_bash_replaces_the_word_of_readline() -> None:
    """Readline splits at `=`: what stands before it must not be repeated."""
    answer = completion_lines(["bash", "bacalhau-spot list --region=us-e", "us-e"], environ=HOME, cwd="/")
    assert answer == ["us-east-1", "us-east-2"]
    assert completion_lines(["bash", "bacalhau-spot list --region 'us-e", "us-e"], environ=HOME, cwd="/") == [
        "us-east-1",
        "us-east-2",
    ]
    assert completion_lines(["bash", "bacalhau-spot destr", "destr"], environ=HOME, cwd="/") == ["destroy"]


def test_types_of_the_configuration_come_first(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("instance_types: [m6a.large, g4dn.metal-24xl]\n")
    (tmp_path / "inside").mkdir()
    assert words("offers --type ", folder=tmp_path / "inside")[:2] == ["m6a.large", "g4dn.metal-24xl"]
    (tmp_path / "other.yaml").write_text("instance_types: [x2gd.medium]\n")
    assert words("offers --config other.yaml --type ", folder=tmp_path)[0] == "x2gd.medium"


def test_profiles_are_those_of_the_aws_cli(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[default]\n[profile blue]\nregion = x\n[sso-session corp]\n")
    assert words("list --profile ", environ={"AWS_CONFIG_FILE": str(tmp_path / "config")}) == [
        "default",
        "blue",
    ]


def test_nodes_and_clusters_are_those_that_commands_have_seen(program: CliRunner, sandbox: Any) -> None:
    """Without a call to AWS, and from the folder of this user."""
    program.configure(nodes=2, regions="[us-east-1]")
    assert program("create", "--yes").code == 0
    ids = {row["id"] for row in program("list", "--json").data["instances"]}
    calls = len(sandbox.world.calls)
    answer = program("__complete", "fish", "remove", "").stdout.splitlines()
    assert {line.partition("\t")[0] for line in answer} == ids
    assert all("us-east-1" in line and "bacalhau-aws-spot" in line for line in answer)
    one = min(ids)
    assert one not in program("__complete", "fish", "remove", one, "").stdout
    assert program("__complete", "fish", "ssh", "orch").stdout == "orchestrator\tthe managed one\n"
    assert program("__complete", "fish", "list", "--cluster", "").stdout == "bacalhau-aws-spot\n"
    assert program("__complete", "fish", "remove", "--cluster", "other", "").stdout == ""
    assert len(sandbox.world.calls) == calls
    assert program("destroy", "--yes").code == 0
    assert program("list").code == 0
    assert program("__complete", "fish", "remove", "").stdout == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": {"value": 3}}', '{"a": 3}'])
def test_a_damaged_file_completes_nothing(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "bacalhau-spot" / "cache"
    folder.mkdir(parents=True)
    (folder / "known_nodes.json").write_text(text)
    assert words("remove ", environ={"XDG_STATE_HOME": str(tmp_path)}) == []


@pytest.mark.parametrize(
    "name", ["$(touch pwned)", "a;b", "a b", "-x", "a\nb", "`id`", "a\x1b[2J", "~", "*", "a|b", "{a,b}"]
)
def test_a_name_that_a_shell_would_run_is_not_offered(tmp_path: Path, name: str) -> None:
    """Anybody who may tag a resource names a cluster, and bash inserts a candidate unquoted."""
    folder = tmp_path / "bacalhau-spot" / "cache"
    folder.mkdir(parents=True)
    for file, value in (("known_clusters", ""), ("known_nodes", {name: "us-east-1a\x1b[2J", "i-0": "zone"})):
        content = {cluster: {"at": "2026-11-25T09:00:00+00:00", "value": value} for cluster in (name, "good")}
        (folder / f"{file}.json").write_text(json.dumps(content))
    (tmp_path / "config").write_text(f"[profile {name}]\n[profile good]\n")
    environ = {"XDG_STATE_HOME": str(tmp_path), "AWS_CONFIG_FILE": str(tmp_path / "config")}
    assert words("list --cluster ", environ=environ) == ["good"]
    assert words("remove ", environ=environ) == ["i-0"]
    assert set(words("list --profile ", environ=environ)) <= {"good", "a"}
    for line in completion_lines(["fish", "remove", ""], environ=environ, cwd="."):
        assert line.replace("\t", " ").isprintable()


def install(folder: Path) -> None:
    """`bacalhau-spot` in the folder `bin`."""
    program = folder / "bin" / "bacalhau-spot"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'from bacalhau_spot.cli import main; main()' \"$@\"\n"
    )
    program.chmod(0o755)


def shell(name: str, script: str, folder: Path) -> str:
    """The output of a script in a real shell, in which `bacalhau-spot` is this program."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    install(folder)
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
    result = subprocess.run(
        [path, *flags, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env={"HOME": str(folder), "PATH": f"{folder}/bin:{os.environ['PATH']}", "TERM": "xterm"},
    )
    assert result.stderr == ""
    return result.stdout


@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [
        ("bacalhau-spot destr", "destr", "destroy "),
        ("bacalhau-spot list --region=eu-west-", "eu-west-", "eu-west-1 eu-west-2 eu-west-3 "),
        ("bacalhau-spot ssh --cluster x ", "", "orchestrator "),
        ("bacalhau-spot --config ", "", ""),
    ],
)
def test_bash_completes(tmp_path: Path, line: str, word: str, expected: str) -> None:
    script = (
        'eval "$(bacalhau-spot completion bash)"\ncompopt() { :; }\n'
        f"COMP_LINE='{line}' COMP_POINT={len(line)}\n"
        f"_bacalhau_spot bacalhau-spot '{word}' x\n"
        'for one in "${COMPREPLY[@]}"; do printf \'%s \' "$one"; done\ncomplete -p bacalhau-spot >/dev/null\n'
    )
    assert shell("bash", script, tmp_path) == expected


def typed(path: str, folder: Path, setup: str, keys: str, until: str) -> str:
    """What an interactive zsh shows after `keys`, until `until` appears."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        environ = {"HOME": str(folder), "PATH": f"{folder}/bin:{os.environ['PATH']}", "TERM": "dumb"}
        os.execve(path, [path, "-f", "-i"], environ)
    shown = ""
    try:
        for text, wanted in ((f"{setup}; PS1=READY'> '\n", "READY> "), (keys, until)):
            os.write(terminal, text.encode())
            shown = ""
            while wanted not in shown:
                shown += os.read(terminal, 4096).decode(errors="replace")
    except OSError:  # the shell has ended
        pass
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    return shown


def test_zsh_completes(tmp_path: Path) -> None:
    """In its own completion system, on a terminal."""
    path = shutil.which("zsh")
    if path is None:
        pytest.skip("zsh is not installed")
    install(tmp_path)
    setup = 'autoload -U compinit; compinit -u -D; eval "$(bacalhau-spot completion zsh)"'
    assert "help destroy" in typed(path, tmp_path, setup, "bacalhau-spot help destr\t", "destroy")
    assert "--region=us-gov-west-1" in typed(
        path, tmp_path, setup, "bacalhau-spot list --region=us-gov-w\t", "us-gov-west-1"
    )


def test_fish_completes(tmp_path: Path) -> None:
    script = (
        "bacalhau-spot completion fish | source\n"
        "complete -C 'bacalhau-spot destr'\n"
        "complete -C 'bacalhau-spot list --region=eu-west-'\n"
    )
    lines = [line.partition("\t")[0] for line in shell("fish", script, tmp_path).splitlines()]
    assert lines == ["destroy", *(f"--region=eu-west-{number}" for number in (1, 2, 3))]


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_is_a_result(program: CliRunner, name: Any) -> None:
    assert program("completion", name).stdout == script_text(name)
    assert program("completion", name, "--json").data == {"shell": name, "script": script_text(name)}
    assert program("completion", "csh").code == 2
