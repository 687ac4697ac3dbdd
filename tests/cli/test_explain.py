"""`explain`: what `docs:` lines name exists, offline."""

from __future__ import annotations

import ast
import posixpath
import re
from io import StringIO
from pathlib import Path, PurePosixPath

import pytest
from syrupy.assertion import SnapshotAssertion

import bacalhau_spot
from bacalhau_spot import project
from bacalhau_spot.cli import run
from bacalhau_spot.cli.commands.explain import packaged_pages
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.core.error_catalog.classifier import CATALOG, FAMILIES, MESSAGE_RULES, classify
from bacalhau_spot.ui.pages import find_section, sections, topic_of
from support.cli_runner import CliRunner
from support.golden import golden, masked_text
from support.schemas import contract

SOURCE = Path(bacalhau_spot.__file__).parent


def named_in_the_code() -> set[str]:
    """Every `docs/….md` in a string that the program prints."""
    codes = set()
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in documentation
            ):
                codes |= set(re.findall(r"docs/[\w.-]+\.md(?:#[\w-]+)?", node.value))
    return codes


def test_every_page_that_is_named_exists() -> None:
    """A7: the pages that errors name were on a server that has none of them."""
    pages = packaged_pages()
    named = named_in_the_code()
    assert len(named) > 5
    assert [topic_name for topic_name in named if not find_section(topic_of(topic_name), pages)] == []


def test_every_error_is_explained() -> None:
    """By the name that its `docs:` line has, also where a page has the same."""
    pages = packaged_pages()
    infos = {*CATALOG.values(), *(rule.info for rule in (*FAMILIES, *MESSAGE_RULES)), classify("")}
    assert [
        info.name
        for info in infos
        if f"### {info.name}" not in find_section(topic_of(f"docs/errors.md#{info.name}"), pages)
    ] == []


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("status", "# "),
        ("tutorial", "(picture: "),
        ("troubleshooting", "# Troubleshooting"),
        ("decisions", "# Decision records"),
        ("examples/batch.yaml", "QueueTimeout"),
        ("docs/decisions/0001-no-state-file.md", "# 1. "),
        ("docs/status.md", "# "),
        ("clock", "### clock"),
        ("ExpiredToken", "### expired-credentials"),
        ("InvalidFleetId.NotFound", "### lag"),
        ("ExpiredTokenException", "### expired-credentials"),
        ("InvalidFilterKey", "### our-call"),
        ("SSOTokenLoadError", "### sso"),
        ("errors#credentials", "### unknown-key"),
    ],
)
def test_what_is_asked_for_is_printed(program: CliRunner, topic: str, words: str) -> None:
    """A page, a section, an error, a code, a family's code."""
    result = program("explain", topic)
    assert result.code == 0, result.stderr
    assert words in result.stdout
    assert "<!--" not in result.stdout


def test_the_pages_are_listed_and_a_mistyped_one_is_guessed(
    program: CliRunner, snapshot: SnapshotAssertion
) -> None:
    """Nobody is asked for either."""
    recorded = golden(snapshot)
    listed = program("explain")
    assert re.search(r"^sandbox +\S", listed.stdout, re.MULTILINE)
    pages, page = program("explain", "-o", "json"), program("explain", "clock", "-o", "json")
    assert masked_text(pages.envelope, pages=pages.data["pages"][:1]) == recorded
    assert masked_text(page.envelope, text="…") == recorded
    contract("explain", pages.data)
    contract("explain", page.data)
    wrong = program("explain", "stauts")
    assert wrong.code == 2 and "did you mean status" in wrong.stderr


def test_every_link_between_pages_leads_to_one_that_can_be_printed(program: CliRunner) -> None:
    """The list has the order of docs/index.md; what another page links to is part of the package, too."""
    pages = packaged_pages()
    listed = [
        line.split()[0] for line in program("explain").stdout.splitlines()[1:] if not line.startswith("next")
    ]
    assert listed[:2] == ["tutorial", "tutorial-aws"]
    assert set(listed) == {name for name in pages if "/" not in name} - {"index"}
    for name, text in pages.items():
        folder = PurePosixPath("decisions" if name.startswith("decisions") else "")
        for link in re.findall(r"\]\(([\w./-]+\.(?:md|yaml)(?:#[\w-]+)?)\)", text):
            target = posixpath.normpath(folder / link).replace("../examples/", "examples/")
            if not target.startswith("../"):
                assert find_section(topic_of(target), pages), (name, link)


def test_a_page_is_printed_as_it_is(tmp_path: Path) -> None:
    """What stands on it to be copied is no secret."""
    for form in ("table", "json"):
        argv, out = ["explain", "sandbox", "-o", form], StringIO()
        world = Runtime(
            environ={}, cwd=tmp_path, home=tmp_path, stdin=StringIO(), stdout=out, stderr=StringIO()
        )
        assert run(argv, runtime=world) == 0
        assert "AWS_SECRET_ACCESS_KEY=sandbox-secret-access-key" in out.getvalue()


def test_an_error_names_what_can_be_run(program: CliRunner) -> None:
    """The `docs:` line is a command, with the program as it was called."""
    shown = program("prune").stderr
    (line,) = (line for line in shown.splitlines() if line.startswith("docs: "))
    topic = line.removeprefix("docs: bacalhau-spot explain ")
    assert program("explain", topic).code == 0


def test_a_section_ends_where_the_next_begins() -> None:
    """Headings in fences are none."""
    text = "# A\n\none\n```\n# no heading\n```\n## B b\ntwo\n# C\nthree"
    assert [(section.anchor, section.text.splitlines()[-1]) for section in sections(text)] == [
        ("a", "two"), ("b-b", "two"), ("c", "three"),
    ]  # fmt: skip


def test_nothing_names_an_address_of_ours_before_a_release_does() -> None:
    """One place: project.py."""
    assert (project.REPOSITORY_URL, project.SITE_URL, project.PACKAGE) == ("", "", "")
