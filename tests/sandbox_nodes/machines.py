"""Instances with our user-data, and the orchestrator's API as any HTTP client meets it."""

from __future__ import annotations

import dataclasses
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from bacalhau_spot.core.model import BacalhauSpec, Secret, Secrets
from bacalhau_spot.instance import user_data
from sandbox.ec2.clusters import image
from support.node_specs import PLAIN, TOKEN

if TYPE_CHECKING:
    from bacalhau_spot.core.model import ClusterSpec

PENDING_S, BOOT_S = 1.0, 20.0
NODES = "/orchestrator/nodes"


def spec(*, token: str = TOKEN, secrets: Secrets = Secrets.USER_DATA, **more: Any) -> ClusterSpec:
    bacalhau = BacalhauSpec(
        orchestrators=("nats://192.0.2.1:4222",),
        token=Secret(token),
        secrets=secrets,
        labels=(("Team", "data"),),
    )
    return dataclasses.replace(PLAIN, bacalhau=bacalhau, **more)


def launch(sandbox: Any, count: int = 1, *, of: ClusterSpec | None = None, **more: Any) -> list[str]:
    """Spot instances that were given what a node is given. Their ids."""
    ec2 = sandbox.client()
    instances = ec2.run_instances(
        **{
            "ImageId": image(ec2),
            "InstanceType": "t3.medium",
            "MinCount": count,
            "MaxCount": count,
            "InstanceMarketOptions": {"MarketType": "spot"},
            "UserData": user_data.render(of or spec(), region="us-east-1"),
        }
        | more
    )["Instances"]
    return [row["InstanceId"] for row in instances]


def ask(
    sandbox: Any, path: str, *, method: str = "GET", body: Any = None, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    url = f"{sandbox.url}/_sandbox/orchestrator/api/v1{path}"
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.loads(refusal.read())


def put(sandbox: Any, name: str, action: str) -> tuple[int, dict[str, Any]]:
    return ask(
        sandbox, f"{NODES}/{name}", method="PUT", body={"Action": action, "Message": "", "NodeID": name}
    )


def compute(sandbox: Any, query: str = "") -> list[dict[str, Any]]:
    """The compute nodes that it lists."""
    rows = ask(sandbox, f"{NODES}{query}")[1]["Nodes"]
    return [row for row in rows if row["Info"]["NodeType"] == "Compute"]


def summary(sandbox: Any) -> list[tuple[str, str]]:
    """Status and last error of each compute node."""
    states = [row["ConnectionState"] for row in compute(sandbox)]
    return [(state["Status"], state.get("LastError", "")) for state in states]
