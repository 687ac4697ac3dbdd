"""Shortens the node's programs for the user data, which EC2 limits."""

from __future__ import annotations

import ast
import io
import tokenize
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LAYOUT = {tokenize.NL, tokenize.COMMENT, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}


def minify_python(source: str) -> str:
    """The same program without docstrings, full-line comments, annotations of functions and deep indentation."""
    source = _without_annotations(source)
    drop = _docstring_lines(source) | _comment_lines(source) | _type_checking_lines(source)
    depths = _depths(source)
    return "".join(
        " " * depths[number] + line.lstrip(" ") if number in depths else line
        for number, line in enumerate(source.splitlines(keepends=True), start=1)
        if number not in drop and (line.strip() or number not in depths)
    )


def _without_annotations(source: str) -> str:
    """Without those of parameters and results. Fields of classes keep theirs, which make a dataclass."""
    lines = source.splitlines(keepends=True)
    for line, begin, end in sorted(_annotations(source, lines), reverse=True):
        lines[line - 1] = lines[line - 1][:begin] + lines[line - 1][end:]
    return "".join(lines)


def _annotations(source: str, lines: list[str]) -> Iterator[tuple[int, int, int]]:
    """Line, begin and end of each annotation that is within a line. The programs are ASCII: bytes are columns."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg) and _within_a_line(node):
            yield node.lineno, node.col_offset + len(node.arg), node.end_col_offset or 0
        if isinstance(node, ast.FunctionDef) and node.returns is not None and _within_a_line(node.returns):
            line, column = node.returns.lineno, node.returns.col_offset
            yield line, lines[line - 1].rindex(" ->", 0, column), node.returns.end_col_offset or column


def _within_a_line(node: ast.arg | ast.expr) -> bool:
    return node.lineno == node.end_lineno


def _docstring_lines(source: str) -> set[int]:
    """The line numbers of the docstrings. A body of nothing else needs its docstring."""
    numbers: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        if ast.get_docstring(node, clean=False) and len(node.body) > 1:
            numbers.update(_lines(node.body[0]))
    return numbers


def _type_checking_lines(source: str) -> set[int]:
    """The line numbers of `if TYPE_CHECKING:` and its imports: annotations are not evaluated on the node."""
    blocks = (node for node in ast.parse(source).body if isinstance(node, ast.If))
    return {
        number for block in blocks if ast.unparse(block.test) == "TYPE_CHECKING" for number in _lines(block)
    }


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _comment_lines(source: str) -> set[int]:
    return {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#")
    }


def _depths(source: str) -> dict[int, int]:
    """The indentation of each line, in blocks. Continuation lines have none; the inside of a string is left out."""
    depths = dict.fromkeys(range(1, source.count("\n") + 1), 0)
    depth, begins = 0, True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        for number in range(token.start[0] + 1, token.end[0] + 1):  # of a string over several lines
            depths.pop(number, None)
        depth += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
        if begins and token.type not in _LAYOUT:
            depths[token.start[0]] = depth
        begins = token.type == tokenize.NEWLINE or (begins and token.type in _LAYOUT)
    return depths


def minify_unit(source: str) -> str:
    """A systemd unit without its comments."""
    return "".join(line for line in source.splitlines(keepends=True) if not line.startswith("#"))
