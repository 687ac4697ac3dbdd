"""AWS's answers with random faults in them: bytes, elements and texts that AWS would never send."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

from aws_spot_sandbox.http_types import Call, Reply

# What XML can carry: C1 controls, bidirectional and zero-width characters.
IN_XML = "evil\x9b5;35;7m\x9d0;title\x9c\x85\u202e\u2066\u200b\u2028\u2029end"
TEXTS = (
    "", " ", "0", "-1", "NaN", "Infinity", "1e9999", "9" * 5000, IN_XML, "true", "null", "i-0", "us-east-1z",
    "2026-13-45T99:99:99Z",
    "9999-12-31T23:59:59.999Z", "x" * 70_000, "[bold]", "{}", "%s%n",
)  # fmt: skip


@contextmanager
def mutated_answers(server: Any, dice: random.Random, *, share: float) -> Iterator[None]:
    """While it lasts, about this share of the sandbox's answers has a fault."""
    answer = server._layer

    def spoiled(call: Call) -> Reply:
        reply: Reply = answer(call)
        return _spoiled(reply, dice) if dice.random() < share else reply

    server._layer = spoiled
    try:
        yield
    finally:
        server._layer = answer


def _spoiled(reply: Reply, dice: random.Random) -> Reply:
    if dice.random() < 0.25:
        return replace(reply, body=_bytes(reply.body, dice))
    if reply.body.startswith((b"{", b"[")):
        return replace(reply, body=json.dumps(in_json(json.loads(reply.body), dice)).encode())
    try:
        root = ET.fromstring(reply.body)
    except ET.ParseError:
        return reply
    _elements(root, dice)
    space = root.tag[1:].partition("}")[0] if root.tag.startswith("{") else None
    return replace(reply, body=bytes(ET.tostring(root, encoding="UTF-8", default_namespace=space)))


def _bytes(body: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(body) + 1)
    match dice.randrange(4):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + bytes([dice.randrange(256)]) + body[at + 1 :]
        case 2:
            return body[:at] + body[at : at + 200] * dice.randrange(2, 50) + body[at:]
    return body[:at] + body[at + dice.randrange(1, 100) :]


def _elements(root: ET.Element, dice: random.Random) -> None:
    """Up to three faults anywhere in the tree: a text, an element left out, twice, renamed, or emptied."""
    for _ in range(dice.randrange(1, 4)):
        parent = dice.choice(list(root.iter()))
        if len(parent) == 0:
            parent.text = dice.choice(TEXTS)
            continue
        child = dice.choice(list(parent))
        match dice.randrange(4):
            case 0:
                parent.remove(child)
            case 1:
                parent.append(child)
            case 2:
                child.tag = dice.choice(list(root.iter())).tag
            case _:
                child.clear()
                child.text = dice.choice(TEXTS)


def in_json(value: Any, dice: random.Random, *, rate: float = 0.03) -> Any:
    """A few members have another value, or are missing."""
    if dice.random() < rate:
        return dice.choice((*TEXTS, None, True, -1, 10**30, 1.5, [], {}, [[]], {"a": None}))
    if isinstance(value, dict):
        return {
            key: in_json(inner, dice, rate=rate) for key, inner in value.items() if dice.random() > rate / 4
        }
    return [in_json(inner, dice, rate=rate) for inner in value] if isinstance(value, list) else value
