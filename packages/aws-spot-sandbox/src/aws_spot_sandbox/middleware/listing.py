"""Removes items from EC2's lists and adds earlier ones."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

_ITEM = "item"
_INSTANCES = "instancesSet"


def without(body: bytes, own_id: str, names: AbstractSet[str]) -> bytes:
    """The list without items that have one of these ids or are in a VPC that has one."""
    root = ET.fromstring(body)  # noqa: S314 - our own answer
    space = _space(root)
    hidden = [
        (parent, item)
        for parent, item in _items(root, space)
        if {item.findtext(space + own_id), item.findtext(f"{space}vpcId")} & names
    ]
    if not hidden:
        return body
    for parent, item in hidden:
        parent.remove(item)
    _drop_empty_reservations(root, space)
    return _text(root, space)


def with_old(body: bytes, before: bytes, own_id: str, names: AbstractSet[str]) -> bytes:
    """The list with the items of these ids from an earlier reply appended."""
    root, old = ET.fromstring(body), ET.fromstring(before)  # noqa: S314 - our own answers
    space = _space(root)
    shown = {item.findtext(space + own_id) for _, item in _items(root, space)}
    changed = False
    for parent, item in list(_items(old, space)):
        name = item.findtext(space + own_id)
        target = root.find(parent.tag)
        if name in names and name not in shown and target is not None:
            target.append(item)
            changed = True
    return _text(root, space) if changed else body


def _items(root: ET.Element, space: str) -> Iterator[tuple[ET.Element, ET.Element]]:
    """Every item of every list, with its parent."""
    for parent in root.iter():
        for child in parent:
            if child.tag == space + _ITEM:
                yield parent, child


def _drop_empty_reservations(root: ET.Element, space: str) -> None:
    for parent, item in list(_items(root, space)):
        instances = item.find(space + _INSTANCES)
        if instances is not None and len(instances) == 0:
            parent.remove(item)


def _space(root: ET.Element) -> str:
    """The namespace as ElementTree prefixes it to names: {http://…}, or empty."""
    return root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""


def _text(root: ET.Element, space: str) -> bytes:
    return bytes(
        ET.tostring(root, encoding="UTF-8", xml_declaration=True, default_namespace=space[1:-1] or None)
    )
