"""From the documentation's command lines to a job's output, with Bacalhau itself: orchestrator, three nodes, client.

Runs when BACALHAU_BIN names the program; with containers where a Docker daemon answers. Everything is on loopback.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.busybox_image import served_image, without_containers
from support.real_bacalhau import PROGRAM, WITHOUT, until
from support.working_cluster import CLUSTER, OPERATOR, TOOL, WorkingCluster, working_cluster

pytestmark = pytest.mark.skipif(not PROGRAM, reason=WITHOUT)
containers = pytest.mark.skipif(bool(without_containers()), reason=without_containers())

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "busybox:1.37"
ENV = 'eval "$(bacalhau-spot env)"'
PAGES = ("README.md", "docs/first-job.md", "docs/jobs.md")
_TESTED = re.compile(r"<!-- tested: begin -->\n(.*?)<!-- tested: end -->", re.DOTALL)
_LINE = re.compile(r"^    (\S.*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkingCluster]:
    with working_cluster(tmp_path_factory.mktemp("cluster")) as here:
        yield here


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def shell(cluster: WorkingCluster, home: Path) -> dict[str, str]:
    return cluster.shell(home)


def run(script: str, shell: dict[str, str], home: Path, *, code: int = 0) -> str:
    """The output of a script for bash."""
    result = subprocess.run(
        ["bash", "--norc", "-e", "-o", "pipefail", "-c", script],
        cwd=home,
        env=shell,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout


def command_lines(page: str) -> list[str]:
    """The command lines of a page between its marks, without the client's download."""
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = [line for part in _TESTED.findall(text) for line in _LINE.findall(part)]
    return [line for line in lines if not line.startswith("curl ")]


def last_line(output: str) -> Any:
    """The JSON of a client that may have set up its folder first."""
    return json.loads(output.splitlines()[-1])


def smoke(shell: dict[str, str], home: Path, *options: str, code: int = 0) -> dict[str, Any]:
    document = json.loads(
        run(f"bacalhau-spot smoke-test -o json {' '.join(options)}", shell, home, code=code)
    )
    data: dict[str, Any] = document["data"]
    return data


def test_every_node_runs_a_program_without_a_registry(
    cluster: WorkingCluster, shell: dict[str, str], home: Path
) -> None:
    data = smoke(shell, home, "--engine", "wasm")
    assert {node["instance_id"]: node["outcome"] for node in data["nodes"]} == dict.fromkeys(
        cluster.nodes, "ran"
    )
    assert all(0 < node["seconds"] < 60 for node in data["nodes"])
    listed = run(
        'eval "$(bacalhau-spot env)"; bacalhau job list --labels bacalhau-spot=smoke-test --output json',
        shell,
        home,
    )
    assert {job["State"]["StateType"] for job in last_line(listed)} == {"Completed"}


@containers
def test_every_node_runs_a_container(cluster: WorkingCluster, shell: dict[str, str], home: Path) -> None:
    with served_image() as image:
        data = smoke(shell, home, "--image", image)
    assert {node["instance_id"]: node["outcome"] for node in data["nodes"]} == dict.fromkeys(
        cluster.nodes, "ran"
    )


@containers
def test_an_image_that_nobody_has_is_a_reason_for_each_node(shell: dict[str, str], home: Path) -> None:
    data = smoke(shell, home, "--image", "127.0.0.1:9/nothing:1", "--timeout", "20", code=1)
    assert {node["outcome"] for node in data["nodes"]} <= {"failed", "not-started"}
    assert all(node["detail"] for node in data["nodes"]) and data["not_stopped"] == []


@pytest.mark.skipif(not without_containers(), reason="the nodes offer Docker")
def test_nodes_without_docker_are_told_apart(shell: dict[str, str], home: Path) -> None:
    data = smoke(shell, home, code=1)
    assert {node["outcome"] for node in data["nodes"]} == {"no-engine"}


def test_the_tools_own_key_submits_nothing(shell: dict[str, str], home: Path) -> None:
    shell["OPERATOR"] = TOOL
    document = json.loads(run("bacalhau-spot smoke-test --engine wasm -o json", shell, home, code=4))
    assert document["errors"][0]["code"] == "OrchestratorJobForbidden"
    assert "write:job" in document["errors"][0]["why"]


