"""The template is complete and good; setting keys changes those and nothing else; the published schema is the present one."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml.scalarstring import LiteralScalarString

from bacalhau_spot import config
from bacalhau_spot.config import (
    config_schema,
    defaults,
    find_config,
    round_trip,
    set_values,
    template,
    upgrade_text,
    write_config,
)
from bacalhau_spot.config.docs_table import fill
from bacalhau_spot.config.json_schema import every_key
from bacalhau_spot.config.yaml_document import parse_yaml
from bacalhau_spot.core.model import OrchestratorMode, OrchestratorSpec
from bacalhau_spot.errors import ExitCode, UserError
from support.long_tests import examples

if TYPE_CHECKING:
    from .conftest import Load

SCHEMA = Path(config.__file__).with_name("schema.json")
PAGE = Path(__file__).parents[2] / "docs/configuration.md"


def test_the_template_loads_as_the_defaults(loading: Load) -> None:
    loaded = loading(template())
    assert loaded.spec == replace(defaults(), orchestrator=OrchestratorSpec(OrchestratorMode.UNSET))
    assert not loaded.notes


def test_the_first_line_names_a_schema_that_exists(tmp_path: Path) -> None:
    """A7: it stands beside the file, written with it; an address that nobody serves helped no editor."""
    path = tmp_path / "config.yaml"
    write_config(path, template())
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", path.read_text().splitlines()[0])
    assert named is not None
    assert json.loads((tmp_path / named[1]).read_text()) == config_schema()


def _uncommented() -> str:
    """Every key at once: the addresses belong to an orchestrator of the user's own."""
    text = re.sub(r"^( *)#([A-Za-z_0-9]+:)", r"\1\2", template(), flags=re.MULTILINE)
    return text.replace("\norchestrator: managed\n", "\norchestrator: own\n")


def test_the_template_with_every_key_uncommented_loads(loading: Load) -> None:
    spec = loading(_uncommented(), environ={"BACALHAU_API_KEY": "k"}).spec
    assert spec.bacalhau.labels == (("team", "data"),)
    assert spec.bacalhau.api_key is not None
    assert spec.public_key is not None


def test_the_values_in_the_template_are_the_defaults() -> None:
    data = parse_yaml(_uncommented()).data
    for path, node in every_key():
        value = data
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if "default" in node and value is not None:
            assert value == node["default"], path


def test_every_key_stands_in_the_template() -> None:
    text = template()
    # The ones inside `files` and the alternatives stand in comments or braces; what counts is that a reader meets them.
    missing = [path for path, _ in every_key() if not re.search(rf"\b{path.rpartition('.')[2]}:", text)]
    assert missing == []


def test_every_key_has_a_description() -> None:
    assert [path for path, node in every_key() if not node.get("description")] == []


def test_answers_go_to_the_keys_own_lines(loading: Load) -> None:
    answers = {
        "nodes": 5,
        "cluster.tag_value": "blue",
        "bacalhau.token_env": "T",
        "bacalhau.api.host": "http://o:1",
        "regions": ["us-east-1"],
    }
    text = template(answers)
    spec = loading(text, environ={"T": "x"}).spec
    assert (spec.nodes, spec.naming.tag_value, spec.bacalhau.api_host, len(spec.regions)) == (
        5,
        "blue",
        "http://o:1",
        1,
    )
    assert len(text.splitlines()) == len(template().splitlines()) + 1  # token_env has no line of its own
    assert "\nnodes: 5\n" in text
    assert "\n    host: http://o:1\n" in text


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        ("nodes: 3 # three\n", "nodes", "4", "nodes: 4 # three\n"),
        ("# x\n", "nodes", 4, "# x\nnodes: 4\n"),
        ("", "nodes", 4, "nodes: 4\n"),
        ("{nodes: 3}", "spread", "strict", "{spread: strict, nodes: 3}"),
        ("cluster: {name: a}\n", "cluster.creator", "7", 'cluster: {creator: "7", name: a}\n'),
        ("cluster:\n    name: a\n\n# c\n", "cluster.creator", "d", "cluster:\n    creator: d\n    name: a\n\n# c\n"),
        ("cluster:\nnodes: 1\n", "cluster.name", "a", "cluster:\n  name: a\nnodes: 1\n"),
        ("regions:\n  - us-east-1 # a\n# b\nnodes: 1\n", "regions", "[eu-west-1]", "regions: [eu-west-1] # a\n# b\nnodes: 1\n"),
        ("nodes: 1\n", "bacalhau.api.host", "h:1", 'nodes: 1\nbacalhau: {api: {host: "h:1"}}\n'),
        ("max_instances: 3\n", "nodes", "4", "nodes: 4\n"),
    ],
)  # fmt: skip
def test_setting_a_key_changes_that_key_only(before: str, key: str, value: object, after: str) -> None:
    changed = set_values(before, {key: value})
    assert parse_yaml(changed).data == parse_yaml(after).data
    assert changed.replace("host: h:1", 'host: "h:1"') == after


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("nodse", 1, "there is no configuration key `nodse`"),
        ("cluster.tagkey", 1, "there is no configuration key `cluster.tagkey`"),
        ("nodes", "-1", "a new value is invalid"),
        ("nodes", "[", "a new value is invalid"),
    ],
)
def test_setting_what_is_not_allowed_is_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(UserError) as caught:
        set_values("nodes: 1\n", {key: value})
    assert caught.value.what == words
    assert caught.value.exit_code is ExitCode.USAGE


