"""Every command line of the README and of docs/first-job.md, in one shell and in its order, in a sandbox.

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
from pathlib import Path

import pytest

from support import client_stand_in
from support.busybox_image import served_image, without_containers
from support.real_bacalhau import PROGRAM

ROOT = Path(__file__).resolve().parents[2]
_LINE = re.compile(r"^    (\S.*)$", re.MULTILINE)
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# Lines that need more than a sandbox: a node's SSH server, and these tests themselves.
_ELSEWHERE = ("uv run -s deploy_spot.py ssh", "pip install -q uv && uv run pytest")
_ENDINGS = re.compile(r"(destroy|nuke|sandbox stop)\b")
_PROGRAM = re.compile(r"(?:pip install -q uv && )?(?:uv run -s deploy_spot\.py|bacalhau-spot) ")
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
  "tool install .[sandbox]") ln -s {spot} {programs}/bacalhau-spot ;;
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
# The sandbox's own times: no test waits for them.
_FAST = "boot_s=0.5 pending_s=0 latency_s=0 checks_s=0 terminate_s=0 job_s=0.1"


def command_lines(page: str) -> list[str]:
    text = _CODE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [line.partition(" # ")[0].strip() for line in _LINE.findall(text)]


def once(lines: list[str]) -> Iterator[str]:
    """Without the lines with commands of bacalhau-spot that stand in the pages a second time."""
    seen: set[str] = set()
    for line in lines:
        command = re.sub(r" --(?:sandbox|yes|delete-results)\b", "", _PROGRAM.sub("", line))
        if not _PROGRAM.search(line) or command not in seen:
            yield line
        seen.add(command)


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
    run(tmp_path, environ, f"{spot} sandbox start; {spot} sandbox set {_FAST}")
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


def test_the_pages_lead_from_nothing_to_a_result(tmp_path: Path, shell: dict[str, str], log: Path) -> None:
    """One after the other, each in a folder of its own. The commands that delete come last."""
    lines = [*command_lines("docs/first-job.md"), "mkdir readme", "cd readme", *command_lines("README.md")]
    script = [line for line in once(lines) if not line.startswith(_ELSEWHERE)]
    ends = [line for line in script if _ENDINGS.search(line)]
    text = "\n".join([*(line for line in script if line not in ends), *ends])
    with served_image() if _REAL else nullcontext(_IMAGE) as image:  # no registry on the internet
        if _REAL:
            text = re.sub(r"\bsmoke-test\b", f"smoke-test --image {image}", text)
        shown = run(tmp_path, shell, text.replace(_IMAGE, image))
    folder = tmp_path / "folder"
    for place in (folder, folder / "readme"):
        assert (place / "job-hello" / "outputs" / "answer.txt").read_text() == "42\n"
    assert shown.splitlines().count("42") == 2
    assert "the job ran on 3 of 3 joined nodes" in shown and "hello from" in shown
    assert [line.split()[0] for line in log.read_text().splitlines()] == [
        *("configure", "doctor", "create", "smoke-test", "env", "env"),
        *("list", "status", "clusters", "env"),
        *("destroy", "nuke", "sandbox"),
    ]
