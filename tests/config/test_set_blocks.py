"""Putting a choice into a configuration: that changes, nothing else does, and nothing is lost."""

from __future__ import annotations

import pytest

from bacalhau_spot.config import regions_like, set_block, template
from bacalhau_spot.config.yaml_document import parse_yaml
from bacalhau_spot.errors import UserError

BLOCK = """\
# mine
nodes: 6  # six

# where
regions:
  # near us
  - us-east-1
  - eu-west-1

  # far away
  - sa-east-1  # for a reason

# what
requirements: {vcpus: 2, memory_gib: 4}
spread: strict
"""
DIFFERENT = """\
regions:
  us-east-1:
  eu-west-1: {nodes: 2, vpc_id: vpc-01234567}
  ap-south-1:
    nodes: 1
nodes: 6
"""


def test_what_stood_there_with_comments_stays_as_comments() -> None:
    """Each line of it, above the new value; everything around is the same, letter for letter."""
    changed = set_block(
        BLOCK, {"regions": ["us-west-2"], "instance_types": ["t3.medium"], "requirements": None}
    )
    assert changed == (
        "# mine\nnodes: 6  # six\n\n# where\n"
        "# regions:\n#   # near us\n#   - us-east-1\n#   - eu-west-1\n#\n#   # far away\n"
        "#   - sa-east-1  # for a reason\n"
        "regions: [us-west-2]\n\n# what\n# requirements: {vcpus: 2, memory_gib: 4}\n"
        "spread: strict\ninstance_types: [t3.medium]\n"
    )


def test_the_next_keys_comments_are_not_commented_out_with_it() -> None:
    text = "regions: [us-east-1] # x\r\n# y\r\n\r\n"
    assert set_block(text, {"regions": ["us-west-2"]}) == (
        "# regions: [us-east-1] # x\r\nregions: [us-west-2]\r\n# y\r\n\r\n"
    )


def test_plain_names_are_replaced() -> None:
    """On one line or on several, and `auto` too."""
    for old in ("[us-east-1]", "\n- us-east-1\n- eu-west-1", "[\n  us-east-1,\n]", "{auto: {count: 2}}"):
        text = f"nodes: 4\nregions: {old}\nspread: strict\n".replace(": \n", ":\n")
        assert (
            set_block(text, {"regions": ["us-west-2"]}) == "nodes: 4\nregions: [us-west-2]\nspread: strict\n"
        )


def test_differences_of_a_region_that_stays_are_kept() -> None:
    """And those of one that goes are still there to be read."""
    value = regions_like(DIFFERENT, ["eu-west-1", "us-west-2"])
    assert value == {"eu-west-1": {"nodes": 2, "vpc_id": "vpc-01234567"}, "us-west-2": None}
    changed = set_block(DIFFERENT, {"regions": value})
    assert parse_yaml(changed).data == {"regions": value, "nodes": 6}
    assert "#   ap-south-1:\n#     nodes: 1\n" in changed
    assert set_block(changed, {"regions": value}) == changed
    assert regions_like(DIFFERENT, ["us-west-2"]) == ["us-west-2"]


def test_the_same_again_changes_nothing() -> None:
    text = set_block(BLOCK, {"regions": ["us-west-2"]})
    assert set_block(text, {"regions": ["us-west-2"]}) == text
    assert set_block("", {"regions": ["us-west-2"]}) == "regions: [us-west-2]\n"
    assert set_block("{nodes: 3}", {"regions": ["us-west-2"]}) == "{regions: [us-west-2], nodes: 3}"


def test_the_template_takes_a_choice_in_its_place() -> None:
    """The line with the example becomes the value, and the comments around it stay."""
    before, after = (
        template(),
        set_block(template(), {"regions": ["us-west-2"], "instance_types": ["c7g.large"]}),
    )
    changed = set(after.splitlines()) - set(before.splitlines())
    assert changed == {"regions: [us-west-2]", "instance_types: [c7g.large]"}
    assert len(after.splitlines()) == len(before.splitlines())


def test_an_older_file_is_brought_to_the_present_form() -> None:
    changed = set_block(
        "max_instances: 5\nregions:\n  - us-east-1:\n      image: auto\n", {"regions": ["us-west-2"]}
    )
    assert parse_yaml(changed).data == {"nodes": 5, "regions": ["us-west-2"]}
    assert "image: auto" in changed


def test_a_value_that_is_not_allowed_is_refused() -> None:
    """Nothing is written that the next command could not read."""
    with pytest.raises(UserError):
        set_block("nodes: 3\n", {"regions": ["us-east-1a"]})
    with pytest.raises(UserError):
        set_block("requirements: {vcpus: 2, memory_gib: 4}\n", {"instance_types": ["t3.medium"]})
