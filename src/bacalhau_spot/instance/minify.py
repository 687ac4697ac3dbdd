"""Removes comments and docstrings from programs whose user data would exceed EC2's limit."""

from __future__ import annotations

import ast
import io
import tokenize


def minify_python(source: str) -> str:
    """The source without docstrings and full-line comments. Lines of code are unchanged."""
    drop = _docstring_lines(source) | _comment_lines(source)
    lines = source.splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines, start=1) if number not in drop)


def _docstring_lines(source: str) -> set[int]:
    """The line numbers of the docstrings. A body of nothing else needs its docstring."""
    numbers: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        if ast.get_docstring(node, clean=False) and len(node.body) > 1:
            text = node.body[0]
            numbers.update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return numbers


def _comment_lines(source: str) -> set[int]:
    return {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#")
    }


def minify_unit(source: str) -> str:
    """A systemd unit without its comments."""
    return "".join(line for line in source.splitlines(keepends=True) if not line.startswith("#"))
