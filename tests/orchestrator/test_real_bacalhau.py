"""The client against Bacalhau itself: a node rendered by us joins, is read, leaves, is forgotten; keys, passwords and TLS.

Runs when BACALHAU_BIN names the program. Everything is on loopback.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.orchestrator.orchestrator_nodes import Membership, OrchestratorNode
from bacalhau_spot.core.orchestrator.prune import is_cluster_node
from bacalhau_spot.instance.bacalhau_config import label_value
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login
from bacalhau_spot.orchestrator.port import OrchestratorError
from support.certificates import self_signed
from support.node_specs import FULL
from support.real_bacalhau import NODE, PROGRAM, WITHOUT, orchestrator, until
from support.real_node import MACHINE, compute

pytestmark = pytest.mark.skipif(not PROGRAM, reason=WITHOUT)

KEY = "a-key-of-more-than-20-letters"
PASSWORD = "reading only, 0123456789"
USERS: list[dict[str, Any]] = [
    {"Alias": "deployer", "APIKey": KEY, "Capabilities": [{"Actions": ["read:node", "write:node"]}]},
    {
        "Alias": "looker",
        "Username": "looker",
        "Password": PASSWORD,
        "Capabilities": [{"Actions": ["read:node"]}],
    },
    {"Alias": "other", "APIKey": f"{KEY}-of-another", "Capabilities": [{"Actions": ["read:job"]}]},
]


def members(client: HttpOrchestrator) -> tuple[OrchestratorNode, ...]:
    return asyncio.run(client.nodes())


def refusal(call: Any) -> str:
    with pytest.raises(OrchestratorError) as caught:
        asyncio.run(call)
    assert KEY not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    return caught.value.code


def connected(client: HttpOrchestrator) -> OrchestratorNode | None:
    return next((node for node in members(client) if node.connected), None)


def test_a_node_of_ours_joins_leaves_and_is_forgotten(tmp_path: Path) -> None:
    """On an open API. The orchestrator itself is not in the list."""
    with orchestrator(tmp_path) as here:
        client = HttpOrchestrator(f"127.0.0.1:{here.api}")
        assert asyncio.run(client.version()).startswith("v")
        assert members(client) == ()
        with compute(tmp_path, here.nats):
            member = until("the node is connected", lambda: connected(client))
            assert (member.id, member.membership, member.last_error) == (NODE, Membership.APPROVED, "")
            expected = {"provider": "aws", "region": "us-east-1", "team": "data", **MACHINE}
            assert expected.items() <= member.labels.items()
            assert member.labels["cluster"] == label_value(FULL.name)
            assert "wasm" in member.engines
            assert member.total.cpu >= Decimal("0.5")
            assert 0 < member.free.memory_bytes <= member.total.memory_bytes
            assert member.total.disk_bytes > 0
            assert member.version == asyncio.run(client.version())
            assert member.last_heartbeat_at is not None and member.since is not None
        disconnected = until(
            "the node is disconnected", lambda: [node for node in members(client) if not node.connected]
        )[0]
        assert (disconnected.id, disconnected.last_error, disconnected.free.cpu) == (
            NODE,
            "graceful shutdown",
            0,
        )
        assert disconnected.since is not None and disconnected.since >= member.since
        asyncio.run(client.remove(NODE))
        assert members(client) == ()
        asyncio.run(client.remove(NODE))
        assert not is_cluster_node(disconnected, cluster="another")


def test_keys_and_passwords(tmp_path: Path) -> None:
    """Each may what it may, and a wrong one is told apart from one that may not."""
    with orchestrator(tmp_path, users=USERS) as here:
        address = f"http://127.0.0.1:{here.api}"
        writer = HttpOrchestrator(address, login=Login(Secret(KEY)))
        looker = HttpOrchestrator(address, login=Login(user="looker", password=Secret(PASSWORD)))
        assert members(writer) == members(looker) == ()
        asyncio.run(writer.remove("n-unknown"))
        assert refusal(looker.remove("n-unknown")) == "OrchestratorForbidden"
        assert refusal(HttpOrchestrator(address, login=Login(Secret(f"{KEY}-of-another"))).nodes()) == (
            "OrchestratorForbidden"
        )
        for login in (
            Login(),
            Login(Secret("wrong-but-long-enough-to-be-one")),
            Login(user="looker", password=Secret("wrong-0123456789")),
        ):
            stranger = HttpOrchestrator(address, login=login)
            assert refusal(stranger.nodes()) == "OrchestratorUnauthorized"
            assert asyncio.run(stranger.version()).startswith("v")
        assert refusal(HttpOrchestrator(f"127.0.0.1:{here.nats}").nodes()) == "OrchestratorAnswer"


def test_the_api_over_tls(tmp_path: Path) -> None:
    """With a private authority; the two ways of mixing up http and https; and an authority that is not named."""
    text = self_signed(tmp_path)
    files = {"CertFile": str(tmp_path / "server.pem"), "KeyFile": str(tmp_path / "server.key")}
    with orchestrator(tmp_path, api_tls=files) as here:
        address = f"https://127.0.0.1:{here.api}"
        assert members(HttpOrchestrator(address, ca_pem=text)) == ()
        assert refusal(HttpOrchestrator(address).nodes()) == "OrchestratorTls"
        plain = HttpOrchestrator(address.replace("https", "http"))
        assert refusal(plain.nodes()) == "OrchestratorScheme"
        assert refusal(plain.remove("n-1")) == "OrchestratorScheme"


def test_the_jobs_of_the_whole_cluster_need_one_action_more(tmp_path: Path) -> None:
    """`idle_ttl`: the key with read:node and write:node alone is refused; read:job reads all namespaces."""
    job = {
        "Name": "idle",
        "Namespace": "other",
        "Type": "batch",
        "Tasks": [{"Name": "main", "Engine": {"Type": "wasm", "Params": {"EntryModule": "none.wasm"}}}],
    }
    users = [*USERS, {"Alias": "all", "APIKey": f"{KEY}-of-all", "Capabilities": [{"Actions": ["*"]}]}]
    with orchestrator(tmp_path, users=users) as here:
        address = f"127.0.0.1:{here.api}"
        deployer = HttpOrchestrator(address, login=Login(Secret(KEY)))
        assert refusal(deployer.all_jobs()) == "OrchestratorJobForbidden"
        everything = HttpOrchestrator(address, login=Login(Secret(f"{KEY}-of-all")))
        submitted = asyncio.run(everything.submit(job))
        reader = HttpOrchestrator(address, login=Login(Secret(f"{KEY}-of-another")))
        (found,) = asyncio.run(reader.all_jobs())
        assert found.id == submitted
        assert found.changed_at is not None
