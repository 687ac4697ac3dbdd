"""Validation of parameters, which AWS does first: known, present, of their type, and within their bounds.

Generic: types, bounds, patterns, enumerations and required members come from the service models that AWS publishes with
its SDK, and EC2's filter names from the documentation in them. Rules that no model contains are in tables with their
source.

AWS: EC2 API reference, "Error codes" (UnknownParameter, MissingParameter, InvalidParameterValue, FilterLimitExceeded,
InvalidParameterCombination); "Common errors" of the JSON and query services (ValidationException, ValidationError).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from moto.core.utils import get_service_model

from aws_spot_sandbox.ec2.page_bounds import page_bounds
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.protocol import is_json, not_in_xml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_spot_sandbox.http_types import Call, Handler, Reply
    from aws_spot_sandbox.state import World

MAX_FILTER_VALUES, MAX_FILTER_VALUE_LENGTH = 200, 255

# Services with checked parameters, by signing name, and their models. S3's parameters are in paths and headers.
_MODELS = {
    "autoscaling": "autoscaling",
    "ec2": "ec2",
    "events": "events",
    "iam": "iam",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "secretsmanager": "secretsmanager",
    "servicequotas": "service-quotas",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "sts": "sts",
    "tagging": "resourcegroupstaggingapi",
}
# EC2 API reference, "Common query parameters".
_COMMON = frozenset({"Version", "DryRun", "AWSAccessKeyId", "Signature", "SignatureMethod", "Timestamp"})
_FILTER_NAME = re.compile(r"<li>\s*(?:<p>\s*)?<code>([^<]+)</code>")

# Ids that exclude `MaxResults` without a note in the model's documentation (EC2 API reference, the operations' pages).
_NO_PAGES_WITH = {
    "DescribeSnapshots": "SnapshotIds",
    "DescribeSpotInstanceRequests": "SpotInstanceRequestIds",
    "DescribeVolumes": "VolumeIds",
}
_EXCLUSIVE = re.compile(r"You cannot specify this parameter and the (.+?) parameter in the same")


class Parameters:
    def __init__(self, world: World, inner: Handler) -> None:
        del world
        self._inner = inner

    def __call__(self, call: Call) -> Reply:
        if call.action and call.service in _MODELS:
            _check(call)
        return self._inner(call)


def _check(call: Call) -> None:
    model = get_service_model(_MODELS[call.service])
    if call.action not in model.operation_names:
        raise _unknown_action(call)
    shape = model.operation_model(call.action).input_shape
    if shape is None:
        return
    if is_json(call):
        _json_reader(call).structure(shape, _members(call.body), "")
        return
    tree = _tree(call.params)
    if call.service != "ec2":
        _QueryReader(call.service).structure(shape, tree, "")
        return
    _Ec2Reader(call.service).structure(shape, tree, "")
    _check_pages(call)
    _check_filters(call.action, tree)


def _unknown_action(call: Call) -> AwsError:
    """AWS: "Common errors" of the JSON services (UnknownOperationException) and of the query services (InvalidAction)."""
    if is_json(call):
        return AwsError("UnknownOperationException", f"{call.action} is no operation of this service")
    return AwsError("InvalidAction", f"The action {call.action} is not valid for this web service.")


def _check_pages(call: Call) -> None:
    size = call.params.get("MaxResults")
    if size is None:
        return
    ids = _ids_without_pages(call.action)
    if ids and any(name.startswith(f"{ids[:-1]}.") for name in call.params):
        raise AwsError(
            "InvalidParameterCombination",
            f"The parameter {_lower(ids)} cannot be used with the parameter maxResults",
        )
    _check_range("maxResults", int(size), *page_bounds(call.action))


@cache
def _ids_without_pages(action: str) -> str:
    """The parameter of ids that excludes `MaxResults`; empty if there is none."""
    members = get_service_model("ec2").operation_model(action).input_shape.members
    documented = _EXCLUSIVE.search(re.sub(r"<[^>]+>", "", members["MaxResults"].documentation))
    if documented is None:
        return _NO_PAGES_WITH.get(action, "")
    wanted = documented[1].replace(" ", "").lower()
    return next((name for name in members if name.lower() == wanted), "")


def _check_filters(action: str, tree: Mapping[str, Any]) -> None:
    filters = [entry for entry in _list(tree.get("Filter")) if isinstance(entry, dict)]
    values = [value for entry in filters for value in _list(entry.get("Value"))]
    if len(values) > MAX_FILTER_VALUES:
        raise AwsError(
            "FilterLimitExceeded",
            f"The maximum number of filter values specified on a single call is {MAX_FILTER_VALUES}",
        )
    if any(len(str(value)) > MAX_FILTER_VALUE_LENGTH for value in values):
        raise AwsError(
            "InvalidParameterValue",
            f"The maximum length for a filter value is {MAX_FILTER_VALUE_LENGTH} characters",
        )
    known = _filter_names(action)
    for entry in filters:
        name = str(entry.get("Name", ""))
        if known and name not in known and not (name.startswith("tag:") and "tag:" in known):
            raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")


@cache
def _filter_names(action: str) -> frozenset[str]:
    """The filters that an operation documents; empty if its documentation lists none."""
    shape = get_service_model("ec2").operation_model(action).input_shape
    member = shape.members.get("Filters") or shape.members.get("Filter")
    if member is None:
        return frozenset()
    names = {name.replace("&lt;", "<").strip() for name in _FILTER_NAME.findall(member.documentation)}
    return frozenset(names | {"tag:"} if any(re.match(r"tag(:|$)", name) for name in names) else names)


@dataclass(frozen=True)
class _Reader:
    """Compares a request with its shape. Subclasses define the names on the wire and the errors."""

    service: str

    def structure(self, shape: Any, tree: Mapping[str, Any], path: str) -> None:
        names = {self.wire_name(member, name): name for name, member in shape.members.items()}
        self.check_names(tree, names, path)
        for wire, name in names.items():
            inner = tree.get(wire)
            if inner is not None:
                self.value(shape.members[name], inner, f"{path}{name}")
            elif name in shape.required_members:
                self.missing(f"{path}{name}")

    def value(self, shape: Any, tree: Any, path: str) -> None:
        if shape.type_name == "structure":
            self.structure(shape, tree if isinstance(tree, dict) else {}, f"{path}.")
        elif shape.type_name == "list":
            items = self.items(shape, tree)
            self.check_size(shape, len(items), path)
            for number, item in enumerate(items, 1):
                self.value(shape.member, item, f"{path}.{number}")
        elif shape.type_name in _SCALARS:
            self.scalar(shape, tree, path)

    def scalar(self, shape: Any, value: Any, path: str) -> None:
        if isinstance(value, dict | list):
            self.invalid("a structure", path, "a single value")
        text = str(value)
        if shape.type_name in _NUMBERS:
            number = _number(text, integer=shape.type_name in ("integer", "long"))
            if number is None:
                self.invalid(text, path, "a number")
            self.check_bounds(shape, number, path)
        elif shape.type_name == "timestamp" and not _is_time(text):
            self.invalid(text, path, "a time")
        elif shape.type_name == "boolean" and text.lower() not in ("true", "false"):
            self.invalid(text, path, "true or false")
        elif shape.type_name == "string":
            self.check_text(shape, text, path)

    def check_text(self, shape: Any, text: str, path: str) -> None:
        if shape.enum and shape.name not in _OPEN_ENUMS and text not in shape.enum:
            self.invalid(text, path, f"one of [{', '.join(shape.enum)}]")
        self.check_size(shape, len(text), path, text)
        self.check_characters(text, path)
        pattern = _pattern(shape.metadata.get("pattern", ""))
        if pattern is not None and not pattern.fullmatch(text):
            self.invalid(text, path, f"a text of the form {shape.metadata['pattern']}")

    def check_characters(self, text: str, path: str) -> None:
        """The services that answer in XML take no character that XML cannot carry.

        Auto Scaling API reference, Tag: the pattern of a value is XML's characters. EC2 user guide, "Tag restrictions". EC2's
        words for it are not documented.
        """
        if not_in_xml(text):
            self.invalid(text, path, "characters of XML 1.0")

    def check_bounds(self, shape: Any, number: float, path: str) -> None:
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if (least is not None and number < least) or (most is not None and number > most):
            self.invalid(f"{number:g}", path, _bounds("a value", least, most))

    def check_size(self, shape: Any, size: int, path: str, text: str = "") -> None:
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if (least is not None and size < least) or (most is not None and size > most):
            unit = "a length" if shape.type_name == "string" else "a number of members"
            self.invalid(text or f"{size} members", path, _bounds(unit, least, most))

    def wire_name(self, member: Any, name: str) -> str:
        return str(member.serialization.get("name", name))

    def items(self, shape: Any, tree: Any) -> list[Any]:
        """The items of a list in the service's protocol."""
        del shape
        return list(_list(tree))

    def check_names(self, tree: Mapping[str, Any], names: Mapping[str, str], path: str) -> None:
        """Reject unknown names. JSON and query services ignore them."""

    def missing(self, path: str) -> NoReturn:
        raise AwsError(
            self.code,
            f"1 validation error detected: Value null at '{_lower(path)}' failed to satisfy constraint: "
            "Member must not be null",
        )

    def invalid(self, text: str, path: str, expected: str) -> NoReturn:
        raise AwsError(
            self.code,
            f"1 validation error detected: Value '{text[:100]}' at '{_lower(path)}' failed to satisfy constraint: "
            f"Member must be {expected}",
        )

    @property
    def code(self) -> str:
        return "ValidationError"


