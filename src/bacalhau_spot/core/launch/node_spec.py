"""The values that a node was launched with, in one tag of its instance, and their differences to today's configuration.

Rules:
1. Only values that need a new node: not prices, limits, numbers of nodes or inbound rules.
2. A tag value has at most 255 characters of a small alphabet (core.tags), so long values are recorded as digests.
3. A value that is unknown on one side is no difference: an older release's node, a managed orchestrator that was not asked.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import OrchestratorMode, RegionSpec
from bacalhau_spot.core.tags import NODE_SPEC_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bacalhau_spot.core.model import ClusterSpec, Instance

# Recorded as they are up to this length; with all keys the tag then stays below 255 characters. An image has 21.
_MAX_PLAIN = 14
_MAX_IMAGE = 21
_PLAIN = re.compile(r"[\w+\-./@][\w+\-.:/@]*", re.ASCII)
_DIGEST = ":"
_DIGITS = 6
# A token may be short enough to guess, and a tag is read by more people than user data: so few digits confirm no guess.
_TOKEN_DIGITS = 3
_NOTHING = "none"
_OTHER_VALUE = "another value"

# The short name in the tag -> the configuration's key.
_KEYS = {
    "ver": "bacalhau.version",
    "url": "bacalhau.download_url",
    "orch": "bacalhau.orchestrators",
    "tok": "bacalhau.token",
    "sec": "bacalhau.secrets",
    "tls": "bacalhau.tls",
    "ca": "bacalhau.ca_file",
    "lab": "bacalhau.labels",
    "name": "cluster.name",
    "img": "image",
    "user": "username",
    "key": "public_ssh_key_path",
    "vol": "instance.root_volume_gib",
    "ip": "instance.public_ip",
    "cpu": "instance.cpu_credits",
    "cmd": "instance.additional_commands",
    "file": "instance.files",
    "grace": "interruption.grace_s",
}
# From the managed orchestrator, where there is one.
_JOINING = frozenset({"orch", "tok", "tls", "ca"})


@dataclass(frozen=True, slots=True)
class Difference:
    """A key of the configuration whose value differs. `was`: at the launch; `now`: in the configuration."""

    key: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class DriftedNode:
    """A node that was launched with other values than the configuration's."""

    instance: Instance
    differences: tuple[Difference, ...]


def node_spec_tag(spec: ClusterSpec, *, region: str) -> str:
    """The value of the tag for nodes that are launched in the region with this configuration."""
    return " ".join(f"{name}={value}" for name, value in _values(spec, region=region).items())


def drifted_nodes(
    spec: ClusterSpec, instances: Sequence[Instance], *, unread: frozenset[str] = frozenset()
) -> tuple[DriftedNode, ...]:
    """The living nodes that differ from the configuration, in the given order. `unread`: keys whose value is unknown here."""
    compared = (
        DriftedNode(instance, differences(spec, instance, unread=unread))
        for instance in instances
        if instance.alive and instance.is_node
    )
    return tuple(node for node in compared if node.differences)


def differences(
    spec: ClusterSpec, instance: Instance, *, unread: frozenset[str] = frozenset()
) -> tuple[Difference, ...]:
    """The values with which the instance was launched and that the configuration no longer has, in the order of the keys."""
    then = _recorded(instance.tags.get(NODE_SPEC_KEY, ""))
    now = _values(spec, region=instance.region)
    changed = [
        Difference(_KEYS[name], *_shown(then[name], value))
        for name, value in now.items()
        if name in then and then[name] != value and _KEYS[name] not in unread
    ]
    return (*changed, *_visible(spec, instance))


def node_spec_differs(spec: ClusterSpec, tag: str, *, region: str) -> bool:
    """Whether nodes with this value of the tag were launched with other values than the configuration's."""
    then, now = _recorded(tag), _values(spec, region=region)
    return any(name in then and then[name] != value for name, value in now.items())


