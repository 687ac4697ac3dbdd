"""ruamel's round trip: text -> a tree with its comments -> text.

Text that the library would write differently without a change (blanks in brackets, `~` for null, folded text, changing
indentation) stays as in the file: only changed lines are taken from ruamel.
"""

from __future__ import annotations

import difflib
import io
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq, TaggedScalar
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.emitter import Emitter
from ruamel.yaml.error import CommentMark
from ruamel.yaml.scalarstring import FoldedScalarString, LiteralScalarString, PlainScalarString
from ruamel.yaml.tag import Tag
from ruamel.yaml.tokens import CommentToken

from bacalhau_spot.config.yaml_document import BOM, BoundedComposer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bacalhau_spot.config.locations import KeyPath

_UNFOLDED: Final = 1 << 30  # columns
# ruamel's slots for comments: on a key's line, on a list item's line, and above either.
_BESIDE_KEY, _BESIDE_ITEM, _ABOVE = 2, 0, 1


class TextForm(NamedTuple):
    """The form of a text: its begin, end and line ends."""

    bom: bool
    crlf: bool

    @classmethod
    def of(cls, text: str) -> TextForm:
        return cls(text.startswith(BOM), 0 < text.count("\n") == text.count("\r\n"))

    def without(self, text: str) -> str:
        text = text.removeprefix(BOM)
        return text.replace("\r\n", "\n") if self.crlf else text

    def onto(self, text: str) -> str:
        return (BOM if self.bom else "") + (text.replace("\n", "\r\n") if self.crlf else text)


class Indentation(NamedTuple):
    """Columns: of a mapping in a mapping, of a list's dash, and from the dash to its item."""

    mapping: int = 2
    dash: int = 2
    item: int = 2


USUAL: Final = Indentation()


class _Constructor(RoundTripConstructor):
    """Dates stay text, valid ones and invalid ones."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_yaml_str)


class _Emitter(Emitter):
    """Text that needs quotes gets double ones; quotes in the file are kept."""

    def choose_scalar_style(self) -> str | None:
        style: str | None = super().choose_scalar_style()
        # In braces it writes a plain `?x` and `:x`, and reads a mark of its own in them.
        needed = style == "'" or (style == "" and self.event.value.startswith(("?", ":")))
        return '"' if needed and not self.event.style else style


def _yaml(indentation: Indentation) -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.Composer = BoundedComposer
    yaml.Constructor = _Constructor
    yaml.Emitter = _Emitter
    yaml.preserve_quotes = True
    yaml.width = _UNFOLDED
    yaml.indent(
        mapping=indentation.mapping, sequence=indentation.dash + indentation.item, offset=indentation.dash
    )
    return yaml


def load_tree(text: str) -> Any:
    """The tree of a text that yaml_document reads without a problem. Raises ruamel's errors, and ValueError."""
    tree = _yaml(USUAL).load(text)
    for node in _collections(tree):
        if node.yaml_anchor():
            node.anchor.always_dump = True  # also without an alias
    return tree


def dump_tree(tree: object, indentation: Indentation = USUAL) -> str:
    stream = io.StringIO()
    _yaml(indentation).dump(tree, stream)
    return stream.getvalue()


def inline(value: object) -> str:
    """A value on one line, as it stands behind its key."""
    return dump_tree({"k": new_node(value)}).removeprefix("k: ").rstrip("\n")


def indentation_of(tree: object) -> Indentation:
    """The first of each kind that the file has."""
    columns: dict[str, int] = {}
    for node in _collections(tree):
        for child_node in node.values() if isinstance(node, CommentedMap) else ():
            # With an anchor, ruamel's column is the anchor's.
            if is_block(child_node) and not child_node.yaml_anchor() and not node.yaml_anchor():
                inside = child_node.lc.col - node.lc.col
                if isinstance(child_node, CommentedSeq):
                    columns.setdefault("dash", inside)
                    columns.setdefault("item", max(2, child_node.lc.item(0)[1] - child_node.lc.col))
                else:
                    columns.setdefault("mapping", inside)
    return Indentation(**columns)


def _collections(node: object) -> Iterator[CommentedMap | CommentedSeq]:
    if isinstance(node, CommentedMap | CommentedSeq):
        yield node
        for inside in node.values() if isinstance(node, CommentedMap) else node:
            yield from _collections(inside)


def is_block(node: object) -> bool:
    """A mapping or list with something in it, and not in brackets."""
    return isinstance(node, CommentedMap | CommentedSeq) and bool(node) and not node.fa.flow_style()


def new_node(value: object, *, block: bool = False) -> Any:
    """A value as ruamel writes it: in brackets and braces; with `block`, an entry a line."""
    node: CommentedMap | CommentedSeq
    if isinstance(value, dict):
        node = CommentedMap(
            (str(key), inside if block and inside is None else new_node(inside))
            for key, inside in value.items()
        )
    elif isinstance(value, list | tuple):
        node = CommentedSeq(new_node(item) for item in value)
    elif value is None:
        # A bare None is written as nothing, which braces and brackets do not take.
        return TaggedScalar("null", style=None, tag=Tag(suffix="tag:yaml.org,2002:null"))
    else:
        return value
    if not block:
        node.fa.set_flow_style()
    return node


def child(node: Any, part: str | int) -> Any:
    """The key in a ruamel mapping for `part` in the file: 7 for `7`. None: missing."""
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return next((key for key in keys if str(key) == str(part)), None)


def node_at(tree: Any, path: KeyPath) -> Any:
    """The value at a path; None without one."""
    for part in path:
        key = child(tree, part)
        if key is None:
            return None
        tree = tree[key]
    return tree


