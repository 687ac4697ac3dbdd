"""Parses user data as cloud-init does, for the settings that determine the node's simulated boot."""

from __future__ import annotations

import base64
import binascii
import email
import gzip
import json
import shlex
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]  # has no types; installed with moto

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_GZIP = b"\x1f\x8b"
_FACTS = "/etc/bacalhau-spot/node.json"
_ORCHESTRATOR = "/etc/bacalhau-spot/orchestrator.json"
_IMAGE = "/etc/bacalhau-spot/image.json"
_CA = "/etc/bacalhau/ca.pem"
_TOKEN = "/etc/bacalhau/token.env"  # noqa: S105 - a path, not a secret
_CONFIG = "/etc/bacalhau/config.yaml"
_COMMANDS = "/etc/bacalhau-spot/additional_commands"
_VARIABLE = "BACALHAU_COMPUTE_AUTH_TOKEN"


@dataclass(frozen=True)
class Given:
    """The configuration of a bacalhau-spot node."""

    prefix: str
    version: str
    orchestrators: tuple[str, ...]
    join_s: float
    grace_s: float  # for running work after an interruption notice
    download_url: str
    sums: Mapping[str, str]  # the archive's SHA-256 sum, by EC2's architecture
    parameter: str  # the parameter with the token, if the token is not in the user data
    token: str
    labels: Mapping[str, str] = field(default_factory=dict)
    disabled_publishers: frozenset[str] = frozenset()
    commands: bool = False  # whether `additional_commands` are set
    ca_pem: str = ""  # the authority that the node trusts, if not the system's
    config: Mapping[str, Any] = field(default_factory=dict)  # Bacalhau's configuration file


@dataclass(frozen=True)
class OrchestratorGiven:
    """The configuration of a managed orchestrator's machine."""

    parameter: str  # the SSM parameter with its credentials
    bucket: str
    region: str
    version: str
    download_url: str
    sums: Mapping[str, str]  # the archive's SHA-256 sum, by EC2's architecture
    device: str  # the name under which its data volume must be attached
    answer_s: float  # the time in which the program must answer after its start
    reconcile_parameter: str = ""  # with the configuration of `reconcile` on the machine
    config: Mapping[str, Any] = field(default_factory=dict)  # Bacalhau's configuration file


@dataclass(frozen=True)
class ImageGiven:
    """The configuration of a machine from which an image is made."""

    version: str
    download_url: str
    sums: Mapping[str, str]  # the archive's SHA-256 sum, by EC2's architecture


@lru_cache(maxsize=64)
def read(user_data: str) -> Given | None:
    """None for user data that bacalhau-spot did not write: no node starts."""
    written = files(user_data)
    try:
        facts = json.loads(written[_FACTS])
        config = yaml.safe_load(written.get(_CONFIG, "")) or {}
        labels, publishers = config.get("Labels") or {}, config.get("Publishers") or {}
    except (KeyError, ValueError, yaml.YAMLError, AttributeError):
        return None
    return Given(
        prefix=str(facts.get("name_prefix", "")),
        version=str(facts.get("version", "")),
        orchestrators=tuple(facts.get("orchestrators") or ()),
        join_s=float(facts.get("join_s") or 600),
        grace_s=float(facts.get("grace_s", 75)),
        download_url=str(facts.get("download_url", "")),
        sums={str(arch): str(text) for arch, text in (facts.get("sha256") or {}).items()},
        parameter=str(facts.get("token_parameter") or ""),
        token=_variable(written.get(_TOKEN, "")),
        # Bacalhau's configuration library makes label keys lower case
        labels={str(key).lower(): str(value) for key, value in labels.items()},
        disabled_publishers=frozenset(map(str, publishers.get("Disabled") or ())),
        commands=bool(written.get(_COMMANDS, "").strip()),
        ca_pem=written.get(_CA, ""),
        config=config,
    )


@lru_cache(maxsize=16)
def read_orchestrator(user_data: str) -> OrchestratorGiven | None:
    """None for the user data of any other machine."""
    written = files(user_data)
    try:
        facts = json.loads(written[_ORCHESTRATOR])
        return OrchestratorGiven(
            parameter=str(facts["parameter"]),
            bucket=str(facts.get("bucket") or ""),
            region=str(facts.get("region") or ""),
            version=str(facts.get("version") or ""),
            download_url=str(facts.get("download_url", "")),
            sums={str(arch): str(text) for arch, text in (facts.get("sha256") or {}).items()},
            device=str(facts.get("device") or ""),
            answer_s=float(facts.get("answer_s") or 600),
            reconcile_parameter=str(facts.get("reconcile_parameter") or ""),
            config=yaml.safe_load(written.get(_CONFIG, "")) or {},
        )
    except (KeyError, ValueError, TypeError, yaml.YAMLError, AttributeError):
        return None


@lru_cache(maxsize=16)
def read_image(user_data: str) -> ImageGiven | None:
    """None for the user data of any other machine."""
    try:
        facts = json.loads(files(user_data)[_IMAGE])
        return ImageGiven(
            version=str(facts["version"]),
            download_url=str(facts.get("download_url", "")),
            sums={str(arch): str(text) for arch, text in (facts.get("sha256") or {}).items()},
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def files(user_data: str) -> dict[str, str]:
    """The files that cloud-init writes, by path."""
    written: dict[str, str] = {}
    for config in _cloud_configs(_unpacked(user_data)):
        written |= _files(config)
    return written


def _unpacked(user_data: str) -> bytes:
    """User data after base64 and gzip decoding; cloud-init decompresses gzip itself."""
    try:
        raw = base64.b64decode(user_data)
        return gzip.decompress(raw) if raw.startswith(_GZIP) else raw
    except (binascii.Error, ValueError, OSError, EOFError, zlib.error):
        return b""


def _cloud_configs(raw: bytes) -> Iterator[Mapping[str, Any]]:
    """The cloud-config parts: the whole document, or those of a MIME archive."""
    if raw.startswith(b"#cloud-config"):
        parts = [raw]
    else:
        message = email.message_from_bytes(raw)
        bodies = [
            part.get_payload(decode=True)
            for part in message.walk()
            if part.get_content_type() == "text/cloud-config"
        ]
        parts = [body for body in bodies if isinstance(body, bytes)]
    for part in parts:
        try:
            config = yaml.load(part, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe
        except yaml.YAMLError:
            continue
        if isinstance(config, dict):
            yield config


def _files(config: Mapping[str, Any]) -> dict[str, str]:
    files = config.get("write_files") or ()
    return {str(file["path"]): str(file.get("content") or "") for file in files if isinstance(file, dict)}


def _variable(text: str) -> str:
    """The token in systemd's EnvironmentFile; for the values that bacalhau-spot writes, the quoting equals the shell's."""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == _VARIABLE:
            try:
                return "".join(shlex.split(value))
            except ValueError:
                return value
    return ""
