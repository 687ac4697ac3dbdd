"""Notices: a webhook and a command hear of the end of a create and of a refused budget; their failures stop nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from bacalhau_spot.config.field_types import NoticeKinds
from bacalhau_spot.core.notices import NoticeKind
from support.cli_runner import CliRunner
from support.misbehaving_servers import closed_port
from support.schemas import schema
from support.webhook import PATH, Webhook, webhook

HERE = "us-west-1"
CLUSTER = "bacalhau-aws-spot"


def receivers(program: CliRunner, text: str, *, nodes: int = 1, more: str = "") -> None:
    program.configure(nodes=nodes, regions=f"[{HERE}]", more=f"notify:\n{text}{more}")


def hooked(program: CliRunner, server: Webhook, *, nodes: int = 1, more: str = "") -> None:
    program.environ["HOOK"] = server.url
    receivers(program, "  - {url_env: HOOK}\n", nodes=nodes, more=more)


def events(server: Webhook) -> list[str]:
    return [body["event"] for body in server.bodies]


def test_the_end_of_a_create(sandbox: Any, program: CliRunner, tmp_path: Path) -> None:
    """One notice to the webhook and one to the command, in the published form, which chats display; none of a dry run."""
    with webhook() as server:
        program.environ["HOOK"] = server.url
        kept = tmp_path / "home" / "kept"
        kept.parent.mkdir()
        receivers(
            program,
            f"  - {{url_env: HOOK}}\n  - {{command: 'cat > {kept}'}}\n"
            f"  - {{url_env: HOOK, events: [cluster-expired]}}\n",
            nodes=2,
        )
        assert program("create", "--dry-run").code == 0
        assert server.bodies == []
        result = program("create", "--yes")
        assert (result.code, result.stderr.count("warning")) == (0, 0), result.stderr
        [body] = server.bodies
        assert json.loads(kept.read_text()) == body
        assert (body["version"], body["event"], body["cluster"]) == (1, "create-ended", CLUSTER)
        assert body["text"].endswith(f"create of {CLUSTER}: success: 2 of 2 requested nodes run")
        assert body["content"] == body["text"]
        assert body["data"]["outcome"] == "success"
        assert body["data"]["regions"] == {HERE: {"running": 2, "code": None}}
        delivery = {"number": 1, "receiver": "x", "delivered": True, "problem": None, "notice": body}
        schema("notices.schema.json").validate({"deliveries": [delivery]})
        # Nothing was launched, so nothing ended.
        assert program("create", "--yes").code == 0
        assert len(server.bodies) == 1


def test_a_partial_and_a_failed_create(sandbox: Any, program: CliRunner) -> None:
    with webhook() as server:
        hooked(program, server, nodes=2)
        sandbox.settings.capacity = {HERE: 0}
        assert program("create", "--yes").code == 1
        sandbox.settings.capacity = {HERE: 1}
        result = program("create", "--yes", "-o", "json")
        assert (result.code, result.envelope["warnings"]) == (1, [])
        assert [body["data"]["outcome"] for body in server.bodies] == ["failed", "partial"]
        assert "failed: 0 of 2 requested nodes run" in server.bodies[0]["text"]
        assert server.bodies[0]["data"]["regions"] == {
            HERE: {"running": 0, "code": "InsufficientInstanceCapacity"}
        }
        assert server.bodies[1]["data"]["missing"] == 1


def test_a_refused_budget(program: CliRunner) -> None:
    with webhook() as server:
        hooked(program, server)
        assert program("create", "--yes", "--budget", "0.0001", "--dry-run").code == 2
        assert server.bodies == []
        assert program("create", "--yes", "--budget", "0.0001").code == 2
        assert events(server) == ["budget-reached"]
        assert server.bodies[0]["data"]["budget_usd_per_hour"] == "0.0001"
        assert server.bodies[0]["data"]["not_launched"] == 1


def test_failures_are_told_and_stop_nothing(program: CliRunner) -> None:
    """A warning in both outputs, the exit code as without; and no secret of the webhook's address."""
    program.environ["HOOK"] = f"http://{closed_port()}{PATH}"
    receivers(program, "  - {url_env: HOOK}\n  - {command: 'echo no such channel >&2; exit 4'}\n")
    refused = program("create", "--yes", "--budget", "0.0001", "-o", "json").envelope
    [error] = refused["errors"]
    assert (refused["exit_code"], len([line for line in error["details"] if "not delivered" in line])) == (
        2,
        2,
    )
    assert "planted" not in json.dumps(refused).lower()
    result = program("create", "--yes")
    assert result.code == 0
    output = " ".join(result.stderr.split())
    assert "create-ended was not delivered to the webhook at 127.0.0.1 (number 1 in `notify`)" in output
    assert "to the command echo (number 2 in `notify`): exit code 4: no such channel" in output
    assert "planted" not in (result.stdout + result.stderr).lower()
    for shown in (
        program("config", "show"),
        program("config", "show", "-o", "json"),
        program("create", "--debug", "-n"),
    ):
        assert "planted" not in (shown.stdout + shown.stderr).lower()


