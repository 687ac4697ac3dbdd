"""Changes single keys of a file by ruamel's round trip, and writes files. The rest of the file is unchanged."""

from __future__ import annotations

import contextlib
import difflib
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ruamel.yaml.error import YAMLError

from bacalhau_spot import files
from bacalhau_spot.config import json_schema, round_trip
from bacalhau_spot.config.check import check_text
from bacalhau_spot.config.comments import find_comments
from bacalhau_spot.config.locations import DOCS, ConfigProblem, KeyPath, dotted, raise_problems
from bacalhau_spot.config.migrate import upgrade_text
from bacalhau_spot.config.round_trip import TextForm
from bacalhau_spot.config.yaml_document import BOM, Document, UnreadableError, ValueSpan, parse_yaml
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ruamel.yaml.comments import CommentedMap


def set_values(text: str, values: Mapping[str, object], *, file: str = "config.yaml") -> str:
    """`text` with the keys set: `{"nodes": 5, "cluster.tag_value": "blue"}`.

    Text values are parsed as YAML for keys that are not text. A file in an earlier format is converted first. Raises
    UserError (exit code 2) for an unknown key, and for an invalid result.
    """
    form = TextForm.of(text)
    text = with_values(upgrade_text(form.without(text), file=file), values, file=file)
    try:
        checked = check_text(text)
    except UnreadableError as error:
        raise raise_problems(file, [error.problem]) from None
    if checked.problems:
        raise _new_values_problem(checked.problems, values) or raise_problems(file, checked.problems)
    return form.onto(text)


def with_values(text: str, values: Mapping[str, object], *, file: str = "config.yaml") -> str:
    """`text` with the keys set, as `set_values`, without a check of the result."""
    for key, value in values.items():
        path = _known(key)
        text = set_value(text, path, _typed(path, value), file=file)
    return text


def _new_values_problem(problems: list[ConfigProblem], values: Mapping[str, object]) -> UserError | None:
    """The problems of the new values, without a line: the user typed a value, and the file has no such line yet."""
    new = [problem for problem in problems if any(_inside(problem.key, key) for key in values)]
    if not new:
        return None
    return UserError(
        "a new value is invalid" if len(new) == 1 else f"{len(new)} new values are invalid",
        details=tuple(f"{problem.key}: {problem.message}" for problem in new),
        hint="correct the value and run the same command again; the file is unchanged",
        docs=DOCS,
        exit_code=ExitCode.USAGE,
    )


def _inside(key: str, section: str) -> bool:
    return key == section or key.startswith((f"{section}.", f"{section}["))


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
    if not isinstance(value, str) or all(node.get("type") == "string" for node in json_schema.at(path)):
        return value
    try:
        return parse_yaml(value).data
    except UnreadableError:
        return value


def set_value(text: str, path: KeyPath, value: object, *, file: str, block: bool = False) -> str:
    """`text` with one key set; with `block`, a mapping gets a line for each of its keys.

    Raises UserError (exit code 2) when other keys would change with it.
    """
    document = _parsed(text, file)
    wanted = deepcopy(document.data) if isinstance(document.data, dict) else {}
    if not _put(wanted, path, value):
        raise unable(path)
    spliced = None if block else _spliced(text, document, path, value)
    if spliced is not None and _has(spliced, wanted):
        return spliced
    try:
        changed = _changed(text, document, path, value, block=block)
    except (YAMLError, ValueError, UnreadableError):
        raise unable(path) from None
    # ruamel's tree has its own idea of some values: that exactly this key changed is checked, not assumed.
    for result in changed:
        if _has(result, wanted):
            return result
    raise unable(path)


def _has(text: str, wanted: object) -> bool:
    try:
        return parse_yaml(text).data == wanted
    except UnreadableError:
        return False


def _spliced(text: str, document: Document, path: KeyPath, value: object) -> str | None:
    """The text with another value in the same place, everything else unchanged; None where only a round trip can do it."""
    span = document.spans.get(path)
    if span is None:
        return None
    new, after = round_trip.inline(value), text[span.end :]
    if span.block:
        # The comment on the key's line stays there, or else that of the last item; the others go with their items.
        beside = text[span.key_end : span.start].partition(":")[2].partition("\n")[0].rstrip()
        after = _ITEM_COMMENT.sub("", after, count=1) if beside else after
        return f"{text[: span.key_end]}: {new}{beside}{after}"
    above = _comments_in(text, document, span)
    start = text.rfind("\n", 0, span.start) + 1
    indent = " " * (len(text[start:]) - len(text[start:].lstrip(" ")))
    lines = "".join(f"{indent}{comment}\n" for comment in above)
    return f"{text[:start]}{lines}{text[start : span.start]}{new}{after}"


