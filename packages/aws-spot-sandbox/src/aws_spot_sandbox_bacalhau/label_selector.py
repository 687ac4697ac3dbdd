"""Kubernetes label selectors, as Bacalhau's lists of nodes and jobs take them."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from aws_spot_sandbox_bacalhau.access import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

_SELECTOR = re.compile(
    r"\s*(?:(?P<key>[\w./-]+)\s*(?P<op>==|=|!=)\s*(?P<one>[\w.-]*)"
    r"|(?P<in_key>[\w./-]+)\s+(?P<in_op>in|notin)\s*\((?P<many>[^)]*)\)"
    r"|(?P<no>!?)\s*(?P<has>[\w./-]+))\s*(?:,|$)"
)


def tests(text: str) -> list[tuple[str, Callable[[str | None], bool]]]:
    """A Kubernetes label selector: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`."""
    found: list[tuple[str, Callable[[str | None], bool]]] = []
    at = 0
    while at < len(text.rstrip()):
        match = _SELECTOR.match(text, at)
        if match is None or match.end() == at:
            raise Refusal(
                HTTPStatus.BAD_REQUEST, "InternalError", f"unable to parse requirement: {text}", "APIServer"
            )
        at = match.end()
        found.append(_requirement(match))
    return found


def _requirement(match: re.Match[str]) -> tuple[str, Callable[[str | None], bool]]:
    if match["has"]:
        absent = bool(match["no"])
        return match["has"], lambda value: (value is None) == absent
    key = match["key"] or match["in_key"]
    wanted = {match["one"]} if match["key"] else {part.strip() for part in match["many"].split(",")}
    negative = (match["op"] or match["in_op"]) in {"!=", "notin"}
    return key, lambda value: (value in wanted) != negative
