"""Fills a packaged cloud-init template, and compresses it as EC2 accepts it."""

from __future__ import annotations

import gzip
import re
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from bacalhau_spot.instance import minify
from bacalhau_spot.instance.json_in_yaml import json_in_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.instance.json_in_yaml import Value

# EC2's limit, before base64.
MAX_BYTES: Final = 16384

# `key: ${name}` anywhere in a line, or a line that is only `${name}`.
_VALUE: Final = re.compile(r"^(?P<before> *(?:- )?)(?P<key>[a-z_]+): \$\{(?P<name>[^}]+)\}\n", re.MULTILINE)
_LINES: Final = re.compile(r"^\$\{(?P<name>[a-z_]+)\}\n", re.MULTILINE)


def filled(
    template: str,
    values: Mapping[str, Value | None],
    *,
    lines: Mapping[str, str] | None = None,
) -> str:
    """The template with each `${name}` replaced by its value, or by the packaged file of that name.

    A value None omits its line. `lines`: whole lines to insert.
    """

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        inside = values[name] if name in values else _program(name)
        if inside is None:
            return ""
        return f"{match['before']}{match['key']}: {json_in_yaml(inside)}\n"

    # One pass: inserted text is not scanned again, so that a `${…}` of the user is unchanged.
    return _LINES.sub(lambda match: (lines or {})[match["name"]], _VALUE.sub(value, _packaged(template)))


def compressed(text: str) -> bytes:
    """Level and time are fixed: the same input gives the same bytes and thus the same launch template."""
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


@lru_cache
def _program(name: str) -> str:
    """A program or unit of the package. With comments and indentation, all of them would exceed EC2's limit."""
    source = _packaged(name)
    return minify.minify_python(source) if name.endswith(".py") else minify.minify_unit(source)


def _packaged(name: str) -> str:
    return resources.files(__package__).joinpath(*name.split("/")).read_text("utf-8")
