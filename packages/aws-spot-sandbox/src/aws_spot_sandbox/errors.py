"""What the sandbox says to whoever starts it and asks it, in words that can be shown as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class SandboxError(Exception):
    """`code`: what went wrong, for programs; `hint`: what to do; `usage`: the request itself was wrong."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        hint: str = "",
        why: str = "",
        details: Sequence[str] = (),
        usage: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.why = why
        self.details = tuple(details)
        self.usage = usage
