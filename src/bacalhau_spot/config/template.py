"""The commented file that `configure` writes: the documentation of every key, in the place where it is used."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from bacalhau_spot.config.edit import set_values
from bacalhau_spot.config.json_schema import MODELINE

if TYPE_CHECKING:
    from collections.abc import Mapping


def template(answers: Mapping[str, object] | None = None) -> str:
    """The template with `answers` (`{"nodes": 5, "bacalhau.token_env": "TOKEN"}`) in their places; all else commented.

    Raises UserError (exit code 2) for an unknown key or a value that is not allowed.
    """
    text = resources.files(__package__).joinpath("template.yaml").read_text(encoding="utf-8")
    return set_values(MODELINE + text, answers or {})
