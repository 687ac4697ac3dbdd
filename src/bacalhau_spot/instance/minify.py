"""Removes comments and docstrings from programs whose user data would exceed EC2's limit."""

from __future__ import annotations

import ast
import io
import tokenize


def minify_python(source: str) -> str:
    """The source without docstrings and full-line comments. Lines of code are unchanged."""
    drop: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            text = node.body[0]
            if len(node.body) > 1:  # a body must not be empty
                drop |= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#"):
            drop.add(token.start[0])
    lines = source.splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines, start=1) if number not in drop)


def minify_unit(source: str) -> str:
    """A systemd unit without its comments."""
    return "".join(line for line in source.splitlines(keepends=True) if not line.startswith("#"))
