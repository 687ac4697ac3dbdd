"""A managed orchestrator's machine. Source: the programs in instance/scripts; Bacalhau 1.9, pkg/authz; NATS client protocol."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from importlib import resources
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau import nats_listener
from aws_spot_sandbox_bacalhau.node_settings import ORCHESTRATOR_STUCK, NodeSettings
from bacalhau_spot.core.model import Secret, TlsMode
from bacalhau_spot.core.orchestrator.nats_check import NatsStatus
from bacalhau_spot.orchestrator.nats_probe import probe_nats
from sandbox_nodes.machines import compute, launch
from sandbox_nodes.orchestrators import OPERATOR, PARAMETER, TOOL, Orchestrator, permissions
from sandbox_nodes.test_console import phase_lines

WORDS = {
    "scripts/orchestrator_boot.py": (
        'say("download", f"Bacalhau {version}")',
        "waiting for {facts['device']}",
        "{parameter}; the volume {disk} is mounted: {found}",
        "Bacalhau {version}, archive sha256 {digest}",
        "NATS on port {orchestrator_answers.NATS_PORT}, the API on {orchestrator_answers.API_PORT}",
    ),
    "scripts/orchestrator_volume.py": (
        "no volume is attached as {device} after {seconds:.0f} s",
        "{'existing data' if found else 'new file system'}",
        "ATTACHED_S = 600.0",
    ),
    "scripts/orchestrator_credentials.py": ("the parameter has changed; the orchestrator restarts",),
    "scripts/orchestrator_answers.py": ("the orchestrator does not answer after {seconds:.0f} s: {why}",),
    "scripts/secret.py": ("the parameter {parameter} cannot be read: {why}", "TRIES = 30", "_PAUSE_S = 10.0"),
    "scripts/orchestrator_reconcile.py": (
        "every {found['every_s']} s, with {found['package'].partition('#')[0]}",
        'return "stopped"',
        "does not run: {why}",
        "the parameter has no configuration for reconcile",
    ),
    "units/bacalhau-orchestrator-reconcile-setup.timer": ("OnUnitActiveSec=1min",),
    "units/bacalhau-orchestrator-boot.service": ("RestartSec=30",),
    "units/bacalhau-orchestrator-credentials.timer": ("OnUnitActiveSec=5min",),
}


def status(sandbox: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sandbox.server.plugins.status()["orchestrators"]
    return rows


def listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_machine_that_has_everything_answers_at_the_end_of_its_boot(sandbox: Any) -> None:
    """Its phases, each in its time; no port is open before the last one."""
    made = Orchestrator.complete(sandbox)
    sandbox.clock.advance(sandbox.settings.boot_s - 0.5)
    lines = phase_lines(sandbox, made.instance_id)
    assert [phase for phase, _ in lines] == ["download", "volume", "credentials", "start"]
    assert lines[1][1] == "waiting for /dev/sdf"
    assert lines[2][1].startswith(f"{PARAMETER}; the volume /dev/nvme1n1 is mounted: ")
    assert lines[2][1].endswith(", new file system")
    assert not listens(made.address, 1234)
    sandbox.clock.advance(0.5)
    assert phase_lines(sandbox, made.instance_id)[-1] == ("answers", "NATS on port 4222, the API on 1234")
    assert made.ask("/agent/alive", key=None) == (200, {"Status": "OK"})
    assert status(sandbox) == [
        {
            "region": "us-east-1",
            "instance": made.instance_id,
            "address": made.address,
            "state": "answers",
            "waits_for": None,
            "notice": None,
        }
    ]


def test_the_words_are_the_programs_own() -> None:
    """The simulated lines would mislead if the programs wrote others."""
    for name, phrases in WORDS.items():
        source = (resources.files("bacalhau_spot.instance") / name).read_text("utf-8")
        for phrase in phrases:
            assert phrase in source, (name, phrase)


def test_it_waits_for_each_thing_in_turn_and_names_it(sandbox: Any) -> None:
    """`sandbox status` names it at once; the console has the program's reason after its patience, and it starts again."""
    made = Orchestrator(sandbox)
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    made.prepare(policy=nothing)
    made.launch()

    def failure(after_s: float) -> str:
        """What it waits for, and the console's reason."""
        sandbox.clock.advance(60)
        sandbox.server.settle()
        row = status(sandbox)[0]
        assert row["state"] == "waiting"
        sandbox.clock.advance(after_s)
        failures = [detail for phase, detail in phase_lines(sandbox, made.instance_id) if phase == "failed"]
        return f"{row['waits_for']} | {failures[-1]}"

    reason = "no volume is attached as /dev/sdf after 600 s"
    assert failure(600) == f"the data volume /dev/sdf | volume: {reason}"
    made.give_volume()
    assert "is not authorized to perform: ssm:GetParameter on resource: arn:aws:ssm:" in failure(300)
    made.allow(permissions())
    missing = f"the parameter {PARAMETER} cannot be read: ParameterNotFound:"
    assert failure(300) == f"{missing} | credentials: {missing}"
    made.give_parameter(server_key="none")
    assert failure(600).endswith("does not answer after 600 s: [Errno 111] Connection refused")
    made.give_parameter()
    sandbox.clock.advance(700)
    sandbox.server.settle()
    assert phase_lines(sandbox, made.instance_id)[-1][0] == "answers"
    assert status(sandbox)[0]["waits_for"] == "the Elastic IP"
    made.give_address()
    sandbox.server.settle()
    assert made.ask("/agent/alive")[0] == 200
    assert [phase for phase, _ in phase_lines(sandbox, made.instance_id)].count("download") > 3