def replace_value(parent: CommentedMap, key: Any, value: object) -> None:
    """`parent[key] = value`; the comments on its line and after it are kept."""
    own = parent.ca.items.get(key) or [None] * 4
    lines, column = _behind(parent, key)
    if is_block(parent[key]) and own[_BESIDE_KEY] and own[_BESIDE_KEY].value.strip():
        lines = [own[_BESIDE_KEY].value.partition("\n")[0], *lines[1:]]
        column = own[_BESIDE_KEY].start_mark.column
    # A plain one, lest a text that takes the place of one in lines is written in lines.
    parent[key] = PlainScalarString(value) if isinstance(value, str) else value
    token = comment_token("\n".join(lines), column=column) if len(lines) > 1 else None
    parent.ca.items[key] = [own[0], own[_ABOVE], token, None]


def _behind(parent: Any, key: Any) -> tuple[list[str], int]:
    """The comments after the last item inside a value: the lines, the first on its line, and their column."""
    while is_block(parent[key]):
        parent = parent[key]
        key = list(parent)[-1] if isinstance(parent, CommentedMap) else len(parent) - 1
    own = parent.ca.items.get(key) or [None] * 4
    token = own[_BESIDE_KEY if isinstance(parent, CommentedMap) else _BESIDE_ITEM]
    lines = token.value.split("\n") if token else [""]
    if isinstance(parent[key], LiteralScalarString | FoldedScalarString):
        # The comment on the line of its mark; the rest begins on the next line.
        lines = [getattr(parent[key], "comment", None) or "", *lines]
    return [lines[0].strip(), *lines[1:]], token.start_mark.column if token else 0


def comment_token(text: str, *, column: int = 0) -> CommentToken:
    return CommentToken(text, CommentMark(column), None)


def merge_edit(text: str, *, plain: str, edited: str, comments: Mapping[int, str]) -> str:
    """`text` with the lines in which `edited` differs from `plain`, its own unedited round trip.

    `comments`, by line number: those that the round trip lost in a line that changes go above it.
    """
    end = "" if text.endswith("\n") else "\n"  # the round trip always adds it
    old, base, new = (lines.split("\n") for lines in (text + end, plain, edited))
    merge = _Merge(old, base, new, comments)
    for block in _blocks(base, old):
        merge.add(block)
    merge.add_new(until=len(new))
    return "\n".join(merge.lines).removesuffix(end)


class _Merge:
    """The file's own lines where the edit changes nothing, and the edited lines elsewhere.

    `_written`: how many edited lines are in the result. `_shift`: by how many columns the file indents the next edited
    lines more than the round trip does.
    """

    def __init__(self, old: list[str], base: list[str], new: list[str], comments: Mapping[int, str]) -> None:
        self.lines: list[str] = []
        self._old, self._base, self._new, self._comments = old, base, new, comments
        self._kept, self._ends = _kept(base, new)
        self._written = 0
        self._shift = 0

    def add(self, block: tuple[tuple[int, int], tuple[int, int]]) -> None:
        """A block of unedited lines, and the file's lines for it."""
        (first, last), (start, stop) = block
        places = [self._kept.get(number, -1) for number in range(first, last)]
        if _is_edited(places):
            self._shift = _margin(self._old[start]) - _margin(self._base[first]) if start < stop else 0
            self._add_lost_comments(block)
            return
        until = places[0] if places else self._ends[first]
        self.add_new(until=until)
        self.lines += self._old[start:stop]
        self._written, self._shift = max(self._written, places[-1] + 1 if places else until), 0

    def add_new(self, *, until: int) -> None:
        self.lines += [_shifted(line, self._shift) for line in self._new[self._written : until]]

    def _add_lost_comments(self, block: tuple[tuple[int, int], tuple[int, int]]) -> None:
        (first, last), (start, stop) = block
        present = "\n".join(self._base[first:last])
        self.lines += [
            " " * _margin(self._old[start]) + self._comments[number]
            for number in range(start + 1, stop + 1)
            if self._comments.get(number, "") not in present
        ]


def _is_edited(places: list[int]) -> bool:
    """Whether a block's lines are not together, unchanged, in the edited text. -1: a line that is not in it."""
    return -1 in places or (bool(places) and places[-1] - places[0] != len(places) - 1)


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _shifted(line: str, columns: int) -> str:
    return " " * (_margin(line) + columns) + line.lstrip(" ") if line.strip() else line


def _kept(plain: list[str], new: list[str]) -> tuple[dict[int, int], dict[int, int]]:
    """Lines of `plain` -> the same lines in `new`; and up to which line of `new` the lines before one of `plain` reach."""
    kept: dict[int, int] = {}
    ends: dict[int, int] = {0: 0}
    matcher = difflib.SequenceMatcher(None, plain, new, autojunk=False)
    for tag, first, end, start, stop in matcher.get_opcodes():
        if tag == "equal":
            kept |= {first + number: start + number for number in range(end - first)}
            ends |= {first + number: start + number for number in range(1, end - first + 1)}
        else:
            ends[end] = stop
    return kept, ends


def _blocks(plain: list[str], old: list[str]) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The lines of `plain` and the corresponding lines of `old`: one by one where they can be matched."""
    ours, theirs = (["".join(line.split()) for line in lines] for lines in (plain, old))
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    for tag, first, end, start, stop in matcher.get_opcodes():
        if tag != "delete" and end - first == stop - start:
            yield from (((first + n, first + n + 1), (start + n, start + n + 1)) for n in range(end - first))
        else:
            yield (first, end), (start, stop)
