"""YAML text -> plain data and the position of every key and value.

It reads YAML's node tree instead of the library's objects: nodes have positions, and their values are interpreted here.
Dates stay text, for example, and no tag can construct an object.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bacalhau_spot.config.locations import ConfigProblem, KeyPath, Location, dotted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BOM: Final = "\ufeff"  # no character of the file's: columns are counted without it
_PREFIX: Final = "tag:yaml.org,2002:"
_HALF: Final = re.compile("[\ud800-\udfff]")
_TEXT_TAGS: Final = {"str", "timestamp", "merge", "value"}
# Far above any real cluster: forty regions with fifty types each are 2,000. Aliases can make a small file expand
# without bound, so the number of values is limited.
_MAX_NODES: Final = 10_000
_MAX_DEPTH: Final = 40
# A tag is not named: it may be a token.
_TAG: Final = "a value that begins with ! is a YAML tag, which is not supported; put it in quotation marks"
_MAX_DIGITS: Final = 40  # of a number; a longer one stays text, and is refused


class UnreadableError(Exception):
    """The text is not valid YAML; nothing else can be validated."""

    def __init__(self, problem: ConfigProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class ValueSpan(NamedTuple):
    """Offsets in the text without its BOM: the end of the key, and the begin and end of its value.

    `block`: the value is a mapping or list in lines. Block texts (`|`, `>`) and aliases have no span.
    """

    key_end: int
    start: int
    end: int
    block: bool


@dataclass(slots=True)
class Document:
    """A file as plain data. `values` and `keys`: the position of each path's value and key; `scalars`: begin and end of
    each key and each text or number, as offsets in the text; `spans`: of values that can be replaced where they are.
    """

    data: object = None
    values: dict[KeyPath, Location] = field(default_factory=dict)
    keys: dict[KeyPath, Location] = field(default_factory=dict)
    problems: list[ConfigProblem] = field(default_factory=list)
    scalars: list[tuple[int, int]] = field(default_factory=list)
    spans: dict[KeyPath, ValueSpan] = field(default_factory=dict)

    def location(self, path: KeyPath, *, of_key: bool = False) -> Location | None:
        """The position of `path`, or of its nearest parent in the file."""
        for length in range(len(path), 0, -1):
            part = path[:length]
            first, second = (
                (self.keys, self.values) if of_key or length < len(path) else (self.values, self.keys)
            )
            found = first.get(part) or second.get(part)
            if found:
                return found
        return None


def parse_yaml(text: str) -> Document:
    """Plain data with places. Raises Unreadable when the text is not YAML; lesser faults are in `problems`."""
    node = _compose(text.removeprefix(BOM))
    document = Document()
    if node is None:
        return document
    document.data = _Reader(document).value(node, ())
    return document


class BoundedComposer(Composer):
    """Stops at a number of nodes, before the rest of the text is scanned."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader=loader)
        self._nodes = 0
        self.warn_double_anchors = False  # YAML allows it, and the warning would go to stderr as it is

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise UnreadableError(ConfigProblem(f"the file holds more than {_MAX_NODES} values"))
        return super().compose_node(parent, index)


# The same text is looked at several times: after each change of one key, before the next, and when it is checked.
@lru_cache(maxsize=8)
def _compose(text: str) -> Node | None:
    yaml = YAML(typ="rt", pure=True)
    yaml.max_depth = _MAX_DEPTH
    yaml.Composer = BoundedComposer
    try:
        node: Node | None = yaml.compose(text)
    except (RecursionError, MaxDepthExceededError):
        raise UnreadableError(
            ConfigProblem(f"the file is nested too deeply, by more than {_MAX_DEPTH} levels")
        ) from None
    except MarkedYAMLError as error:
        raise UnreadableError(_syntax(error, text)) from None
    except YAMLError as error:
        reason = getattr(error, "reason", "") or "it cannot be read"
        raise UnreadableError(
            ConfigProblem(f"not YAML: {reason}", location=_nth(text, getattr(error, "position", 0)))
        ) from None
    except (ValueError, TypeError, AttributeError, AssertionError, LookupError, NotImplementedError):
        # The library's scanner fails on a few malformed directives and escapes instead of reporting them.
        raise UnreadableError(ConfigProblem("not valid YAML")) from None
    return node


def _nth(text: str, position: int) -> Location:
    before = text[:position]
    return Location(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)


def _syntax(error: MarkedYAMLError, text: str) -> ConfigProblem:
    problem = (error.problem or error.context or "the file cannot be parsed").strip()
    problem = next((words for part, words in _SYNTAX if part in problem), problem)
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return ConfigProblem(f"not YAML: {problem}")
    if _is_indented_by_tabs(text.splitlines(), mark.line):
        problem = "a tab in the indentation; YAML allows spaces only"
    return ConfigProblem(f"not YAML: {problem}", location=Location(mark.line + 1, mark.column + 1))


def _is_indented_by_tabs(lines: Sequence[str], number: int) -> bool:
    line = lines[number] if number < len(lines) else ""
    return "\t" in line[: len(line) - len(line.lstrip())]


