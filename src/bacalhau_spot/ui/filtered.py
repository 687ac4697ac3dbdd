"""The only way to stdout and stderr: removes foreign control characters and secrets."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TextIO, cast

from bacalhau_spot.core.sanitize import sanitized

if TYPE_CHECKING:
    from collections.abc import Callable

    Hide = Callable[[str], str]


class FilteredStream:
    """A text stream that writes only safe text.

    `styled`: the same stream for a console, which styles its text with escape sequences and removes foreign ones itself
    (`Terminal.render`).
    """

    def __init__(self, inner: TextIO, *, hide: Hide = str) -> None:
        """`hide` takes secrets out of a text."""
        self.raw: TextIO = inner.raw if isinstance(inner, FilteredStream) else inner
        self.hide = hide

    def write(self, text: str) -> int:
        self.raw.write(sanitized(self.hide(text)))
        return len(text)

    @property
    def styled(self) -> TextIO:
        return cast("TextIO", _Styled(self.raw, hide=self.hide))

    def redacted(self, value: Any) -> Any:
        """`value`, nested as it may be, without secrets in any of its texts."""
        # Keys and many values of a document are the same texts.
        return _changed(value, cache(self.hide))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def _changed(value: Any, change: Hide) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_changed(key, change): _changed(inner, change) for key, inner in value.items()}
    return [_changed(inner, change) for inner in value] if isinstance(value, list | tuple) else value


class _Styled:
    """Escape sequences go through, secrets do not."""

    def __init__(self, raw: TextIO, *, hide: Hide) -> None:
        self._raw = raw
        self._hide = hide

    def write(self, text: str) -> int:
        self._raw.write(self._hide(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def filtered(stream: TextIO, *, hide: Hide = str) -> TextIO:
    return cast("TextIO", FilteredStream(stream, hide=hide))
