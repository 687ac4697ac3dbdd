"""Complaint 7 as a kind: whatever the surroundings are like, a command ends in words and an exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bacalhau_spot import config, files
from bacalhau_spot.cli.runtime import environment_variables
from bacalhau_spot.errors import UserError
from support.cli_runner import CliRunner
from support.internal_errors import check_no_internal_error

# A container's user: no HOME, and an id that is in no list of users.
NOBODY_KNOWS_US = """\
import os, pwd, sys
os.environ.pop("HOME", None)
def unknown(uid): raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
from bacalhau_spot.cli import main
main()
"""
# `café` in Latin-1, as Python hands it to us.
NOT_UTF8 = "caf\udce9"
COMMANDS = (
    *("create", "list", "status", "destroy", "nuke", "cost", "prices", "offers", "doctor", "console"),
    *("ssh", "prune", "configure", "config", "explain", "iam-policy", "sandbox"),
)


def run(folder: Path, *argv: str, redirect: str = "", code: str = "", **variables: str) -> tuple[int, str]:
    """The real program in a shell that redirects; its exit code and what still came out."""
    start = ["-c", code] if code else ["-m", "bacalhau_spot"]
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "PYTHONPATH": os.pathsep.join(sys.path),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **variables,
    }
    result = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, *start, *argv],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    shown = result.stdout.decode(errors="replace")
    for word in ("Traceback", "mistake in this program", "Exception ignored"):
        assert word not in shown, shown
    return result.returncode, shown


def test_nobody_knows_the_home(tmp_path: Path) -> None:
    """Complaint 7 (scuba#11): HOME is not set and the user id is unknown; `~` of the configuration is named with the reason."""
    (tmp_path / "config.yaml").write_text("public_ssh_key_path: ~/.ssh/id.pub\n")
    code, shown = run(tmp_path, "config", "show", code=NOBODY_KNOWS_US, TMPDIR=str(tmp_path))
    assert code == 2
    assert "there is no file ~/.ssh/id.pub: HOME is not set, and this user has no home" in shown
    code, shown = run(tmp_path, "list", code=NOBODY_KNOWS_US, TMPDIR=str(tmp_path))
    assert code == 4, shown
    assert not (tmp_path / "~").exists()


def test_a_picture_where_nobody_knows_the_home(program: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint 7: `--plot=~/prices.png`, which no shell expands, ended in a mistake after all was asked of AWS."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    for module in [name for name in sys.modules if name.partition(".")[0] == "altair"]:
        monkeypatch.delitem(sys.modules, module)  # altair looks for a home while it is imported
    assert program("create", "--yes").code == 0
    result = program("prices", "--plot=~/prices.svg")
    assert result.code == 2
    check_no_internal_error(result.stdout + result.stderr)
    assert "an image file needs a home directory" in result.stderr


@pytest.mark.parametrize("argv", [("configure", "--defaults"), ("offers", "--write"), ("list",)])
def test_a_path_that_no_file_can_have(program: CliRunner, argv: tuple[str, ...]) -> None:
    """Complaint 7: pathlib's `exists` raises for it, and for a folder that may not be searched."""
    result = program(*argv, "--config", "a" * 300)
    assert result.code in {1, 2}
    assert "File name too long" in result.stderr
    check_no_internal_error(result.stdout + result.stderr)


def test_a_configuration_that_may_not_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint 7: it is not taken for none: the defaults may be another cluster."""

    def refused(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refused)
    with pytest.raises(UserError) as caught:
        config.find_config(environ={}, cwd=tmp_path)
    assert (caught.value.exit_code, caught.value.why) == (2, "Permission denied")


def test_an_unusable_folder_for_temporary_files(tmp_path: Path) -> None:
    """Complaint 7: TMPDIR names nothing; files are written beside their own place."""
    code, shown = run(tmp_path, "configure", "--defaults", "--sandbox", TMPDIR="/nonexistent")
    assert (code, (tmp_path / "config.yaml").exists()) == (0, True), shown


@pytest.mark.parametrize("state", ["/dev/null/x", "/proc/x"])
def test_an_unusable_state_folder(program: CliRunner, state: str) -> None:
    """Complaint 7: a receipt all the same, and a word about the log."""
    program.environ["XDG_STATE_HOME"] = state
    result = program("create", "--yes")
    assert result.code == 0
    assert f"the audit log {state}/bacalhau-spot/audit.jsonl cannot be written" in result.stderr
    assert program("cost").code == 0


@pytest.mark.parametrize(
    ("argv", "redirect", "code"),
    [
        (("config", "schema"), ">&-", 0),
        (("config", "schema"), "2>&-", 0),
        (("config", "show"), "<&- >&- 2>&-", 2),
        (("list",), "2>/dev/full", 4),
        (("--help",), ">/dev/full", 1),
        (("list", "-o", "json"), ">/dev/full 2>&1", 4),
    ],
)
def test_closed_and_full_streams(tmp_path: Path, argv: tuple[str, ...], redirect: str, code: int) -> None:
    """Complaint 7: the exit code is the command's, or 1 where the result was lost."""
    assert run(tmp_path, *argv, redirect=redirect)[0] == code


@pytest.mark.parametrize("locale", [{"LC_ALL": "C"}, {"LC_ALL": "xx_YY"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_locale_that_knows_no_letters(tmp_path: Path, locale: dict[str, str]) -> None:
    """Complaint 7: boxes of the help page, a middle dot, and a word of the user's that is not ASCII."""
    variables = {**locale, "PYTHONCOERCECLOCALE": "0"}
    assert run(tmp_path, "--help", **variables)[0] == 0
    assert run(tmp_path, "list", "--profile", "häßlich", **variables)[0] in {2, 4}


@pytest.mark.parametrize("command", COMMANDS)
def test_words_that_are_no_text(program: CliRunner, command: str) -> None:
    """Bytes that are not UTF-8 come as lone surrogates, which no AWS call, JSON file or terminal takes."""
    for more in (("--cluster", NOT_UTF8), ("--config", NOT_UTF8), (NOT_UTF8,), ("--", NOT_UTF8)):
        result = program(command, *more)
        assert result.code == 2
        assert r"is not text: caf\udce9" in result.stderr
    result = program(command, NOT_UTF8, "-o", "json")
    assert (result.code, result.envelope["exit_code"]) == (2, 2)


def test_a_log_of_a_folder_that_is_no_text(tmp_path: Path) -> None:
    """What a file cannot hold is written as an escape: the log of a mistake must not end in another one."""
    files.write(tmp_path / "error.log", f"in /home/{NOT_UTF8}")
    assert (tmp_path / "error.log").read_text() == r"in /home/caf\udce9"


def test_a_mistyped_variable_is_said_once(tmp_path: Path) -> None:
    """It would be ignored in silence, and another cluster be meant; one that the configuration names is no mistake."""
    (tmp_path / ".git").mkdir()
    program = CliRunner(folder=tmp_path)
    program.environ.update(BACALHAU_SPOT_CONFG="x", BACALHAU_SPOT_REGION="y", BACALHAU_SPOT_TOKEN="z")
    (tmp_path / "config.yaml").write_text("bacalhau: {token_env: BACALHAU_SPOT_TOKEN}\n")
    for argv in (("config", "show"), ("config", "show", "-o", "json"), ("configure", "--set", "nodes=3")):
        result = program(*argv)
        assert result.code == 0, result.stderr
        assert result.stderr.count("variable BACALHAU_SPOT_CONFG: did you mean BACALHAU_SPOT_CONFIG?") == 1
        assert result.stderr.count("variable BACALHAU_SPOT_REGION: there are ") == 1
        assert "BACALHAU_SPOT_TOKEN" not in result.stderr


def test_every_variable_stands_in_one_place_and_in_the_documentation() -> None:
    """Whatever the source reads is in the table, and the table is in the page."""
    root = Path(__file__).parents[2]
    read = {
        name
        for file in (root / "src").rglob("*.py")
        for name in re.findall(r"BACALHAU_SPOT_[A-Z_]+[A-Z]", file.read_text(encoding="utf-8"))
    }
    assert read <= set(environment_variables.VARIABLES)
    page = (root / "docs" / "configuration.md").read_text(encoding="utf-8")
    for name, purpose in environment_variables.VARIABLES.items():
        assert f"| `{name}` | {purpose} |" in page
