"""One thing has one name, and one name means one thing: grep finds what it looks for, and nothing else."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import bacalhau_spot

SOURCE = Path(bacalhau_spot.__file__).parent
# Names that are defined more than once, and why.
EXCEPTIONS = {
    "main": "the entry point of the program, of `python -m …config`, and of each program that runs on a node",
    **dict.fromkeys(
        ("plan", "create", "status", "destroy", "nuke_resources"),
        "of the command or the engine, and its asynchronous and blocking form in the Python API",
    ),
    "Notice": "of a cluster's event to its user, and EC2's interruption notice in a program that runs on a node",
}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE), ast.parse(path.read_text(encoding="utf-8"))


def test_a_public_class_or_function_name_is_defined_in_one_module() -> None:
    defined: dict[str, set[str]] = defaultdict(set)
    for path, tree in modules():
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                defined[node.name].add(str(path))
    twice = {name: sorted(places) for name, places in defined.items() if len(places) > 1}
    assert {name: twice[name] for name in twice if not name.startswith("_") and name not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) <= set(twice), "an exception that is none any more"


def test_a_module_name_stands_once_on_a_floor() -> None:
    places_of: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path, _ in modules():
        if len(path.parts) > 1 and path.stem not in {"__init__", "__main__"}:
            places_of[path.parts[0], path.stem].append(str(path))
    for folder in sorted(SOURCE.rglob("__init__.py")):
        path = folder.parent.relative_to(SOURCE)
        if len(path.parts) > 1:
            places_of[path.parts[0], path.name].append(str(path))
    assert {key: places for key, places in places_of.items() if len(places) > 1} == {}
