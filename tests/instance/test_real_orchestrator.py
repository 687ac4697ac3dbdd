"""The managed orchestrator that we render, run by Bacalhau itself: who may do what, and what outlives a restart.

Runs when BACALHAU_BIN names the program. Everything is on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.core.model import Secret, TlsMode
from bacalhau_spot.core.orchestrator.nats_check import NatsStatus
from bacalhau_spot.instance import orchestrator_config
from bacalhau_spot.instance.orchestrator_config import ORCHESTRATOR_KEYS
from bacalhau_spot.instance.scripts import orchestrator_answers
from bacalhau_spot.orchestrator.certificates import new_credentials, renewed
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from bacalhau_spot.orchestrator.nats_probe import probe_nats
from support.real_bacalhau import PROGRAM, WITHOUT, configuration_keys, listening, until
from support.real_node import compute
from support.real_orchestrator import BUCKET, HOST, ManagedOrchestrator, managed_orchestrator

pytestmark = pytest.mark.skipif(not PROGRAM, reason=WITHOUT)

PAGE = Path(orchestrator_config.__file__).parents[3] / "docs" / "orchestrator.md"
CREDENTIALS = new_credentials(HOST)
NAMES = {f"bacalhau-i-{number:017d}" for number in range(3)}
# The smallest program that Bacalhau takes: exports _start, which returns, and has its name section.
WASM = (
    "data:application/wasm;base64,"
    "AGFzbQEAAAABBAFgAAADAgEABQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAAKBAECAAsAEARuYW1lAQkBAAZfc3RhcnQ="
)


def job(name: str, *, kind: str = "batch", **task: Any) -> dict[str, Any]:
    source = {"Source": {"Type": "inline", "Params": {"URL": WASM}}, "Target": "/main.wasm"}
    main = {
        "Name": "main",
        "Engine": {"Type": "wasm", "Params": {"EntryModule": "/main.wasm", "Entrypoint": "_start"}},
        "InputSources": [source],
        "Timeouts": {"QueueTimeout": 3600},
        **task,
    }
    return {"Job": {"Name": name, "Namespace": "default", "Type": kind, "Count": 1, "Tasks": [main]}}


def submitted(here: ManagedOrchestrator, name: str, *, kind: str = "batch", **task: Any) -> str:
    status, answer = here.ask(
        "orchestrator/jobs", key=CREDENTIALS.operator_key, body=job(name, kind=kind, **task)
    )
    assert status == 200, answer
    return str(answer["JobID"])


def described(here: ManagedOrchestrator, job_id: str) -> dict[str, Any]:
    status, answer = here.ask(f"orchestrator/jobs/{job_id}", key=CREDENTIALS.operator_key)
    assert status == 200, answer
    found: dict[str, Any] = answer["Job"]
    return found


@contextlib.contextmanager
def three_nodes(folder: Path, here: ManagedOrchestrator) -> Iterator[None]:
    """Compute nodes from rendered user data, as resolved for this orchestrator."""
    with contextlib.ExitStack() as stack:
        for name in sorted(NAMES):
            (folder / name).mkdir(exist_ok=True)
            node = compute(
                folder / name,
                here.nats,
                tls=TlsMode.NATIVE,
                token=CREDENTIALS.token.reveal(),
                ca=CREDENTIALS.ca_pem,
                name=name,
                address=here.nats_address,
            )
            stack.enter_context(node)
        yield


def nats_status(here: ManagedOrchestrator, token: Secret | None) -> NatsStatus:
    return asyncio.run(probe_nats(here.nats_address, here.spec(token))).status


def test_the_keys_that_we_know_are_bacalhaus_own(tmp_path: Path) -> None:
    assert set(ORCHESTRATOR_KEYS) <= configuration_keys(tmp_path)


def test_it_listens_on_the_ports_of_the_page_and_no_other(tmp_path: Path) -> None:
    """Ports and address are other ones here; sshd's port is the image's."""
    section = PAGE.read_text("utf-8").partition("## Ports\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| (\d+) \|", section, re.MULTILINE))
    with managed_orchestrator(tmp_path, CREDENTIALS) as here:
        ports = {str(here.nats): "4222", str(here.api): "1234"}
        found = {(ports.get(port, port), address) for port, address in listening(here.pid)}
    assert found == {(port, HOST) for port in documented - {"22"}}


def test_each_key_may_do_what_it_is_for_and_nats_wants_the_token(tmp_path: Path) -> None:
    with managed_orchestrator(tmp_path, CREDENTIALS) as here:
        tool = HttpOrchestrator(
            here.api_address, login=Login(key=CREDENTIALS.tool_key), ca_pem=CREDENTIALS.ca_pem
        )
        assert asyncio.run(tool.nodes()) == ()
        for key, status in ((None, 401), (Secret("x" * 64), 401), (CREDENTIALS.tool_key, 403)):
            assert here.ask("orchestrator/jobs", key=key, body=job("refused"))[0] == status
        assert here.ask("orchestrator/nodes", key=None)[0] == 401
        submitted(here, "taken")

        assert nats_status(here, CREDENTIALS.token) is NatsStatus.ACCEPTED
        assert nats_status(here, Secret("another")) is NatsStatus.TOKEN_REFUSED
        assert nats_status(here, None) is NatsStatus.TOKEN_MISSING

        # No secret is in the configuration that the API shows, nor in the log.
        status, shown = here.ask("agent/config", key=CREDENTIALS.operator_key)
        assert status == 200
        assert here.ask("agent/config", key=CREDENTIALS.tool_key)[0] == 403
        log = (tmp_path / "orchestrator.log").read_text()
        for secret in (CREDENTIALS.token, CREDENTIALS.operator_key, CREDENTIALS.tool_key):
            assert secret.reveal() not in json.dumps(shown) and secret.reveal() not in log
        # Bacalhau has read each setting, from both files.
        config = shown["config"] if "config" in shown else shown["Config"]
        assert config["Orchestrator"]["Scheduler"]["QueueBackoff"] == "15s"
        assert config["Publishers"]["Types"]["S3Managed"]["Bucket"] == BUCKET
        assert [user["Alias"] for user in config["API"]["Auth"]["Users"]] == ["operator", "bacalhau-spot"]


def test_a_queued_job_runs_when_nodes_join_and_a_restart_keeps_everything(tmp_path: Path) -> None:
    with managed_orchestrator(tmp_path, CREDENTIALS) as here:
        queued = submitted(here, "queued", Publisher={"Type": "noop"})
        published = submitted(here, "with the default publisher")
        assert described(here, published)["Tasks"][0]["Publisher"]["Type"] == "s3managed"
        assert described(here, queued)["State"]["StateType"] in {"Pending", "Queued"}
        with three_nodes(tmp_path, here):
            until("three nodes are connected", lambda: here.connected() == NAMES)
            # Bacalhau's default is to try a queued job once a minute.
            until("it runs", lambda: described(here, queued)["State"]["StateType"] == "Completed", seconds=25)
        ports = (here.nats, here.api)

    # Another certificate for the same data and the same nodes: a renewal.
    fresh = renewed(CREDENTIALS, HOST)
    with managed_orchestrator(tmp_path, fresh, ports=ports) as again:
        assert described(again, queued)["State"]["StateType"] == "Completed"
        assert set(again.nodes()) == NAMES
        with three_nodes(tmp_path, again):
            until("the nodes are back", lambda: again.connected() == NAMES)


def test_the_machines_own_check_finds_a_wrong_token_and_a_stopped_orchestrator(tmp_path: Path) -> None:
    with managed_orchestrator(tmp_path, CREDENTIALS) as here:
        where: dict[str, Any] = {
            "folder": str(tmp_path / "run"),
            "host": HOST,
            "api_port": here.api,
            "nats_port": here.nats,
        }
        orchestrator_answers.check_answers(**where)
        config = tmp_path / "run/credentials.yaml"
        right = config.read_text()
        config.write_text(right.replace(CREDENTIALS.token.reveal(), "0" * 64))
        with pytest.raises(OSError, match="Authorization Violation"):
            orchestrator_answers.check_answers(**where)
        config.write_text(right)
        with pytest.raises(OSError, match="is not NATS"):
            orchestrator_answers.check_answers(**{**where, "nats_port": here.api})
    with pytest.raises(ConnectionRefusedError):
        orchestrator_answers.check_answers(**where)
