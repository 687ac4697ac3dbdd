"""Fills a packaged cloud-init template, and compresses it as EC2 accepts it."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Final

from bacalhau_spot.instance import minify
from bacalhau_spot.instance.json_in_yaml import json_in_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.instance.json_in_yaml import Value

# The programs as minified by docs/generate.py: to minify them takes longer than all else that is rendered.
MINIFIED: Final = "minified.json"
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
        inside = values.get(name, "")
        if inside is None:
            return ""
        text = json_in_yaml(inside) if name in values else _program_in_yaml(name)
        return f"{match['before']}{match['key']}: {text}\n"

    # One pass: inserted text is not scanned again, so that a `${…}` of the user is unchanged.
    return _LINES.sub(lambda match: (lines or {})[match["name"]], _VALUE.sub(value, _packaged(template)))


@lru_cache(maxsize=128)
def compressed(text: str) -> bytes:
    """Level and time are fixed: the same input gives the same bytes and thus the same launch template."""
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def minified_programs() -> str:
    """The content of the generated file: each program of the package, with the sum of what it is made from."""
    folder = resources.files(__package__).joinpath("scripts")
    names = sorted(f"scripts/{file.name}" for file in folder.iterdir() if file.name.endswith(".py"))
    sources = {name: _packaged(name) for name in names}
    made = {name: [_sum(source), minify.minify_python(source)] for name, source in sources.items()}
    return json.dumps(made, indent=1) + "\n"


@lru_cache
def _program_in_yaml(name: str) -> str:
    """A program or unit of the package. With comments and indentation, all of them would exceed EC2's limit."""
    source = _packaged(name)
    if not name.endswith(".py"):
        return json_in_yaml(minify.minify_unit(source))
    made_from, program = _minified().get(name, ("", ""))
    return json_in_yaml(program if made_from == _sum(source) else minify.minify_python(source))


@lru_cache
def _minified() -> dict[str, tuple[str, str]]:
    """By name: the sum of the source, and the program. A changed source is minified anew."""
    try:
        return dict(json.loads(_packaged(MINIFIED)))
    except FileNotFoundError:
        return {}


def _sum(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


@lru_cache
def _packaged(name: str) -> str:
    return resources.files(__package__).joinpath(*name.split("/")).read_text("utf-8")
