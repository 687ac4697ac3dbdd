"""An older file's text -> the present form, with its comments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bacalhau_spot.config import yaml_writer
from bacalhau_spot.config.check import check_text
from bacalhau_spot.config.comments import Comments, collect
from bacalhau_spot.config.locations import KeyPath, Location, MigrationNote, raise_problems
from bacalhau_spot.config.yaml_document import UnreadableError

if TYPE_CHECKING:
    from bacalhau_spot.config.check import Checked

_LAST = Location(1 << 30, 0)


def upgrade_text(text: str, *, file: str = "config.yaml") -> str:
    """The same configuration in the present form. A file that needs no change comes back as it is, letter for letter.

    Values are not judged, only moved. Raises UserError (exit code 2) for what is not a configuration at all, and for
    older keys that have no place in the present form.
    """
    checked = _checked(text, file)
    if not checked.conversion.notes:
        return text
    return _Writer(text, checked).write()


def upgrade_notes(text: str, *, file: str = "config.yaml") -> tuple[MigrationNote, ...]:
    """What `upgrade` does to each older key, with its line. Raises as `upgrade` does."""
    return _checked(text, file).notes(file)


def _checked(text: str, file: str) -> Checked:
    try:
        checked = check_text(text)
    except UnreadableError as error:
        raise raise_problems(file, [error.problem]) from None
    if checked.structural:
        raise raise_problems(file, checked.structural)
    return checked


class _Writer:
    """Writes the converted data in the old file's order, each key with the comments of its old place."""

    def __init__(self, text: str, checked: Checked) -> None:
        self._checked = checked
        self._lines: list[str] = []
        # Several new paths may come from one old path (a machine type and its list); the first one takes the comments.
        self._comments: Comments = collect(text, checked.document, kept=set(self._origins(checked.data, ())))

    def write(self) -> str:
        if self._comments.head:
            self._lines += [*self._comments.head, ""]
        self._mapping(self._checked.data, (), "")
        self._lines += self._comments.tail
        return "\n".join(self._lines) + "\n"

    def _origins(self, data: object, path: KeyPath) -> list[KeyPath]:
        found = [self._checked.conversion.origin(path)] if path else []
        for key, value in _inside(data):
            found += self._origins(value, (*path, key))
        return found

    def _place(self, path: KeyPath, value: object) -> Location:
        """Where a path, or the first thing inside it, stood."""
        document = self._checked.document
        origin = self._checked.conversion.origin(path)
        own = document.keys.get(origin)
        inner = [self._place((*path, key), inside) for key, inside in _inside(value)]
        return own or min(inner, default=_LAST)

    def _mapping(self, data: dict[str, Any], path: KeyPath, indent: str) -> None:
        items = sorted(data.items(), key=lambda item: self._place((*path, item[0]), item[1]))
        for key, value in items:
            self._entry(key, value, (*path, key), indent)

    def _entry(self, key: str, value: object, path: KeyPath, indent: str) -> None:
        beside = self._above(path, indent)
        head = f"{indent}{yaml_writer.yaml_scalar(key)}:"
        inner = f"{indent}  "
        if isinstance(value, dict) and value:
            self._lines.append(head + beside)
            self._mapping(value, path, inner)
        elif isinstance(value, list) and value and not self._on_one_line(value, path):
            self._lines.append(head + beside)
            for number, item in enumerate(value):
                self._item(item, (*path, number), inner)
        elif value is None:
            self._lines.append(head + beside)
        else:
            block = yaml_writer.literal(value, inner) if isinstance(value, str) else None
            # A comment may not stand behind a block's text, only behind its mark.
            mark, _, rest = (block or yaml_writer.inline(value)).partition("\n")
            self._lines.append(f"{head} {mark}{beside}" + (f"\n{rest}" if rest else ""))

    def _item(self, item: object, path: KeyPath, indent: str) -> None:
        beside = self._above(path, indent)
        for inner in self._origins(item, path)[1:]:
            # An item is written on one line; the comments inside it go above.
            self._lines += [f"{indent}{comment}" for comment in self._take(inner)]
        self._lines.append(f"{indent}- {yaml_writer.inline(item)}{beside}")

    def _on_one_line(self, value: list[object], path: KeyPath) -> bool:
        inside = [self._checked.conversion.origin((*path, number)) for number in range(len(value))]
        own = self._checked.conversion.origin(path)
        known = self._comments
        return yaml_writer.short(value) and not any(
            (old in known.above or old in known.beside) for old in inside if old != own
        )

    def _take(self, old: KeyPath) -> list[str]:
        beside = self._comments.beside.pop(old, None)
        return [*self._comments.above.pop(old, []), *([beside] if beside else [])]

    def _above(self, path: KeyPath, indent: str) -> str:
        """Writes the comments above a path, and returns the one beside it."""
        old = self._checked.conversion.origin(path)
        self._lines += [f"{indent}{comment}" for comment in self._comments.above.pop(old, [])]
        beside = self._comments.beside.pop(old, None)
        return f"  {beside}" if beside else ""


def _inside(value: object) -> list[tuple[Any, object]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []
