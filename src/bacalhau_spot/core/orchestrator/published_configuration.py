"""The configuration with which the managed orchestrator's machine runs `reconcile`: one encrypted SSM parameter.

The parameter is the switch, too: the machine runs `reconcile` while the parameter has a configuration, and always with the
present one. `create` writes it; a pass changes nothing while its own configuration differs from it.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bacalhau_spot.core.model import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# A standard parameter's size (SSM API reference, PutParameter).
MAX_CHARACTERS: Final = 4096
# Who is admitted to SSH is an address of the operator's machine: it is no difference between two machines.
_LOCAL: Final = frozenset({"ssh_cidrs"})
# Their values may be secrets.
_UNSHOWN: Final = frozenset({"notify", "instance"})
_LONGEST: Final = 40


@dataclass(frozen=True, slots=True)
class PublishedConfiguration:
    """`config`: the content of config.yaml; `files`: those that it names, by name. `every_s` 0: `reconcile` is switched off.

    `package`: the requirement that pip installs on the machine.
    """

    config: Mapping[str, Any] = field(repr=False)  # may contain the addresses of webhooks, which are secret
    files: Mapping[str, str] = field(repr=False)
    every_s: int
    package: str

    def to_parameter(self) -> Secret:
        """The parameter's value. The program on the machine reads the same keys."""
        text = json.dumps(
            {
                "config": self.config,
                "files": self.files,
                "every_s": self.every_s,
                "package": self.package,
            },
            separators=(",", ":"),
            sort_keys=True,
        )
        return Secret(base64.b64encode(zlib.compress(text.encode(), 9)).decode())

    @classmethod
    def from_parameter(cls, value: Secret) -> PublishedConfiguration:
        """Raises ValueError for a parameter of another format."""
        try:
            data = json.loads(zlib.decompress(base64.b64decode(value.reveal(), validate=True)))
            return cls(
                config=dict(data["config"]),
                files=dict(data["files"]),
                every_s=int(data["every_s"]),
                package=str(data["package"]),
            )
        except (binascii.Error, zlib.error, KeyError, TypeError) as error:
            raise ValueError("the parameter does not contain a published configuration") from error

    @property
    def is_on(self) -> bool:
        return self.every_s > 0


SWITCHED_OFF: Final = PublishedConfiguration(config={}, files={}, every_s=0, package="")


def changed_keys(own: PublishedConfiguration, published: PublishedConfiguration) -> tuple[str, ...]:
    """The keys in which two configurations differ: `nodes: 4, here 6`, or the key alone if its values may be secrets."""
    before, now = _flat(published), _flat(own)
    return tuple(
        _difference(key, before.get(key), now.get(key))
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    )


def needs_publishing(published: PublishedConfiguration | None, wanted: PublishedConfiguration | None) -> bool:
    """Whether the machine is to run `reconcile` with another configuration, or not any more."""
    if wanted is None:
        return published is not None and published.is_on
    if published is None or not published.is_on:
        return True
    settings = (wanted.every_s, wanted.package) != (published.every_s, published.package)
    return settings or bool(changed_keys(wanted, published))


def _difference(key: str, published: object, own: object) -> str:
    values = [_shown(value) for value in (published, own)]
    if key.partition(".")[0] in _UNSHOWN or any(len(value) > _LONGEST for value in values):
        return key
    return f"{key}: {values[0]}, here {values[1]}"


def _shown(value: object) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _flat(published: PublishedConfiguration) -> dict[str, object]:
    config = {key: value for key, value in published.config.items() if key not in _LOCAL}
    return {**dict(_leaves(config, "")), **{f"file {name}": text for name, text in published.files.items()}}


def _leaves(data: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in data.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