def test_an_error_after_the_confirmation(sandbox: Any, program: CliRunner) -> None:
    """A managed orchestrator that cannot be created: the create ends, and the notice has the reason."""
    with webhook() as server:
        program.environ["HOOK"] = server.url
        (program.folder / "config.yaml").write_text(
            f"nodes: 1\nregions: [{HERE}]\nssh_cidrs: none\norchestrator: managed\nnotify: [{{url_env: HOOK}}]\n"
        )
        sandbox.settings.faults = [
            {"match": "ec2:AllocateAddress", "code": "AddressLimitExceeded", "message": "AWS's words"}
        ]
        result = program("create", "--yes")
        assert result.code != 0
        [body] = server.bodies
        assert (body["event"], body["data"]["outcome"]) == ("create-ended", "failed")
        assert body["data"]["exit_code"] == result.code
        assert body["data"]["what"] in " ".join(result.stderr.split())


def test_trying_it_once(program: CliRunner) -> None:
    """`notify-test` calls no AWS service, sends the kinds that the receivers name, and fails if a delivery does."""
    with webhook() as server:
        program.environ["HOOK"] = server.url
        receivers(
            program, "  - {url_env: HOOK}\n  - {command: 'exit 5', events: [interruption, replacement]}\n"
        )
        result = program("notify-test", "-o", "json")
        assert result.code == 1
        assert sorted(events(server)) == ["create-ended", "interruption", "replacement"]
        assert all("nothing has happened" in body["text"] for body in server.bodies)
        outcomes = [(row["number"], row["delivered"], row["problem"]) for row in result.data["deliveries"]]
        assert outcomes.count((1, True, None)) == 3
        assert outcomes.count((2, False, "exit code 5")) == 2
        schema("output.schema.json").validate(result.envelope)
        shown = program("notify-test", "--event", "cluster-expired")
        assert (shown.code, "1 of 1 notice delivered" in shown.stdout) == (0, True)
        assert "planted" not in (shown.stdout + shown.stderr).lower()
    program.configure(nodes=1)
    nobody = program("notify-test")
    assert (nobody.code, "names no receiver of notices" in nobody.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {}", "notify[0]: needs `url_env`, `url_file`, `url` or `command`"),
        ("- {url: 'https://a.b/c', command: x}", "notify[0].command: cannot be combined with `url`"),
        ("- {url: 'ftp://planted.example/x'}", "notify[0].url: found text; must be an address"),
        ("- {url_env: NOT_SET}", "notify[0].url_env: the environment variable NOT_SET is not set"),
        ("- {url_env: BAD}", "notify[0].url_env: $BAD must hold a webhook's address and nothing else"),
        ("- {url_file: nowhere}", "notify[0].url_file: there is no file"),
        (
            "- {command: x, events: [interupted]}",
            'notify[0].events[0]: found "interupted"; must be create-ended',
        ),
        ("- {command: x, events: []}", "notify[0].events: found a list that is empty"),
        ("- {command: ' '}", "notify[0].command: found"),
        ("- {comand: x}", "did you mean `command`?"),
        ("- x", "notify[0]: found text; must be a mapping"),
    ],
)
def test_mistakes_in_the_configuration(program: CliRunner, text: str, words: str) -> None:
    """With their place, and without the address."""
    program.environ["BAD"] = "planted secret"
    receivers(program, f"  {text}\n")
    result = program("config", "show")
    assert result.code == 2
    assert words in " ".join(result.stderr.split())
    assert "planted" not in result.stderr


def test_the_address_in_a_file(program: CliRunner) -> None:
    with webhook() as server:
        (program.folder / "home").mkdir()
        (program.folder / "home" / "hook").write_text(f"{server.url}\n")
        receivers(program, "  - {url_file: home/hook, events: [interruption]}\n")
        assert program("notify-test").code == 0
        assert events(server) == ["interruption"]
        shown = program("config", "show").stdout
        assert "webhook at 127.0.0.1 (interruption)" in shown


def test_the_configuration_has_every_kind() -> None:
    assert set(get_args(NoticeKinds)) == set(NoticeKind)