# The rest of the last item's line.
_ITEM_COMMENT = re.compile(r"\A[ \t]+#[^\n]*")


def _comments_in(text: str, document: Document, span: ValueSpan) -> list[str]:
    """The comments within a value of several lines."""
    first, last = (text.count("\n", 0, offset) + 1 for offset in (span.start, span.end))
    return [comment for line, comment, _ in find_comments(text, document) if first <= line < last]


def _parsed(text: str, file: str) -> Document:
    try:
        return parse_yaml(text)
    except UnreadableError as error:
        raise raise_problems(file, [error.problem]) from None


def unable(path: KeyPath) -> UserError:
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


def _changed(text: str, document: Document, path: KeyPath, value: object, *, block: bool) -> list[str]:
    """The file with the key set; if it cannot be merged, in ruamel's own format, provided that no comment is lost."""
    depth = max(length for length in range(len(path) + 1) if length == 0 or path[:length] in document.keys)
    if depth < len(path):
        text = _with_line(text, document, path, depth=depth)
    tree = round_trip.load_tree(text)
    indentation = round_trip.indentation_of(tree)
    plain = round_trip.dump_tree(tree, indentation)
    _assign(tree, path, value, block=block)
    edited = round_trip.dump_tree(tree, indentation)
    comments = {line: comment for line, comment, _ in find_comments(text, parse_yaml(text))}
    merged = round_trip.merge_edit(text, plain=plain, edited=edited, comments=comments)
    return [merged, edited] if all(comment in edited for comment in comments.values()) else [merged]


def _assign(tree: CommentedMap, path: KeyPath, value: object, *, block: bool) -> None:
    """Sets the key in the tree; a missing section is written in braces, an empty one gets a line."""
    parent: Any = tree
    for number, part in enumerate(path):
        key = round_trip.child(parent, part)
        rest = value
        for inner in reversed(path[number + 1 :]):
            rest = {inner: rest}
        if key is None:
            new = round_trip.new_node(rest)
            parent.insert(0 if parent.fa.flow_style() else len(parent), str(part), new)
            return
        if number == len(path) - 1 or parent[key] is None:
            lines = block or (number < len(path) - 1 and not parent.fa.flow_style())
            round_trip.replace_value(parent, key, round_trip.new_node(rest, block=lines))
            return
        parent = parent[key]


def _with_line(text: str, document: Document, path: KeyPath, *, depth: int) -> str:
    """`text` with a line for a key that it lacks: the template's own, `#key: …` in its section, or one below the section's."""
    lines = text.split("\n")
    number = _commented_line(lines, document, path)
    if number is not None:
        lines[number] = "  " * (len(path) - 1) + _empty(path[-1])
        return "\n".join(lines)
    if document.data is None:
        return text + ("" if text.endswith("\n") or not text else "\n") + _empty(path[0]) + "\n"
    if depth and round_trip.is_block(round_trip.node_at(round_trip.load_tree(text), path[:depth])):
        column = next(
            place.column
            for inner, place in document.keys.items()
            if len(inner) == depth + 1 and inner[:depth] == path[:depth]
        )
        lines.insert(document.keys[path[:depth]].line, " " * (column - 1) + _empty(path[depth]))
    return "\n".join(lines)


def _commented_line(lines: list[str], document: Document, path: KeyPath) -> int | None:
    """The template's own line for the key, which is a comment."""
    begin, end = _section(lines, document, path[:-1])
    line = re.compile(rf"{'  ' * (len(path) - 1)}#{re.escape(str(path[-1]))}:(?: .*)?\r?")
    return next((number for number in range(begin, end) if line.fullmatch(lines[number])), None)


def _empty(key: str | int) -> str:
    return round_trip.dump_tree({str(key): None}).rstrip("\n")


def _section(lines: list[str], document: Document, section: KeyPath) -> tuple[int, int]:
    """The lines of a section as the template writes it: two blanks for each level. Empty for a missing section."""
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


def schema_file(config: Path) -> Path | None:
    """The schema for editors that is in the configuration's folder; None without one."""
    path = config.with_name(json_schema.SCHEMA_NAME)
    return path if path.is_file() else None


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
    if text.removeprefix(BOM).startswith(json_schema.MODELINE):
        # Only editors use the schema: the configuration works without it.
        with contextlib.suppress(OSError):
            files.write(path.with_name(json_schema.SCHEMA_NAME), json_schema.packaged())
