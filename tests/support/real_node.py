"""A node from what we render, run by Bacalhau itself on loopback."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # cloud-init reads with it; it ships no types

from bacalhau_spot.core.model import Secret, TlsMode
from bacalhau_spot.instance import bacalhau_config
from bacalhau_spot.instance.user_data import cloud_config
from support.node_specs import FULL
from support.real_bacalhau import NODE, TOKEN, bacalhau, free_port

MACHINE = {"zone": "us-east-1a", "instance-type": "m6a.large", "lifecycle": "spot"}


@dataclass
class Compute:
    pid: int
    api: int


@contextlib.contextmanager
def compute(
    folder: Path,
    port: int,
    *,
    tls: TlsMode = TlsMode.NONE,
    token: str = TOKEN,
    ca: str = "x",
    cluster: str = FULL.name,
    region: str = "us-east-1",
    name: str = NODE,
    labels: Mapping[str, str] = MACHINE,
    address: str | None = None,
) -> Iterator[Compute]:
    """A node from rendered user-data: its files as they are, except for folders and the API's port.

    `labels`: what first boot finds out about the machine. `address`: of the orchestrator, if it is not on 127.0.0.1.
    """
    spec = dataclasses.replace(
        FULL,
        name=cluster,
        bacalhau=dataclasses.replace(
            FULL.bacalhau,
            orchestrators=(address or f"nats://127.0.0.1:{port}",),
            token=Secret(token),
            tls=tls,
            ca_pem=ca,
        ),
    )
    sent = yaml.safe_load(cloud_config(spec, region=region))["write_files"]
    content = {file["path"].rpartition("/")[2]: file["content"] for file in sent}
    api = free_port()
    (folder / "config.yaml").write_text(
        content["config.yaml"].replace(bacalhau_config.DRAINING, str(folder / "draining"))
    )
    (folder / "node.yaml").write_text(json.dumps({"Labels": dict(labels)}))
    (folder / "ca.pem").write_text(content["ca.pem"])
    here: dict[str, Any] = {"DataDir": str(folder / "node"), "API": {"Port": api}}
    if "CACert" in content["config.yaml"]:
        here["Compute"] = {"TLS": {"CACert": str(folder / "ca.pem")}}
    (folder / "here.yaml").write_text(json.dumps(here))
    files = [
        word for name in ("config", "node", "here") for word in ("--config", str(folder / f"{name}.yaml"))
    ]
    env = {"BACALHAU_COMPUTE_AUTH_TOKEN": token}
    with bacalhau(*files, "--name", name, folder=folder, log="node.log", env=env) as pid:
        yield Compute(pid, api)