def _visible(spec: ClusterSpec, instance: Instance) -> Iterator[Difference]:
    """The differences that AWS shows: type, VPC and tags."""
    region = next(
        (found for found in spec.regions if found.name == instance.region), RegionSpec(instance.region)
    )
    types = region.instance_types or spec.instance_types
    if types and instance.type not in types:
        yield Difference("instance_types", instance.type, " ".join(types))
    if region.vpc_id is not None and instance.vpc_id not in {None, region.vpc_id}:
        yield Difference(f"regions.{region.name}.vpc_id", instance.vpc_id or "", region.vpc_id)
    if instance.tags:  # otherwise it was not listed with its tags
        yield from _tags(spec, instance)


def _tags(spec: ClusterSpec, instance: Instance) -> Iterator[Difference]:
    for key, value in spec.naming.extra_tags:
        if instance.tags.get(key) != value:
            yield Difference(f"cluster.tags.{key}", instance.tags.get(key, _NOTHING), value)


def _recorded(tag: str) -> dict[str, str]:
    """Without the names of another release, which may mean something else."""
    pairs = (part.partition("=") for part in tag.split())
    return {name: value for name, sign, value in pairs if sign and name in _KEYS}


def _shown(was: str, now: str) -> tuple[str, str]:
    """A digest means nothing to a reader."""
    if now.startswith(_DIGEST):
        now = "changed"
    return (_OTHER_VALUE if was.startswith(_DIGEST) else was), now


def _values(spec: ClusterSpec, *, region: str) -> Mapping[str, str]:
    """By short name. Without the orchestrator's values while they are unknown."""
    values = {**_joining(spec), **_machine(spec, region=region)}
    unknown = _JOINING if _orchestrator_unknown(spec) else frozenset()
    return {name: value for name, value in values.items() if name not in unknown}


def _joining(spec: ClusterSpec) -> dict[str, str]:
    bacalhau = spec.bacalhau
    token = bacalhau.token.reveal() if bacalhau.token else ""
    return {
        "ver": _value(bacalhau.version),
        "url": _value(bacalhau.download_url or ""),
        "orch": _value(" ".join(sorted(bacalhau.orchestrators))),
        "tok": _digest(token, digits=_TOKEN_DIGITS),
        "sec": _value(bacalhau.secrets),
        "tls": _value(bacalhau.tls),
        "ca": _digest(bacalhau.ca_pem or ""),
        "lab": _digest(sorted(bacalhau.labels)),
        "name": _value(spec.name),
    }


def _machine(spec: ClusterSpec, *, region: str) -> dict[str, str]:
    instance = spec.instance
    image = next((found.image for found in spec.regions if found.name == region), None) or spec.image
    return {
        "img": _value(image, most=_MAX_IMAGE),
        "user": _value(spec.username),
        "key": _digest(spec.public_key or ""),
        "vol": _value(str(instance.root_volume_gib)),
        "ip": _value(str(instance.public_ip).lower()),
        "cpu": _value(instance.cpu_credits),
        "cmd": _digest(instance.additional_commands),
        "file": _digest(instance.files),
        "grace": _value(str(spec.interruption.grace_s)),
    }


def _orchestrator_unknown(spec: ClusterSpec) -> bool:
    """Whether the values are still to be read from AWS; a configuration without an orchestrator is left alone."""
    if spec.orchestrator.mode is OrchestratorMode.UNSET:
        return True
    return spec.orchestrator.in_account and not spec.bacalhau.orchestrators


def _value(text: str, *, most: int = _MAX_PLAIN) -> str:
    return text if len(text) <= most and _PLAIN.fullmatch(text) else _digest(text)


def _digest(value: object, *, digits: int = _DIGITS) -> str:
    if not value:
        return _NOTHING
    text = value if isinstance(value, str) else repr(value)
    return f"{_DIGEST}{hashlib.sha256(text.encode()).hexdigest()[:digits]}"
