"""Every command line of the README, the tutorials and docs/first-job.md, page by page and in their order, in a sandbox.

The client is Bacalhau's where BACALHAU_BIN names it, otherwise a stand-in. Where containers can run, too, the sandbox runs
Bacalhau's orchestrator and nodes. tests/cli/test_real_jobs.py runs the lines about jobs with an orchestrator of the user's own.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import pytest

from support import client_stand_in
from support.busybox_image import served_image, without_containers
from support.fast_sandbox import FAST
from support.long_tests import sample
from support.real_bacalhau import PROGRAM

ROOT = Path(__file__).resolve().parents[2]
_LINE = re.compile(r"^    (\S.*)$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# The pages that begin with nothing and end with it, and the page that starts in the middle of another one.
_WHOLE = ("README.md", "docs/tutorial.md", "docs/tutorial-aws.md")
_INSERTED = {"docs/tutorial-aws.md": "docs/first-job.md"}
# Lines that the same page has before, with the answer to a question that another page explains.
_DELETES = re.compile(r"bacalhau-spot (?:cost|destroy|nuke|sandbox stop)\b")
# `status` after the interruption: its exit code is the verdict.
_INCOMPLETE = ('bacalhau-spot sandbox interrupt "$node" --notice-s 0', "bacalhau-spot status --sandbox")
# The prompts' answers, and the options that select the sandbox.
_SPOT = """\
#!/bin/bash
if [ "$1" = --sandbox ]; then
  shift
  set -- "$@" --sandbox
fi
arguments=("$@")
case "$*" in
  *--yes*) ;;
  configure*) arguments+=(--set nodes=3 --set 'regions=[us-east-1]') ;;
  create*|destroy*) arguments+=(--yes) ;;
  nuke*) arguments+=(--force) ;;
esac
case "$*" in
  configure*|sandbox*|explain*|*--sandbox*) ;;
  *) arguments+=(--sandbox) ;;
esac
echo "$*" >> {log}
exec {python} -m bacalhau_spot "${{arguments[@]}}"
"""
_UV = """\
#!/bin/bash
case "$*" in
  "run -s deploy_spot.py "*) shift 3; exec {spot} "$@" ;;
  "tool install .[sandbox]") ln -sf {spot} {programs}/bacalhau-spot ;;
  *) echo "uv $*: not in these pages" >&2; exit 2 ;;
esac
"""
_CURL = """\
#!/bin/bash
[[ "$*" =~ ^-fsSL\\ https://get.bacalhau.org/releases/stable/v1.9.3/bacalhau_v1.9.3_linux_(amd64|arm64).tar.gz$ ]] || exit 2
exec cat {archive}
"""
_PIP = '#!/bin/bash\n[ "$*" = "install -q uv" ]\n'
_CLIENT = '#!/bin/bash\nexec {python} {script} "$@"\n'
_IMAGE = "busybox:1.37"
_REAL = bool(PROGRAM) and not without_containers()


def command_lines(page: str) -> list[str]:
    text = _CODE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [line.partition(" # ")[0].strip() for line in _LINE.findall(text)]


def script_of(page: str) -> str:
    """The page's lines for bash. A page that another one leads to stands before the lines that delete."""
    lines = command_lines(page)
    if inserted := _INSERTED.get(page):
        end = next(place for place, line in enumerate(lines) if _DELETES.match(line))
        lines[end:end] = command_lines(inserted)
    interruptions = [place for place, pair in enumerate(pairwise(lines), start=1) if pair == _INCOMPLETE]
    for place in interruptions:
        lines[place] += " || [ $? = 1 ]"
    # The README's lists of commands: what launches comes first, what deletes last.
    return "\n".join(sorted(lines, key=_order) if page == "README.md" else lines)


def _order(line: str) -> int:
    return 2 if _DELETES.match(line) else 0 if line.startswith(("pip ", "uv ")) else 1


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def _archive(home: Path) -> Path:
    """The client's, as it is published."""
    text = _CLIENT.format(python=sys.executable, script=client_stand_in.__file__).encode()
    with tarfile.open(home / "client.tar.gz", "w:gz", compresslevel=1) as packed:
        if PROGRAM:
            packed.add(PROGRAM, "bacalhau")
        else:
            entry = tarfile.TarInfo("bacalhau")
            entry.size, entry.mode = len(text), 0o755
            packed.addfile(entry, io.BytesIO(text))
    return home / "client.tar.gz"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "commands.log"


@pytest.fixture
def shell(tmp_path: Path, log: Path) -> Iterator[dict[str, str]]:
    """The environment of a newcomer's shell: uv, pip and curl, and no other program than the system's."""
    programs = tmp_path / "programs"
    programs.mkdir()
    spot = _write(tmp_path / "spot", _SPOT.format(log=log, python=sys.executable))
    _write(programs / "uv", _UV.format(spot=spot, programs=programs))
    _write(programs / "pip", _PIP)
    _write(programs / "curl", _CURL.format(archive=_archive(tmp_path)))
    environ = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "SHELL": "/bin/bash",
        "BACALHAU_UPDATECONFIG_INTERVAL": "0s",  # no network
        "BACALHAU_DISABLEANALYTICS": "true",
    }
    if _REAL:
        environ |= {name: os.environ[name] for name in ("BACALHAU_BIN", "DOCKER_HOST") if name in os.environ}
    run(tmp_path, environ, f"{spot} sandbox start; {spot} sandbox set {' '.join(FAST)}")
    log.unlink()
    yield environ
    run(tmp_path, environ, f"{spot} sandbox stop")


def run(home: Path, environ: dict[str, str], script: str) -> str:
    """The output of a script for bash, whose first failing command ends it."""
    folder = home / "folder"
    folder.mkdir(exist_ok=True)
    result = subprocess.run(
        ["bash", "--norc", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return result.stdout


@pytest.mark.parametrize("page", sample(_WHOLE, every=3))
def test_a_page_leads_from_nothing_to_a_result_and_back(
    tmp_path: Path, shell: dict[str, str], log: Path, page: str
) -> None:
    script = script_of(page)
    with served_image() if _REAL else nullcontext(_IMAGE) as image:  # no registry on the internet
        if _REAL:
            script = re.sub(r"\bsmoke-test\b", f"smoke-test --image {image}", script)
        shown = run(tmp_path, shell, script.replace(_IMAGE, image))
    assert (tmp_path / "folder" / "job-hello" / "outputs" / "answer.txt").read_text() == "42\n"
    assert "42" in shown.splitlines()
    assert re.search(r"the job ran on (\d+) of \1 joined nodes", shown)
    assert "verified: nothing with bacalhau-cluster=bacalhau-aws-spot is left" in shown
    if page == "docs/tutorial.md":
        assert "interrupted by AWS" in shown, "the verdict of the lost node"
    called = [line.split()[0] for line in log.read_text().splitlines()]
    assert called == COMMANDS[page].split()


COMMANDS = {
    "docs/tutorial.md": "--version create create status smoke-test env env list sandbox status create history"
    " cost destroy sandbox",
    "docs/tutorial-aws.md": "iam-policy iam-policy configure doctor create create status smoke-test"
    " smoke-test env env cost destroy",
    "README.md": "create create status list configure doctor create smoke-test env env"
    " destroy nuke destroy sandbox",
}
