"""Older files mean what they meant; rewriting one changes its form, not its meaning, and keeps its comments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bacalhau_spot.config import load, upgrade
from bacalhau_spot.core.model import TlsMode
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion

    from .conftest import Load

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


def test_keys_that_mean_nothing_any_more_are_named(loading: Load) -> None:
    last = loading(NESTED).notes[-1].text
    assert last.startswith(
        "ignored, because it means nothing any more: `aws.timeouts.ip_assignment`, `aws.files_directory`"
    )


def test_the_old_total_was_a_ceiling(loading: Load) -> None:
    text = "max_instances: 9\nregions: [{us-east-1: {node_count: 2}}, {us-west-2: {node_count: 1}}]\n"
    loaded = loading(text)
    assert loaded.spec.nodes == 3
    assert "the old total was a ceiling" in loaded.notes[-1].text


def test_rewriting_gives_this_file() -> None:
    assert (
        upgrade(FLAT)
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


def test_a_file_in_the_present_form_is_not_touched() -> None:
    text = "nodes:   3 # so\nregions: [ us-east-1 ]\n\n\n"
    assert upgrade(text) == text


def test_what_is_no_configuration_is_not_rewritten() -> None:
    for text in ("[a]", "max_instances: 1\nnodes: 2", "a: [", "a: 1\na: 2"):
        with pytest.raises(UserError):
            upgrade(text)


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


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=_older())
def test_rewriting_keeps_the_meaning_and_every_comment_and_is_done_once(text: str, tmp_path: Path) -> None:
    new = upgrade(text)
    specs = []
    for name, content in (("old.yaml", text), ("new.yaml", new)):
        (tmp_path / name).write_text(content)
        specs.append(load(tmp_path / name, environ={}, home=tmp_path))
    assert specs[0].spec == specs[1].spec
    assert not specs[1].notes
    assert upgrade(new) == new
    comments = [
        line[line.rindex("#") :] for line in text.splitlines() if "#" in line and not line.endswith("def'")
    ]
    assert all(comment in new for comment in comments)
