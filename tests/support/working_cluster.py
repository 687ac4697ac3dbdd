"""A cluster that runs jobs: Bacalhau's orchestrator as docs/jobs.md configures it, nodes as first boot makes them, and S3.

Everything is on loopback. S3 is moto's; the orchestrator signs the URLs, and nodes and clients use them without credentials.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from bacalhau_spot.core.model import Naming
from bacalhau_spot.instance.bacalhau_config import label_value
from support.certificates import self_signed
from support.real_bacalhau import PROGRAM, TOKEN, bacalhau, free_port, listens, until
from support.real_node import compute

OPERATOR = "operator-key-of-more-than-20-letters"
TOOL = "tool-key-of-more-than-20-letters"
# The first may do as much as docs/jobs.md asks for.
USERS: list[dict[str, Any]] = [
    {
        "Alias": "operator",
        "APIKey": OPERATOR,
        "Capabilities": [{"Actions": ["read:node", "write:node", "read:job", "write:job", "read:agent"]}],
    },
    {"Alias": "bacalhau-spot", "APIKey": TOOL, "Capabilities": [{"Actions": ["read:node", "write:node"]}]},
]
REGIONS = ("us-east-1", "us-west-2", "us-west-2")
BUCKET = "results"
CLUSTER = label_value(Naming().tag_value)
S3_KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "a-secret-of-s3-0123456789"}


@dataclass(frozen=True)
class WorkingCluster:
    """`url`: of the API, over TLS; `folder` has its certificate authority as `server.pem`."""

    folder: Path
    url: str
    s3: str
    nodes: tuple[str, ...]

    def configuration(self) -> str:
        """A configuration with this orchestrator as the user's own."""
        return (
            "nodes: 3\nregions: [us-east-1, us-west-2]\ninstance_types: [t3.medium]\n"
            "bacalhau:\n  orchestrators: ['nats://127.0.0.1:4222']\n"
            f"  api: {{host: '{self.url}', key_env: OPERATOR, ca_file: '{self.folder}/server.pem'}}\n"
        )

    def shell(self, home: Path) -> dict[str, str]:
        """The environment of a user's shell, with both programs in its PATH and the configuration in its folder."""
        programs = home / "bin"
        programs.mkdir()
        (programs / "bacalhau").symlink_to(PROGRAM)
        own = programs / "bacalhau-spot"
        own.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m bacalhau_spot \"$@\"\n")
        own.chmod(0o755)
        (home / "config.yaml").write_text(self.configuration())
        return {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(home),
            "OPERATOR": OPERATOR,
            "SHELL": "/bin/bash",
            "BACALHAU_UPDATECONFIG_INTERVAL": "0s",  # no network
            "BACALHAU_DISABLEANALYTICS": "true",
            "AWS_ENDPOINT_URL_S3": self.s3,
            "AWS_DEFAULT_REGION": "us-east-1",
            **S3_KEYS,
        }


@contextlib.contextmanager
def working_cluster(folder: Path) -> Iterator[WorkingCluster]:
    """Serves until the block ends, with all nodes joined."""
    self_signed(folder)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    s3 = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        _client(s3).create_bucket(Bucket=BUCKET)
        nats, api = free_port(), free_port()
        (folder / "orchestrator.yaml").write_text(json.dumps(_settings(folder, nats=nats, api=api, s3=s3)))
        env = {"BACALHAU_ORCHESTRATOR_AUTH_TOKEN": TOKEN, **S3_KEYS}
        serve = bacalhau(
            "--config", str(folder / "orchestrator.yaml"), folder=folder, log="orchestrator.log", env=env
        )
        stack.enter_context(serve)
        until("the orchestrator answers", lambda: listens(api))
        nodes = tuple(f"i-0123456789abcde{number:02x}" for number in range(len(REGIONS)))
        for node, region in zip(nodes, REGIONS, strict=True):
            home = folder / node
            home.mkdir()
            labels = {
                "instance-id": node,
                "instance-type": "m6a.large",
                "zone": f"{region}a",
                "lifecycle": "spot",
            }
            stack.enter_context(
                compute(home, nats, cluster=CLUSTER, region=region, name=f"bacalhau-{node}", labels=labels)
            )
        yield WorkingCluster(folder, f"https://127.0.0.1:{api}", s3, nodes)


def _client(s3: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=s3,
        region_name="us-east-1",
        aws_access_key_id=S3_KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=S3_KEYS["AWS_SECRET_ACCESS_KEY"],
    )


def _settings(folder: Path, *, nats: int, api: int, s3: str) -> dict[str, Any]:
    """As docs/jobs.md describes an orchestrator of the user's own; the endpoint stands for AWS's."""
    managed = {
        "Bucket": BUCKET,
        "Key": "jobs",
        "Region": "us-east-1",
        "PreSignedURLExpiration": "1h",
        "Endpoint": s3,
    }
    published = {"Task": {"Publisher": {"Type": "s3managed"}}}
    return {
        "DataDir": str(folder / "orchestrator"),
        "NameProvider": "hostname",
        "DisableAnalytics": True,
        "UpdateConfig": {"Interval": "0s"},
        "API": {
            "Host": "127.0.0.1",
            "Port": api,
            "TLS": {"CertFile": str(folder / "server.pem"), "KeyFile": str(folder / "server.key")},
            "Auth": {"Users": USERS},
        },
        "Orchestrator": {
            "Enabled": True,
            "Host": "127.0.0.1",
            "Port": nats,
            "Scheduler": {"QueueBackoff": "5s"},
        },
        "Publishers": {"Types": {"S3Managed": managed}},
        "JobDefaults": {"Batch": published, "Ops": published},
        "WebUI": {"Enabled": False},
    }
