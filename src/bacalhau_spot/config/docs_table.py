"""The table of all keys in docs/configuration.md, from the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bacalhau_spot.config import json_schema, round_trip

if TYPE_CHECKING:
    from bacalhau_spot.config.json_schema import Schema

BEGIN: Final = "<!-- keys: generated, do not edit -->"
END: Final = "<!-- keys: end -->"


def reference() -> str:
    """A Markdown table: key, kind, default, meaning."""
    rows = ["| key | takes | default | meaning |", "|---|---|---|---|"]
    for key, node in json_schema.every_key():
        default = f"`{round_trip.inline(node['default'])}`" if "default" in node else ""
        shown = key.replace(f".{json_schema.ANY}", ".<region>")
        rows.append(f"| `{shown}` | {_takes(node)} | {default} | {_cell(node.get('description', ''))} |")
    return "\n".join(rows)


def fill(page: str) -> str:
    """The page with the present table between its marks. Raises ValueError when a mark is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks for the table of keys")
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _takes(node: Schema) -> str:
    if "enum" in node:
        return ", ".join(f"`{round_trip.inline(word)}`" for word in node["enum"])
    if "oneOf" in node or "anyOf" in node:
        return "several forms"
    kinds = node.get("type", "")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if "minimum" in node and "maximum" in node:
        return f"whole number, {node['minimum']} to {node['maximum']}"
    if kind == "array":
        return "list"
    return _KINDS.get(str(kind), "")


_KINDS: Final = {
    "object": "section",
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "`true` or `false`",
}
