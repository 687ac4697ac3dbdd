"""The program leaves nothing on this machine that other users may read, and passes no secret to another program.

Every writer, program and socket is found by Python's audit events (support/audit_trace.py), in every command.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aws_spot_sandbox.state import SECRET_ACCESS_KEY
from bacalhau_spot.cli.app import COMMANDS, GROUPS
from support import planted_secrets, trust_figures
from support.audit_trace import AuditTrace, StartedProgram, traced
from support.cli_runner import CONFIG, CliRunner
from support.planted_secrets import API_KEY, BACALHAU_TOKEN, SESSION_TOKEN

# What a command needs to do its work, where nothing is not enough. {node}: a node of the cluster.
ARGUMENTS = {
    "create": "--yes",
    "destroy": "--yes",
    "nuke": "--force",
    "nuke ": "--dry-run --plan-out plan.json",
    "configure": "--set nodes=2",
    "ssh": "--all -- uptime",
    "logs": "-n 5",
    "console": "{node}",
    "extend": "4h",
    "scale": "2 --yes",
    "replace": "{node} --yes",
    "remove": "{node} --yes",
    "explain": "clock",
    "completion": "bash",
    "report": "--output-file report.html",
    "offers": "--write --count 1 --yes",
    "image bake": "--yes",
    "image delete": "ami-0123456789abcdef0 --yes",
}
# The order of a cluster's life; all other commands while it runs.
FIRST, LAST = ("configure", "create"), ("remove", "destroy", "nuke")
# The variables that a program of the user gets.
ALLOWED = {
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TERM", "COLORTERM", "DISPLAY",
    "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "KRB5CCNAME", "GPG_TTY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "BACALHAU_SPOT_EVENT", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
}  # fmt: skip
ALLOWED_FAMILIES = ("LC_", "SSH_")
SECRETS = (*planted_secrets.PLANTED, "planted-webhook-0123456789")
# Without `make trust`: commands that write each sort of file, and start programs; after the first, those that change nothing.
FEW = (
    "configure --set nodes=2",
    "create --yes",
    "list",
    "ssh --all -- uptime",
    "nuke --dry-run --plan-out plan.json",
)
FEW_READS = ("create --dry-run", *FEW[2:])
UMASKS = (0o000, 0o077) if trust_figures.FULL else (0o000,)


@pytest.fixture(params=UMASKS, ids=[f"{umask:03o}" for umask in UMASKS])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of the shell that starts the program."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def user(program: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Secrets everywhere, an ssh on the path, a hook and a webhook for notices, and a folder of his own."""
    (tmp_path / "bin").mkdir(mode=0o700)
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text("#!/bin/sh\necho did\n")
    ssh.chmod(0o755)
    program.environ |= {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "XDG_STATE_HOME": f"{tmp_path}/state",
        "BACALHAU_KEY": API_KEY,
        "HOOK_URL": "http://127.0.0.1:9/planted-webhook-0123456789",
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "AWS_SESSION_TOKEN": SESSION_TOKEN,
    }
    monkeypatch.setenv("BACALHAU_KEY", API_KEY)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(
        CONFIG.format(nodes=2, regions="[us-west-1]").replace("192.0.2.1:4222", "127.0.0.1:9")
        + f'  token: {BACALHAU_TOKEN}\n  api: {{host: "http://127.0.0.1:9", key_env: BACALHAU_KEY}}\n'
        + "notify:\n  - command: 'true'\n  - url_env: HOOK_URL\n"
    )
    path.chmod(0o600)
    return program


def lines() -> list[str]:
    """A command line for every command but those of the sandbox, which are processes of their own."""
    inner = [
        f"{group} {name}" for group, (_, names) in GROUPS.items() if group != "sandbox" for name in names
    ]
    between = [name for name in [*COMMANDS, *inner] if name not in {*FIRST, *LAST}]
    ordered = [*FIRST, *between, "nuke ", *LAST]
    return [f"{name.strip()} {ARGUMENTS.get(name, '')}".strip() for name in ordered]


def life(user: CliRunner, chosen: Sequence[str]) -> int:
    """Run them; returns their number."""
    for line in chosen:
        user(*line.format(node="us-west-1").split())
    return len(chosen)


