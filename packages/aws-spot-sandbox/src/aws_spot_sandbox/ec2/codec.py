"""The query protocol in both directions, EC2's dialect and that of the other services, by botocore's service models.

Actions are thus written as AWS documents them: a dictionary in, a dictionary out, with boto3's names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from moto.core.utils import get_service_model

if TYPE_CHECKING:
    from collections.abc import Mapping

Writer = Callable[[Any, "list[str]"], None]
WireName = Callable[[Any, str], str]
NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


class Codec:
    """Parses parameters and renders replies. Writers are compiled once per shape, so that lists of thousands are fast."""

    def __init__(self, service: str = "ec2") -> None:
        self._model = get_service_model(service)
        self._writers: dict[str, Writer] = {}
        # Regions answer in parallel threads: no thread may use a writer that another is still compiling.
        self._compiling = threading.RLock()

    def knows(self, action: str) -> bool:
        return action in self._model.operation_names

    def parse(self, action: str, params: Mapping[str, str]) -> dict[str, Any]:
        shape = self._model.operation_model(action).input_shape
        if shape is None:
            return {}
        return _structure(shape, _tree(params), _ec2_name)

    def render(self, action: str, answer: Mapping[str, Any], *, request_id: str) -> bytes:
        shape = self._model.operation_model(action).output_shape
        out = [
            (
                f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{NAMESPACE}">'
                f"<requestId>{request_id}</requestId>"
            )
        ]
        if shape is not None:
            self._write(shape, answer, out)
        if shape is None or not shape.members:  # AWS's reply for an action without output is `return`
            out.append("<return>true</return>")
        out.append(f"</{action}Response>")
        return "".join(out).encode()

    def _write(self, shape: Any, answer: Mapping[str, Any], out: list[str]) -> None:
        with self._compiling:
            writer = self._writer(shape)
        writer(answer, out)

    def _writer(self, shape: Any) -> Writer:
        name = str(shape.name)

        def finished(value: Any, out: list[str]) -> None:
            self._writers[name](value, out)

        if name not in self._writers:
            # Shapes may be recursive: during compilation an inner reference resolves to the finished writer later.
            self._writers[name] = finished
            self._writers[name] = self._compile(shape)
        return self._writers[name]

    def _compile(self, shape: Any) -> Writer:
        if shape.type_name == "structure":
            return self._structure_writer(shape)
        if shape.type_name == "list":
            return self._list_writer(shape)
        return _scalar_writer(shape.type_name)

    def _structure_writer(self, shape: Any) -> Writer:
        members = [
            (name, member.serialization.get("name", name), self._writer(member))
            for name, member in shape.members.items()
        ]

        def write(value: Any, out: list[str]) -> None:
            for name, tag, writer in members:
                inner = value.get(name)
                if inner is not None:
                    out.append(f"<{tag}>")
                    writer(inner, out)
                    out.append(f"</{tag}>")

        return write

    def _list_writer(self, shape: Any) -> Writer:
        tag = shape.member.serialization.get("name", "member")
        writer = self._writer(shape.member)

        def write(value: Any, out: list[str]) -> None:
            for inner in value:
                out.append(f"<{tag}>")
                writer(inner, out)
                out.append(f"</{tag}>")

        return write


class QueryCodec(Codec):
    """The dialect of the other services: `Name.member.1` for lists, and the reply in an element `…Result`."""

    def parse(self, action: str, params: Mapping[str, str]) -> dict[str, Any]:
        shape = self._model.operation_model(action).input_shape
        return _structure(shape, _tree(params), _plain_name) if shape is not None else {}

    def render(self, action: str, answer: Mapping[str, Any], *, request_id: str) -> bytes:
        shape = self._model.operation_model(action).output_shape
        namespace = self._model.metadata["xmlNamespace"]
        out = [f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{namespace}">']
        if shape is not None:
            out.append(f"<{action}Result>")
            self._write(shape, answer, out)
            out.append(f"</{action}Result>")
        number = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        out.append(f"{number}</{action}Response>")
        return "".join(out).encode()


def timestamp(value: Any) -> str:
    """AWS's format of a time, from seconds since the epoch or a datetime (a naive one is UTC, as in moto)."""
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(float(value), UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _scalar_writer(type_name: str) -> Writer:
    if type_name == "boolean":
        return lambda value, out: out.append("true" if value in (True, "true") else "false")
    if type_name == "timestamp":
        return lambda value, out: out.append(timestamp(value))
    return lambda value, out: out.append(escape(str(value)))


def _plant(tree: dict[str, Any], path: list[str], value: str) -> None:
    for step in path[:-1]:
        inner = tree.setdefault(step, {})
        if not isinstance(inner, dict):  # "Tag=1" and "Tag.1.Key=…" in one request: the longer one wins
            inner = tree[step] = {}
        tree = inner
    tree[path[-1]] = value


def _tree(params: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in params.items():
        _plant(tree, path.split("."), value)
    return tree


def _plain_name(member: Any, name: str) -> str:
    return str(member.serialization.get("name", name))


def _ec2_name(member: Any, name: str) -> str:
    if "queryName" in member.serialization:
        return str(member.serialization["queryName"])
    spelled = str(member.serialization.get("name", name))
    return spelled[0].upper() + spelled[1:]


def _structure(shape: Any, tree: Mapping[str, Any], wire: WireName) -> dict[str, Any]:
    members = {}
    for name, member in shape.members.items():
        inner = tree.get(wire(member, name))
        if inner is not None:
            members[name] = _value(member, inner, wire)
    return members


def _value(shape: Any, tree: Any, wire: WireName) -> Any:
    if shape.type_name == "structure":
        return _structure(shape, tree if isinstance(tree, dict) else {}, wire)
    if shape.type_name == "list":
        if not isinstance(tree, dict):
            return []
        rows = tree.get("member", tree) if wire is _plain_name else tree
        return [_value(shape.member, rows[key], wire) for key in sorted(rows, key=_position)]
    return _scalar(shape.type_name, tree)


def _scalar(type_name: str, text: Any) -> Any:
    if type_name == "boolean":
        return str(text).lower() == "true"
    if type_name in ("integer", "long"):
        return int(text)
    if type_name in ("float", "double"):
        return float(text)
    if type_name == "timestamp":
        return datetime.fromisoformat(str(text)).timestamp()
    return text


def _position(key: str) -> int:
    return int(key) if key.isdigit() else 0
