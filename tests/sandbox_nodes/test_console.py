"""Console output. Source: EC2 API reference, GetConsoleOutput; the lines are those of src/bacalhau_spot/instance/scripts."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

import pytest

from aws_spot_sandbox_bacalhau.node_settings import NodeSettings
from bacalhau_spot.core.model import InterruptionSpec, Secrets
from sandbox.ec2.clusters import image, refused
from sandbox_nodes.machines import BOOT_S, PENDING_S, launch, spec

LINE = re.compile(r"bacalhau-spot: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ([a-z]+)(?:: (.*))?")
HARD_WORDS = {
    "join_check.py": ("not joined after {seconds:.0f} s: {error or ",),
    "first_boot.py": (
        '"packages", "Docker"',
        '"docker", "waiting until it answers"',
        "Bacalhau {facts['version']}",
        "{name}, Bacalhau {facts['version']}, archive sha256 {digest}",
        "the instance is about to end; the node does not start",
        "the configuration names no orchestrator",
        "connected for {lasted:.0f} s, engines ",
        "Bacalhau does not offer Docker here",
    ),
    "interruption_watcher.py": (
        '"draining" if notice.drain else "interrupted"',
        'f"{notice.action} in {self._left(notice)} s; no new work is accepted"',
        '"stopping", f"unfinished executions: ',
        '"stopped", f"{self._left(notice)} s before the instance ends"',
        '"stopped", "the machine shuts down"',
    ),
    "docker.py": ("Docker does not answer after {wait_for_runtime.DOCKER_S:.0f} s: ",),
    "secret.py": ("the parameter {parameter} cannot be read: {why}", "the instance has no role"),
    "shell.py": ("did not end within {timeout_s} s", "ended with {done.returncode}: "),
}


def console(sandbox: Any, instance_id: str, **more: Any) -> str:
    answer = sandbox.client().get_console_output(InstanceId=instance_id, **more)
    return str(answer.get("Output", ""))  # botocore has taken it out of base64


def phase_lines(sandbox: Any, instance_id: str) -> list[tuple[str, str]]:
    """Phase and detail of our own lines."""
    lines = [LINE.fullmatch(line) for line in console(sandbox, instance_id).split("\r\n")]
    return [(line[2], line[3] or "") for line in lines if line]


def test_it_grows_with_the_boot(sandbox: Any) -> None:
    """Nothing at first; then the kernel, cloud-init, and phase after phase with its time, until `joined`."""
    instance_id = launch(sandbox)[0]
    sandbox.clock.advance(PENDING_S + 1)
    assert "Output" not in sandbox.client().get_console_output(InstanceId=instance_id)
    sandbox.clock.advance(3)
    early = console(sandbox, instance_id, Latest=True)
    assert early.startswith("[    0.000000] Linux version ")
    assert "cloud-init" in early
    assert phase_lines(sandbox, instance_id) == []
    sandbox.clock.advance(5)
    assert [phase for phase, _ in phase_lines(sandbox, instance_id)] == ["packages"]
    sandbox.clock.advance(BOOT_S)
    lines = phase_lines(sandbox, instance_id)
    assert [phase for phase, _ in lines] == ["packages", "docker", "download", "start"]
    assert lines[3][1].startswith(f"bacalhau-{instance_id}, Bacalhau v1.")
    sandbox.clock.advance(60)
    assert phase_lines(sandbox, instance_id)[-1] == ("joined", "connected for 11 s, engines docker wasm")
    times = [line[1] for line in map(LINE.fullmatch, console(sandbox, instance_id).split("\r\n")) if line]
    assert times == sorted(times)


def test_the_words_are_the_programs_own() -> None:
    """What the sandbox writes would mislead as soon as the programs say it differently."""
    for name, phrases in HARD_WORDS.items():
        source = (resources.files("bacalhau_spot.instance") / "scripts" / name).read_text("utf-8")
        for phrase in phrases:
            assert phrase in source, (name, phrase)


def test_a_refused_token(sandbox: Any) -> None:
    """`waiting` with Bacalhau's reason, and `failed` when join_s is over."""
    sandbox.world.settings_of(NodeSettings).orchestrator_token = "another"
    instance_id = launch(sandbox)[0]
    sandbox.clock.advance(PENDING_S + BOOT_S)
    assert phase_lines(sandbox, instance_id)[-1] == ("waiting", "nats: Authorization Violation")
    sandbox.clock.advance(600)
    assert phase_lines(sandbox, instance_id)[-1] == (
        "failed",
        "join: not joined after 600 s: nats: Authorization Violation",
    )