def unneeded(program: StartedProgram) -> set[str]:
    """The variables that it gets without need."""
    names = os.environ if program.environ is None else program.environ
    return {
        name
        for name in names
        if name not in ALLOWED and name.lower() not in ALLOWED and not name.startswith(ALLOWED_FAMILIES)
    }


def check_programs(trace: AuditTrace) -> None:
    for program in trace.programs:
        assert unneeded(program) == set(), program.argv
        told = " ".join((*program.argv, *(program.environ or {}).values()))
        assert not [secret for secret in SECRETS if secret in told], program.argv


@pytest.mark.sockets
def test_every_command(user: CliRunner, umask: int) -> None:
    """Files 0600, folders 0700, nothing outside of the state folder but the files that the user named."""
    began = time.process_time()
    with traced() as trace:
        cases = life(user, lines() if trust_figures.FULL else FEW)
    written = trace.written(user.folder)
    names = {str(path.relative_to(user.folder)) for path in written}
    state = {name for name in names if name.startswith("state/bacalhau-spot/")}
    # The test sees what it is for: the audit log, caches, marks of changes, locks, host keys.
    assert {"audit.jsonl", "cache", "changes", "host_keys"} <= {
        name.removeprefix("state/bacalhau-spot/").partition("/")[0] for name in state
    }
    assert names - state <= {
        "config.yaml",
        "config.yaml.old",
        "plan.json",
        "report.html",
        "state",
        "state/bacalhau-spot",
    }, names
    assert trace.elsewhere(user.folder) == set()
    assert trace.open_to_others(user.folder) == {}
    assert trace.addresses == []
    started = {Path(program.argv[0]).name for program in trace.programs}
    assert {"ssh", "sh"} <= started
    check_programs(trace)
    text = "".join(path.read_text(errors="replace") for path in written if path.is_file())
    leaked = [secret for secret in SECRETS if secret in text.replace(_own_configuration(user), "")]
    assert leaked == []
    cases += check_links(user, [path for path in written if path.is_relative_to(user.folder / "state")])
    trust_figures.record("secrets", cases=cases, cpu_s=time.process_time() - began)


def _own_configuration(user: CliRunner) -> str:
    return (user.folder / "config.yaml").read_text()


def check_links(user: CliRunner, written: Sequence[Path]) -> int:
    """In place of every file that the program wrote stands a link: its target keeps its content and its mode."""
    files = [path for path in written if not path.is_dir()]
    assert files
    victims = user.folder / "victims"
    victims.mkdir()
    for number, path in enumerate(files):
        victim = victims / str(number)
        victim.write_text("theirs")
        victim.chmod(0o644)
        path.unlink(missing_ok=True)
        path.symlink_to(victim)
    user.runs = 0  # the same names of runs again
    cases = life(user, lines() if trust_figures.FULL else FEW_READS)
    for victim in victims.iterdir():
        assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("theirs", 0o644), victim
    return cases


def test_a_state_folder_of_somebody_else_is_not_used(
    user: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever owns it reads and replaces what is in it: nothing is written into it."""
    state = tmp_path / "state" / "bacalhau-spot"
    state.mkdir(parents=True, mode=0o700)
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with traced() as trace:
        life(user, lines() if trust_figures.FULL else FEW_READS)
    assert [path for path in trace.written(state) if path != state] == []
    assert list(state.iterdir()) == []


def test_the_hook_of_a_test_sees_what_it_is_for(tmp_path: Path) -> None:
    """A file and a folder that are open to others, and a file that is moved to its name."""
    before = os.umask(0)
    try:
        with traced() as trace:
            (tmp_path / "folder").mkdir()
            draft = tmp_path / "folder" / "draft"
            draft.write_text("x")
            draft.rename(tmp_path / "whole")
    finally:
        os.umask(before)
    assert trace.written(tmp_path) == [tmp_path / "folder", tmp_path / "whole"]
    assert set(trace.open_to_others(tmp_path)) == {
        str(tmp_path / "folder"),
        str(draft),
        str(tmp_path / "whole"),
    }
