"""A good file becomes the spec it says, with every default filled in and every file read."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bacalhau_spot.config import (
    Loaded,
    defaults,
    load,
    read_config_text,
    set_values,
    shown_values,
    upgrade_text,
    write_config,
)
from bacalhau_spot.core.model import (
    Arch,
    NodeFile,
    OrchestratorMode,
    OrchestratorSpec,
    RegionSpec,
    Requirements,
    Secret,
    Spread,
    TlsMode,
)
from bacalhau_spot.errors import UserError
from support.long_tests import examples

from .conftest import CERTIFICATE, PUBLIC_KEY, Load, Refusal

if TYPE_CHECKING:
    from pathlib import Path

FULL = """\
cluster: {name: blue, creator: me, resource_prefix: b-, vpc_name: v, tags: {team: data}}
nodes: 7
regions:
  us-east-1:
  eu-west-1: {nodes: 2, instance_types: [m6a.large], image: ami-0123456789abcdef0, vpc_id: vpc-01234567}
requirements: {vcpus: "2..4", memory_gib: "4..", arch: arm64, gpus: 0, families: [t4g, m7*, t4g]}
max_price_usd_per_hour: 0.05
budget_usd_per_hour: 2
spread: strict
max_share_per_pool: 12.5%
image: ssm:/aws/service/x
username: ubuntu
public_ssh_key_path: ~/.ssh/id_rsa.pub
private_ssh_key_path: keys/me
ssh_cidrs: [203.0.113.7, 10.0.0.0/8]
bacalhau:
  orchestrators: [orch, "tls://o.example.com:4443"]
  token_file: home/.config/bacalhau/token
  tls: native
  ca_file: ~/.config/bacalhau/ca.pem
  version: 1.9.3
  download_url: https://mirror/{version}/{arch}
  sha256: {arm64: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA}
  labels: {team: data}
  api: {host: "http://o:1234", key_env: KEY, ca_file: ~/.config/bacalhau/ca.pem}
instance:
  root_volume_gib: 30
  additional_commands: |
    echo hello
  files:
    - {path: /etc/a, content: x, mode: "600"}
    - {path: /etc/b, source: home/.config/bacalhau/ca.pem}
