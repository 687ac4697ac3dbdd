"""The published forms of the output, and whether something printed has one of them to the key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # check-jsonschema brings it, without types
from referencing import Registry, Resource

from bacalhau_spot import ui
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output

Data = dict[str, Any]
FOLDER = Path(str(ui.__file__)).parent / "schemas"


def schema(name: str) -> Draft7Validator:
    """The published form of that file name; the forms that it names are found beside it."""
    forms = [json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")]
    registry = Registry().with_resources((form["$id"], Resource.from_contents(form)) for form in forms)
    schema = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return Draft7Validator(schema, registry=registry)


def printed(command: str, data: Mapping[str, Any] | None, *errors: UserError) -> Data:
    envelope = json_output.envelope(command=command, data=data, exit_code=ExitCode.FAILED, errors=errors)
    loaded: Data = json.loads(json_output.envelope_text(envelope, form="json"))
    return loaded


def contract(command: str, data: Mapping[str, Any]) -> None:
    """What is printed has the published form, and a key more or less, at any depth, would be noticed."""
    document = printed(command, data)
    schema("output.schema.json").validate(document)
    assert unnoticed(document) == []


def unnoticed(data: Data) -> list[Data]:
    """Of `whole` with one key too many, or one too few, those that the published form lets pass."""
    form = schema("output.schema.json")
    return [changed for changed in changes(data) if form.is_valid(changed)]


def first_items(value: Any) -> Any:
    """`value` with the first item of each list only."""
    if isinstance(value, dict):
        return {key: first_items(inner) for key, inner in value.items()}
    return [first_items(inner) for inner in value[:1]] if isinstance(value, list) else value


def mutants(data: Data) -> Iterator[Data]:
    """`whole` with a key too many, a key too few, or a value of a type that no key has."""
    yield from changes(data)
    for path in places(data, ()):
        if path and not _FREE_INSIDE & set(path[:-1]) and path[-1] != "Condition":
            copy = json.loads(json.dumps(data))
            at(copy, path[:-1])[path[-1]] = [[None]]
            yield copy


def places(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from places(inner, (*path, key))


# What may be left out, or holds whatever it holds.
_FREE = {
    *("receipt", "backup", "zones", "resources_created", "settings", "refusals"),
    *("BACALHAU_API_TLS_CAFILE", "BACALHAU_API_KEY", "BACALHAU_API_USERNAME", "BACALHAU_API_PASSWORD"),
    *("Condition", "StringEquals", "StringLike", "ArnLike"),
}
_FREE_INSIDE = {"Condition", "settings", "refusals"}


def changes(data: Data) -> Iterator[Data]:
    """`whole` with one key too many, or one too few, for every object in it."""
    for path in objects(data, ()):
        for key in (*at(data, path), None):
            if key in _FREE or (path and path[-1] in _FREE):
                continue
            copy = json.loads(json.dumps(data))
            inner = at(copy, path)
            if key is None:
                inner["a key too many"] = 1
            else:
                del inner[key]
            yield copy


def objects(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from objects(inner, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value