def test_every_way_to_get_stuck_ends_in_its_own_words(sandbox: Any) -> None:
    """Each program gives up after a time of its own; before it, nothing follows the phase; `boot` never says a word of ours."""
    consoles = {}
    for phase in ("packages", "docker", "download", "start", "join", "boot"):
        sandbox.world.settings_of(NodeSettings).stuck[launch(sandbox)[0]] = phase
    sandbox.clock.advance(PENDING_S + BOOT_S)
    for instance_id, phase in sandbox.world.settings_of(NodeSettings).stuck.items():
        assert "failed" not in dict(phase_lines(sandbox, instance_id)), phase
    sandbox.clock.advance(1000)
    for instance_id, phase in sandbox.world.settings_of(NodeSettings).stuck.items():
        consoles[phase] = phase_lines(sandbox, instance_id)[-1:]
    assert consoles.pop("boot") == []
    assert {phase: lines[0][0] for phase, lines in consoles.items()} == dict.fromkeys(consoles, "failed")
    assert all(lines[0][1].startswith(f"{phase}: ") for phase, lines in consoles.items())


def test_a_token_that_cannot_be_read(sandbox: Any) -> None:
    """With `secrets: ssm` and no role: secret.py's reason, after its patience."""
    instance_id = launch(sandbox, of=spec(secrets=Secrets.SSM))[0]
    sandbox.clock.advance(PENDING_S + BOOT_S + 300)
    phase, why = phase_lines(sandbox, instance_id)[-1]
    assert phase == "failed"
    assert why.endswith("cannot be read: the instance has no role")


def test_without_docker_it_says_so(sandbox: Any) -> None:
    sandbox.world.settings_of(NodeSettings).without_docker = ["*"]
    instance_id = launch(sandbox)[0]
    sandbox.clock.advance(60)
    assert phase_lines(sandbox, instance_id)[-2:] == [
        ("warning", "Bacalhau does not offer Docker here"),
        ("joined", "connected for 11 s, engines wasm"),
    ]


def test_the_watcher_on_an_interruption(sandbox: Any) -> None:
    """Its three lines; when the machine is off, the kernel's last word and nothing after it."""
    instance_id = launch(sandbox)[0]
    sandbox.clock.advance(60)
    sandbox.server.interrupt("us-east-1", instance_id)
    assert phase_lines(sandbox, instance_id)[-3:] == [
        ("interrupted", "terminate in 120 s; no new work is accepted"),
        ("stopping", "unfinished executions: 0"),
        ("stopped", "120 s before the instance ends"),
    ]
    sandbox.clock.advance(200)
    assert console(sandbox, instance_id).rstrip().endswith("reboot: Power down")


@pytest.mark.parametrize(("grace_s", "stops_after"), [(0, 0), (75, 75), (100, 100)])
def test_running_work_gets_the_configured_time(sandbox: Any, grace_s: int, stops_after: int) -> None:
    """interruption_watcher.py: for at most grace_s, and until 20 seconds before the end."""
    sandbox.world.settings_of(NodeSettings).executions["*"] = 2
    instance_id = launch(sandbox, of=spec(interruption=InterruptionSpec(grace_s=grace_s)))[0]
    sandbox.clock.advance(60)
    sandbox.server.interrupt("us-east-1", instance_id)
    sandbox.clock.advance(max(0, stops_after - 1))
    assert ("stopping" in dict(phase_lines(sandbox, instance_id))) is (stops_after == 0)
    sandbox.clock.advance(min(1, stops_after))
    assert phase_lines(sandbox, instance_id)[-2:] == [
        ("stopping", "unfinished executions: 2"),
        ("stopped", f"{120 - stops_after} s before the instance ends"),
    ]


def test_a_notice_during_the_boot(sandbox: Any) -> None:
    """first_boot.py does not start a node that would be taken at once."""
    instance_id = launch(sandbox)[0]
    sandbox.clock.advance(PENDING_S + 5)
    sandbox.server.interrupt("us-east-1", instance_id)
    sandbox.clock.advance(60)
    lines = phase_lines(sandbox, instance_id)
    assert lines[-1] == ("failed", "start: the instance is about to end; the node does not start")
    assert ("interrupted", "terminate in 117 s; no new work is accepted") in lines


def test_what_is_refused(sandbox: Any) -> None:
    """Latest is for Nitro; an instance that is not there."""
    old = launch(sandbox, InstanceType="t2.micro", ImageId=image(sandbox.client()))[0]
    with refused("UnsupportedOperation"):
        console(sandbox, old, Latest=True)
    with refused("InvalidInstanceID.NotFound"):
        console(sandbox, "i-0123456789abcdef0")
