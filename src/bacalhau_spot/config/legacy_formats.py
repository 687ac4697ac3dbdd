"""Converts earlier formats of the file, key by key.

Three formats exist: a flat one (`max_instances`, top-level `orchestrators`), a nested one (`aws:` next to `bacalhau:`),
and regions as a list of one-key mappings. A file may mix them with each other and with the current format, so every old
key is converted by itself. The result has the original position of each value, for errors and for rewriting.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bacalhau_spot.config import messages as wording
from bacalhau_spot.config import older_keys, rules
from bacalhau_spot.config.locations import KeyPath, dotted, lookup

if TYPE_CHECKING:
    from collections.abc import Iterator

# The architecture of the default instance types, in the spellings of the older tools.
_DEFAULT_ARCH: Final = ("x86_64", "amd64", None)
_TLS: Final = {
    True: (
        "proxy",
        (
            "`tls: true` is now `tls: proxy`, with the same effect: nodes begin with TLS, as a proxy or a hosted "
            "orchestrator in front of NATS expects; if the orchestrator has the certificate itself, write `native`"
        ),
    ),
    False: ("none", "`tls: false` is now `tls: none`"),
}


class _Tree:
    """The data while it is converted, in place."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def move(self, old: KeyPath, new: KeyPath, value: object) -> None:
        self.drop(old)
        place: Any = self.data
        for part in new[:-1]:
            place[part] = place = place.get(part) or {}
        place[new[-1]] = value

    def drop(self, old: KeyPath) -> None:
        parent: Any = lookup(self.data, old[:-1])
        del parent[old[-1]]

    def regions(self, entries: list[tuple[KeyPath, str]]) -> None:
        listed = self.data["regions"]
        mapping: dict[str, Any] = {}
        for path, name in entries:
            item = listed[path[1]]
            mapping[name] = item[name] if isinstance(item, dict) else None
        self.data["regions"] = mapping


@dataclass(slots=True)
class Conversion:
    """The result of a conversion. `moved`: from a new path to the old one; notes and problems have old paths."""

    moved: dict[KeyPath, KeyPath] = field(default_factory=dict)
    notes: list[tuple[KeyPath, str]] = field(default_factory=list)
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)
    singles: set[KeyPath] = field(default_factory=set)  # old paths of one value that became a list of one

    def origin(self, path: KeyPath) -> KeyPath:
        """Where the value at `path` stands in the file as it is written."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.moved:
                start = self.moved[path[:length]]
                # The first item of a list of one is the old value itself.
                return start if start in self.singles else (*start, *path[length:])
        return path

    def note(self, path: KeyPath, text: str) -> None:
        if text not in (known for _, known in self.notes):
            self.notes.append((path, text))


def convert(data: dict[str, Any]) -> Conversion:
    """Convert every old key in `data`, in place."""
    tree = _Tree(data)
    done = Conversion()
    for old, new in older_keys.MOVED.items():
        _move(tree, done, old, new)
    _lists(tree, done)
    _obsolete(tree, done)
    _leftover(tree, done)
    _tls(tree, done)
    _list_of_regions(tree, done)
    _region_keys(tree, done)
    _fixed_numbers(tree, done)
    return done


def _has(data: object, path: KeyPath) -> bool:
    parent = lookup(data, path[:-1])
    return isinstance(parent, dict) and path[-1] in parent


def _room(data: dict[str, Any], path: KeyPath) -> bool:
    """Whether the section of `path` is a section, or missing."""
    return all(isinstance(lookup(data, path[:length]), dict | None) for length in range(1, len(path)))


def _move(tree: _Tree, done: Conversion, old: KeyPath, new: KeyPath) -> None:
    if not _has(tree.data, old):
        return
    if _has(tree.data, new) or not _room(tree.data, new):
        done.problems.append(
            (old, f"is the old name of `{dotted(new)}`, which is given too; remove one of them")
        )
        tree.drop(old)
        return
    tree.move(old, new, lookup(tree.data, old))
    done.moved[new] = old
    done.note(old, f"`{dotted(old)}` is now `{dotted(new)}`")


def _lists(tree: _Tree, done: Conversion) -> None:
    """A single value that is a list today."""
    for key, new in older_keys.TO_LIST.items():
        for old in ((key,), ("aws", key)):
            if _has(tree.data, old):
                value = lookup(tree.data, old)
                _move(tree, done, old, new)
                if done.moved.get(new) == old and not isinstance(value, list):
                    tree.move(new, new, [value])
                    done.singles.add(old)


def _obsolete(tree: _Tree, done: Conversion) -> None:
    """An obsolete key is reported with the reason; a key with a meaning is left for the user to move."""
    parents: tuple[KeyPath, ...] = ((), ("aws",))
    for parent in parents:
        for key, reason in older_keys.OBSOLETE.items():
            _ignore(tree, done, (*parent, key), reason)
        for key, (reason, refusal) in older_keys.ALWAYS_ON.items():
            if lookup(tree.data, (*parent, key)) is True:
                _ignore(tree, done, (*parent, key), reason)
            else:
                _refuse(tree, done, (*parent, key), refusal)
        for key, refusal in older_keys.REFUSED.items():
            _refuse(tree, done, (*parent, key), refusal)
    for key, reason in older_keys.OBSOLETE_TIMEOUTS.items():
        _ignore(tree, done, ("aws", "timeouts", key), reason)


def _ignore(tree: _Tree, done: Conversion, path: KeyPath, reason: str) -> None:
    if _has(tree.data, path):
        done.note(path, f"`{dotted(path)}` is obsolete and ignored: {reason}")
        tree.drop(path)


def _refuse(tree: _Tree, done: Conversion, path: KeyPath, message: str) -> None:
    if _has(tree.data, path):
        done.problems.append((path, message))
        tree.drop(path)


def _leftover(tree: _Tree, done: Conversion) -> None:
    """A remaining key under `aws` is in no table, and so an error."""
    for section in ("aws.timeouts", "aws"):
        path: KeyPath = tuple(section.split("."))
        inside = lookup(tree.data, path)
        if not _has(tree.data, path):
            continue
        if isinstance(inside, dict):
            known = older_keys.known_old_keys(section)
            messages = wording.unknown_older_keys(inside, known)
            done.problems += [((*path, key), text) for key, text in zip(inside, messages, strict=True)]
        elif inside is not None:
            message = f"found {wording.value_type(inside)}; must be a mapping of keys to values"
            done.problems.append((path, message))
        tree.drop(path)


def _tls(tree: _Tree, done: Conversion) -> None:
    path = ("bacalhau", "tls")
    value = lookup(tree.data, path)
    if isinstance(value, bool):
        word, text = _TLS[value]
        tree.move(path, path, word)
        done.note(done.origin(path), text)


def _list_of_regions(tree: _Tree, done: Conversion) -> None:
    listed = tree.data.get("regions")
    if not isinstance(listed, list) or not any(isinstance(item, dict) for item in listed):
        return
    start = done.origin(("regions",))
    entries: list[tuple[KeyPath, str]] = []
    for place, name in _listed_names(listed):
        old = (*start, *place)
        if not isinstance(name, str):
            done.problems.append((old, "must be a region's name, with its own settings below it"))
        elif ("regions", name) in done.moved:
            done.problems.append((old, "is given twice"))
        else:
            entries.append((("regions", *place), name))
            done.moved["regions", name] = old
    tree.regions(entries)
    done.note(start, "`regions` is now a mapping: the names, each with its own settings below it")


def _listed_names(listed: list[Any]) -> Iterator[tuple[KeyPath, object]]:
    """Each region's name and its place in the list: an item is a name, or a mapping of names to settings."""
    for number, item in enumerate(listed):
        if isinstance(item, dict):
            yield from (((number, name), name) for name in item)
        else:
            yield (number,), item


