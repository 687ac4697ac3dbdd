"""The second line of a command: the account, its alias, the caller and the cluster."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

from bacalhau_spot.ui import views

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rich.console import Console, RenderableType

    from bacalhau_spot.core.model import Identity
    from bacalhau_spot.engine.aws_calls.cache import Cache
    from bacalhau_spot.ui.progress.look_line import LookLine

# Over keys that were typed until now (ECMA-48: to the first column, and erase to the end of the line).
_FROM_THE_START = "\r\x1b[K"
_CACHE = "account-aliases"
_ANY = "any"  # no account has this id
# An alias changes about never, and a call for it is the slowest one of a short command.
_MAX_AGE = timedelta(days=1)


class AccountLine:
    """Printed once, as soon as AWS has named the account."""

    def __init__(
        self,
        console: Console,
        *,
        cluster: Callable[[], str],
        cache: Callable[[], Cache],
        look: LookLine | None,
        hold: Callable[[RenderableType], None] | None = None,
    ) -> None:
        """`cluster`: the one that the command is about; empty for none. `look`: the line of the scan, which gives way.

        `hold`: keeps the line for a question, instead of printing it.
        """
        self._console = console
        self._cluster = cluster
        self._cache = cache
        self._look = look
        self._hold = hold
        self._shown = False

    def wants_alias(self) -> bool:
        """Whether no alias of any account was asked within a day."""
        return not self._shown and self._cache().get(_CACHE, _ANY, max_age=_MAX_AGE) is None

    async def show(self, identity: Identity, *, ask_alias: Callable[[], Awaitable[str]]) -> None:
        """Print the line. The alias is asked once a day."""
        if self._shown:
            return
        self._shown = True
        cache = self._cache()
        alias = cache.get(_CACHE, identity.account_id, max_age=_MAX_AGE)
        if not isinstance(alias, str):
            alias = await ask_alias()
            cache.put(_CACHE, identity.account_id, alias)
            cache.put(_CACHE, _ANY, "asked")
        line = views.account_text(identity, alias=alias, cluster=self._cluster())
        if self._hold:
            self._hold(line)
            return
        with self._look.hidden() if self._look else nullcontext():
            if self._console.is_terminal:
                self._console.file.write(_FROM_THE_START)
            self._console.print(line, crop=False)
