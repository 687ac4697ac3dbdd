"""A managed orchestrator from what we render, run by Bacalhau itself on loopback."""

from __future__ import annotations

import contextlib
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # cloud-init reads with it; it ships no types

from bacalhau_spot.core.model import BacalhauSpec, Secret, TlsMode
from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials
from bacalhau_spot.instance.bacalhau_config import DATA_DIR
from bacalhau_spot.instance.orchestrator_config import CREDENTIALS_FOLDER
from bacalhau_spot.instance.orchestrator_data import orchestrator_cloud_config
from bacalhau_spot.instance.scripts import orchestrator_answers, orchestrator_credentials
from support.node_specs import FULL
from support.real_bacalhau import bacalhau, free_port, until

HOST = "127.0.0.9"
BUCKET = "bacalhau-results-test"


@dataclass(frozen=True)
class ManagedOrchestrator:
    credentials: OrchestratorCredentials
    nats: int
    api: int
    pid: int

    @property
    def nats_address(self) -> str:
        return f"tls://{HOST}:{self.nats}"

    @property
    def api_address(self) -> str:
        return f"https://{HOST}:{self.api}"

    def spec(self, token: Secret | None) -> BacalhauSpec:
        """As resolved for nodes, with this token."""
        return BacalhauSpec(
            orchestrators=(self.nats_address,),
            token=token,
            tls=TlsMode.NATIVE,
            ca_pem=self.credentials.ca_pem,
        )

    def ask(self, path: str, *, key: Secret | None, body: object = None) -> tuple[int, Any]:
        """The status and the JSON of a response; with a body, of a PUT request."""
        login = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
        request = urllib.request.Request(
            f"{self.api_address}/api/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            method="GET" if body is None else "PUT",
            headers={"Content-Type": "application/json", **login},
        )
        trust = ssl.create_default_context(cadata=self.credentials.ca_pem)
        try:
            with urllib.request.urlopen(request, timeout=10, context=trust) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def nodes(self) -> dict[str, str]:
        """The status of each compute node by name, as the tool sees them; the orchestrator is in the list, too."""
        _, listed = self.ask("orchestrator/nodes", key=self.credentials.tool_key)
        return {
            node["Info"]["NodeID"]: node["ConnectionState"]["Status"]
            for node in listed["Nodes"]
            if node["Info"]["NodeType"] == "Compute"
        }

    def connected(self) -> set[str]:
        return {name for name, status in self.nodes().items() if status == "CONNECTED"}


@contextlib.contextmanager
def managed_orchestrator(
    folder: Path, credentials: OrchestratorCredentials, *, ports: tuple[int, int] | None = None
) -> Iterator[ManagedOrchestrator]:
    """The rendered configuration and the credentials as the machine's program writes them, in other folders and ports."""
    files = {
        file["path"]: file["content"]
        for file in yaml.safe_load(orchestrator_cloud_config(FULL, region="eu-west-1", bucket=BUCKET))[
            "write_files"
        ]
    }
    run = folder / "run"
    run.mkdir(exist_ok=True)
    orchestrator_credentials.write_credentials(json.loads(credentials.to_json().reveal()), folder=str(run))
    config = folder / "config.yaml"
    config.write_text(
        files["/etc/bacalhau/config.yaml"]
        .replace(CREDENTIALS_FOLDER, str(run))
        .replace(DATA_DIR, str(folder / "data"))
    )
    nats, api = ports or (free_port(), free_port())
    here = folder / "here.yaml"
    here.write_text(
        json.dumps({"API": {"Host": HOST, "Port": api}, "Orchestrator": {"Host": HOST, "Port": nats}})
    )
    names = (config, run / orchestrator_credentials.CONFIG, here)
    arguments = [word for name in names for word in ("--config", str(name))]

    def answers() -> bool:
        try:
            orchestrator_answers.check_answers(folder=str(run), host=HOST, nats_port=nats, api_port=api)
        except OSError:
            return False
        return True

    with bacalhau(*arguments, folder=folder, log="orchestrator.log") as pid:
        until("the orchestrator answers", answers)
        yield ManagedOrchestrator(credentials, nats, api, pid)
