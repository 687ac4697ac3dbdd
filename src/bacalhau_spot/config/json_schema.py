"""The JSON Schema for editors, and queries on the known keys.

Editors' YAML servers understand JSON Schema draft 7 and below, and pydantic writes a later one: the differences are
rewritten here, and a test compares the checked-in copy.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from bacalhau_spot.config.schema import Config

if TYPE_CHECKING:
    from bacalhau_spot.config.locations import KeyPath

# The copy that is written next to a configuration, whose first line names it.
SCHEMA_NAME: Final = "bacalhau-spot.schema.json"
MODELINE: Final = f"# yaml-language-server: $schema=./{SCHEMA_NAME}\n"
_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
# Stands for the user's own keys in a key path.
ANY: Final = "*"

Schema = dict[str, Any]


def config_schema() -> Schema:
    """The configuration's JSON Schema: draft 7, no references, a description for every key."""
    raw = Config.model_json_schema()
    plain = _plain(raw, raw.get("$defs", {}))
    plain.pop("$defs", None)
    return {"$schema": _DRAFT, "title": "bacalhau-spot configuration", **plain}


def packaged() -> str:
    """The same as text, as it comes with the program."""
    return resources.files(__package__).joinpath("schema.json").read_text(encoding="utf-8")


@functools.cache
def _cached() -> Schema:
    return config_schema()


def _plain(node: Any, definitions: Schema) -> Any:
    """References resolved (draft 7 ignores their siblings), without titles and empty defaults."""
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {
        key: _plain_properties(value, definitions) if key == "properties" else _plain(value, definitions)
        for key, value in _resolved(node, definitions).items()
        if key not in {"title", "$defs"} and (key, value) != ("default", None)
    }
    if "patternProperties" in schema:
        # A key that matches no pattern is an error: draft 7 allows it by default.
        schema["additionalProperties"] = False
    return _without_null(schema)


def _plain_properties(properties: Schema, definitions: Schema) -> Schema:
    """A property may have the name of a keyword, such as `title`."""
    return {name: _plain(value, definitions) for name, value in properties.items()}


def _resolved(node: Schema, definitions: Schema) -> Schema:
    if "$ref" not in node:
        return node
    target = definitions[node["$ref"].rsplit("/", 1)[-1]]
    return {**target, **{key: value for key, value in node.items() if key != "$ref"}}


def _without_null(node: Schema) -> Schema:
    """A single choice with null: leaves lose the null (an empty value is an error), sections keep it."""
    choices = node.get("anyOf")
    if not choices or {"type": "null"} not in choices:
        return node
    (choice, *more) = [item for item in choices if item != {"type": "null"}]
    if more:
        return node
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    merged = {**choice, **rest}
    if choice.get("type") == "object" and "required" not in choice:
        merged["type"] = ["object", "null"]
    return merged


def _branches(node: Schema) -> list[Schema]:
    return [node, *node.get("oneOf", ()), *node.get("anyOf", ())]


def _step(nodes: list[Schema], part: str | int) -> list[Schema]:
    """The schemas one key, or one list item, further in."""
    schemas: list[Schema] = []
    for node in nodes:
        for branch in _branches(node):
            inside = (
                branch.get("items")
                if isinstance(part, int)
                else branch.get("properties", {}).get(part) or _any_key(branch)
            )
            if isinstance(inside, dict):
                schemas.append(inside)
    return schemas


def _any_key(branch: Schema) -> Schema | None:
    patterns = list(branch.get("patternProperties", {}).values())
    extra = branch.get("additionalProperties")
    return patterns[0] if patterns else extra if isinstance(extra, dict) else None


def at(path: KeyPath) -> list[Schema]:
    """The schemas of a key path; empty for an unknown key."""
    nodes = [_cached()]
    for part in path:
        nodes = _step(nodes, part)
    return nodes


def keys_at(path: KeyPath) -> list[str]:
    """The known keys below a path."""
    found: dict[str, None] = {}
    for node in at(path):
        for branch in _branches(node):
            found.update(dict.fromkeys(branch.get("properties", ())))
    return list(found)


def every_key() -> list[tuple[str, Schema]]:
    """Every key with its schema, in order, as `bacalhau.api.host`, `regions.*.nodes`, `instance.files[].path`."""
    found: list[tuple[str, Schema]] = []

    def walk(node: Schema, path: str) -> None:
        for branch in _branches(node):
            for key, inside in branch.get("properties", {}).items():
                here = f"{path}.{key}" if path else key
                found.append((here, inside))
                walk(inside, here)
            extra = _any_key(branch)
            if extra:
                walk(extra, f"{path}.{ANY}")
            if isinstance(branch.get("items"), dict):
                walk(branch["items"], f"{path}[]")

    walk(_cached(), "")
    return found


def sections_with(key: str) -> list[str]:
    """The sections that have a key; "" is the top level."""
    return [path.rpartition(".")[0] for path, _ in every_key() if path.rpartition(".")[2] == key]
