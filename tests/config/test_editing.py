"""Changing a key changes its line; everything else in the file stays as its owner wrote it, letter for letter."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bacalhau_spot.config import set_block, set_values, template
from bacalhau_spot.config.yaml_document import parse_yaml
from bacalhau_spot.errors import UserError
from support.long_tests import examples

DIGEST = "0" * 64


def changes(before: str, after: str) -> list[str]:
    """The lines that go (-) and come (+), line ends included."""
    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line[0] + line[2:] for line in lines if line[0] in "+-"]


# What the file is like, the file, the keys to set, the lines that go and come.
STYLES: dict[str, tuple[str, dict[str, object], list[str]]] = {
    "CRLF": ("nodes: 3\r\n# x\r\nspread: strict\r\n", {"nodes": 4}, ["-nodes: 3\r\n", "+nodes: 4\r\n"]),
    "CRLF and a commented key": (
        "cluster:\r\n  #name: a\r\n  tag_value: b\r\n",
        {"cluster.name": "z"},
        ["-  #name: a\r\n", "+  name: z\r\n"],
    ),
    "CRLF and a new key": (
        "nodes: 3\r\nspread: strict\r\n",
        {"username": "a"},
        ["+username: a\r\n"],
    ),
    "no final newline and a new key": ("nodes: 3", {"spread": "strict"}, ["-nodes: 3", "+nodes: 3\n", "+spread: strict"]),
    "an end mark and a new key": ("---\nnodes: 3\n...\n", {"spread": "strict"}, ["+spread: strict\n"]),
    "a comment beside the key of a list": (
        "regions: # where\n  # near\n  - us-east-1 # a\n  # far\n  - sa-east-1 # b\n  # last\n\n# c\nnodes: 1\n",
        {"regions": ["eu-west-1"]},
        [
            "-regions: # where\n",
            "-  # near\n",
            "-  - us-east-1 # a\n",
            "-  # far\n",
            "-  - sa-east-1 # b\n",
            "+regions: [eu-west-1] # where\n",
        ],
    ),
    "a comment beside a text's mark": (
        "instance:\n  additional_commands: | # why\n    echo a\n# c\nnodes: 1\n",
        {"instance.additional_commands": "echo b"},
        ["-  additional_commands: | # why\n", "-    echo a\n", "+  additional_commands: echo b # why\n"],
    ),
    "a section that ends in a text": (
        "instance:\n  additional_commands: |\n    echo a\n# c\nnodes: 1\n",
        {"instance": {"root_volume_gib": 30}},
        [
            "-instance:\n",
            "-  additional_commands: |\n",
            "-    echo a\n",
            "+instance: {root_volume_gib: 30}\n",
        ],
    ),
    "a key that merged keys hold": (
        "regions:\n  us-east-1: &r {nodes: 1, image: auto}\n  eu-west-1:\n    <<: *r\n    image: auto\n",
        {"regions.eu-west-1.nodes": 2},
        ["+    nodes: 2\n"],
    ),
    "a byte order mark": (
        "\ufeffnodes: 3\nspread: strict\n",
        {"nodes": 4},
        ["-\ufeffnodes: 3\n", "+\ufeffnodes: 4\n"],
    ),
    "no final newline": ("spread: strict\nnodes: 3", {"nodes": 4}, ["-nodes: 3", "+nodes: 4"]),
    "braces around everything": ("{nodes: 3}", {"spread": "strict"}, ["-{nodes: 3}", "+{spread: strict, nodes: 3}"]),
    "a document's marks": ("---\nnodes: 3\n...\n", {"nodes": 4}, ["-nodes: 3\n", "+nodes: 4\n"]),
    "blanks in brackets, and empty lines": (
        "nodes: 3 # so\nregions: [ us-east-1 ]\n\n\n",
        {"nodes": 4},
        ["-nodes: 3 # so\n", "+nodes: 4 # so\n"],
    ),
    "a mapping with an anchor": (
        "cluster: &c {name: a}\nnodes: 3\n",
        {"cluster.name": "b"},
        ["-cluster: &c {name: a}\n", "+cluster: &c {name: b}\n"],
    ),
    "a new key above a commented one": (
        "cluster:\n  # the name\n  name: a\n",
        {"cluster.creator": "b"},
        ["+  creator: b\n"],
    ),
    "a literal text": (
        "instance:\n  additional_commands: |\n    echo a\n# c\nnodes: 1\n",
        {"instance.additional_commands": "echo b"},
        ["-  additional_commands: |\n", "-    echo a\n", "+  additional_commands: echo b\n"],
    ),
    "a folded text": (
        "instance:\n  additional_commands: >-\n    echo a\n    b\n\n# c\nnodes: 1\n",
        {"instance.additional_commands": "echo b\necho c\n"},
        [
            "-  additional_commands: >-\n",
            "-    echo a\n",
            "-    b\n",
            '+  additional_commands: "echo b\\necho c\\n"\n',
        ],
    ),
    "another literal text": (
        "instance:\n    additional_commands: |2-\n          echo   a\n\n        b\n# c\nnodes: 1\n",
        {"nodes": 4},
        ["-nodes: 1\n", "+nodes: 4\n"],
    ),
    "a list on several lines in brackets": (
        "regions: [us-east-1,\n  eu-west-1]\n# b\nnodes: 1\n",
        {"nodes": 4},
        ["-nodes: 1\n", "+nodes: 4\n"],
    ),
    "comments in brackets that another key has": (
        "regions: [us-east-1, # x\n # z\n eu-west-1] # y\n# b\nnodes: 1\n",
        {"nodes": 4},
        ["-nodes: 1\n", "+nodes: 4\n"],
    ),
    "a list without indentation": (
        "regions:\n- us-east-1\nnodes: 3\n",
        {"nodes": 4},
        ["-nodes: 3\n", "+nodes: 4\n"],
    ),
    "an indentation of its own": (
        "regions:\n    us-east-1:\n       nodes: 2\n    eu-west-1:\n       nodes: 1\n",
        {"regions.us-east-1.image": "auto"},
        ["+       image: auto\n"],
    ),
    "single quotes, and a mark for nothing": (
        "cluster: {name: 'a', creator: \"b\"}\nregions:\n  us-east-1: ~\nnodes: 0x10\n",
        {"nodes": 4},
        ["-nodes: 0x10\n", "+nodes: 4\n"],
    ),
    "text that looks like a date": (
        "cluster:\n  tags:\n    since: 2020-99-99\n    until: 2020-01-01\n",
        {"cluster.tags.by": "me"},
        ["+    by: me\n"],
    ),
    "a long line": (
        f"cluster: {{name: {'a-' * 60}a}}\nnodes: 3\n",
        {"nodes": 4},
        ["-nodes: 3\n", "+nodes: 4\n"],
    ),
    "a key that looks like a number": (
        "cluster:\n  tags:\n    7: x # seven\n",
        {"cluster.tags.7": "y"},
        ["-    7: x # seven\n", "+    7: y # seven\n"],
    ),
    "quoted keys": ('"nodes": 3\n', {"nodes": 4}, ['-"nodes": 3\n', '+"nodes": 4\n']),
    "an empty mapping": (
        f"bacalhau:\n  sha256:\n    x86_64: '{DIGEST}'\n  # c\n  tls: none\n",
        {"bacalhau.sha256": {}},
        ["-  sha256:\n", f"-    x86_64: '{DIGEST}'\n", "+  sha256: {}\n"],
    ),
    "a section of comments only": (
        "cluster:\n  # x\nnodes: 3\n",
        {"cluster.name": "a"},
        ["+  name: a\n"],
    ),
    "comments only": ("# x\n\n# y\n", {"nodes": 4}, ["+nodes: 4\n"]),
    "a text that needs quotes": (
        "cluster: {name: a}\n",
        {"cluster.creator": "a: b"},
        ["-cluster: {name: a}\n", '+cluster: {creator: "a: b", name: a}\n'],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STYLES)
def test_only_the_lines_of_the_key_change(name: str) -> None:
    before, values, expected = STYLES[name]
    assert sorted(changes(before, set_values(before, values))) == sorted(expected)


def test_no_comment_is_lost_with_the_line_it_stands_in() -> None:
    """One mapping in braces over several lines, with comments between its keys."""
    before = "cluster: {\n name: a, # x\n creator: b # y\n} # z\n# end\n"
    after = set_values(before, {"cluster.name": "c"})
    assert parse_yaml(after).data == {"cluster": {"name": "c", "creator": "b"}}
    for comment in ("# x", "# y", "# z", "# end"):
        assert after.count(comment) == 1


def test_a_number_sign_in_a_text_is_no_comment() -> None:
    """A new line above moves the text; what is in it does not become a comment."""
    before = (
        "cluster:\n  name: x\n  tags: {\n    a: b,  # c\n    d: 'y'\n  }\n"
        "instance: {additional_commands: 'a # b',\n  root_volume_gib: 20\n}\n"
    )
    values: dict[str, object] = {
        "cluster.tags.a": "z", "cluster.creator": "me", "instance.root_volume_gib": 30
    }  # fmt: skip
    assert set_values(before, values) == (
        "cluster:\n  creator: me\n  name: x\n  tags: {\n    a: z,  # c\n    d: 'y'\n  }\n"
        "instance: {additional_commands: 'a # b',\n  root_volume_gib: 30\n}\n"
    )


@pytest.mark.parametrize(
    ("text", "key", "value", "after"),
    [
        (
            "regions:\n- us-east-1\nnodes: 4\ninstance_types:\n  - t3.medium\n",
            "instance_types",
            "[t3a.medium]",
            "regions:\n- us-east-1\nnodes: 4\ninstance_types: [t3a.medium]\n",
        ),
        (
            "regions:\n- us-east-1\nssh_cidrs:\n  - 10.0.0.0/8\n",
            "ssh_cidrs",
            "none",
            "regions:\n- us-east-1\nssh_cidrs: none\n",
        ),
        (
            "regions:\n  - us-east-1\nbacalhau:\n  orchestrators: # oo\n  - nats://192.0.2.1:4222 # n\n# end\n",
            "bacalhau.orchestrators",
            '["nats://192.0.2.9:4222"]',
            "regions:\n  - us-east-1\nbacalhau:\n  orchestrators: [nats://192.0.2.9:4222] # oo\n# end\n",
        ),
        (
            'instance: {additional_commands: "a\n\n  b", root_volume_gib: 20}\n',
            "instance.root_volume_gib",
            "30",
            'instance: {additional_commands: "a\n\n  b", root_volume_gib: 30}\n',
        ),
        (
            "{\n  # c1\n  nodes: 4, # how many\n  regions: [us-east-1],  # where\n}\n",
            "nodes",
            "5",
            "{\n  # c1\n  nodes: 5, # how many\n  regions: [us-east-1],  # where\n}\n",
        ),
        (
            "regions: [us-east-1, # e\n  us-west-2, # w\n]\ninstance_types: [\n  t3.medium,\n  # more\n  t3a.medium ]\n",
            "instance_types",
            "[m5.large]",
            "regions: [us-east-1, # e\n  us-west-2, # w\n]\n# more\ninstance_types: [m5.large]\n",
        ),
    ],
)
def test_a_value_is_replaced_where_it_is(text: str, key: str, value: str, after: str) -> None:
    """Two indentations of lists, flow style over several lines: a round trip would move or refuse what nobody changed."""
    assert set_values(text, {key: value}) == after


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodes: 1\nnodes: 2\n", "has a problem"),
        ("a: &a {name: a}\ncluster: *a\n", "without touching other keys"),
        ("nodes: [", "has a problem"),
        ("nodes: 1\n---\nnodes: 2\n", "has a problem"),
    ],
)
def test_what_cannot_be_set_alone_is_refused(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        set_values(text, {"cluster.name": "q"})


# A user's file: every section in an indentation, with comments and blank lines where people put them.
_COMMENT = st.sampled_from(["", "", " # why", "    # far, far away"])
_ABOVE = st.sampled_from(["", "", "\n", "# above\n", "\n# two\n# lines\n", "#username: commented\n"])
_TEXTS = st.sampled_from(["plain", "'single'", '"double \\x41"', "with blanks", "'1e3'", "&anchor x", "é"])
_VALUES: dict[str, st.SearchStrategy[object]] = {
    "nodes": st.integers(2, 99),
    "cluster.name": st.sampled_from(["blue", "a-long-name-of-a-cluster"]),
    "cluster.creator": st.sampled_from(["me", "7", "yes", "a: b", "- x", "é", "2020-01-01", "null", "=", "@x"]),
    "cluster.tags.owner": st.sampled_from(["me", "you and me", ".5", ":"]),
    "regions": st.sampled_from([["us-east-1"], ["eu-west-1", "us-west-2"], {"us-east-1": None}]),
    "bacalhau.api.host": st.just("https://orchestrator.example.com:1234"),
    "spread": st.just("strict"),
}  # fmt: skip


@st.composite
def _files(draw: st.DrawFn) -> str:
    """The file `cluster`, `regions`, `nodes`, `instance`; sections in block or flow style, in any order."""
    step = " " * draw(st.sampled_from([2, 2, 4, 3]))
    dash = draw(st.sampled_from(["- ", step + "- "]))

    def comment() -> str:
        return draw(_COMMENT)

    def above(indent: str = "") -> str:
        lines = draw(_ABOVE).splitlines(keepends=True)
        return "".join(indent + line if line.strip() else line for line in lines)

    tags = draw(st.sampled_from(["{team: data}", "{ team:  data }", f"\n{step * 2}team: data", ""]))
    cluster = (
        f"cluster:{comment()}\n{above(step)}{step}name: a{comment()}\n{above(step)}{step}vpc_name:  {draw(_TEXTS)}"
        f"{comment()}\n{above(step)}{step}tags:{tags and ' ' * (tags[0] != chr(10))}{tags}{comment()}\n"
    )
    regions = draw(
        st.sampled_from(
            [
                f"regions:{comment()}\n{above(step)}{dash}us-east-1{comment()}\n{dash}sa-east-1{comment()}\n",
                f"regions: [ us-east-1,sa-east-1 ]{comment()}\n",
                f"regions: [us-east-1,\n{step}sa-east-1]{comment()}\n",
                f"regions:\n{step}us-east-1: {{nodes: 2}}{comment()}\n{step}sa-east-1:{comment()}\n",
            ]
        )
    )
    nodes = f"nodes:{' ' * draw(st.integers(1, 3))}{draw(st.integers(2, 20))}{comment()}\n"
    instance = (
        f"instance:\n{step}additional_commands: |-{comment()}\n{step}  echo a\n\n{step}    # no comment\n"
    )
    parts = draw(st.permutations([cluster, regions, nodes, instance]))
    text = "".join(above() + part for part in parts) + draw(st.sampled_from(["", "# end\n", "\n\n"]))
    if draw(st.booleans()):
        text = text.rstrip("\n")
    text = text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))
    return draw(st.sampled_from(["", "", "\ufeff"])) + text


def _line_of(text: str) -> str:
    return text.rstrip("\r\n").split("#")[0].strip()


@settings(max_examples=examples(120))
@given(text=_files(), key=st.sampled_from(sorted(_VALUES)), data=st.data())
def test_a_one_key_edit_of_any_file_is_one_change(text: str, key: str, data: st.DataObject) -> None:
    """The key has its value, the others have theirs; at most the key's own lines went, and one line came."""
    value = data.draw(_VALUES[key])
    before = parse_yaml(text).data
    after = set_values(text, {key: value})
    wanted, place = before, key.split(".")
    assert isinstance(wanted, dict)
    for part in place[:-1]:
        if wanted.get(part) is None:
            wanted[part] = {}
        wanted = wanted[part]
    old = wanted.get(place[-1])
    wanted[place[-1]] = value
    assert parse_yaml(after).data == before
    assert after.startswith("\ufeff") == text.startswith("\ufeff")
    assert ("\r\n" in text) <= (after.count("\r\n") == after.count("\n"))
    change = changes(text, after)
    removed = [line[1:] for line in change if line[0] == "-"]
    come = [line[1:] for line in change if line[0] == "+"]
    lines = {_line_of(line) for line in come}
    assert len(lines - {_line_of(line) for line in removed}) <= 1
    if not isinstance(old, list | dict):
        assert len(removed) <= 2  # with the last line's end, where the file has no final newline
    if removed and not isinstance(old, list | dict):
        for line in removed:
            comment = line.partition(" #")[2].strip()
            assert comment in after