class _QueryReader(_Reader):
    def items(self, shape: Any, tree: Any) -> list[Any]:
        flat = shape.serialization.get("flattened")
        name = str(shape.member.serialization.get("name", "member"))
        inner = tree if flat or not isinstance(tree, dict) else tree.get(name)
        return list(_list(inner))


class _JsonReader(_Reader):
    def value(self, shape: Any, tree: Any, path: str) -> None:
        expected = {"list": list, "structure": dict, "map": dict}.get(shape.type_name)
        if expected is not None and not isinstance(tree, expected):
            raise AwsError("SerializationException", f"{_lower(path)}: expected a {shape.type_name}")
        super().value(shape, tree, path)

    def check_characters(self, text: str, path: str) -> None:
        """JSON carries every character."""

    def items(self, shape: Any, tree: Any) -> list[Any]:
        del shape
        return list(tree)

    @property
    def code(self) -> str:
        return "ValidationException"


class _Ec2Reader(_Reader):
    def wire_name(self, member: Any, name: str) -> str:
        if "queryName" in member.serialization:
            return str(member.serialization["queryName"])
        spelled = str(member.serialization.get("name", name))
        return spelled[0].upper() + spelled[1:]

    def check_names(self, tree: Mapping[str, Any], names: Mapping[str, str], path: str) -> None:
        for name in tree:
            if name not in names and not (path == "" and name in _COMMON):
                raise AwsError("UnknownParameter", f"The parameter {path}{name} is not recognized")

    def missing(self, path: str) -> NoReturn:
        raise AwsError("MissingParameter", f"The request must contain the parameter {path}")

    def invalid(self, text: str, path: str, expected: str) -> NoReturn:
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({text[:100]}) for parameter {_lower(path)} is invalid. Expecting {expected}.",
        )

    def check_bounds(self, shape: Any, number: float, path: str) -> None:
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        _check_range(_lower(path), number, least, most)