def _region_keys(tree: _Tree, done: Conversion) -> None:
    regions = tree.data.get("regions")
    if not isinstance(regions, dict):
        return
    for name, region in list(regions.items()):
        if not isinstance(region, dict):
            continue
        for old_key, new_key in older_keys.IN_REGION.items():
            if old_key in region:
                _region_key(tree, done, (name, old_key, new_key))
        if "architecture" in region:
            _architecture(tree, done, name)


def _architecture(tree: _Tree, done: Conversion, name: str) -> None:
    """Instance types decide it today; without any of the region's own, another architecture would be lost."""
    path: KeyPath = ("regions", name, "architecture")
    old = done.origin(path)
    value = lookup(tree.data, path)
    if value in _DEFAULT_ARCH or _has(tree.data, (*path[:-1], "instance_types")):
        done.note(
            old, "a region's `architecture` is obsolete and ignored: instance types have one themselves"
        )
    else:
        done.problems.append(
            (old, "is decided by instance types; name some under this region's `instance_types`")
        )
    tree.drop(path)


def _region_key(tree: _Tree, done: Conversion, names: tuple[str, str, str]) -> None:
    name, old_key, new_key = names
    old: KeyPath = ("regions", name, old_key)
    new: KeyPath = ("regions", name, new_key)
    where = done.origin(old)
    value = lookup(tree.data, old)
    if _has(tree.data, new):
        done.problems.append(
            (where, f"is the old name of `{new_key}`, which is given too; remove one of them")
        )
        tree.drop(old)
    elif old_key == "node_count" and value == "auto":
        tree.drop(old)
        done.note(where, "`node_count: auto` is a region's default; the key is not needed")
    else:
        single = old_key == "machine_type" and not isinstance(value, list)
        tree.move(old, new, [value] if single else value)
        done.moved[new] = where
        if single:
            done.singles.add(where)
        done.note(where, f"a region's `{old_key}` is now `{new_key}`")


def _fixed_numbers(tree: _Tree, done: Conversion) -> None:
    """The old total was a ceiling; now it is the number. Where every region had its own number, their sum counts."""
    old = done.moved.get(("nodes",))
    total = tree.data.get("nodes")
    numbers = rules.region_node_counts(tree.data)
    if old is None or type(total) is not int or not numbers or None in numbers:
        return
    own_total = sum(number or 0 for number in numbers)
    if own_total < total:
        tree.move(("nodes",), ("nodes",), own_total)
        done.note(
            old,
            f"`nodes` is {own_total}, the sum of the regions' own numbers: the old total was a ceiling",
        )