# The library's phrases -> the usual cause, for beginners.
_SYNTAX: Final = (
    (
        "mapping values are not allowed here",
        "a second `:` in one line; put the value in quotes, or indent the line",
    ),
    ("found character '@'", "a value may not begin with @ unless it is in quotes"),
    ("found character '`'", "a value may not begin with ` unless it is in quotes"),
    ("found character '%'", "a value may not begin with % unless it is in quotes"),
    ("found character '\\t'", "a tab; YAML allows spaces only"),
    ("but found another document", "a second document (`---`); a configuration is one document"),
    ("found unexpected end of stream", "a quotation mark is opened and never closed"),
    ("but got '<stream end>'", "a bracket is opened and never closed"),
    ("could not find expected ':'", "a key without its `:`"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("found undefined tag handle", _TAG),
    ("found undefined alias", "an alias (`*name`) without its anchor (`&name`)"),
)


def _end(node: Node) -> int | None:
    """The offset after the last character of a value; None for a block text, whose end the marks do not show."""
    end: int = node.end_mark.index
    if isinstance(node, ScalarNode):
        return None if node.style in {"|", ">"} else end
    if _is_flow(node):
        return end
    last = node.value[-1] if node.value else None
    if isinstance(last, tuple):
        last = last[1]
    last_end = None if last is None else _end(last)
    # The end of an alias is where its anchor is.
    return last_end if last_end is not None and last_end > node.start_mark.index else None


def _is_flow(node: Node) -> bool:
    return isinstance(node, SequenceNode | MappingNode) and bool(node.flow_style)


class _Reader:
    """Walks the node tree once and fills the document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: set[int] = set()  # the nodes around the present one: an alias to one of them is endless
        self._seen = 0

    def value(self, node: Node, path: KeyPath) -> object:
        self._document.values[path] = _start(node)
        self._count(node)
        if isinstance(node, ScalarNode):
            self._document.scalars.append((node.start_mark.index, node.end_mark.index))
            return self._scalar(node, path)
        if id(node) in self._open:
            self._problem("an alias to something that contains it", path, node)
            return None
        self._open.add(id(node))
        try:
            return self._inside(node, path)
        finally:
            self._open.discard(id(node))

    def _count(self, node: Node) -> None:
        self._seen += 1
        if self._seen > _MAX_NODES:
            message = f"the file's aliases expand to more than {_MAX_NODES} values"
            raise UnreadableError(ConfigProblem(message, location=_start(node)))

    def _inside(self, node: Node, path: KeyPath) -> object:
        if _tag(node) not in {"map", "seq", "omap"}:
            self._problem(_TAG, path, node)
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return None

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, object]:
        row: dict[str, object] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._problem("a key must be text", path, key_node)
            elif _tag(key_node) == "merge":
                merged.append(value_node)
            else:
                self._entry(row, key_node, value_node, path)
        for source in merged:
            self._merge(row, source, path)
        return row

    def _entry(self, found: dict[str, object], key_node: ScalarNode, value_node: Node, path: KeyPath) -> None:
        key = str(key_node.value)
        here = (*path, key)
        self._check_text(key, here, key_node)
        if key in found:
            first = self._document.keys[here].line
            self._problem(f"is given twice; the first one is in line {first}", here, key_node)
            return
        self._document.keys[here] = _start(key_node)
        self._document.scalars.append((key_node.start_mark.index, key_node.end_mark.index))
        key_end, end = key_node.end_mark.index, _end(value_node)
        if end is not None and value_node.start_mark.index > key_end:  # otherwise an alias
            block = not isinstance(value_node, ScalarNode) and not _is_flow(value_node)
            self._document.spans[here] = ValueSpan(key_end, value_node.start_mark.index, end, block)
        found[key] = self.value(value_node, here)

    def _merge(self, found: dict[str, object], source: Node, path: KeyPath) -> None:
        """`<<: *anchor`: keys that the mapping lacks come from the anchor."""
        nodes = source.value if isinstance(source, SequenceNode) else [source]
        for node in nodes:
            if not isinstance(node, MappingNode) or id(node) in self._open:
                self._problem("`<<` must name a mapping", path, source)
                continue
            for key_node, value_node in node.value:
                self._count(source)  # also without new keys: one mapping may be merged a thousand times
                if isinstance(key_node, ScalarNode) and str(key_node.value) not in found:
                    self._entry(found, key_node, value_node, path)

    def _scalar(self, node: ScalarNode, path: KeyPath) -> object:
        tag = _tag(node)
        # The library marks with \a where a `>` text was folded.
        text = str(node.value).replace("\a", "") if node.style == ">" else str(node.value)
        self._check_text(text, path, node)
        if tag in _TEXT_TAGS:
            return text
        convert = _SCALARS.get(tag)
        if convert is None:
            self._problem(_TAG, path, node)
            return text
        try:
            return convert(text)
        except ValueError:
            return text

    def _check_text(self, text: str, path: KeyPath, node: Node) -> None:
        half = _HALF.search(text)
        if half:
            code = f"\\u{ord(half[0]):04x}"
            self._problem(f"{code} is half of a surrogate pair and no character by itself", path, node)

    def _problem(self, message: str, path: KeyPath, node: Node) -> None:
        self._document.problems.append(ConfigProblem(message, dotted(path), _start(node)))


def _start(node: Node) -> Location:
    return Location(node.start_mark.line + 1, node.start_mark.column + 1)


def _tag(node: Node) -> str:
    return str(node.tag).removeprefix(_PREFIX)


def _null(_text: str) -> object:
    return None


def _whole(text: str) -> object:
    plain = text.replace("_", "")
    unsigned = plain.lstrip("+-").lower()
    if len(unsigned) > _MAX_DIGITS:
        raise ValueError(text)
    base = {"0x": 16, "0o": 8, "0b": 2}.get(unsigned[:2], 10)
    return int(plain, base)


def _fraction(text: str) -> object:
    plain = text.replace("_", "").lower()
    if plain.lstrip("+-") in {".inf", ".nan"}:
        return math.nan if plain.endswith("nan") else math.inf
    return float(plain)


def _truth(text: str) -> object:
    return text.lower() in {"true", "yes", "on", "y"}


_SCALARS: Final[dict[str, Callable[[str], object]]] = {
    "null": _null,
    "int": _whole,
    "float": _fraction,
    "bool": _truth,
}
