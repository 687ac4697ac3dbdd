"""The configuration for the orchestrator's machine: complete in itself, without the files and variables of this machine.

Left out: what only this machine has or needs (the private key, receivers of notices that are commands).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bacalhau_spot import __version__, project
from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.orchestrator.published_configuration import MAX_CHARACTERS, PublishedConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.config import schema
    from bacalhau_spot.config.locations import KeyPath

KEY: Final[tuple[str, ...]] = ("orchestrator", "reconcile")
_PUBLIC_KEY: Final = "ssh.pub"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


def published(config: schema.Config, texts: Mapping[KeyPath, str]) -> PublishedConfiguration | None:
    """None without `orchestrator.reconcile`. `texts`: the files and variables that were read, by their key."""
    section = getattr(config.orchestrator, "reconcile", None)
    if section is None:
        return None
    data = _plain(config.model_dump(exclude_unset=True, exclude_none=True, warnings=False))
    files: dict[str, str] = {}
    data.pop("private_ssh_key_path", None)
    if ("public_ssh_key_path",) in texts:
        data["public_ssh_key_path"] = _PUBLIC_KEY
        files[_PUBLIC_KEY] = texts["public_ssh_key_path",]
    _inline_instance(data, texts)
    _inline_receivers(data, texts)
    return PublishedConfiguration(
        config=data,
        files=files,
        every_s=seconds(section.every),
        package=section.package or f"{project.PACKAGE}=={__version__}",
    )


def seconds(every: str) -> int:
    """Of a validated interval: `60s`, `5m`, `1h`."""
    count, unit = re.fullmatch(r"([0-9]+)([smh])", every).groups()  # type: ignore[union-attr]  # validated
    return int(count) * _UNITS[unit]


def size_problem(published: PublishedConfiguration) -> str | None:
    """Why AWS would not accept it."""
    size = len(published.to_parameter().reveal())
    if size <= MAX_CHARACTERS:
        return None
    return (
        f"needs this configuration in an SSM parameter, which has room for {MAX_CHARACTERS:,} characters; compressed, it takes "
        f"{size:,}. Shorten `instance.files` or `instance.additional_commands`"
    )


def _inline_instance(data: dict[str, Any], texts: Mapping[KeyPath, str]) -> None:
    instance = data.get("instance", {})
    if instance.pop("additional_commands_file", None) is not None:
        instance["additional_commands"] = texts.get(("instance", "additional_commands_file"), "")
    for number, file in enumerate(instance.get("files", ())):
        if file.pop("source", None) is not None:
            file["content"] = texts.get(("instance", "files", number, "source"), "")


def _inline_receivers(data: dict[str, Any], texts: Mapping[KeyPath, str]) -> None:
    """Webhooks by their address, which the machine cannot read from a file or variable of this one."""
    receivers = []
    for number, receiver in enumerate(data.pop("notify", ())):
        for key in ("url_env", "url_file"):
            if receiver.pop(key, None) is not None:
                receiver["url"] = texts.get(("notify", number, key), "").strip()
        if receiver.get("url"):
            receivers.append(receiver)
    if receivers:
        data["notify"] = receivers


def _plain(value: Any) -> Any:
    """Of JSON's types. Secrets are revealed: the parameter is encrypted."""
    if isinstance(value, dict):
        return {str(key): _plain(inside) for key, inside in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inside) for inside in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Secret):
        return value.reveal()
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if reveal is not None else value
