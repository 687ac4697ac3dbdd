"""Random faults in the answers of AWS and of the orchestrator: words for the user, bounded work, an unharmed terminal."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from support import trust_figures
from support.cli_runner import CliResult, CliRunner
from support.fuzz_examples import HOSTILE
from support.fuzz_targets import check_screen
from support.internal_errors import check_no_internal_error
from support.limits import cpu_limit
from support.mutated_answers import in_json, mutated_answers
from support.orchestrator import cluster_node, stand_in

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("list", "-o", "csv"),
    ("status", "-o", "wide"),
    ("create", "--dry-run"),
    ("list", "-o", "json"),
    ("cost",),
    ("destroy", "--dry-run", "-o", "yaml"),
    ("status", "-o", "ndjson"),
    ("list",),
    ("nuke", "--dry-run"),
    ("doctor",),
    ("clusters",),
    ("history",),
    ("report", "--output-file", "report.html"),
)
_CODES = {0, 1, 2, 4, 5}
# The CPU of a command here, whatever the answers: three times that of the slowest with good ones, on a slow machine.
_LIMIT_S = 20.0


def check(result: CliResult, program: CliRunner, what: object) -> None:
    shown = result.stdout + result.stderr
    check_no_internal_error(shown, what)
    assert result.code in _CODES, (what, result.code)
    check_screen(shown)
    page = program.folder / "report.html"
    if page.exists():
        check_screen(page.read_text())
        page.unlink()


def cases(few: int, many: int) -> int:
    return many if trust_figures.FULL else few


@pytest.fixture
def cluster(sandbox: Any, program: CliRunner) -> CliRunner:
    path = program.configure(nodes=2, regions="[us-west-2]")
    path.write_text(path.read_text().replace("192.0.2.1:4222", "127.0.0.1:9"))
    assert program("create", "--yes").code == 0
    sandbox.clock.advance(600)
    return program


def test_answers_of_aws(sandbox: Any, cluster: CliRunner) -> None:
    began, count = time.process_time(), cases(8, 400)
    for number in range(count):
        dice = random.Random(f"{trust_figures.SEED} {number}")
        words = COMMANDS[number % len(COMMANDS)]
        with mutated_answers(sandbox.server, dice, share=0.3), cpu_limit(_LIMIT_S):
            result = cluster(*words)
        check(result, cluster, (number, words))
    figures = {"AWS's answers": count}
    trust_figures.record("bad input", cases=count, cpu_s=time.process_time() - began, groups=figures)


def test_answers_of_the_orchestrator(cluster: CliRunner) -> None:
    began, count = time.process_time(), cases(6, 200)
    rows = cluster("list", "-o", "json").data["instances"]
    with stand_in() as orchestrator:
        path = cluster.folder / "config.yaml"
        path.write_text(path.read_text() + f"  api: {{host: '{orchestrator.url}'}}\n")
        for number in range(count):
            dice = random.Random(f"{trust_figures.SEED} orchestrator {number}")
            nodes = [cluster_node(row["id"], region="us-west-2", cluster="bacalhau-aws-spot") for row in rows]
            nodes[0]["ConnectionState"]["LastError"] = HOSTILE
            orchestrator.nodes[:] = [in_json(node, dice, rate=0.06) for node in nodes]
            words = (("status", "-o", "wide"), ("status", "-o", "json"), ("prune", "--dry-run"))[number % 3]
            with cpu_limit(_LIMIT_S):
                result = cluster(*words)
            check(result, cluster, (number, words))
    figures = {"the orchestrator's answers": count}
    trust_figures.record("bad input", cases=count, cpu_s=time.process_time() - began, groups=figures)