def test_writing_refuses_to_overwrite_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_config(path, "a: 1\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(UserError) as caught:
        write_config(path, "a: 2\n")
    assert caught.value.exit_code is ExitCode.USAGE
    assert path.read_text() == "a: 1\n"
    path.chmod(0o640)
    write_config(path, "a: 2\n", overwrite=True)
    assert path.read_text() == "a: 2\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600  # T8: whatever it was
    assert [item.name for item in tmp_path.iterdir()] == ["config.yaml"]
    with pytest.raises(UserError):
        write_config(tmp_path / "none/config.yaml", "")


def test_the_file_is_found_upwards_as_far_as_the_checkout(tmp_path: Path) -> None:
    inner = tmp_path / "repo/a/b"
    inner.mkdir(parents=True)
    (tmp_path / "config.yaml").touch()
    assert find_config(environ={}, cwd=inner) == (tmp_path / "config.yaml", f"found in {tmp_path}")
    (tmp_path / "repo/.git").mkdir()
    assert find_config(environ={}, cwd=inner) is None
    (tmp_path / "repo/config.yaml").touch()
    assert find_config(environ={}, cwd=inner) == (
        tmp_path / "repo/config.yaml",
        f"found in {tmp_path / 'repo'}",
    )
    # As Docker makes one for a mount whose source is missing: an error when it is read, and never the defaults.
    (inner / "config.yaml").mkdir()
    assert find_config(environ={}, cwd=inner) == (inner / "config.yaml", f"found in {inner}")
    variable = {"BACALHAU_SPOT_CONFIG": "/x.yaml"}
    assert find_config(environ=variable, cwd=inner) == (Path("/x.yaml"), "$BACALHAU_SPOT_CONFIG")
    assert find_config(Path("y.yaml"), environ=variable, cwd=inner) == (Path("y.yaml"), "--config")


def test_the_published_schema_and_the_reference_are_the_present_ones() -> None:
    """Regenerate with `uv run python -m bacalhau_spot.config docs/configuration.md`."""
    assert json.loads(SCHEMA.read_text()) == config_schema()
    assert fill(PAGE.read_text()) == PAGE.read_text()


def test_another_validator_agrees(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(template())
    (tmp_path / "all.yaml").write_text(_uncommented())
    (tmp_path / "bad.yaml").write_text("regions: {us-east-1: {typ: 1}}\n")
    (tmp_path / "bad_form.yaml").write_text("orchestrator: {cluster: a, region: us-east-1}\n")
    for number, value in enumerate(("managed", "none", "{cluster: a}", "{volume_gib: 30}")):
        (tmp_path / f"orchestrator-{number}.yaml").write_text(f"orchestrator: {value}\n")
    (tmp_path / "forms.yaml").write_text(
        "regions: {auto: {count: 3}}\nssh_cidrs: [10.0.0.0/8]\nrequirements: {vcpus: 2.., memory_gib: 4}\n"
    )

    def run(*arguments: str) -> int:
        command = [sys.executable, "-m", "check_jsonschema", *arguments]
        return subprocess.run(command, capture_output=True, check=False).returncode

    assert run("--check-metaschema", str(SCHEMA)) == 0
    good = [str(tmp_path / name) for name in ("template.yaml", "all.yaml", "forms.yaml")]
    good += [str(tmp_path / f"orchestrator-{number}.yaml") for number in range(4)]
    assert run("--schemafile", str(SCHEMA), *good) == 0
    assert run("--schemafile", str(SCHEMA), str(tmp_path / "bad_form.yaml")) == 1
    assert run("--schemafile", str(SCHEMA), str(tmp_path / "bad.yaml")) == 1


def test_the_schema_keeps_to_what_draft_7_knows() -> None:
    text = json.dumps(config_schema())
    assert not [
        word
        for word in ("$defs", "$ref", "prefixItems", "unevaluated", "dependentRequired")
        if f'"{word}' in text
    ]


_TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
_KEY = st.text(st.characters(codec="ascii"), min_size=1, max_size=6)
_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEY, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=examples(300))
@given(value=_PLAIN)
def test_what_is_written_is_read_back_as_it_was(value: object) -> None:
    written = round_trip.dump_tree({"k": round_trip.new_node(value)})
    assert parse_yaml(written).data == {"k": value}
    assert written.count("\n") == 1


@settings(max_examples=examples(200))
@given(quoted=_TEXT, lines=st.text("ab\n #:-", max_size=12))
def test_texts_of_an_older_file_are_read_back_as_they_were(quoted: str, lines: str) -> None:
    """In quotes, and in lines wherever lines can hold it."""
    data = {
        "max_instances": 1,
        "instance": {"a": quoted, "b": LiteralScalarString(lines)},
        "cluster": {"n": "z"},
    }
    text = round_trip.dump_tree(data)
    before = parse_yaml(text).data
    assert isinstance(before, dict)
    new = parse_yaml(upgrade_text(text)).data
    assert new == {"nodes": 1, "instance": before["instance"], "cluster": {"n": "z"}}