interruption: {grace_s: 0}
timeouts: {api_s: 10, fulfilment_s: 20, join_s: 30, terminate_s: 40}
self_heal: false
ttl:
"""


def test_every_key_reaches_the_spec(loading: Load, tmp_path: Path) -> None:
    spec = loading(FULL, environ={"KEY": "api-key"}).spec
    assert (spec.name, spec.naming.tag_value, spec.naming.creator) == ("blue", "blue", "me")
    assert spec.naming.extra_tags == (("team", "data"),)
    assert spec.regions == (
        RegionSpec("us-east-1"),
        RegionSpec("eu-west-1", 2, ("m6a.large",), "ami-0123456789abcdef0", "vpc-01234567"),
    )
    assert spec.requirements == Requirements(
        2, Decimal(4), vcpus_max=4, arch=Arch.ARM64, gpus_min=0, gpus_max=0, families=("t4g", "m7*")
    )
    assert spec.max_share_per_pool == Decimal("0.125")
    assert spec.instance_types == ()
    assert spec.max_price_usd_per_hour == Decimal("0.05")
    assert spec.budget_usd_per_hour == Decimal(2)
    assert spec.spread is Spread.STRICT
    assert spec.public_key == PUBLIC_KEY
    assert spec.private_ssh_key_path == str(tmp_path / "keys/me")
    assert spec.ssh_cidrs == ("203.0.113.7/32", "10.0.0.0/8")
    bacalhau = spec.bacalhau
    assert bacalhau.orchestrators == ("nats://orch:4222", "tls://o.example.com:4443")
    assert bacalhau.token == Secret("s3cret-token")
    assert (bacalhau.tls, bacalhau.ca_pem, bacalhau.version) == (TlsMode.NATIVE, CERTIFICATE, "v1.9.3")
    assert bacalhau.sha256 == ((Arch.ARM64, "a" * 64),)
    assert bacalhau.api_key == Secret("api-key")
    assert (bacalhau.api_user, bacalhau.api_password, bacalhau.api_ca_pem) == (None, None, CERTIFICATE)
    assert spec.instance.additional_commands == "echo hello\n"
    assert spec.instance.files == (NodeFile("/etc/a", "x", "0600"), NodeFile("/etc/b", CERTIFICATE))
    assert spec.interruption.grace_s == 0
    assert (spec.timeouts.api_s, spec.timeouts.terminate_s) == (10, 40)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "{}", "cluster:\nbacalhau:\ninstance:\ntimeouts:\n", "\ufeff---\n..."]
)
def test_an_empty_file_means_the_defaults_without_a_choice_of_orchestrator(text: str, loading: Load) -> None:
    assert loading(text).spec == replace(defaults(), orchestrator=OrchestratorSpec(OrchestratorMode.UNSET))


def test_the_defaults_are_twelve_nodes_in_four_regions() -> None:
    spec = defaults()
    assert (spec.nodes, len(spec.regions), len(spec.instance_types)) == (12, 4, 4)
    assert spec.name == spec.naming.tag_value == "bacalhau-aws-spot"
    assert spec.orchestrator == OrchestratorSpec(OrchestratorMode.MANAGED)


@pytest.mark.parametrize(
    ("cluster", "name", "value"),
    [
        ("{}", "bacalhau-aws-spot", "bacalhau-aws-spot"),
        ("{name: a}", "a", "a"),
        ("{tag_value: b}", "b", "b"),
        ("{name: a, tag_value: b}", "a", "b"),
    ],
)
def test_name_and_tag_value_stand_in_for_each_other(
    cluster: str, name: str, value: str, loading: Load
) -> None:
    spec = loading(f"cluster: {cluster}").spec
    assert (spec.name, spec.naming.tag_value) == (name, value)


def test_regions_that_all_have_numbers_are_their_sum(loading: Load) -> None:
    assert loading("regions: {us-east-1: {nodes: 2}, us-west-2: {nodes: 0}}").spec.nodes == 2


def test_automatic_regions(loading: Load) -> None:
    spec = loading("regions: {auto: {count: 5}}").spec
    assert (spec.auto_regions, spec.regions) == (5, ())


def test_what_is_allowed_and_worth_a_word_is_a_note(loading: Load) -> None:
    notes = loading("ssh_cidrs: [0.0.0.0/0]\nbacalhau: {orchestrators: [host]}").notes
    assert [(note.where, note.text) for note in notes] == [
        ("config.yaml:1", "0.0.0.0/0 opens SSH to the whole internet; `caller` opens it to you only"),
        ("config.yaml:2", "host has no port; 4222 is used"),
    ]


def test_anchors_and_merges_work(loading: Load) -> None:
    spec = loading(
        "nodes: 4\nregions:\n  us-east-1: &a {nodes: 1, image: auto}\n  us-west-2: {<<: *a, nodes: 3}\n"
    ).spec
    assert [(region.nodes, region.image) for region in spec.regions] == [(1, "auto"), (3, "auto")]


def test_lenient_loading_turns_unreadable_files_into_notes(loading: Load) -> None:
    text = "public_ssh_key_path: ~/none\nbacalhau: {token_env: T}\n"
    loaded = loading(text, lenient=True)
    assert (loaded.spec.public_key, loaded.spec.bacalhau.token) == (None, None)
    assert [note.where for note in loaded.notes] == ["config.yaml:1", "config.yaml:2"]


def test_a_user_and_a_password_reach_the_spec_and_are_named_by_their_variables(loading: Load) -> None:
    text = "bacalhau: {api: {host: o, user_env: WHO, password_env: SECRET}}"
    loaded = loading(text, environ={"WHO": "deployer\n", "SECRET": " with a space\n"})
    assert loaded.spec.bacalhau.api_user == "deployer"
    assert loaded.spec.bacalhau.api_password == Secret(" with a space")
    shown = {key: (value, source) for key, value, source in shown_values(loaded)}
    assert shown["bacalhau.api.user"] == ("deployer", "$WHO")
    assert shown["bacalhau.api.password"] == ("***", "$SECRET")


def test_secrets_are_never_shown(loading: Load) -> None:
    text = (
        "bacalhau: {token: tok-abc, api: {key_env: KEY}}\ninstance: {files: [{path: /a, content: file-abc}]}"
    )
    loaded = loading(text, environ={"KEY": "key-abc"})
    shown_text = (
        repr(loaded.spec.bacalhau) + repr(shown_values(loaded)) + repr(loaded.notes) + repr(loaded.sources)
    )
    assert "tok-abc" not in shown_text
    assert "key-abc" not in shown_text
    assert loaded.spec.bacalhau.token is not None
    assert loaded.spec.bacalhau.token.reveal() == "tok-abc"


@pytest.mark.parametrize(
    "text",
    [
        "bacalhau: {token: 'hush hush'}",
        "bacalhau: {token: [hush]}",
        "bacalhau: {tokn: hush}",
        "bacalhau: hush",
        "bacalhau: {orchestrators: 'nats://hush@h'}",
        "bacalhau: {orchestrators: ['nats://hush@h']}",
        "token: {a: hush}",
        "token: hush\nbacalhau: {token: hush2}",
        "instance: {files: [{path: /a, content: [hush]}]}",
    ],
)
def test_errors_do_not_show_secrets(text: str, refused: Refusal) -> None:
    error = refused(text)
    assert "hush" not in error.what + error.hint + "".join(error.details)


def test_show_says_where_each_value_is_from(loading: Load) -> None:
    loaded = loading(
        "cluster:\n  name: blue\nmax_instances: 5\nbacalhau:\n  token_env: TOK\n", environ={"TOK": "x"}
    )
    rows = {row.key: (row.value, row.source) for row in shown_values(loaded)}
    assert rows["cluster.name"] == ("blue", "config.yaml:2")
    assert rows["cluster.tag_value"] == ("blue", "config.yaml:2")
    assert rows["nodes"] == ("5", "config.yaml:3")
    assert rows["bacalhau.token"] == ("***", "$TOK")
    assert rows["spread"] == ("failover", "default")
    loaded = loading("bacalhau: {token_file: ~/.config/bacalhau/token}")
    assert ("bacalhau.token", "***", "token file ~/.config/bacalhau/token") in shown_values(loaded)


def test_show_of_the_defaults_names_no_file() -> None:
    assert {row.source for row in shown_values(Loaded(defaults()))} == {"default"}


_WORDS = st.sampled_from(
    [
        "nodes",
        "regions",
        "bacalhau",
        "token",
        "tls",
        "aws",
        "cluster",
        "tags",
        "labels",
        "files",
        "path",
        "content",
        "instance",
        "us-east-1",
        "image",
        "auto",
        "count",
        "machine_type",
        "node_count",
        "max_instances",
        "timeouts",
        "api",
        "requirements",
        "vcpus",
        "2..4",
        "true",
        "null",
        "-1",
        "1.5",
        "x",
        "~",
        "<<",
    ]
)
_YAML = st.recursive(
    _WORDS | st.integers().map(str) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.lists(st.tuples(_WORDS, inner), max_size=4).map(
            lambda items: "{" + ", ".join(f"{k}: {v}" for k, v in items) + "}"
        )
    ),
    max_leaves=12,
)
_FILES = st.binary(max_size=200) | _YAML.map(lambda text: text.encode("utf-8", "surrogatepass"))


@settings(
    max_examples=examples(600),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(raw=_FILES)
def test_whatever_the_bytes_loading_ends_in_a_spec_or_one_error(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(raw)
    try:
        loaded = load(path, environ={}, home=tmp_path)
    except UserError as error:
        assert error.exit_code == 2  # noqa: PT017 -- either outcome is right
        assert error.details  # noqa: PT017 -- likewise
    else:
        assert loaded.spec.nodes >= 0


def test_only_this_package_imports_the_libraries() -> None:
    code = "import sys, bacalhau_spot.core.launch.plan, bacalhau_spot.errors; print({'pydantic', 'ruamel'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_a_byte_order_mark_moves_no_column_and_stays(refused: Refusal, tmp_path: Path) -> None:
    (line,) = refused(b"\xef\xbb\xbfnodse: 3\n").details
    assert line.startswith("config.yaml:1:1  nodse")
    (line,) = refused(b"\xef\xbb\xbfnodes: x\n").details
    assert line.startswith("config.yaml:1:8  nodes")
    path = tmp_path / "config.yaml"
    path.write_bytes(b"\xef\xbb\xbfnodes: 3\n")
    write_config(path, set_values(read_config_text(path), {"nodes": 4}), overwrite=True)
    assert path.read_bytes() == b"\xef\xbb\xbfnodes: 4\n"


@pytest.mark.filterwarnings("error")
def test_an_anchor_given_again_is_no_warning(loading: Load) -> None:
    """YAML allows it; the library's warning went to the terminal as it was."""
    text = "cluster: {name: &a x, creator: &a y, vpc_name: *a}\n"
    assert loading(text).spec.naming.vpc_name == "y"
    assert set_values(text, {"cluster.name": "z"}).endswith("creator: &a y, vpc_name: *a}\n")