def test_without_a_way_out_it_downloads_nothing(sandbox: Any) -> None:
    """VPC user guide, "Enable internet access": the route to the gateway is missing."""
    made = Orchestrator.complete(sandbox)
    table = next(table for table in made.ec2.describe_route_tables()["RouteTables"])
    made.ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    sandbox.clock.advance(240 + sandbox.settings.boot_s)
    phases = phase_lines(sandbox, made.instance_id)
    assert [phase for phase, _ in phases] == ["download", "failed"]
    assert phases[1][1].endswith("<urlopen error timed out>")


@pytest.mark.parametrize("phase", ORCHESTRATOR_STUCK)
def test_a_switch_stops_its_boot(sandbox: Any, phase: str) -> None:
    """In each phase; `boot`: not a line of its programs. Without the switch it answers after the next repetition."""
    settings = sandbox.world.settings_of(NodeSettings)
    settings.stuck_orchestrators = {"*": phase}
    made = Orchestrator.complete(sandbox)
    sandbox.clock.advance(640)
    phases = [name for name, _ in phase_lines(sandbox, made.instance_id)]
    assert "answers" not in phases
    assert ("failed" in phases) == (phase != "boot")
    settings.stuck_orchestrators = {}
    sandbox.clock.advance(700)
    sandbox.server.settle()
    assert made.ask("/agent/alive")[0] == 200


def test_the_keys_open_their_part_of_the_api(sandbox: Any) -> None:
    """API.Auth.Users: the operator everything, the tool the nodes; "Request Forbidden" for its jobs."""
    made = Orchestrator.complete(sandbox)
    made.boots()
    assert made.ask("/orchestrator/nodes", key=TOOL)[0] == 200
    assert made.ask("/orchestrator/jobs", key=OPERATOR)[0] == 200
    code, reply = made.ask("/orchestrator/jobs", key=TOOL)
    assert (code, reply["Message"]) == (403, "Request Forbidden")
    assert reply["Details"]["reason"].endswith("does not have the required capability 'read:job'")
    assert made.ask("/agent/node", key=TOOL)[0] == 403
    assert [made.ask("/orchestrator/nodes", key=key)[0] for key in (None, "x" * 20)] == [401, 401]


def test_the_port_of_nats_tells_what_is_wrong(sandbox: Any) -> None:
    """The product's own probe, with each of its verdicts."""
    made = Orchestrator.complete(sandbox)
    made.boots()
    good = made.spec().bacalhau
    cases = {
        NatsStatus.ACCEPTED: good,
        NatsStatus.TOKEN_REFUSED: dataclasses.replace(good, token=Secret("another")),
        NatsStatus.TOKEN_MISSING: dataclasses.replace(good, token=None),
        NatsStatus.UNTRUSTED: dataclasses.replace(good, ca_pem=None),
        NatsStatus.TLS_REQUIRED: dataclasses.replace(good, tls=TlsMode.NONE, ca_pem=None),
    }
    for expected, bacalhau in cases.items():
        check = asyncio.run(probe_nats(good.orchestrators[0], bacalhau))
        assert check.status is expected, check


