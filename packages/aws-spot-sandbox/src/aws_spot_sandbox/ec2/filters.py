"""AWS's filters: names with lists of values, `*` and `?` as wildcards, AND between names, OR between values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from aws_spot_sandbox.http_types import AwsError

Item = TypeVar("Item")
Getter = Callable[[Item], Any]  # the value to compare: a string, several, or None
Tags = Mapping[str, str]


@lru_cache(maxsize=1024)
def _pattern(wanted: str) -> re.Pattern[str] | None:
    if "*" not in wanted and "?" not in wanted:
        return None
    # A backslash escapes the character after it.
    pieces = re.findall(r"\\.|.", wanted, re.DOTALL)
    special = {"*": ".*", "?": "."}
    text = "".join(special.get(piece) or re.escape(piece[-1]) for piece in pieces)
    return re.compile(text, re.DOTALL)


def matches(wanted: str, value: str) -> bool:
    pattern = _pattern(wanted)
    return wanted == value if pattern is None else pattern.fullmatch(value) is not None


def any_matches(wanted: Iterable[str], values: Any) -> bool:
    if values is None:
        return False
    if isinstance(values, bool):
        values = str(values).lower()
    texts = [values] if isinstance(values, str) else [str(value) for value in values]
    return any(matches(want, value) for want in wanted for value in texts)


def tags_pass(name: str, wanted: list[str], tags: Tags) -> bool:
    if name == "tag-key":
        return any_matches(wanted, list(tags))
    if name == "tag-value":
        return any_matches(wanted, list(tags.values()))
    return any_matches(wanted, tags.get(name.removeprefix("tag:")))


def select(
    items: Iterable[Item],
    filters: Iterable[Mapping[str, Any]] | None,
    getters: Mapping[str, Getter[Item]],
    tags_of: Callable[[Item], Tags] | None = None,
) -> list[Item]:
    """The items that pass all filters. A filter that AWS does not support raises AWS's error."""
    selected = list(items)
    for condition in filters or ():
        name, wanted = str(condition.get("Name", "")), list(condition.get("Values") or ())
        if tags_of is not None and (name.startswith("tag:") or name in ("tag-key", "tag-value")):
            selected = [item for item in selected if tags_pass(name, wanted, tags_of(item))]
        elif name in getters:
            getter = getters[name]
            selected = [item for item in selected if any_matches(wanted, getter(item))]
        else:
            raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return selected