def test_a_folded_text_has_no_marks_of_the_librarys(loading: Load) -> None:
    """`>`: ruamel's scanner left U+0007 at each fold, which reached the nodes."""
    text = "instance:\n  additional_commands: >\n    echo a\n    b\n\n    echo c\n"
    assert loading(text).spec.instance.additional_commands == "echo a b\necho c\n"
    assert loading(f"max_instances: 3\n{text}").spec.instance.additional_commands == "echo a b\necho c\n"
    assert upgrade_text(f"max_instances: 3\n{text}") == f"nodes: 3\n{text}"


@pytest.mark.parametrize(
    ("value", "seconds"), [("8h", 28800), ("1h30m", 5400), ("2d", 172800), ("false", None), ("", None)]
)
def test_a_lifetime_is_a_duration_or_none(loading: Load, value: str, seconds: int | None) -> None:
    spec = loading(f"ttl: {value}\nidle_ttl: {value}\n").spec
    assert (spec.ttl_s, spec.idle_ttl_s, spec.ttl_is_chosen) == (seconds, seconds, False)


def test_a_tag_key_that_metadata_refuses_is_accepted_without_a_lifetime(loading: Load) -> None:
    """Nothing reads the tags of such nodes: see docs/lifetime.md."""
    assert loading("cluster: {tag_key: my cluster}\nttl: false\nidle_ttl: 30m\n").spec.ttl_s is None
