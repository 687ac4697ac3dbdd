"""An older file's text -> the present form, with its comments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from bacalhau_spot.config import round_trip
from bacalhau_spot.config.check import check_text
from bacalhau_spot.config.comments import Comments, collect
from bacalhau_spot.config.locations import KeyPath, Location, MigrationNote, raise_problems
from bacalhau_spot.config.yaml_document import UnreadableError

if TYPE_CHECKING:
    from ruamel.yaml.tokens import CommentToken

    from bacalhau_spot.config.check import ValidationResult

_LAST = Location(1 << 30, 0)
_WIDTH: Final = 100


def upgrade_text(text: str, *, file: str = "config.yaml") -> str:
    """The same configuration in the current format. A file that needs no change is returned unchanged.

    Values are moved, not validated. Raises UserError (exit code 2) for a file that is no configuration, and for older
    keys without an equivalent.
    """
    form = round_trip.TextForm.of(text)
    plain = form.without(text)
    checked = _checked(plain, file)
    if not checked.conversion.notes:
        return text
    return form.onto(_Writer(plain, checked).write())


def upgrade_notes(text: str, *, file: str = "config.yaml") -> tuple[MigrationNote, ...]:
    """The effect of `upgrade` on each older key, with its line. Raises as `upgrade` does."""
    return _checked(text, file).notes(file)


def _checked(text: str, file: str) -> ValidationResult:
    try:
        checked = check_text(text)
    except UnreadableError as error:
        raise raise_problems(file, [error.problem]) from None
    if checked.structural:
        raise raise_problems(file, checked.structural)
    return checked


class _Writer:
    """The converted data in the old file's order, each key with the comments of its old place and its value's old quotes."""

    def __init__(self, text: str, checked: ValidationResult) -> None:
        self._checked = checked
        try:
            self._old = round_trip.load_tree(text)
        except (YAMLError, ValueError):  # values are not validated here, so their form is unknown
            self._old = None
        self._indentation = round_trip.indentation_of(self._old)
        # Several new paths may come from one old path (a machine type and its list); the first one takes the comments.
        self._comments: Comments = collect(text, checked.document, kept=set(self._origins(checked.data, ())))

    def write(self) -> str:
        tree = self._mapping(self._checked.data, (), column=0)
        body = round_trip.dump_tree(tree, self._indentation) if tree else ""
        head = [*self._comments.head, ""] if self._comments.head else []
        return "\n".join([*head, body + "\n".join([*self._comments.tail, ""])])

    def _origins(self, data: object, path: KeyPath) -> list[KeyPath]:
        origins = [self._checked.conversion.origin(path)] if path else []
        for key, value in _inside(data):
            origins += self._origins(value, (*path, key))
        return origins

    def _place(self, path: KeyPath, value: object) -> Location:
        """The position of a path, or of the first value inside it."""
        document = self._checked.document
        origin = self._checked.conversion.origin(path)
        own = document.keys.get(origin)
        inner = [self._place((*path, key), inside) for key, inside in _inside(value)]
        return own or min(inner, default=_LAST)

    def _mapping(self, data: dict[str, Any], path: KeyPath, *, column: int) -> CommentedMap:
        node = CommentedMap()
        for key, value in sorted(data.items(), key=lambda item: self._place((*path, item[0]), item[1])):
            here = (*path, key)
            above, beside = self._taken(here, column)
            if isinstance(value, dict) and value:
                node[key] = self._mapping(value, here, column=column + self._indentation.mapping)
            elif isinstance(value, list) and value and not self._on_one_line(value, here):
                node[key] = self._items(value, here, column=column + self._indentation.dash)
            else:
                node[key] = None if value is None else self._on_line(value, here)
            node.ca.items[key] = [None, above, beside, None]
            if mark := getattr(node[key], "comment", None):  # on the line of a block text's mark
                node.ca.items[key] = [None, above, None, [mark]]
        return node

    def _items(self, value: list[object], path: KeyPath, *, column: int) -> CommentedSeq:
        node = CommentedSeq()
        for number, item in enumerate(value):
            here = (*path, number)
            above, beside = self._taken(here, column)
            for inner in self._origins(item, here)[1:]:
                # An item is written on one line; the comments inside it go above.
                above += [_comment(comment, column) for comment in self._take(inner)]
            node.append(self._on_line(item, here))
            node.ca.items[number] = [beside, above, None, None]
        return node

    def _on_line(self, value: object, path: KeyPath) -> Any:
        """A value in one line, its texts and numbers as the old file has them."""
        node: CommentedMap | CommentedSeq
        if isinstance(value, dict):
            node = CommentedMap((key, self._on_line(inside, (*path, key))) for key, inside in value.items())
        elif isinstance(value, list):
            node = CommentedSeq(self._on_line(item, (*path, number)) for number, item in enumerate(value))
        else:
            old = round_trip.node_at(self._old, self._checked.conversion.origin(path))
            same = old is not None and old == value and isinstance(old, bool) == isinstance(value, bool)
            return old if same else round_trip.new_node(value)
        node.fa.set_flow_style()
        return node

    def _on_one_line(self, value: list[object], path: KeyPath) -> bool:
        """Whether the list reads well so, and no comment needs a line."""
        if any(isinstance(item, list | dict) for item in value):
            return False
        inside = [self._checked.conversion.origin((*path, number)) for number in range(len(value))]
        own = self._checked.conversion.origin(path)
        known = self._comments
        return len(str(value)) <= _WIDTH and not any(
            (old in known.above or old in known.beside) for old in inside if old != own
        )

    def _take(self, old: KeyPath) -> list[str]:
        beside = self._comments.beside.pop(old, None)
        return [*self._comments.above.pop(old, []), *([beside] if beside else [])]

    def _taken(self, path: KeyPath, column: int) -> tuple[list[CommentToken], CommentToken | None]:
        """The comments above a path, and the one on its line."""
        old = self._checked.conversion.origin(path)
        above = [_comment(comment, column) for comment in self._comments.above.pop(old, [])]
        beside = self._comments.beside.pop(old, None)
        return above, _comment(f" {beside}", 0) if beside else None


def _comment(text: str, column: int) -> CommentToken:
    return round_trip.comment_token(f"{text}\n", column=column)


def _inside(value: object) -> list[tuple[Any, object]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []
