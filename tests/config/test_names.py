"""What the configuration accepts as a name, tag or price, AWS accepts in every call that sends it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.core import tags
from bacalhau_spot.core.model import Naming
from bacalhau_spot.errors import UserError

from .conftest import Load, Refusal

_SESSION = botocore.session.get_session()
# AWS's classes of characters in the form of Python's categories: \p{L}, \p{Z}, \p{N} are those that begin so.
_TAG_CLASS = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]"
_TAG_SIGNS = set("_.:/=+-@")
# EC2 API reference, CreateSecurityGroup: GroupName and Description.
_GROUP_TEXT = re.compile(r"(?!sg-)[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}", re.IGNORECASE)
_FILTER_VALUE = 255  # amazon.aws#2393: "The maximum length for a filter value is 255 characters"


def _shape(service: str, name: str) -> dict[str, object]:
    return dict(_SESSION.get_service_model(service).shape_for(name).metadata)


def _in_tag(text: str) -> bool:
    return all(unicodedata.category(character)[0] in "LZN" or character in _TAG_SIGNS for character in text)


def test_the_models_rules_for_tags_are_those_that_are_tested_here() -> None:
    """A newer model with other rules has to be read again."""
    for service in ("iam", "ssm"):
        tag = _SESSION.get_service_model(service).shape_for("Tag")
        for member, most in (("Key", 128), ("Value", 256)):
            assert _TAG_CLASS in tag.members[member].metadata["pattern"]
            assert tag.members[member].metadata["max"] == most


_LETTERS = st.characters() | st.sampled_from(" \t_.:/=+-@sg")
_TEXT = st.text(_LETTERS, max_size=40)
_LONG = st.integers(250, 260).map(lambda length: "a" * length)
_NAMINGS = st.builds(
    Naming,
    tag_key=_TEXT | st.integers(120, 130).map(lambda length: "k" * length),
    tag_value=_TEXT | _LONG,
    creator=_TEXT | _LONG,
    resource_prefix=st.text("sgSG-_aB1.", max_size=34),
    vpc_name=_TEXT | _LONG,
    extra_tags=st.lists(st.tuples(st.text("aAbB:", min_size=1, max_size=3), _TEXT), max_size=4).map(
        lambda rows: tuple(dict(rows).items())
    ),
)


def _accepted(naming: Naming) -> Naming:
    """The naming with whatever would be refused put back to its default."""
    refused = {problem.field.partition(".")[0] for problem in tags.tag_problems(naming)}
    default = Naming()
    for name in refused - {"tags"}:
        naming = replace(naming, **{name: getattr(default, name)})
    return replace(naming, extra_tags=()) if "tags" in refused or tags.tag_problems(naming) else naming


@given(naming=_NAMINGS)
def test_accepted_names_and_tags_pass_the_patterns_of_every_call(naming: Naming) -> None:
    """F15, F17: a prefix of `sg-`, a value of 256 characters, a tab were accepted, and refused by AWS after the VPC."""
    naming = _accepted(naming)
    assert not tags.tag_problems(naming)
    tagged = tags.tags_for(naming, tags.node_name(naming, "ap-southeast-1"))
    assert len(tagged) <= tags.MAX_TAGS
    assert len({key.lower() for key in tagged}) == len(
        tagged
    )  # IAM API reference: keys are not case-sensitive
    for key, value in tagged.items():
        assert _in_tag(key)
        assert _in_tag(value)
        assert len(key.encode("utf-16-le")) // 2 <= 127
        assert len(value.encode("utf-16-le")) // 2 <= _FILTER_VALUE
        assert not key.lower().startswith("aws:")
    assert _GROUP_TEXT.fullmatch(tags.group_name(naming))
    template = _shape("ec2", "LaunchTemplateName")
    assert re.fullmatch(str(template["pattern"]), tags.template_name(naming))
    assert int(str(template["min"])) <= len(tags.template_name(naming)) <= int(str(template["max"]))
    for shape in ("roleNameType", "instanceProfileNameType"):
        rule = _shape("iam", shape)
        assert re.fullmatch(str(rule["pattern"]), tags.role_name(naming), re.ASCII)
        assert len(tags.role_name(naming)) <= int(str(rule["max"]))
    assert re.fullmatch(r"/[!-~]+/", tags.iam_path(naming))  # iam, pathType
    # SSM API reference, PutParameter: at most 1,011 characters, 15 levels, and neither aws nor ssm in front.
    parameter = tags.token_parameter(naming)
    assert re.fullmatch(r"/(?!aws|ssm)[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+){0,13}", parameter, re.IGNORECASE)


def test_the_descriptions_are_ones_that_aws_takes() -> None:
    """F15, its kind: in addition to the names, the texts that go to EC2 and IAM. Those of EC2 are the narrower ones."""
    engine = Path(tags.__file__ or "").parents[1] / "engine"
    source = "".join(path.read_text(encoding="utf-8") for path in engine.rglob("*.py"))
    texts = re.findall(r'\bdescription="([^"]*)"', source)
    assert len(texts) == 4
    assert [text for text in texts if not _GROUP_TEXT.fullmatch(text)] == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("cluster: {resource_prefix: sg-x}", "1:28  cluster.resource_prefix: may not begin with `sg-`"),
        (f"cluster: {{tag_value: {'v' * 256}}}", "1:22  cluster.tag_value: a tag value may have at most 255"),
        (f"cluster: {{name: {'v' * 256}}}", "1:17  cluster.name: a tag value may have at most 255"),
        ('cluster: {creator: "a\tb"}', "1:20  cluster.creator: a tag value may hold letters, digits, spaces"),
        (
            'cluster: {tag_value: "a\\x01"}',
            "1:22  cluster.tag_value: a tag value may hold letters, digits, spaces",
        ),
        (
            'cluster: {tags: {a: "\\e[31m"}}',
            "1:21  cluster.tags.a: a tag value may hold letters, digits, spaces",
        ),
        ("max_price_usd_per_hour: 0.001", "1:25  max_price_usd_per_hour: found 0.001; must be a price"),
        ("max_price_usd_per_hour: 0.0005", "1:25  max_price_usd_per_hour: found 0.0005; must be a price"),
    ],
)
def test_what_aws_would_refuse_is_refused_with_its_place(refused: Refusal, text: str, line: str) -> None:
    """F15, F16 (EC2 API reference, MaxPrice: more than $0.001), F17."""
    assert [detail for detail in refused(text).details if detail.startswith(f"config.yaml:{line}")]


def test_a_price_just_above_the_least_and_a_small_budget_are_taken(loading: Load) -> None:
    spec = loading("max_price_usd_per_hour: 0.0011\nbudget_usd_per_hour: 0.0005").spec
    assert str(spec.max_price_usd_per_hour) == "0.0011"


def test_the_command_lines_price_follows_the_same_rule() -> None:
    """F16: `--max-price` too."""
    from bacalhau_spot.cli.runtime.parsers import amount  # noqa: PLC0415
    from bacalhau_spot.core.model import MIN_PRICE_USD  # noqa: PLC0415

    for text in ("0.001", "1e-9", "1001", "9" * 30, "nan", "inf", "0x1"):
        with pytest.raises(UserError, match="--max-price"):
            amount(text, flag="--max-price", above=MIN_PRICE_USD)
    assert str(amount("$0.05", flag="--max-price", above=MIN_PRICE_USD)) == "0.05"
