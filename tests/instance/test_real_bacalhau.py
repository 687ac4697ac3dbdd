"""What we render, given to Bacalhau itself: it joins in each TLS mode, is named and labelled, and refuses work when cordoned.

Runs when BACALHAU_BIN names the program. Everything is on loopback; the node's files are the rendered ones, with a second
file over them for what one machine cannot have twice (folders, the API's port).
"""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bacalhau_spot.core.model import TlsMode
from bacalhau_spot.instance import bacalhau_config
from bacalhau_spot.instance.scripts import join_check
from support.certificates import self_signed
from support.real_bacalhau import PROGRAM, WITHOUT, ask, configuration_keys, orchestrator, until
from support.real_node import MACHINE, compute

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not PROGRAM, reason=WITHOUT)


def certificate(folder: Path) -> tuple[str, dict[str, str]]:
    """A certificate that is its own authority -> its text, and the orchestrator's TLS section."""
    text = self_signed(folder)
    files = {"ServerCert": str(folder / "server.pem"), "ServerKey": str(folder / "server.key")}
    return text, {**files, "CACert": str(folder / "server.pem")}


@contextlib.contextmanager
def tls_proxy(folder: Path, to: int) -> Iterator[int]:
    """Ends TLS and passes on what is inside, as a load balancer does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def serve(server: socket.socket) -> None:
        while True:
            try:
                plain, _ = server.accept()
            except OSError:
                return
            try:
                outside = context.wrap_socket(plain, server_side=True)
            except OSError:
                continue
            inside = socket.create_connection(("127.0.0.1", to))
            for pair in ((outside, inside), (inside, outside)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.close()


def test_the_keys_that_we_know_are_bacalhaus_own(tmp_path: Path) -> None:
    assert set(bacalhau_config.KNOWN) <= configuration_keys(tmp_path)


def test_a_rendered_node_joins_with_its_name_and_labels(tmp_path: Path) -> None:
    with orchestrator(tmp_path) as server, compute(tmp_path, server.nats) as node:
        node_info = until("the node is connected", server.connected)
        assert node_info["Info"]["NodeType"] == "Compute"
        labels = node_info["Info"]["Labels"]
        expected_labels = {
            "provider": "aws",
            "region": "us-east-1",
            "cluster": "demo",
            "team": "data",
            **MACHINE,
        }
        assert {key: labels[key] for key in expected_labels} == expected_labels
        # What the first boot looks at, on the real thing.
        assert join_check.connections(node.pid, {server.nats})
        assert ask(node.api, "agent/node")["ComputeNodeInfo"]["RunningExecutions"] == 0
    assert "Node shutdown notice received" in (tmp_path / "orchestrator.log").read_text()


def test_tls_native(tmp_path: Path) -> None:
    text, section = certificate(tmp_path)
    with (
        orchestrator(tmp_path, tls=section) as server,
        compute(tmp_path, server.nats, tls=TlsMode.NATIVE, ca=text),
    ):
        until("the node is connected", server.connected)


def test_tls_proxy(tmp_path: Path) -> None:
    text, _ = certificate(tmp_path)
    with (
        orchestrator(tmp_path, proxied=True) as server,
        tls_proxy(tmp_path, server.nats) as port,
        compute(tmp_path, port, tls=TlsMode.PROXY, ca=text),
    ):
        until("the node is connected", server.connected)


def test_a_wrong_token_leaves_no_connection_and_a_reason(tmp_path: Path) -> None:
    with orchestrator(tmp_path) as server, compute(tmp_path, server.nats, token="wrong") as node:
        reason = until("a reason", lambda: join_check.last_error((tmp_path / "node.log").read_text()))
        assert "Authorization Violation" in reason
        assert "wrong" not in reason
        assert join_check.connections(node.pid, {server.nats}) == set()
        assert server.node() is None


# States of an execution, as the API numbers them.
BID_REJECTED, COMPLETED = 4, 9
# The smallest program that Bacalhau takes: exports _start, which returns, and has its name section.
WASM = bytes.fromhex(
    "0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a040102000b"
    "0010046e616d6501090100065f7374617274"
)


def job(name: str) -> dict[str, Any]:
    module = f"data:application/wasm;base64,{base64.b64encode(WASM).decode()}"
    return {
        "Name": name,
        "Namespace": "default",
        "Type": "batch",
        "Count": 1,
        "Tasks": [
            {
                "Name": "main",
                "Engine": {"Type": "wasm", "Params": {"EntryModule": "/main.wasm", "Entrypoint": "_start"}},
                "InputSources": [
                    {"Source": {"Type": "inline", "Params": {"URL": module}}, "Target": "/main.wasm"}
                ],
            }
        ],
    }


def test_a_cordoned_node_takes_no_new_work(tmp_path: Path) -> None:
    with orchestrator(tmp_path) as server, compute(tmp_path, server.nats):
        until("the node is connected", server.connected)

        def outcome(name: str) -> list[int]:
            job_id = ask(server.api, "orchestrator/jobs", body={"Job": job(name)})["JobID"]

            def ended() -> str | None:
                state = ask(server.api, f"orchestrator/jobs/{job_id}")["Job"]["State"]["StateType"]
                return state if state in {"Completed", "Failed"} else None

            until(f"{name} ends", ended)
            executions = ask(server.api, f"orchestrator/jobs/{job_id}/executions")["Items"]
            return [execution["ComputeState"]["StateType"] for execution in executions]

        assert outcome("before") == [COMPLETED]
        (tmp_path / "draining").touch()
        assert set(outcome("after")) == {BID_REJECTED}
        (tmp_path / "draining").unlink()
        assert outcome("again") == [COMPLETED]
