"""Answers as AWS never gives them: its own, with every value replaced, cut in the middle, or without their members."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

from aws_spot_sandbox.http_types import Call, Reply

# More digits than Python turns into a number (sys.int_info), and deeper than it nests.
HUGE, DEEP = "9" * 5000, 100_000


@contextmanager
def malformed(server: Any, name: str, way: str) -> Iterator[None]:
    """While it lasts, the sandbox's successful answers to calls of this name ("ec2:DescribeVpcs") are like that."""
    answer = server._layer

    def spoiled(call: Call) -> Reply:
        reply: Reply = answer(call)
        return _spoiled(reply, way) if call.name == name and reply.status == 200 else reply

    server._layer = spoiled
    try:
        yield
    finally:
        server._layer = answer


def _spoiled(reply: Reply, way: str) -> Reply:
    if way == "truncated":
        return replace(reply, body=reply.body[: len(reply.body) * 2 // 3])
    if reply.body.startswith(b"{"):
        if way == "deep":
            return replace(reply, body=b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}")
        return replace(reply, body=json.dumps(_members(json.loads(reply.body), _JSON[way])).encode())
    root = ET.fromstring(reply.body)
    if way == "a text for a list":
        for parent in [child for child in root if len(child)]:
            parent.clear()
            parent.text = "none"
        return replace(reply, body=_written(root))
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    for parent in list(root.iter()):
        for child in list(parent):
            if len(child) == 0 and "equestId" not in child.tag:
                _XML[way](parent, child, space)
    return replace(reply, body=_written(root))


def _written(root: ET.Element) -> bytes:
    namespace = root.tag[1:].partition("}")[0] if root.tag.startswith("{") else None
    return bytes(ET.tostring(root, encoding="UTF-8", default_namespace=namespace))


def _members(value: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        members = {key: _members(inner, leaf) for key, inner in value.items()}
        return {key: inner for key, inner in members.items() if inner is not _NOTHING}
    if isinstance(value, list):
        return [_members(inner, leaf) for inner in value]
    if isinstance(value, str) and value.startswith("{"):  # the Price List's products are JSON in a text
        return json.dumps(_members(json.loads(value), leaf))
    return leaf(value)


_NOTHING = object()
_JSON: dict[str, Callable[[Any], Any]] = {
    "without members": lambda _: _NOTHING,
    "not a number": lambda _: "NaN",
    "huge": lambda value: HUGE if isinstance(value, str) else 10**400,
    "nested": lambda _: [{"a": 1}],
    "empty": lambda _: None,
}


def _text(text: str | None) -> Callable[[ET.Element, ET.Element, str], None]:
    def change(_parent: ET.Element, child: ET.Element, _space: str) -> None:
        child.text = text

    return change


def _nest(_parent: ET.Element, child: ET.Element, space: str, levels: int = 1) -> None:
    child.text = None
    for _ in range(levels):
        child = ET.SubElement(child, f"{space}item")


_XML: dict[str, Callable[[ET.Element, ET.Element, str], None]] = {
    "without members": lambda parent, child, _: parent.remove(child),
    "not a number": _text("NaN"),
    "huge": _text(HUGE),
    "nested": _nest,
    "empty": _text(None),
    "deep": lambda parent, child, space: _nest(parent, child, space, 100),
}
