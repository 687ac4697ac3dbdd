"""The words that a user reads, in the documentation and in messages, are the field's: CONTRIBUTING.md, "Language".

No prose linter on PyPI takes a word list of a project's own without a download at run time (vale fetches its binary, proselint
has fixed checks). `make lint` and `.ci/run` run this file before all other tests.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "bacalhau_spot"

# A pattern, and what to write instead.
WORDS = {
    r"\b(is|are|was|were|be|been) told\b|\btold (as|with|on|here|so|first|once)\b": "reported, returned, listed",
    r"\b(at )?stake\b": "exposure, maximum loss",
    r"\b(dark|blind|dim) (region|spot|place)s?\b|\b(is|are|was) (dark|blind)\b": "could not be scanned",
    r"\bfoundlings?\b|\bsights?\b|\bsightings?\b": "untagged resource, scan result",
    r"\bseed('s)?\b": "name the document",
    r"\bolder tools?\b|\bthe checkup\b": "earlier deployment scripts (on the migration page only), doctor",
    r"\bborn\b|\bdies with\b|\bdoomed\b|\bspared?\b|\bfates?\b": "created, deleted with, to delete, skipped, status",
    r"\bwhat (there is|is there|is not there|AWS (has|shows|says|knows)|stays|is left|goes)\b": "name the noun",
    r"\bwhat (is|are|was|were) (not )?(ours|gone|known|missing|made|asked|needed)\b": "name the noun",
    r"\bwhoever\b|\bsomebody else\b": "name the person or role",
    r"\b(not )?ours\b|\bof ours\b": "managed (by bacalhau-spot), not tagged",
    r"\bbeside\b": "besides, alongside, in addition to",
    r"(?<!there )\b(is|are) no (?!longer\b|more than\b)(?=[a-z])": "is not a",
    r"\btaken back\b|\btakes? (it|one|two|them) back\b": "interrupted",
    r"\b(a|the|last|first|each) look\b|\blook(s|ed)? into\b|\blooked at\b": "scan, check",
    r"\bhave the orchestrator forget\b|\bhas the orchestrator forget\b": "remove from the orchestrator",
    r"\bfor want of\b|\btaken for granted\b|\bit keeps nobody\b|\bof equals\b|\bfor ever\b": "say it in nouns",
    r"\bmade a mistake\b|\ba mistake in\b": "internal error",
    r"\bis kept by\b|\bfree it with\b": "blocked by, to unblock",
    r"\bmade on the way\b|\bto have (one|it|a VPC) made\b|\bfree it\b": "created, to have one created, to unblock",
    r"\bstill at it\b|\bat work in\b|\bto agree beforehand\b": "in progress, running, to confirm",
    r"\b(says?|shows?) which (one|file|variable)\b|\bsays where\b|\bsays how\b": "shows the …",
    r"\bwhat (the file|it|they) comes? to\b|\bwhat (it|they) (offers?|runs?|does|do)\b": "name the noun",
    r"\bis there to\b|\bmeans nothing\b|\bdid not stay\b|\bhas too much to do\b": "say it in the field's words",
}
# Sentences that keep such a word, and why: the place, a part of the sentence, the reason.
EXCEPTIONS: dict[tuple[str, str], str] = {}
# docs/commands.md is generated from the source as a whole, and is checked there.
PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("packages/*/*.md")}
    - {ROOT / "docs" / "commands.md"}
)
# Output, commands and generated tables: an empty text takes their place.
NOT_PROSE = (
    re.compile(r"<!-- begin generated: .*?<!-- end generated: [^\n]*-->", re.DOTALL),
    re.compile(r"<!-- keys: generated.*?<!-- keys: end -->", re.DOTALL),
    re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE),
    re.compile(r"^ {4,}(?!- ).*$", re.MULTILINE),
    re.compile(r"`[^`\n]+`"),
)
# Other packages write no sentences for users of the program: the sandbox answers as AWS does, `instance` runs on the nodes.
PACKAGES = ("cli", "cloud", "config", "core", "engine", "orchestrator", "ui")
WORDS_IN_A_SENTENCE = 3


@dataclass(frozen=True)
class Sentence:
    place: str
    text: str

    def faults(self) -> list[str]:
        return [
            f"{self.place}: {match.group()!r}, better: {better}: {self.text[:160]!r}"
            for pattern, better in WORDS.items()
            if (match := re.search(pattern, self.text, re.IGNORECASE)) and not self.excepted()
        ]

    def excepted(self) -> bool:
        return any(self.place.startswith(place) and part in self.text for place, part in EXCEPTIONS)


def paragraphs(name: str, text: str) -> Iterator[Sentence]:
    """Lines that belong together as one: a word and the next may stand on two lines."""
    for pattern in NOT_PROSE:
        text = pattern.sub(lambda match: "\n" * match.group().count("\n"), text)
    number = 1
    for block in re.split(r"(?m)^(?=[ ]*(?:[-|#]|\d+\.) |$)", text):
        yield Sentence(f"{name}:{number}", " ".join(block.split()))
        number += block.count("\n")


def page(path: Path) -> Iterator[Sentence]:
    """Of the list of changes only what is not released: the rest is history."""
    text = path.read_text(encoding="utf-8")
    if path.name == "CHANGELOG.md":
        text = text.split("\n## [")[1]
    yield from paragraphs(str(path.relative_to(ROOT)), text)


def messages(path: Path) -> Iterator[Sentence]:
    """String literals of three words or more: docstrings aside, but for those of commands, which are their help."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    is_command = path.parent.name == "commands"
    skipped = set[int]()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values if isinstance(part, ast.Constant)}
        elif isinstance(node, ast.Module | ast.ClassDef) or (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (not is_command or node.name.startswith("_"))
        ):
            skipped |= {id(first.value) for first in node.body[:1] if isinstance(first, ast.Expr)}
    for node in ast.walk(tree):
        text = literal(node)
        if id(node) not in skipped and len(text.split()) >= WORDS_IN_A_SENTENCE:
            yield Sentence(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", text)


def literal(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(literal(part) or "…" for part in parts)
        case _:
            return ""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_have_no_private_words(path: Path) -> None:
    assert [fault for sentence in page(path) for fault in sentence.faults()] == []


def test_messages_have_no_private_words() -> None:
    """Those of docs/generate.py, too: it has the words of the tables."""
    files = [path for package in PACKAGES for path in sorted((SOURCE / package).rglob("*.py"))]
    faults = [
        fault
        for path in (*files, ROOT / "docs" / "generate.py")
        for sentence in messages(path)
        for fault in sentence.faults()
    ]
    assert faults == []


def test_exceptions_are_needed() -> None:
    for place, part in EXCEPTIONS:
        assert part in (ROOT / place).read_text(encoding="utf-8"), (place, part)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("whatever cannot be asked is told", 1),
        ("the volume of an instance, beside its address", 1),
        ("nothing of ours was found", 1),
        ("wrapped, an instance is\ntold of it", 1),
        ("one\n\n- is\n- told", 0),
        ("`beside` is code", 0),
        ("    beside in output", 0),
        ("There is no state file, and it is no longer needed.", 0),
        ("It is no range.", 1),
    ],
)
def test_the_list_finds_words_in_prose_and_not_in_code(text: str, count: int) -> None:
    assert sum(len(sentence.faults()) for sentence in paragraphs("page", text)) == count


def test_messages_are_found_in_each_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain literal, an f-string as a whole, a command's help; no docstring of anything else."""
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "commands" / "x.py"
    file.parent.mkdir()
    file.write_text(
        '"""A module docstring here."""\n'
        'def command():\n    """Help that users read."""\n    return f"in {region} nothing remains"\n'
        'def _private():\n    """Not for users, this."""\n    return "a plain literal"\n'
    )
    assert {sentence.text for sentence in messages(file)} == {
        "Help that users read.",
        "in … nothing remains",
        "a plain literal",
    }