@containers
def test_ctrl_c_leaves_no_job_behind(cluster: WorkingCluster, shell: dict[str, str], home: Path) -> None:
    """The nodes are busy, so that the jobs wait."""
    (cpu,) = {
        node["Info"]["ComputeNodeInfo"]["MaxCapacity"]["CPU"]
        for node in last_line(run(f"{ENV}; bacalhau node list --output json", shell, home))
        if node["Info"]["NodeType"] == "Compute"
    }
    with served_image() as image:
        hold = (
            f"{ENV}; for i in 0 1 2; do bacalhau docker run --wait=false --name hold-$i --cpu {cpu} "
            f"--constraints instance-id={cluster.nodes[0][:-1]}$i {image} -- sleep 100; done"
        )
        run(hold, shell, home)
        command = ["bacalhau-spot", "smoke-test", "--engine", "wasm", "-o", "json", "--timeout", "60"]
        with subprocess.Popen(
            command, cwd=home, env=shell, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            executable=home / "bin" / "bacalhau-spot",
        ) as process:  # fmt: skip
            script = f"{ENV}; bacalhau job list --labels bacalhau-spot=smoke-test --limit 100 --output json"
            until(
                "the jobs wait in the nodes' queues",
                lambda: (
                    _states(run(script, shell, home)).get("Running", 0) == len(cluster.nodes)
                    or process.poll() is not None
                ),
            )
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        try:
            assert process.returncode == 130, output
            data = json.loads(output)["data"]
            assert data["interrupted"] and data["not_stopped"] == []
            until(
                "no job is left",
                lambda: not _states(run(script, shell, home)).keys() - {"Completed", "Stopped", "Failed"},
            )
        finally:
            run(
                'eval "$(bacalhau-spot env)"; for i in 0 1 2; do bacalhau job stop hold-$i; done', shell, home
            )


def _states(listed: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for job in last_line(listed):
        counts[job["State"]["StateType"]] = counts.get(job["State"]["StateType"], 0) + 1
    return counts


def test_the_client_takes_the_lines_of_env(
    cluster: WorkingCluster, shell: dict[str, str], home: Path
) -> None:
    """Over TLS with a private authority, whatever an earlier connection left in the environment."""
    shell |= {
        "BACALHAU_API_USERNAME": "of another",
        "BACALHAU_API_PASSWORD": "x" * 20,
        "BACALHAU_API_PORT": "1",
    }
    listed = run('eval "$(bacalhau-spot env)"; bacalhau node list --output json', shell, home)
    names = {node["Info"]["NodeID"] for node in last_line(listed)}
    assert {f"bacalhau-{node}" for node in cluster.nodes} <= names


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_in_fish_too(cluster: WorkingCluster, shell: dict[str, str], home: Path) -> None:
    shell["SHELL"] = "/usr/bin/fish"
    script = "bacalhau-spot env | source; bacalhau node list --output json"
    result = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=home,
        env=shell,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert cluster.nodes[0] in result.stdout


@pytest.mark.parametrize("file", sorted(path.name for path in (ROOT / "examples").glob("*.yaml")))
def test_bacalhau_accepts_each_example(shell: dict[str, str], home: Path, file: str) -> None:
    """Its own check knows every field; a dry run fills in the placeholders."""
    path = ROOT / "examples" / file
    values = f"-V cluster={CLUSTER} -V get=http://127.0.0.1/g -V put=http://127.0.0.1/p"
    script = f'eval "$(bacalhau-spot env)"; bacalhau job validate {path}; bacalhau job run --dry-run {values} {path}'
    shown = run(script, shell, home)
    assert shown.startswith("OK") and CLUSTER in shown and "{{" not in shown


@containers
@pytest.mark.parametrize("page", PAGES)
def test_the_command_lines_of_a_page_work(
    cluster: WorkingCluster, shell: dict[str, str], home: Path, page: str
) -> None:
    """In one shell, in their order, to the job's output. Only the image and the bucket are others."""
    lines = command_lines(page)
    assert len(lines) >= 5
    shutil.copytree(ROOT / "examples", home / "examples")
    with served_image() as image:
        for path in (home / "examples").iterdir():
            path.write_text(path.read_text().replace(IMAGE, image))
        script = "\n".join(
            line.replace(IMAGE, image)
            .replace("BUCKET", "results")
            .replace("uv run --no-project --with boto3 python", "python3")
            for line in lines
        )
        script = re.sub(r"bacalhau-spot smoke-test(?! --engine| --image)", rf"\g<0> --image {image}", script)
        if "eval" not in script:
            script = f'eval "$(bacalhau-spot env)"\n{script}'
        shown = run(_clean(script), shell, home)
    if "answer.txt" in script:
        assert shown.rstrip().splitlines().count("42") == 1
        assert (home / "job-hello" / "outputs" / "answer.txt").read_text() == "42\n"
    else:
        assert (home / "job-batch-example" / "outputs" / "numbers.txt").read_text().splitlines()[-1] == "1000"
    assert OPERATOR not in shown


def _clean(script: str) -> str:
    """Jobs of the same name from another page, if any, are stopped and replaced."""
    return script.replace(
        "bacalhau docker run --name hello",
        f"bacalhau docker run --labels page=p{time.time_ns()} --name hello",
    )
