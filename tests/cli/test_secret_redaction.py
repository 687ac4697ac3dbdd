"""No secret ever comes out: every command there is, in every form of output, when all is well and when it is not."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import botocore.exceptions
import pytest

from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from bacalhau_spot.cli.app import COMMANDS, GROUPS
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.redaction import redacted
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.ui import json_output
from support.cli_runner import CONFIG, CliRunner
from support.planted_secrets import API_KEY, BACALHAU_TOKEN, PLANTED, SESSION_TOKEN

# What a command needs to do its work, where nothing is not enough.
ARGUMENTS = {
    "create": ["--yes"],
    "destroy": ["--yes"],
    "nuke": ["--force"],
    "configure": ["--set", "nodes=1"],
}
MORE = f'  token: {BACALHAU_TOKEN}\n  api: {{host: "http://127.0.0.1:9", key_env: BACALHAU_KEY}}\n'


@pytest.fixture
def user(program: CliRunner) -> CliRunner:
    """A cluster with a token and an API key. The fixture of `program` looks into every stream and file afterwards."""
    program.environ["BACALHAU_KEY"] = API_KEY
    program.environ["AWS_SESSION_TOKEN"] = SESSION_TOKEN
    program.environ["AWS_SECRET_ACCESS_KEY"] = SECRET_ACCESS_KEY
    text = CONFIG.format(nodes=1, regions="[us-west-1]") + MORE
    (program.folder / "config.yaml").write_text(text.replace("nats://192.0.2.1:4222", "nats://127.0.0.1:9"))
    return program


def lines() -> list[list[str]]:
    """Every command, those in groups too; the sandbox's own are not about AWS."""
    plain = [[name, *ARGUMENTS.get(name, [])] for name in COMMANDS]
    inner = [
        [group, name] for group, (_, commands) in GROUPS.items() if group != "sandbox" for name in commands
    ]
    return [*plain, *inner]


@pytest.mark.parametrize("form", [["--debug"], ["-o", "ndjson", "--debug"]], ids="-".join)
def test_every_command(sandbox: Any, user: CliRunner, form: list[str]) -> None:
    """In the order of a cluster's life."""
    for line in lines():
        user(*line, *form)
    assert "ec2:CreateVpc" in {action for _, action, _ in sandbox.world.calls}


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_mistake_that_quotes_what_it_was_given(
    user: CliRunner, monkeypatch: pytest.MonkeyPatch, debug: list[str]
) -> None:
    """Botocore's errors about arguments quote them; the message, the log and the traceback hide them."""

    async def broken(self: Aws, region: str, **kwargs: Any) -> None:
        raise botocore.exceptions.ParamValidationError(report=f"Invalid value: {' '.join(PLANTED)}")

    monkeypatch.setattr(Aws, "create_vpc", broken)
    result = user("create", "--yes", *debug)
    assert result.code == 1
    (log,) = (user.folder / ".local" / "state" / "bacalhau-spot").glob("error-*.log")
    assert "Invalid value: " in log.read_text()


def test_labels_give_away_what_is_not_known(program: CliRunner) -> None:
    """What a credential program printed, or a header that a library quotes."""
    world = Runtime(environ={}, cwd=program.folder, home=program.folder, stdin=None, stdout=None, stderr=None)  # type: ignore[arg-type]
    for text in (
        '{"SecretAccessKey": "abcdefghijkl"}',
        "aws_secret_access_key = abcdefghijkl",
        "Authorization: Bearer abcdefghijkl",
        "session_token=abcdefghijkl,",
        "password: 'abcdefghijkl'",
    ):
        assert "abcdefghijkl" not in redacted(text, world)
    plain = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY both, or neither and AWS_PROFILE"
    assert redacted(plain, world) == plain


@pytest.mark.parametrize("form", ["table", "json", "yaml", "ndjson"])
@pytest.mark.parametrize(
    "command", [["list"], ["destroy", "--yes"], ["destroy", "--dry-run", "--debug"]], ids="-".join
)
def test_aws_quotes_secrets(sandbox: Any, user: CliRunner, command: list[str], form: str) -> None:
    """T7: what AWS says of a refusal leaves without them in every form; the planted ones are looked for by the fixture."""
    quoted = f'{" ".join(PLANTED)}, "SecretAccessKey": "abcdefghijkl", password=mnopqrstuv'
    sandbox.world.settings.faults = [
        {
            "match": name,
            "region": "us-west-1",
            "code": "UnauthorizedOperation",
            "message": quoted,
            "status": 403,
        }
        for name in ("ec2:DescribeInstances", "ec2:DescribeVpcs")
    ]
    result = user(*command, "-o", form)
    output = result.stdout + result.stderr
    assert "***" in output
    assert "abcdefghijkl" not in output and "mnopqrstuv" not in output
    if form == "json":
        assert result.envelope["errors"]


def test_a_secret_with_quotes_and_blanks_is_hidden_in_json_and_where_a_line_ended(program: CliRunner) -> None:
    """T7: JSON spells it otherwise, and a narrow window folds it."""
    stream = StringIO()
    world = Runtime(
        environ={}, cwd=program.folder, home=program.folder, stdin=StringIO(), stdout=stream, stderr=stream
    )
    world.secrets.add('open "sesame\\ now')
    json_output.write_envelope(world.stdout, {"a": [{"b": 'it is open "sesame\\ now!'}]}, form="json")
    world.stdout.write('open "sesame\\\n  now')
    assert "sesame" not in stream.getvalue()
    document, rest = stream.getvalue()[:-3], stream.getvalue()[-3:]
    assert (json.loads(document), rest) == ({"a": [{"b": "it is ***!"}]}, "***")


def test_keys_of_a_profile_are_known_secrets(
    sandbox: Any, user: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T7: from ~/.aws/credentials as from the environment."""
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name)
        user.environ.pop(name, None)
    path = user.folder / "home" / "credentials"
    path.parent.mkdir()
    path.write_text(
        f"[default]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    sandbox.world.settings.faults = [
        {
            "match": "ec2:DescribeInstances",
            "code": "UnauthorizedOperation",
            "message": SECRET_ACCESS_KEY,
            "status": 403,
        }
    ]
    result = user("list", "-o", "json")
    assert result.code != 0 and "***" in result.stdout
