"""The only way to stdout and stderr: removes foreign control characters and secrets."""

from __future__ import annotations

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
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, dict):
            return {self.redacted(key): self.redacted(inner) for key, inner in value.items()}
        return [self.redacted(inner) for inner in value] if isinstance(value, list | tuple) else value

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


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
