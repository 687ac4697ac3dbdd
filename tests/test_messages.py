"""Where sentences live (docs/architecture.md): next to the decision that causes them, once, on the floors that face the user."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import bacalhau_spot

SOURCE = Path(bacalhau_spot.__file__).parent
# They return values and codes; the error catalog and the findings of `doctor` are core's only sentences for users.
SILENT_FLOORS = ("core", "cloud", "orchestrator")
# What writes to a stream of the user's.
WRITERS = {
    "cli/__init__.py": "the last words, where nothing else works any more",
    "cli/runtime/banner.py": "the first line of a command, before anything is imported",
    "cli/runtime/context.py": "the lines of --debug",
    "cli/runtime/reporting.py": "results and errors",
    "ui/json_output/envelope.py": "results for programs",
    "ui/progress/look_line.py": "the line of a look, which is removed",
}
WORDS_IN_A_SENTENCE = 7


def modules() -> Iterator[tuple[str, ast.Module]]:
    """All but the programs that run on the nodes."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if not name.startswith("instance/scripts/"):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def sentences(tree: ast.Module) -> Iterator[str]:
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            text = " ".join(node.value.split())
            if len(text.split()) >= WORDS_IN_A_SENTENCE:
                yield text


def test_the_lower_floors_raise_no_errors_for_users() -> None:
    raised = {name for name, tree in modules() if "UserError" in calls(tree)}
    assert not [name for name in raised if name.split("/")[0] in SILENT_FLOORS]


def test_few_modules_write_to_the_users_streams() -> None:
    messages = {
        name
        for name, tree in modules()
        if any(
            call == "print" or call.endswith(("stdout.write", "stderr.write", "stream.write"))
            for call in calls(tree)
        )
    }
    assert messages == set(WRITERS)


def test_a_sentence_stands_once() -> None:
    """Two copies are two sentences as soon as somebody mends one."""
    places: dict[str, set[str]] = defaultdict(set)
    for name, tree in modules():
        for text in sentences(tree):
            places[text].add(name)
    assert {text: sorted(names) for text, names in places.items() if len(names) > 1} == {}
