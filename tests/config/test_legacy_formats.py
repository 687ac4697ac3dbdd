"""Older files mean what they meant; rewriting one changes its form, not its meaning, and keeps its comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bacalhau_spot.config import legacy_formats, load, older_keys, upgrade_text
from bacalhau_spot.core.model import TlsMode
from bacalhau_spot.errors import UserError
from support.long_tests import examples

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from .conftest import Load, Refusal

FLAT = """\
# The fleet of the data team

max_instances: 6  # a ceiling
username: runner
# our keys
public_ssh_key_path: ~/.ssh/id_rsa.pub
private_ssh_key_path: ~/.ssh/id_rsa
orchestrators:
  - nats://orch.example.com:4222  # the only one
token: abc123
tls: true
regions:
  - eu-central-1:
      image: auto
      machine_type: t2.micro  # small
      node_count: auto
  # far away
  - us-west-2:
      image: ami-0123456789abcdef0
      machine_type: t3.medium
      node_count: 2
# the end
"""

NESTED = """\
aws:
  total_instances: 3
  username: ubuntu
  ssh_key: ~/.ssh/id_rsa
  public_ssh_key: ~/.ssh/id_rsa.pub
  files_directory: instance-files  # uploaded
  scripts_directory: scripts
  startup_script: startup.py
  instance_storage_gb: 30
  timeouts: {api: 30, spot_fulfillment: 600, ip_assignment: 300}
  tags:
    Project: demo