# AWS offers new types before the models list them, and each region has its own: the operation itself checks the type.
_OPEN_ENUMS = frozenset({"InstanceType"})
_NUMBERS = frozenset({"integer", "long", "float", "double"})
_SCALARS = frozenset({"string", "boolean", "timestamp"}) | _NUMBERS


def _check_range(name: str, number: float, least: float | None, most: float | None) -> None:
    if least is not None and number < least:
        bound = f"greater than {least}"
    elif most is not None and number > most:
        bound = f"smaller than {most}"
    else:
        return
    raise AwsError(
        "InvalidParameterValue",
        f"Value ( {number:g} ) for parameter {name} is invalid. Expecting a value {bound}.",
    )


def _json_reader(call: Call) -> _JsonReader:
    return _JsonReader(call.service)


def _members(body: bytes) -> dict[str, Any]:
    try:
        members = json.loads(body or b"{}")
    except ValueError:
        raise AwsError("SerializationException", "the body is not JSON") from None
    return members if isinstance(members, dict) else {}


def _tree(params: Mapping[str, str]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in params.items():
        steps = path.split(".")
        inner = tree
        for step in steps[:-1]:
            below = inner.get(step)
            if not isinstance(below, dict):
                below = inner[step] = {}
            inner = below
        inner[steps[-1]] = value
    return tree


def _list(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        yield from (tree[key] for key in sorted(tree, key=lambda key: int(key) if key.isdigit() else 0))


def _number(text: str, *, integer: bool) -> float | None:
    try:
        number = int(text) if integer else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_time(text: str) -> bool:
    """Whether it has a format of AWS's protocols: ISO 8601, or seconds since the epoch."""
    if _number(text, integer=False) is not None:
        return True
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _lower(path: str) -> str:
    return path[:1].lower() + path[1:]


def _bounds(unit: str, least: float | None, most: float | None) -> str:
    parts = [f"of at least {least}"] * (least is not None) + [f"of at most {most}"] * (most is not None)
    return f"{unit} {' and '.join(parts)}"


@cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """None if empty, or if Python's `re` lacks the syntax (Unicode character classes)."""
    try:
        return re.compile(text, re.DOTALL) if text else None
    except re.error:
        return None
