"""The documentation as a site: navigation, pictures, diagrams, and the check of what was built.

`make site`, which .ci/run runs, builds it and fails for every dead link.
"""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from bacalhau_spot.ui.pages import Entry, entries

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "site"))

import check  # type: ignore[import-not-found]  # noqa: E402 - a script of the site
import navigation  # type: ignore[import-not-found]  # noqa: E402 - likewise

PICTURES = sorted((DOCS / "pictures").glob("*.svg"))
_PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]+\.svg)\)")
# A text that replaces a picture is a sentence, and no file name.
_WORDS_OF_A_TEXT = 4


def listed(page: Path) -> Counter[str]:
    return Counter(entry.page for entry in entries(page.read_text(encoding="utf-8")))


def test_every_page_is_in_the_navigation_once() -> None:
    """A page that nothing leads to is not read."""
    named = listed(DOCS / "index.md")
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    assert {f"{name}.md" for name in pages if not named[name]} == set(), (
        "these pages are missing in docs/index.md: add a line `- [Title](page.md): what it is for` to the list of their kind"
    )
    assert {name for name, count in named.items() if count > 1} == set(), (
        "these pages are in docs/index.md twice"
    )


def test_every_decision_is_listed() -> None:
    folder = DOCS / "decisions"
    assert set(listed(folder / "README.md")) == {path.stem for path in folder.glob("0*.md")}


def test_a_group_is_a_heading_and_its_list() -> None:
    text = "# T\n\n- [Before](a.md)\n\n## One\n\nText with [a link](x.md).\n\n- [Two](b/c.md): words.\n1. [Three](d.md)\n"
    assert entries(text) == (Entry("", "Before", "a"), Entry("One", "Two", "b/c"), Entry("One", "Three", "d"))
    assert navigation.tables_of_contents(text).split("\n\n```")[1:] == [
        "{toctree}\n:hidden:\n:caption: One\n\nTwo <b/c>\nThree <d>\n```"
    ]


def test_pictures_have_texts_and_files() -> None:
    used = set()
    for page in (ROOT / "README.md", *DOCS.glob("**/*.md")):
        for text, file in _PICTURE.findall(page.read_text(encoding="utf-8")):
            assert len(text.split()) >= _WORDS_OF_A_TEXT, (page.name, file)
            used.add((page.parent / file).resolve())
    assert used == set(PICTURES), "a picture is missing, or no page shows it"


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_a_picture_has_both_colour_schemes_and_needs_no_server(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    light, _, dark = text.partition("@media (prefers-color-scheme: dark)")
    for style in re.findall(r"\.t-r\d+(?= )", light):
        assert f"{style} " in dark, "one scheme lacks a style of the other"
    assert not re.search(r"url\(|href=|@import|<script", text)
    assert ET.fromstring(text).get("aria-label", "").startswith("bacalhau-spot ")


def test_a_diagram_is_a_picture_with_its_text() -> None:
    figure = subprocess.run(  # in a process of its own: the library's memory is reported at its end
        [sys.executable, "-c", r"import diagrams; print(diagrams.figure('flowchart LR\n    a --> b'))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=DOCS / "site",
        timeout=60,
    ).stdout
    assert figure.count("<svg") == 1 and "a --&gt; b" in figure
    assert not re.search(r"(?:src|href)=\"http", figure)


@pytest.mark.parametrize(
    ("html", "faults"),
    [
        ('<a href="other.html#here">x</a>', []),
        ('<a href="https://example.com/">x</a>', []),
        ('<a href="missing.html">x</a>', ["page.html: dead link missing.html"]),
        ('<a href="other.html#nowhere">x</a>', ["page.html: dead link other.html#nowhere"]),
        ('<p id="a"></p><a href="#a">x</a><a href="#b">x</a>', ["page.html: dead link #b"]),
        ('<img src="other.html" alt="words">', []),
        ('<img src="other.html">', ["page.html: no text for the picture other.html"]),
        ('<script src="https://cdn.example/x.js"></script>', ["page.html: loads https://cdn.example/x.js"]),
        ('<link rel="stylesheet" href="//fonts.example/x">', ["page.html: loads //fonts.example/x"]),
        ('<link rel="stylesheet" href="none.css">', ["page.html: dead link none.css"]),
        ('<link rel="next" href="https://example.com/">', []),
    ],
)
def test_the_check_finds_faults(tmp_path: Path, html: str, faults: list[str]) -> None:
    (tmp_path / "page.html").write_text(html)
    (tmp_path / "other.html").write_text('<h1 id="here"></h1>')
    assert list(check.faults(tmp_path)) == faults


def test_the_check_reads_styles(tmp_path: Path) -> None:
    (tmp_path / "site.css").write_text(
        "a { background: url(local.png) } @import url(https://fonts.example/f);"
    )
    assert list(check.faults(tmp_path)) == ["site.css: loads url(https://fonts.example/f"]
