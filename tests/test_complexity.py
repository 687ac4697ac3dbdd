"""No function is more complex than 10, by a counter to which a comprehension is a loop as well."""

from __future__ import annotations

from pathlib import Path

from radon.complexity import cc_visit

import bacalhau_spot

SOURCE = Path(bacalhau_spot.__file__).parent
MOST = 10


def too_complex(source: str, name: str) -> list[str]:
    """A function within another counts towards that one."""
    return [
        f"{name}:{block.lineno} {block.fullname} {block.complexity}"
        for block in cc_visit(source)
        if block.letter in {"F", "M"} and block.complexity > MOST
    ]


def test_comprehensions_and_conditions_count() -> None:
    simple = "def f(rows):\n    return [row for row in rows]\n"
    nested = "def f(rows):\n    return [" + " + ".join(["[x for x in rows if x or not x]"] * 4) + "]\n"
    assert too_complex(simple, "a.py") == []
    assert too_complex(nested, "a.py") == ["a.py:1 f 13"]


def test_no_function_is_too_complex() -> None:
    names = [path.relative_to(SOURCE).as_posix() for path in sorted(SOURCE.rglob("*.py"))]
    assert len(names) > 200
    places = [
        place for name in names for place in too_complex((SOURCE / name).read_text(encoding="utf-8"), name)
    ]
    assert places == []
