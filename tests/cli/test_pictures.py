"""The pictures in docs/pictures show the program of today: words and columns, not the numbers of one run."""

from __future__ import annotations

import importlib.util
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest
from rich.style import Style

DOCS = Path(__file__).resolve().parents[2] / "docs"
# What differs from run to run, from day to day, or with the prices of the sandbox: in the order of replacement.
_VARIABLE = (
    (r"\b[a-z]{2}(?:-[a-z]+)+-\d\b", "REGION"),
    (r"\b[a-z]\d\w*\.\w+\b", "TYPE"),
    (r"\b[0-9a-f]{64}\b", "SUM"),
    (r"\bi-[0-9a-f]{17}\b", "INSTANCE"),
    (r"\d[\d,.]*", "0"),
    (r"(?:\b0 (?:d|h|min|s) ?)+", "TIME "),
    (r"[<>]?0(?:-0)? ?%", "0 %"),
    (r"REGION[a-f]\b", "REGIONz"),
    (r"\b[a-f]:0", "z:0"),
    (r"(?<= )(?:[a-f] )+(?= )", "z "),
    (r"  -  ", "  0  "),
)


@pytest.fixture(scope="module")
def pictures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def masked(text: str) -> set[str]:
    """The lines of a screen, as a set: the order of regions follows their prices."""
    for pattern, name in _VARIABLE:
        text = re.sub(pattern, name, text)
    return {" ".join(line.split()) for line in text.splitlines()} - {""}


def text_of(svg: str) -> str:
    """The lines of a picture, by their heights; its title aside."""
    lines: dict[float, str] = {}
    for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        if element.get("class", "").startswith("t-"):
            height = float(element.get("y", "0"))
            lines[height] = lines.get(height, "") + (element.text or "").replace("\xa0", " ").rstrip("\n")
    return "\n".join(lines[height] for height in sorted(lines))


def test_they_show_what_the_program_shows(pictures: ModuleType) -> None:
    """After a change of a screen: `make pictures`, and a look at the difference."""
    taken = pictures.take()
    assert set(taken) == {path.stem for path in pictures.FOLDER.glob("*.svg")} == set(pictures.PICTURES)
    for name, lines in taken.items():
        kept = text_of((pictures.FOLDER / f"{name}.svg").read_text(encoding="utf-8"))
        assert masked(pictures.plain(lines)) == masked(kept), f"{name}.svg is out of date: `make pictures`"


def test_a_picture_keeps_its_text(pictures: ModuleType) -> None:
    cells = tuple(
        pictures.Cell(character, Style(bold=character.isupper())) for character in "NODE <a> & b  in red"
    )
    svg = pictures.picture((cells, ()), title="bacalhau-spot <list>")
    assert text_of(svg) == "NODE <a> & b  in red"
    assert "<title>bacalhau-spot &lt;list&gt;</title>" in svg


def test_styles_that_one_scheme_does_not_tell_apart_are_refused(pictures: ModuleType) -> None:
    """The two schemes share the text, and its classes."""
    cells = tuple(pictures.Cell("x", Style(color=color)) for color in ("default", "#24292f"))
    with pytest.raises(ValueError, match="two styles have the same colours"):
        pictures.picture((cells,), title="bacalhau-spot list")


def test_instances_have_stand_ins_of_the_same_length(pictures: ModuleType) -> None:
    known = pictures._StandIns()

    def shown(text: str) -> str:
        return str(
            pictures.plain((pictures.with_stand_ins(tuple(pictures.Cell(c, Style()) for c in text), known),))
        )

    first, second = "i-" + "a" * 17, "i-" + "b" * 17
    assert shown(f"{first} {second} x") == "i-00000000000000001 i-00000000000000002 x"
    assert shown(f"again {second}") == "again i-00000000000000002"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("us-east-1  a b  t3.medium 12 s $0.01", "eu-west-1  c  t3a.medium 1 min 3 s $12.01"),
        ("us-east-1  2/2  a:1 b:1", "eu-west-1  1/2  b:0 c:1"),
        ("us-east-1  3  z  61%  <5%  -  7", "ap-south-1  12  z  5%  5-10%  9  50000"),
    ],
)
def test_numbers_and_places_make_no_difference(one: str, other: str) -> None:
    assert masked(one) == masked(other)


def test_words_and_columns_make_one() -> None:
    assert masked("region zone  state\n") != masked("region  state zone\n")
    assert masked("12 of 12 nodes joined") != masked("12 of 12 nodes running")
