"""The container image, built and run where Docker answers; and the steps of its build, which run everywhere.

IMAGE_BASE: an image with Python 3.11 or newer on this machine. IMAGE_WHEELS: pip's `--find-links` for the dependencies.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE, WHEELS = os.environ.get("IMAGE_BASE", ""), os.environ.get("IMAGE_WHEELS", "")
NAME = "bacalhau-spot-test"


def run(*words: str | Path, **environ: str) -> str:
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=900,
        env={**os.environ, **environ},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not BASE or not shutil.which("docker"), reason="needs Docker and IMAGE_BASE")
def test_the_image_runs_the_program_for_any_user() -> None:
    arguments = ["--network", "host"]
    if WHEELS:
        arguments += ["--build-arg", f"PIP_FIND_LINKS={WHEELS}", "--build-arg", "PIP_NO_INDEX=1"]
    run(".ci/image", NAME, *arguments, BASE=BASE)
    alone = ("docker", "run", "--rm", "--network", "none")
    assert re.fullmatch(r"\d+\.\d+\S*\n", run(*alone, NAME, "--version"))
    assert run(*alone, "--entrypoint", "id", NAME, "-u") == "10001\n"
    script = "bacalhau-spot create --sandbox --yes --wait running && bacalhau-spot destroy --sandbox --yes"
    printed = run(*alone, "--user", "4242", "--entrypoint", "sh", NAME, "-c", script)
    assert "verified: nothing" in printed
    files = run(*alone, "--entrypoint", "sh", NAME, "-c", "ls /build /opt/bacalhau-spot/bin/pip 2>&1 || true")
    assert files.count("No such file") == 2


def test_the_steps_of_the_build_in_an_environment_of_this_machine(tmp_path: Path) -> None:
    """The wheels are installed without an index over the dependencies that are here; `pip check` finds none missing."""
    recipe = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    steps = re.findall(r"^RUN (.*/opt/bacalhau-spot.*)$", recipe, re.MULTILINE)
    assert len(steps) == 3, "the environment, the dependencies, the wheels"
    given = os.environ.get("DISTRIBUTIONS")
    wheels = Path(given) if given else tmp_path / "dist"
    if not given:
        run(".ci/distributions", wheels)
    home = tmp_path / "opt"
    create, _dependencies, install = (step.replace("/opt/bacalhau-spot", str(home)) for step in steps)
    script = tmp_path / "build"
    here = next(path for path in sys.path if path.endswith("site-packages"))
    # The dependencies are those of this environment, which the lock has installed.
    path_file = (
        f"echo {here} >$({home}/bin/python -c 'import site; print(site.getsitepackages()[0])')/here.pth"
    )
    script.write_text("\n".join(["set -e", create, path_file, f"cd {wheels}", install]))
    run("sh", script)
    (tmp_path / "empty").mkdir()
    assert run(home / "bin" / "bacalhau-spot", "--version").strip()
    assert "instance_types" in run(home / "bin" / "bacalhau-spot", "config", "schema")