bacalhau:
  orchestrators: [nats://orch.example.com:4222]
  token: abc123
  tls: false
regions:
  us-east-1: {ami_id: auto, architecture: arm64, machine_type: t4g.small, node_count: auto}
"""


def test_the_flat_form_means_what_it_meant(loading: Load) -> None:
    spec = loading(FLAT).spec
    assert (spec.nodes, spec.username) == (6, "runner")
    assert [(region.name, region.nodes, region.instance_types) for region in spec.regions] == [
        ("eu-central-1", None, ("t2.micro",)),
        ("us-west-2", 2, ("t3.medium",)),
    ]
    assert spec.regions[1].image == "ami-0123456789abcdef0"
    assert spec.bacalhau.tls is TlsMode.PROXY


def test_the_nested_form_means_what_it_meant(loading: Load) -> None:
    spec = loading(NESTED).spec
    assert (spec.nodes, spec.username, spec.instance.root_volume_gib) == (3, "ubuntu", 30)
    assert (spec.timeouts.api_s, spec.timeouts.fulfilment_s) == (30, 600)
    assert spec.naming.extra_tags == (("Project", "demo"),)
    assert spec.bacalhau.tls is TlsMode.NONE
    assert spec.regions[0].instance_types == ("t4g.small",)


def test_every_move_is_said_once_with_its_line(loading: Load, snapshot: SnapshotAssertion) -> None:
    assert [f"{note.where} {note.text}" for note in loading(FLAT).notes] == snapshot


def test_every_obsolete_key_is_named_with_its_reason(loading: Load) -> None:
    """Complaint 1: one note "ignored, because it means nothing any more" covered every key, known or not."""
    notes = [note.text for note in loading(NESTED).notes]
    for key in ("timeouts.ip_assignment", "files_directory", "scripts_directory", "startup_script"):
        assert [text for text in notes if text.startswith(f"`aws.{key}` is obsolete and ignored: ")], key


_MISTAKES = {
    "aws: {total_instance: 2}": "1:7  aws.total_instance: is not a key; did you mean `total_instances`",
    "aws: {spot_price_limt: 0.01}": "1:7  aws.spot_price_limt: is not a key; did you mean `spot_price_limit`",
    "aws: {timeouts: {apii: 3}}": "1:18  aws.timeouts.apii: is not a key; did you mean `api`",
    "aws: {nodes: 3}": "1:7  aws.nodes: is not a key here; it belongs at the top level",
    "aws: {qqqq: 3}": "1:7  aws.qqqq: is not a known key",
    "aws: {timeouts: 5}": "1:7  aws.timeouts: found a number; must be a mapping",
    "aws: [us-east-1]": "1:1  aws: found a list; must be a mapping",
    "regions: {us-east-1: {architecture: arm64}}": "1:23  regions.us-east-1.architecture: is decided by",
    **{
        f"{before}{key}: {value}{after}": f"1:{column}  {prefix}{key}: {words}"
        for before, after, column, prefix in (("aws: {", "}", 7, "aws."), ("", "", 1, ""))
        for key, value, words in (
            ("vpc_id", "vpc-12345678", "belongs to one region"),
            ("availability_zone", "us-east-1a", "cannot be chosen"),
            ("subnet_id", "subnet-1", "cannot be chosen"),
            ("spot", "false", "cannot be false"),
            ("use_dedicated_vpc", "false", "cannot be false"),
            ("associate_public_ip", "false", "is now `instance.public_ip`"),
        )
    },
}


@pytest.mark.parametrize("text", _MISTAKES)
def test_what_an_older_file_asks_for_is_never_dropped(refused: Refusal, text: str) -> None:
    """Complaint 1 (zentinel#365, andaime's spot-test.yaml): unknown older keys were accepted and had no effect."""
    (line,) = refused(text).details
    assert line.startswith(f"config.yaml:{_MISTAKES[text]}")
    with pytest.raises(UserError):  # nor by the rewriting
        upgrade_text(text)


@pytest.mark.parametrize(
    "text",
    ["aws: {instance_type: t3.micro, region: eu-west-1}", "instance_type: t3.micro\nregion: eu-west-1"],
)
def test_a_single_type_and_region_become_lists_of_one(loading: Load, text: str) -> None:
    """Complaint 1: `instance_type` and `region` gave the default types in the default regions."""
    spec = loading(text).spec
    assert (spec.instance_types, [region.name for region in spec.regions]) == (("t3.micro",), ["eu-west-1"])
    assert "obsolete" not in upgrade_text(text)


@pytest.mark.parametrize("parent", ["aws", ""])
def test_every_key_of_the_tables_is_moved_named_or_refused(parent: str) -> None:
    """Complaint 1, for its whole kind: no key of an older file disappears without a note or a problem."""
    for key in (*older_keys.OBSOLETE, *older_keys.ALWAYS_ON, *older_keys.REFUSED, *older_keys.TO_LIST):
        path = (*filter(None, [parent]), key)
        for value in (True, False, "x", None):
            data = {parent: {key: value}} if parent else {key: value}
            result = legacy_formats.convert(data)
            assert path in [where for where, _ in (*result.notes, *result.problems)], path


def test_the_old_total_was_a_ceiling(loading: Load) -> None:
    text = "max_instances: 9\nregions: [{us-east-1: {node_count: 2}}, {us-west-2: {node_count: 1}}]\n"
    loaded = loading(text)
    assert loaded.spec.nodes == 3
    assert "the old total was a ceiling" in loaded.notes[-1].text


def test_rewriting_gives_this_file() -> None:
    assert (
        upgrade_text(FLAT)
        == """\
# The fleet of the data team

nodes: 6  # a ceiling
username: runner
# our keys
public_ssh_key_path: ~/.ssh/id_rsa.pub
private_ssh_key_path: ~/.ssh/id_rsa
bacalhau:
  orchestrators:
    - nats://orch.example.com:4222  # the only one
  token: abc123
  tls: proxy
regions:
  eu-central-1:
    image: auto
    instance_types: [t2.micro]  # small
  # far away
  us-west-2:
    image: ami-0123456789abcdef0
    instance_types: [t3.medium]
    nodes: 2
# the end
"""
    )


def test_rewriting_keeps_quotes_blocks_and_indentation() -> None:
    before = (
        "max_instances: 6\ncluster: &c\n    name: 'blue'\ninstance:\n    additional_commands: | # at first boot\n"
        '        echo a\n\n        # not a comment\nregions:\n-   us-east-1:\n        machine_type: "t3.medium"\n'
    )
    assert upgrade_text(before) == (
        "nodes: 6\ncluster:\n    name: 'blue'\ninstance:\n    additional_commands: | # at first boot\n"
        '        echo a\n\n        # not a comment\nregions:\n    us-east-1:\n        instance_types: ["t3.medium"]\n'
    )
    crlf = "\ufeffmax_instances: 6 # six\r\n# why\r\nusername: x\r\n"
    assert upgrade_text(crlf) == "\ufeffnodes: 6  # six\r\n# why\r\nusername: x\r\n"


def test_a_file_in_the_present_form_is_not_touched() -> None:
    text = "nodes:   3 # so\nregions: [ us-east-1 ]\n\n\n"
    assert upgrade_text(text) == text


def test_what_is_no_configuration_is_not_rewritten() -> None:
    for text in ("[a]", "max_instances: 1\nnodes: 2", "a: [", "a: 1\na: 2"):
        with pytest.raises(UserError):
            upgrade_text(text)


_REGION = st.fixed_dictionaries(
    {},
    optional={
        "image": st.sampled_from(["auto", "ami-0123456789abcdef0"]),
        "machine_type": st.sampled_from(["t3.medium", "m6a.large"]),
        "node_count": st.just("auto") | st.integers(0, 2),
    },
)
_NAMES = st.lists(
    st.sampled_from(["us-east-1", "us-west-2", "eu-west-1", "ap-south-1"]),
    min_size=1,
    max_size=4,
    unique=True,
)


@st.composite
def _older(draw: st.DrawFn) -> str:
    """An older file, flat or nested, with comments here and there."""
    number = iter(range(1000))

    def comment() -> str:
        return draw(st.sampled_from(["", "", f"  # c{next(number)}"]))

    def above(indent: str = "") -> list[str]:
        return draw(st.sampled_from([[], [f"{indent}# a{next(number)}"]]))

    nested = draw(st.booleans())
    lines = [*above(), *(["aws:" + comment()] if nested else [])]
    pad = "  " if nested else ""
    lines += [
        f"{pad}{'total_instances' if nested else 'max_instances'}: {draw(st.integers(8, 20))}{comment()}"
    ]
    lines += [*above(pad), f"{pad}username: {draw(st.sampled_from(['ubuntu', 'runner']))}{comment()}"]
    if nested:
        lines += [*above(pad), f"{pad}files_directory: x{comment()}", "bacalhau:" + comment()]
    lines += [
        f"{pad}tls: {draw(st.sampled_from(['true', 'false']))}{comment()}",
        *above(pad),
        f"{pad}token: 'abc#def'{comment()}",
    ]
    lines += [*above(), "regions:" + comment()]
    for name in draw(_NAMES):
        region = draw(_REGION)
        lines += [*above("  "), f"  - {name}:" + comment()]
        lines += [f"      {key}: {value}{comment()}" for key, value in region.items()]
    return "\n".join([*lines, *above()]) + "\n"


@settings(
    max_examples=examples(200),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=_older())
def test_rewriting_keeps_the_meaning_and_every_comment_and_is_done_once(text: str, tmp_path: Path) -> None:
    new = upgrade_text(text)
    specs = []
    for name, content in (("old.yaml", text), ("new.yaml", new)):
        (tmp_path / name).write_text(content)
        specs.append(load(tmp_path / name, environ={}, home=tmp_path))
    assert specs[0].spec == specs[1].spec
    assert not specs[1].notes
    assert upgrade_text(new) == new
    comments = [
        line[line.rindex("#") :] for line in text.splitlines() if "#" in line and not line.endswith("def'")
    ]
    assert all(comment in new for comment in comments)