def test_its_security_group_decides_who_connects(sandbox: Any) -> None:
    made = Orchestrator.complete(sandbox)
    made.close_port(1234, "52.94.76.1/32")
    made.boots()
    assert (listens(made.address, nats_listener.PORT), listens(made.address, 1234)) == (True, False)
    made.open_port(1234, "0.0.0.0/0")
    made.close_port(4222, "0.0.0.0/0")
    sandbox.server.settle()
    launch(sandbox, of=made.spec())
    sandbox.clock.advance(60)
    assert (listens(made.address, nats_listener.PORT), made.nodes()) == (False, [])


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"token": "another"}, "nats: Authorization Violation"),
        ({"ca_pem": ""}, "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
    ],
)
def test_a_node_joins_with_the_right_token_and_authority_only(
    sandbox: Any, changed: dict[str, str], reason: str
) -> None:
    made = Orchestrator.complete(sandbox)
    made.boots()
    good = launch(sandbox, of=made.spec())[0]
    bad = launch(sandbox, of=made.spec(**changed))[0]
    sandbox.clock.advance(60)
    assert [row["Info"]["Labels"]["instance-id"] for row in made.nodes()] == [good]
    phase, detail = phase_lines(sandbox, bad)[-1]
    assert phase == "waiting"
    assert detail.startswith(reason)
    assert compute(sandbox) == []  # the sandbox's own orchestrator has none of them


def test_nodes_wait_for_it_and_nobody_answers_at_another_address(sandbox: Any) -> None:
    made = Orchestrator.complete(sandbox)
    early = launch(sandbox, of=made.spec())[0]
    nowhere = dataclasses.replace(made.spec(), bacalhau=dataclasses.replace(
        made.spec().bacalhau, orchestrators=("tls://127.200.0.1:4222",)))  # fmt: skip
    lost = launch(sandbox, of=nowhere)[0]
    sandbox.world.settings_of(NodeSettings).stuck_orchestrators = {"*": "start"}
    sandbox.clock.advance(40)
    assert phase_lines(sandbox, early)[-1] == ("waiting", "nats: no servers available for connection")
    sandbox.world.settings_of(NodeSettings).stuck_orchestrators = {}
    sandbox.server.settle()
    sandbox.clock.advance(20)
    assert [row["Info"]["Labels"]["instance-id"] for row in made.nodes()] == [early]
    assert phase_lines(sandbox, early)[-1][0] == "joined"
    assert phase_lines(sandbox, lost)[-1][0] == "waiting"


def test_its_records_outlive_the_machine(sandbox: Any) -> None:
    """A replacement with the same volume and address lists the nodes, which connect again; a console keeps its lines."""
    made = Orchestrator.complete(sandbox)
    made.boots()
    node = launch(sandbox, of=made.spec())[0]
    sandbox.clock.advance(60)
    assert made.summary() == [("CONNECTED", "")]
    first = made.instance_id
    made.ec2.terminate_instances(InstanceIds=[first])
    sandbox.clock.advance(5)
    sandbox.server.settle()
    assert not listens(made.address, 1234)
    assert status(sandbox) == []
    assert phase_lines(sandbox, node)[-1][0] == "joined"
    made.launch()
    made.give_volume()
    made.give_address()
    made.boots()
    assert made.summary() == [("DISCONNECTED", "")]
    sandbox.clock.advance(20)
    assert made.summary() == [("CONNECTED", "")]
    assert phase_lines(sandbox, first)[-1][0] == "answers"


def test_an_address_that_cannot_be_bound_is_reported(sandbox: Any) -> None:
    """On macOS 127.0.0.1 is the only loopback address; here another program has the port."""
    made = Orchestrator.complete(sandbox)
    with socket.create_server((made.address, 1234)):
        made.boots()
        assert status(sandbox)[0]["notice"] == f"{made.address}:1234 cannot be bound: Address already in use"


def test_a_changed_parameter_restarts_it_within_five_minutes(sandbox: Any) -> None:
    """The timer's program; its nodes connect again if their token is still the right one."""
    made = Orchestrator.complete(sandbox)
    made.boots()
    launch(sandbox, of=made.spec())
    sandbox.clock.advance(60)
    made.give_parameter(operator_key="another-operator-key-0")
    assert made.ask("/orchestrator/jobs", key=OPERATOR)[0] == 200
    sandbox.clock.advance(300)
    sandbox.server.settle()
    assert phase_lines(sandbox, made.instance_id)[-1] == (
        "credentials",
        "the parameter has changed; the orchestrator restarts",
    )
    assert made.ask("/orchestrator/jobs", key=OPERATOR)[0] == 401
    sandbox.clock.advance(20)
    assert made.ask("/orchestrator/jobs", key="another-operator-key-0")[0] == 200
