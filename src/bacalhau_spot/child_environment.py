"""The environment of the programs that this one starts: what they need, and no secret of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping


def needed_variables(
    environ: Mapping[str, str], names: Container[str], *, families: tuple[str, ...]
) -> dict[str, str]:
    """The variables with these names, and those whose name begins with one of `families`."""
    return {name: value for name, value in environ.items() if name in names or name.startswith(families)}
