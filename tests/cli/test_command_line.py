"""How a command line is read: the shared options, the form of an error, the separator, the first line. AWS is not asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bacalhau_spot.cli.runtime.command_line import command_first, read_invocation
from bacalhau_spot.cli.runtime.invocation import Invocation
from support.cli_runner import CliResult, CliRunner


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Somebody in an empty folder, with no settings of AWS's."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    return CliRunner(folder=tmp_path)


def one_line(result: CliResult) -> str:
    return " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("line", "command", "what"),
    [
        ("list -o json --nope", "list", "unknown option: --nope"),
        ("list --nope --output=json", "list", "unknown option: --nope"),
        ("list more --format json", "list", "unexpected argument: more"),
        ("list -o json -c", "list", 'command "list" parameter -c requires an argument'),
        (
            "status --profile -o json",
            "status",
            'command "status" parameter --profile requires an argument',
        ),
        ("frobnicate -o json", "frobnicate", 'unknown command "frobnicate"'),
        ("config shw -o=json", "config", 'unknown command "shw". Did you mean "show"?'),
        ("console -o json --interval 1", "console", "Must be >= 2"),
    ],
)
def test_a_mistake_is_json_where_json_was_asked_for(
    user: CliRunner, line: str, command: str, what: str
) -> None:
    """Whoever pipes the result into a program gets a document, wherever -o stands, and nothing beside it."""
    result = user(*line.split())
    assert (result.code, result.envelope["exit_code"], result.stderr) == (2, 2, "")
    assert result.envelope["command"] == command
    assert what in result.envelope["errors"][0]["what"]


@pytest.mark.parametrize("form", ["yaml", "ndjson"])
def test_a_mistake_in_the_other_forms(user: CliRunner, form: str) -> None:
    result = user("list", "--nope", "-o", form)
    assert (result.code, result.stderr) == (2, "")
    assert "unknown option: --nope" in result.stdout
    if form == "ndjson":
        assert json.loads(result.stdout)["status"] == "error"


@pytest.mark.parametrize("form", ["table", "wide", "csv"])
def test_a_mistake_is_text_where_rows_were_asked_for(user: CliRunner, form: str) -> None:
    result = user("cost", "--nope", "-o", form)
    assert (result.code, result.stdout) == (2, "")
    assert "error: unknown option: --nope" in result.stderr


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (
            "doctor -o csv",
            'invalid value "csv" for -o. Choose from: "table", "wide", "json", "yaml", "ndjson"',
        ),
        ("list --output=xml", 'invalid value "xml" for --output'),
        ("list --profile", 'command "list" parameter --profile requires an argument'),
        ("list --sandbox=maybe", 'invalid value for --sandbox: unable to convert "maybe" into bool'),
    ],
)
def test_what_is_wrong_with_a_shared_option(user: CliRunner, line: str, what: str) -> None:
    result = user(*line.split())
    assert (result.code, result.stdout) == (2, "")
    assert what in one_line(result)


@pytest.mark.parametrize(
    "line",
    ["ssh i-1 --nope -- -o json", "ssh --nope i-1 -- jq --output=json", "ssh a b -- x -o json"],
)
def test_what_stands_behind_the_separator_is_not_ours(user: CliRunner, line: str) -> None:
    """The command on the node may have any option."""
    result = user(*line.split())
    assert (result.code, result.stdout) == (2, "")
    assert "error: " in result.stderr


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("list --nope", "bacalhau-spot list · AWS"),
        ("destroy --nope -o wide", "bacalhau-spot destroy · AWS"),
        ("list --sandbox --nope", "bacalhau-spot list · sandbox: not AWS"),
        ("ssh --nope -- --sandbox", "bacalhau-spot ssh · AWS"),
        (
            "list --profile far --nope",
            "bacalhau-spot list · not AWS: http://far:1 (endpoint_url or AWS_ENDPOINT_URL)",
        ),
        (
            "list --nope --profile=far",
            "bacalhau-spot list · not AWS: http://far:1 (endpoint_url or AWS_ENDPOINT_URL)",
        ),
    ],
)
def test_the_first_line_says_who_is_asked(user: CliRunner, line: str, first: str) -> None:
    """The options that decide it are known before anything else is."""
    (user.folder / "aws-config").write_text("[profile far]\nendpoint_url = http://far:1\n")
    assert user(*line.split()).stderr.splitlines()[0] == first


@pytest.mark.parametrize(
    "line",
    [
        "list -o json --nope",
        "list --help",
        "destroy -h",
        "explain --nope",
        "cost -o csv --nope",
        "--help",
        "",
    ],
)
def test_there_is_no_first_line_where_nobody_is_asked_or_a_program_reads(user: CliRunner, line: str) -> None:
    assert "·" not in user(*line.split()).stderr


@pytest.mark.parametrize("line", ["status -wo json", "status -wojson", "status -w -ojson"])
def test_short_options_stand_in_one_word(user: CliRunner, line: str) -> None:
    """`-wo json` is `-w -o json`, and `-ojson` is `-o json`."""
    result = user(*line.split())
    assert result.code == 2
    assert "--watch prints one result after the other" in result.stdout + one_line(result)


@pytest.mark.parametrize("line", ["--version", "list --version", "--version list", "config --version"])
def test_the_version_is_asked_for_anywhere(user: CliRunner, line: str) -> None:
    result = user(*line.split())
    assert result.code == 0
    assert result.stdout.strip()[0].isdigit()


@pytest.mark.parametrize("line", ["-h list", "list -h", "list --nope --help", "--help list -o json"])
def test_the_help_of_a_command_is_asked_for_anywhere(user: CliRunner, line: str) -> None:
    result = user(*line.split())
    assert (result.code, result.stderr) == (0, "")
    assert "Usage: bacalhau-spot list" in result.stdout


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("--config", "a b.yaml"), "--config 'a b.yaml'"),
        (("--sandbox", "--config", "none.yaml", "--debug"), "--config none.yaml"),
        (("--profile", "p", "--cluster", "q", "--config", "none.yaml"), "--config none.yaml"),
    ],
)
def test_the_next_command_takes_the_options_of_this_one(
    user: CliRunner, words: tuple[str, ...], shown: str
) -> None:
    """What decides which file is meant goes along, ready to be pasted into a shell; the rest is not about the file."""
    result = user("list", *words)
    assert result.code == 2
    assert f"`bacalhau-spot configure {shown}` writes a new one" in one_line(result)


@pytest.mark.parametrize(
    "line",
    [
        "-o json config schema",
        "--output=json config schema",
        "config --format json schema",
        "config schema -o=json",
        "--no-color -ojson --profile list config --debug schema",
        "-o table config schema -o json",
        "-o table -o json config schema",
        "config schema -o table -o json",
    ],
)
def test_a_shared_option_stands_before_the_command_or_after_it(user: CliRunner, line: str) -> None:
    """In both forms, between a group and its command too; of a repeated one the last counts."""
    result = user(*line.split())
    assert (result.code, result.stderr) == (0, "")
    assert result.envelope["command"] == "config schema"


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("-o json list --nope", "list"),
        ("--output=json lst", "lst"),
        ("-o json", ""),
        ("--config x --format json config", "config"),
        ("-o json --region b list", ""),
        ("-o json list --profile", "list"),
        ("--profile p -o json list --sandbox=maybe", "list"),
        ("-o json -c", ""),
    ],
)
def test_a_mistake_is_json_where_json_was_asked_for_before_the_command(
    user: CliRunner, line: str, command: str
) -> None:
    result = user(*line.split())
    assert (result.code, result.envelope["exit_code"], result.stderr) == (2, 2, "")
    assert result.envelope["command"] == command


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("--sandbox list --nope", "bacalhau-spot list · sandbox: not AWS"),
        ("--profile=far --debug destroy --nope", "bacalhau-spot destroy · not AWS: http://far:1 "),
        ("--profile far --sandbox=false list --nope", "bacalhau-spot list · not AWS: http://far:1 "),
        ("--profile far list --profile near --nope", "bacalhau-spot list · AWS"),
    ],
)
def test_the_first_line_after_options_before_the_command(user: CliRunner, line: str, first: str) -> None:
    (user.folder / "aws-config").write_text("[profile far]\nendpoint_url = http://far:1\n")
    assert user(*line.split()).stderr.splitlines()[0].startswith(first)


@pytest.mark.parametrize("line", ["--no-color list --help", "--no-color -h list", "--sandbox --help list"])
def test_the_help_of_a_command_after_options_before_it(user: CliRunner, line: str) -> None:
    result = user(*line.split())
    assert (result.code, result.stderr) == (0, "")
    assert "Usage: bacalhau-spot list" in result.stdout


@pytest.mark.parametrize("line", ["-o json list --config c.yaml", "--config b.yaml -o json list -c c.yaml"])
def test_the_last_configuration_counts(user: CliRunner, line: str) -> None:
    result = user(*line.split())
    assert "`bacalhau-spot configure --config c.yaml`" in result.envelope["errors"][0]["hint"]


def test_the_command_on_a_node_stays_as_it_was_typed(user: CliRunner) -> None:
    """Options of it that are ours elsewhere, and a second separator."""
    words = ("--sandbox", "ssh", "i-1", "-o", "json", "--", "x", "--", "--config", "-o", "yaml")
    assert read_invocation(words).remote_command == ("x", "--", "--config", "-o", "yaml")
    assert command_first(words) == ["ssh", "--sandbox", *words[2:]]
    assert read_invocation(words).common.output == "json"
    assert read_invocation(words).common.config is None
    assert read_invocation(["ssh", "--"]).remote_command == ()


@pytest.mark.parametrize("line", ["list --config=-c", "--cluster=-q list"])
def test_a_value_that_looks_like_an_option_goes_along_as_one_word(line: str) -> None:
    common = read_invocation(line.split()).common
    flags = Invocation(common=common, cluster="-q").context_flags
    assert flags[-1] == "--cluster=-q"
    assert ("--config=-c" in flags) == ("--config=-c" in line)
