"""Shortens the node's programs for the user data, which EC2 limits."""

from __future__ import annotations

import ast
import io
import tokenize

_LAYOUT = {tokenize.NL, tokenize.COMMENT, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}


def minify_python(source: str) -> str:
    """The same program without docstrings, full-line comments, imports for type checkers and deep indentation."""
    drop = _docstring_lines(source) | _comment_lines(source) | _type_checking_lines(source)
    depths = _depths(source)
    return "".join(
        " " * depths[number] + line.lstrip(" ") if number in depths else line
        for number, line in enumerate(source.splitlines(keepends=True), start=1)
        if number not in drop and (line.strip() or number not in depths)
    )


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
