"""`iam-policy` as an administrator meets it: JSON that AWS takes on stdout, and nothing asked of AWS."""

from __future__ import annotations

import json
from typing import Any

from syrupy.assertion import SnapshotAssertion

from support.cli_runner import CliRunner
from support.golden import golden, masked_text
from support.schemas import contract


def test_stdout_is_the_policy(sandbox: Any, program: CliRunner) -> None:
    """Ready for --policy-document; the configuration's tag is in it; AWS is asked nothing."""
    program.configure(more="\ncluster: {tag_value: blue}\n")
    result = program("iam-policy", "--command", "create", "--account", "123456789012")
    assert result.code == 0
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert document["Version"] == "2012-10-17"
    assert {"aws:RequestTag/bacalhau-cluster": "blue"} in [
        statement.get("Condition", {}).get("StringEquals") for statement in document["Statement"]
    ]
    assert "arn:*:ec2:*:123456789012:vpc/*" in result.stdout
    assert not sandbox.world.calls


def test_a_tag_in_another_alphabet_is_escaped(program: CliRunner) -> None:
    """IAM takes documents of U+0020 to U+00FF only (IAM User Guide, "IAM and AWS STS quotas"); tags may hold any letter."""
    program.configure(more="\ncluster: {tag_value: кластер}\n")
    printed = program("iam-policy", "--command", "create").stdout
    assert printed.isascii()
    tags = [
        statement.get("Condition", {}).get("StringEquals") for statement in json.loads(printed)["Statement"]
    ]
    assert {"aws:RequestTag/bacalhau-cluster": "кластер"} in tags


def test_what_does_not_fit_comes_in_parts(program: CliRunner) -> None:
    """Never half of it without a word: without --part it refuses and says the commands."""
    refused = program("iam-policy")
    assert (refused.code, refused.stdout) == (2, "")
    assert "the policy takes 2 documents: AWS allows 6144 characters in one" in refused.stderr
    assert "bacalhau-spot iam-policy --part 2 > policy-2.json" in refused.stderr
    parts = [json.loads(program("iam-policy", "--part", number).stdout) for number in "12"]
    data = program("iam-policy", "-o", "json").data
    assert [document["document"] for document in data["documents"]] == parts
    assert all(document["characters"] <= data["characters_allowed"] for document in data["documents"])
    assert program("iam-policy", "--part", "3").code == 2


def test_its_form_is_published(program: CliRunner, snapshot: SnapshotAssertion) -> None:
    contract("iam-policy", program("iam-policy", "-o", "json").data)
    listing = program("iam-policy", "--command", "list", "-o", "json")
    assert masked_text(listing.envelope) == golden(snapshot)


def test_mistakes(program: CliRunner) -> None:
    """Each is told with what is allowed."""
    unknown = program("iam-policy", "--command", "configure")
    assert unknown.code == 2
    assert "name one of create, list, " in unknown.stderr
    strange = program("iam-policy", "--account", "12-34")
    assert strange.code == 2
    assert "twelve digits" in strange.stderr
