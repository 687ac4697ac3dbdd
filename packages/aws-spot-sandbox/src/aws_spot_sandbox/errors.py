"""Errors of the sandbox's Python API, with messages for users."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class SandboxError(Exception):
    """`code`: identifies the error, for programs; `hint`: what to do; `usage`: the request was invalid."""

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
