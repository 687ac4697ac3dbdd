"""Changing single keys in a file's text, and writing files. What is not changed stays as it is, letter for letter."""

from __future__ import annotations

import contextlib
import difflib
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from bacalhau_spot import files
from bacalhau_spot.config import json_schema, yaml_writer
from bacalhau_spot.config.check import check_text
from bacalhau_spot.config.legacy_formats import lookup
from bacalhau_spot.config.locations import DOCS, KeyPath, dotted, raise_problems
from bacalhau_spot.config.migrate import upgrade_text
from bacalhau_spot.config.yaml_document import Document, UnreadableError, parse_yaml
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def set_values(text: str, values: Mapping[str, object], *, file: str = "config.yaml") -> str:
    """`text` with the keys set: `{"nodes": 5, "cluster.tag_value": "blue"}`.

    Text values are read as YAML where the key takes something other than text. An older file is brought to the present
    form first. Raises UserError (exit code 2) when there is no such key, or when the result would not be good.
    """
    text = upgrade_text(text, file=file)
    for key, value in values.items():
        path = _known(key)
        text = _set(text, path, _typed(path, value), file=file)
    try:
        checked = check_text(text)
    except UnreadableError as error:
        raise raise_problems(file, [error.problem]) from None
    if checked.problems:
        raise raise_problems(file, checked.problems)
    return text


def _known(key: str) -> KeyPath:
    path = tuple(key.split("."))
    if len(path) > 3 and path[:2] == ("cluster", "tags"):  # noqa: PLR2004 -- a tag's key may hold dots itself
        path = (*path[:2], ".".join(path[2:]))
    if json_schema.at(path):
        return path
    every = [name for name, _ in json_schema.every_key()]
    close = difflib.get_close_matches(key, every, n=1, cutoff=0.6)
    raise UserError(
        f"there is no configuration key `{key}`",
        hint=f"did you mean `{close[0]}`?" if close else "the page below lists the keys",
        docs=DOCS,
        exit_code=ExitCode.USAGE,
    )


def _typed(path: KeyPath, value: object) -> object:
    if not isinstance(value, str) or {node.get("type") for node in json_schema.at(path)} == {"string"}:
        return value
    try:
        return parse_yaml(value).data
    except UnreadableError:
        return value


def _set(text: str, path: KeyPath, value: object, *, file: str) -> str:
    document = _parsed(text, file)
    wanted = deepcopy(document.data) if isinstance(document.data, dict) else {}
    if not _put(wanted, path, value):
        raise _unable(path)
    if path in document.spans:
        changed = _replace(text, document, path, value)
    else:
        changed = _uncomment(text, document, path, value) or _insert(text, document, path, value)
    # The text was changed by position: that exactly this key changed is checked, not assumed.
    if _parsed(changed, file).data != wanted:
        raise _unable(path)
    return changed


def _parsed(text: str, file: str) -> Document:
    try:
        return parse_yaml(text)
    except UnreadableError as error:
        raise raise_problems(file, [error.problem]) from None


def _unable(path: KeyPath) -> UserError:
    return UserError(
        f"`{dotted(path)}` cannot be set in this file without touching other keys",
        hint="open the file in an editor and set it there",
        docs=DOCS,
        exit_code=ExitCode.USAGE,
    )


def _put(data: dict[str, Any], path: KeyPath, value: object) -> bool:
    for part in path[:-1]:
        inside = data.get(str(part))
        if inside is None:
            inside = data[str(part)] = {}
        if not isinstance(inside, dict):
            return False
        data = inside
    data[str(path[-1])] = value
    return True


