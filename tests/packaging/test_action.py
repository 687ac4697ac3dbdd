"""The GitHub Action and the example workflows: their structure by GitHub's schemas, their shell steps against the sandbox."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((*ROOT.glob("examples/workflows/*.yml"), *ROOT.glob(".github/workflows/*.yml")))
CONFIG = "nodes: 1\nregions: [us-east-1]\norchestrator: none\n"


def document(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


ACTION = document(ROOT / "action.yml")
JOB = document(ROOT / "examples/workflows/job.yml")["jobs"]["job"]


@pytest.mark.parametrize(
    ("schema", "files"),
    [("vendor.github-actions", [ROOT / "action.yml"]), ("vendor.github-workflows", WORKFLOWS)],
)
def test_the_files_have_githubs_structure(schema: str, files: list[Path]) -> None:
    """The schemas are those of SchemaStore, which the validator carries."""
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", sorted((ROOT / ".github/action").iterdir()), ids=lambda path: path.name)
def test_a_script_is_executable_and_parses(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True, timeout=60)


def test_no_shell_step_contains_an_expression() -> None:
    """An input in the text of a script would be run as code: it comes as a variable."""
    steps = [*ACTION["runs"]["steps"]]
    steps += [step for path in WORKFLOWS for job in document(path)["jobs"].values() for step in job["steps"]]
    assert [step for step in steps if "${{" in step.get("run", "")] == []


def test_every_input_is_used_and_every_used_input_exists() -> None:
    used = set(re.findall(r"inputs\.([\w-]+)", json.dumps(ACTION["runs"])))
    assert used == set(ACTION["inputs"])
    for path in WORKFLOWS:
        for job in document(path)["jobs"].values():
            for step in job["steps"]:
                if step.get("uses", "").startswith("OWNER/"):
                    assert set(step["with"]) <= set(ACTION["inputs"]), path
                    assert "command" in step["with"]


def test_the_cluster_of_a_job_is_deleted_whatever_becomes_of_it() -> None:
    """After a failure and a cancellation; and a cancelled run is not cut off by the next one."""
    steps = JOB["steps"]
    commands = [step.get("with", {}).get("command") for step in steps]
    assert steps[commands.index("destroy")]["if"] == "always()"
    assert commands.index("create") < commands.index("destroy")
    assert steps[commands.index("create")]["with"]["ttl"]
    for path in ROOT.glob("examples/workflows/*.yml"):
        assert document(path)["concurrency"]["cancel-in-progress"] is False, path


class Runner:
    """A machine that runs the steps of a job as GitHub does: variables, files for outputs, `if: always()`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "PATH": os.environ["PATH"],
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_PATH": str(folder / "path"),
            "GITHUB_OUTPUT": str(folder / "output"),
        }
        programs = folder / "temp" / "bacalhau-spot" / "bin"
        programs.mkdir(parents=True)
        # As installed: the action's own installation would download.
        (programs / "bacalhau-spot").symlink_to(Path(sys.executable).parent / "bacalhau-spot")
        self.log: list[tuple[str, int]] = []

    def job(self, steps: list[dict[str, Any]], **scripts: str) -> bool:
        """Whether all steps succeeded. `scripts`: instead of the steps with these names."""
        good = True
        for step in steps:
            if not good and step.get("if") != "always()":
                continue
            if step.get("uses", "").startswith("OWNER/"):
                done = self.action(step["with"])
            elif "run" in step:
                done = self.shell(scripts[step["name"].replace(" ", "_")], {})
            else:
                continue  # another's action
            good = good and done.returncode == 0
        return good

    def action(self, inputs: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        values = {name: given.get("default", "") for name, given in ACTION["inputs"].items()}
        values |= {name: str(value) for name, value in inputs.items()}
        for step in ACTION["runs"]["steps"]:
            variables = {name: _evaluated(text, values) for name, text in step["env"].items()}
            done = self.shell(step["run"], variables)
            if done.returncode:
                break
        self.log.append((values["command"], done.returncode))
        return done

    def shell(self, script: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """GitHub's command for `shell: bash`."""
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            capture_output=True, text=True, check=False, timeout=300,
            cwd=self.folder, env={**self.environ, **variables}, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def result(self, command: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(
            (self.folder / "temp" / f"bacalhau-spot-{command}.json").read_text()
        )
        return loaded


def _evaluated(text: str, inputs: dict[str, str]) -> str:
    """The expressions that the action uses."""
    text = text.replace("${{ github.action_path }}", str(ROOT))
    text = re.sub(
        r"\$\{\{ inputs\.([\w-]+) == '(\w+)' && '(\w+)' \|\| '(\w+)' \}\}",
        lambda match: match[3] if inputs[match[1]] == match[2] else match[4],
        text,
    )
    return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: inputs[match[1]], text)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """With a sandbox of its own; each test leaves it empty."""
    runner = Runner(tmp_path_factory.mktemp("runner"))
    (runner.folder / "config.yaml").write_text(CONFIG)
    program = runner.environ["RUNNER_TEMP"] + "/bacalhau-spot/bin/bacalhau-spot"
    quick = "boot_s=0.2 pending_s=0 terminate_s=0"
    started = runner.shell(f"{program} sandbox start && {program} sandbox set {quick}", {})
    assert started.returncode == 0, started.stderr
    yield runner
    runner.shell(f"{program} sandbox stop", {})


def in_sandbox(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**step, "with": {**step["with"], "sandbox": "true"}}
        if step.get("uses", "").startswith("OWNER/")
        else step
        for step in steps
    ]


@pytest.mark.parametrize(("script", "good"), [("true", True), ("exit 7", False)])
def test_the_example_job_in_the_sandbox(runner: Runner, script: str, good: bool) -> None:
    """Create, run, destroy; and destroy after a job that failed."""
    runner.log.clear()
    assert runner.job(in_sandbox(JOB["steps"]), Run_the_job=script) is good
    assert runner.log == [("create", 0), ("destroy", 0)]
    assert runner.result("create")["data"]["receipt"]["running"] == 1
    assert runner.result("destroy")["data"]["remaining"] == []
    assert "exit-code=0" in (runner.folder / "output").read_text()
    assert "bacalhau-spot/bin" in (runner.folder / "path").read_text()


def test_a_refused_create_fails_the_job_and_destroy_still_runs(runner: Runner) -> None:
    runner.log.clear()
    steps = in_sandbox(JOB["steps"])
    for step in steps:
        if step.get("with", {}).get("command") == "create":
            step["with"]["budget"] = "0.001"
    assert runner.job(steps, Run_the_job="true") is False
    assert runner.log == [("create", 2), ("destroy", 0)]
    assert "budget" in runner.result("create")["errors"][0]["what"]


def test_a_strange_command_is_refused(runner: Runner) -> None:
    done = runner.action({"command": "nuke"})
    assert done.returncode == 2
    assert "::error::" in done.stdout


@pytest.mark.parametrize("value", ["True", "yes", " true", "1"])
def test_a_strange_value_for_sandbox_is_refused_and_never_means_aws(runner: Runner, value: str) -> None:
    done = runner.action({"command": "plan", "sandbox": value})
    assert done.returncode == 2
    assert f"::error::sandbox: {value} is not true or false" in done.stdout


def test_options_on_several_lines_all_count(runner: Runner) -> None:
    """As in a block of YAML: without the last line, `destroy` would delete the configuration's cluster."""
    inputs = {"command": "destroy", "sandbox": "true", "arguments": "--dry-run\n\n  --cluster\tother\n"}
    assert runner.action(inputs).returncode == 0
    done = runner.action({**inputs, "arguments": "--dry-run\n--clusters other"})
    assert done.returncode == 2, done.stdout


def test_the_installation_accepts_only_files_with_a_known_hash(tmp_path: Path) -> None:
    """With a Python that writes down what it is asked for."""
    venv = tmp_path / "bacalhau-spot"
    fake = tmp_path / "python"
    fake.write_text(
        f'#!/bin/bash\necho "$@" >>{tmp_path}/log\n'
        f'if [ "$2" = venv ]; then mkdir -p {venv}/bin; cp "$0" {venv}/bin/python; fi\n'
    )
    fake.chmod(0o755)
    environ = {
        "ACTION": str(ROOT), "PYTHON": str(fake), "EXTRA": "none", "RUNNER_TEMP": str(tmp_path),
        "GITHUB_PATH": str(tmp_path / "path"), "PATH": os.environ["PATH"],
    }  # fmt: skip
    subprocess.run([ROOT / ".github/action/install"], env=environ, check=True, timeout=60)
    installs = [line for line in (tmp_path / "log").read_text().splitlines() if " install " in line]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]  # the repository itself, which has no hash