@settings(max_examples=examples(60))
@given(text=_files(), names=st.sampled_from([["us-west-2"], ["eu-west-1", "us-west-2"]]))
def test_a_choice_in_any_file_loses_no_line(text: str, names: list[str]) -> None:
    """`offers --write`: each line is there as it was, or as a comment, or held nothing but names."""
    after = set_block(text, {"regions": names})
    before = parse_yaml(text).data
    assert isinstance(before, dict)
    assert parse_yaml(after).data == {**before, "regions": names}
    lines = after.removeprefix("\ufeff").splitlines()
    for line in text.removeprefix("\ufeff").splitlines():
        if "#" in line:
            assert line in lines or f"# {line}" in lines


def test_every_commented_line_of_the_template_takes_its_value() -> None:
    """One line goes, one comes, for each key that the template shows with a value."""
    text = template()
    for key, value in {
        "cluster.name": "blue",
        "cluster.tags.team": "x",
        "nodes": 5,
        "instance_types": ["t3.medium"],
        "bacalhau.sha256.arm64": DIGEST,
        "bacalhau.labels.team": "ops",
        "bacalhau.api.host": "https://o.example.com:1",
        "timeouts.api_s": 30,
    }.items():
        change = changes(text, set_values(text, {key: value}))
        assert [line[0] for line in change] == ["-", "+"], key
        assert f"{key.rpartition('.')[2]}: " in change[1]


def test_writing_the_same_value_again_changes_nothing(tmp_path: Path) -> None:
    text = set_values(template(), {"nodes": 5, "cluster.tag_value": "blue"})
    assert set_values(text, {"nodes": 5, "cluster.tag_value": "blue"}) == text


def test_a_mapping_is_set_from_text() -> None:
    """The type of labels is a list of types in the schema, which no set can hold."""
    assert set_values("nodes: 2\n", {"bacalhau.labels": "{a: b}"}) == "nodes: 2\nbacalhau: {labels: {a: b}}\n"


def test_an_anchor_that_would_be_lost_is_refused() -> None:
    text = "instance_types: &t [t3.medium]\nregions: {us-east-1: {instance_types: *t}}\n"
    with pytest.raises(UserError, match="without touching other keys"):
        set_block(text, {"instance_types": None, "requirements": {"vcpus": "2.."}})


def test_a_password_in_an_address_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        set_values("nodes: 2\n", {"bacalhau.api.host": "http://user:top-secret@127.0.0.1:1"})
    assert "top-secret" not in f"{refused.value.what} {refused.value.details} {refused.value.hint}"
