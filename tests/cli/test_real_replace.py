"""`replace --drifted` with Bacalhau itself, while jobs arrive: no job is lost.

Runs when BACALHAU_BIN names the program: three nodes, and REPLACE_NODES of them with `make replace-nodes`. Everything is on
loopback, in real time. Short jobs end within the grace of a drain; long ones do not, and Bacalhau runs them again elsewhere.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bacalhau_spot.cli.runtime import node_changes
from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.orchestrator.client_environment import CA_FILE, HOST, KEY
from bacalhau_spot.core.orchestrator.jobs import ExecutionState, Job, JobState
from bacalhau_spot.core.orchestrator.smoke_test import Engine
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from bacalhau_spot.orchestrator.port import OrchestratorError
from cli.test_real_sandbox import on_aws
from support import wasm_programs
from support.cli_runner import CliRunner
from support.real_bacalhau import PROGRAM, WITHOUT

__all__ = ["on_aws"]

pytestmark = pytest.mark.skipif(not PROGRAM, reason=WITHOUT)

NODES = int(os.environ.get("REPLACE_NODES", "3"))
AT_ONCE = max(1, NODES // 5)
# One job in five is long.
SHORT_S, LONG_S, GRACE_S = 3, 40, 10
EVERY_S = 1.5


@dataclass
class JobStream:
    """Jobs one after the other, until the block ends."""

    client: HttpOrchestrator
    long: dict[str, bool] = field(default_factory=dict)  # by id
    refused: list[str] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)  # those that have ended

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self._submit_until, args=(stop,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(60)

    def _submit_until(self, stop: threading.Event) -> None:
        for number in itertools.count():
            long = number % 5 == 0
            program = wasm_programs.echo("done", sleep_s=LONG_S if long else SHORT_S)
            try:
                job_id = asyncio.run(self.client.submit(wasm_programs.job(f"job-{number}", program)))
                self.long[job_id] = long
            except OrchestratorError as error:
                self.refused.append(str(error))
            if stop.wait(EVERY_S):
                return

    def wait(self, *, seconds: float) -> None:
        """Until all have ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and len(self.jobs) < len(self.long):
            for job_id in self.long.keys() - self.jobs.keys():
                job = asyncio.run(self.client.job(job_id))
                if job.state.final:
                    self.jobs[job_id] = job
            time.sleep(1)

    def lost(self) -> list[str]:
        """Those that have not completed, with the reason."""
        return [
            f"{job_id}: {self.jobs[job_id].state} {self.jobs[job_id].message}"
            if job_id in self.jobs
            else f"{job_id}: not ended"
            for job_id in self.long
            if job_id not in self.jobs or self.jobs[job_id].state is not JobState.COMPLETED
        ]

    def moved(self) -> int:
        """The jobs that ran on more than one node."""
        return sum(
            len({one.node for one in job.executions if one.state is not ExecutionState.REJECTED}) > 1
            for job in self.jobs.values()
        )


def client(user: CliRunner) -> HttpOrchestrator:
    variables = user("env", "-o", "json").data["variables"]
    trust = Path(variables[CA_FILE]).read_text()
    return HttpOrchestrator(variables[HOST], login=Login(Secret(variables[KEY])), ca_pem=trust, total_s=60)


def nodes_of(user: CliRunner) -> set[str]:
    return {row["id"] for row in user("list", "-o", "json").data["instances"] if row["state"] == "running"}


def test_no_job_is_lost_while_all_nodes_are_replaced(
    on_aws: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    options_of = node_changes._test_options
    # Without Docker, and without an image from a registry.
    monkeypatch.setattr(
        node_changes, "_test_options", lambda run_id: replace(options_of(run_id), engine=Engine.WASM)
    )
    config = on_aws.folder / "config.yaml"
    config.write_text(config.read_text().replace("nodes: 3", f"nodes: {NODES}\ntimeouts: {{join_s: 1200}}"))
    created = on_aws("create", "--yes", "-o", "json")
    assert created.code == 0, created.stdout
    old = nodes_of(on_aws)
    assert len(old) == NODES

    config.write_text(config.read_text().replace("grace_s: 0", "grace_s: 5"))
    stream, begun = JobStream(client(on_aws)), time.monotonic()
    with stream.running():
        time.sleep(3 * EVERY_S)
        options = ("--at-once", str(AT_ONCE), "--grace", f"{GRACE_S}s", "--yes", "-o", "json")
        replaced = on_aws("replace", "--drifted", *options)
    took_s = time.monotonic() - begun
    stream.wait(seconds=600)
    new = nodes_of(on_aws)
    ended = Counter(str(job.state) for job in stream.jobs.values())
    figures = {
        "nodes": NODES,
        "at_once": AT_ONCE,
        "seconds": round(took_s),
        "replaced": len(old - new),
        "submitted": len(stream.long),
        "long": sum(stream.long.values()),
        "refused": len(stream.refused),
        "ended": dict(ended),
        "moved": stream.moved(),
        "lost": len(stream.lost()),
    }
    print(json.dumps(figures))  # noqa: T201 -- the result of `make replace-nodes`
    assert replaced.code == 0, replaced.stdout
    assert (len(new), new & old) == (NODES, set())
    assert stream.refused == []
    assert stream.lost() == []
    assert stream.moved() > 0 or NODES < 10