def _replace(text: str, document: Document, path: KeyPath, value: object) -> str:
    span = document.spans[path]
    start, end = span.start, span.end
    if lookup(document.data, path) is None and not text[start:end].strip():
        colon = text.index(":", span.key_end)
        return f"{text[: colon + 1]} {yaml_writer.inline(value)}{text[colon + 1 :]}"
    if not span.flow or text[start:end].endswith("\n"):
        # A block reaches to the next key, comments included; what counts is where its last value ends.
        inner = [
            inside.end
            for other, inside in document.spans.items()
            if other[: len(path)] == path and inside.scalar
        ]
        end = len(text[: max(inner)].rstrip())
        colon = text.index(":", span.key_end)
        return f"{text[: colon + 1]} {yaml_writer.inline(value)}{text[end:]}"
    return text[:start] + yaml_writer.inline(value) + text[end:]


def _uncomment(text: str, document: Document, path: KeyPath, value: object) -> str | None:
    """The template's own line for a key, `#key: …` in its section: the value goes there. None: there is no such line."""
    lines = text.split("\n")
    begin, end = _section(lines, document, path[:-1])
    indent = "  " * (len(path) - 1)
    line = re.compile(rf"{indent}#{re.escape(str(path[-1]))}:(?: .*)?")
    for number in range(begin, end):
        if line.fullmatch(lines[number]):
            lines[number] = f"{indent}{yaml_writer.yaml_scalar(str(path[-1]))}: {yaml_writer.inline(value)}"
            return "\n".join(lines)
    return None


def _section(lines: list[str], document: Document, section: KeyPath) -> tuple[int, int]:
    """The lines of a section written as the template writes it: two blanks a level. Empty when it is not there."""
    if not section:
        return 0, len(lines)
    place = document.keys.get(section)
    if place is None:
        return 0, 0
    outside = re.compile(rf" {{0,{2 * (len(section) - 1)}}}#?[A-Za-z]")
    end = next(
        (number for number in range(place.line, len(lines)) if outside.match(lines[number])), len(lines)
    )
    return place.line, end


def _insert(text: str, document: Document, path: KeyPath, value: object) -> str:
    """A new line below the nearest section that exists, or at the end."""
    depth = next(
        length for length in range(len(path) - 1, -1, -1) if length == 0 or path[:length] in document.spans
    )
    rest = value
    for part in reversed(path[depth + 1 :]):
        rest = {part: rest}
    entry = f"{yaml_writer.yaml_scalar(str(path[depth]))}: {yaml_writer.inline(rest)}"
    if depth == 0:
        span = document.spans.get(())
        if span is None or not span.flow or document.data is None:
            return text.rstrip("\n") + ("\n" if text.strip() else "") + entry + "\n"
        return _into_braces(text, span.start, entry, empty=not document.data)
    section = path[:depth]
    span = document.spans[section]
    if text[span.start : span.start + 1] == "{":
        return _into_braces(text, span.start, entry, empty=not lookup(document.data, section))
    place = document.keys[section]
    lines = text.split("\n")
    first = next(
        (
            document.keys[inner].column
            for inner in document.keys
            if inner[:depth] == section and len(inner) > depth
        ),
        0,
    )
    indent = " " * (first - 1 if first else place.column + 1)
    lines.insert(place.line, f"{indent}{entry}")
    return "\n".join(lines)


def _into_braces(text: str, start: int, entry: str, *, empty: bool) -> str:
    return f"{text[: start + 1]}{entry}{'' if empty else ', '}{text[start + 1 :]}"


def write_config(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Writes the whole file or nothing, readable by its owner only. Raises UserError (exit code 2) when the file exists
    and `overwrite` is false, and (exit code 1) when it cannot be written.
    """
    try:
        files.write(path, text, overwrite=overwrite)
    except FileExistsError:
        raise UserError(
            f"{path} exists already",
            hint="move it away, then run the same command again",
            exit_code=ExitCode.USAGE,
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be written", why=error.strerror or str(error)) from None
    if text.startswith(json_schema.MODELINE):
        # Only editors want it: the configuration is as good without.
        with contextlib.suppress(OSError):
            files.write(path.with_name(json_schema.SCHEMA_NAME), json_schema.packaged())
