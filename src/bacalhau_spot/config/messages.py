"""Rewords pydantic's errors: the value, the allowed values, and the most similar key."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from bacalhau_spot.config import field_types, json_schema
from bacalhau_spot.config.locations import dotted
from bacalhau_spot.config.older_keys import MOVED, TO_LIST
from bacalhau_spot.config.schema import MARKS
from bacalhau_spot.text_marks import CUT, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic import ValidationError

    from bacalhau_spot.config.locations import KeyPath

_LONGEST: Final = 60
# The search for a similar key takes time, and few of thousands of problems are shown (locations.MOST_SHOWN).
_MOST_WORDED: Final = 200
_KEY_MARK: Final = "[key]"  # pydantic's, for an error in a mapping's key


def path_of(error: Mapping[str, Any]) -> tuple[KeyPath, bool]:
    """The path in the file, without pydantic's marks, and whether it is the key that is wrong rather than its value."""
    loc = tuple(part for part in error["loc"] if part not in MARKS)
    if loc and loc[-1] == _KEY_MARK:
        return loc[:-1], True
    return loc, error["type"] in {"missing", "extra_forbidden"}


def validation_problems(failure: ValidationError) -> list[tuple[KeyPath, bool, str]]:
    """(path, whether the key is the problem, message) of every error."""
    problems = []
    for number, error in enumerate(failure.errors(include_url=False)):
        path, of_key = path_of(error)
        message = _message(error, path) if number < _MOST_WORDED else "is not allowed here"
        # An empty value stands nowhere that the user could see; its key does.
        problems.append((path, of_key or error["input"] is None, message))
    return problems


def _message(error: Mapping[str, Any], path: KeyPath) -> str:
    word = _WORDS.get(error["type"])
    # An error type without a sentence still gets one, without the library's vocabulary or the value.
    return word(error, path) if word else f"found {value_type(error['input'])}; this is not allowed here"


def _must(error: Mapping[str, Any], _path: KeyPath) -> str:
    context = error.get("ctx") or {}
    value = error["input"]
    if "allowed" not in context:  # of a union: quotes make no form of it
        return f"found {value_text(value)}; must be {error['msg']}"
    allowed = context["allowed"]
    what = value_type(value) if context.get("secret") else value_text(value)
    return f"found {what}; must be {allowed}{_quoting(value, allowed)}"


def _quoting(value: object, allowed: str) -> str:
    """YAML's most frequent surprise: a number that should be text, or the reverse."""
    wants_number = allowed.startswith(("a whole number", "a price"))
    if wants_number and isinstance(value, str) and value.strip().replace(".", "", 1).isdigit():
        return ", without quotes"
    takes_numbers = wants_number or allowed == field_types.TRUE_OR_FALSE or "a number (exactly)" in allowed
    if not takes_numbers and isinstance(value, bool | int | float) and "quotes" not in allowed:
        return " (text: put it in quotes)"
    return ""


def _say(error: Mapping[str, Any], _path: KeyPath) -> str:
    return str(error["msg"])


def _missing(_error: Mapping[str, Any], _path: KeyPath) -> str:
    return "is missing"


def _extra(_error: Mapping[str, Any], path: KeyPath) -> str:
    key = str(path[-1])[:_LONGEST]
    known = json_schema.keys_at(path[:-1])
    if key in known:
        return f"belongs to another form of `{dotted(path[:-1])}`; use the keys of one form"
    close = _path_in_one_word(key) or difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.75)
    if close:
        return f"is not a key; did you mean `{close[0]}`?"
    elsewhere = json_schema.sections_with(key)
    if elsewhere:
        return f"is not a key here; it belongs {f'under `{elsewhere[0]}`' if elsewhere[0] else 'at the top level'}"
    return _nowhere(key) or f"is not a key; the keys here are {', '.join(known)}"


def _path_in_one_word(key: str) -> list[str]:
    """`cluster.name` for `cluster_name` or `clustername`; nothing for any other key."""
    letters = _letters(key)
    return [name for name, _ in json_schema.every_key() if "." in name and _letters(name) == letters]


def _letters(key: str) -> str:
    return re.sub(r"[-_.]", "", key.lower())


def _nowhere(key: str) -> str:
    """The nearest key of any section; empty when none is near."""
    every = {name.rpartition(".")[2]: name for name, _ in json_schema.every_key()}
    close = difflib.get_close_matches(key.lower(), every, n=1, cutoff=0.8)
    if close:
        return f"is not a key; did you mean `{every[close[0]]}`?"
    older = {str(path[-1]): new for path, new in MOVED.items()} | TO_LIST
    close = difflib.get_close_matches(key.lower(), older, n=1, cutoff=0.8)
    return (
        f"is not a key; did you mean `{close[0]}`, which is now `{dotted(older[close[0]])}`?" if close else ""
    )


def unknown_older_keys(keys: Iterable[str], known: Mapping[str, str]) -> Iterator[str]:
    """A message for each unused key of an older section. `known`: the section's keys, with their current paths."""
    for number, key in enumerate(keys):
        yield _unknown_older_key(key[:_LONGEST], known) if number < _MOST_WORDED else "is not a key"


def _unknown_older_key(key: str, known: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.75)
    if close:
        now = known[close[0]]
        return f"is not a key; did you mean `{close[0]}`{f', which is now `{now}`' if now else ''}?"
    if key in json_schema.keys_at(()):
        return "is not a key here; it belongs at the top level"
    return _nowhere(key) or "is not a known key of an earlier format; see the page for today's keys"


def _section(error: Mapping[str, Any], path: KeyPath) -> str:
    known = json_schema.keys_at(path)
    of = f" with the keys {', '.join(known)}" if known else " of keys to values"
    return f"found {value_type(error['input'])}; must be a mapping{of}"


def _list(error: Mapping[str, Any], _path: KeyPath) -> str:
    return f"found {value_type(error['input'])}; must be a list, such as [a, b]"


def _too_many(error: Mapping[str, Any], _path: KeyPath) -> str:
    return f"found {len(error['input'])} entries; at most {error['ctx']['max_length']} are allowed"


def _empty(error: Mapping[str, Any], _path: KeyPath) -> str:
    return f"found {value_type(error['input'])} that is empty; give at least one, or leave the key out"


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any], KeyPath], str]]] = {
    field_types.MUST: _must,
    field_types.SAY: _say,
    "missing": _missing,
    "extra_forbidden": _extra,
    "model_type": _section,
    "dict_type": _section,
    "list_type": _list,
    "too_short": _empty,
    "too_long": _too_many,
}


def value_type(value: object) -> str:
    """The type of a value, without its content."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    for kind, word in ((str, "text"), (int | float, "a number"), (list, "a list"), (dict, "a mapping")):
        if isinstance(value, kind):
            return word
    return "something else"


def value_text(value: object) -> str:
    """A value as in the file, shortened; lists and mappings by their type only."""
    if isinstance(value, str):
        shown = json.dumps(value, ensure_ascii=False)
        return shown if len(shown) <= _LONGEST else f'{shown[:_LONGEST]}{CUT}"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        return shortened(str(value), _LONGEST)
    return value_type(value)
