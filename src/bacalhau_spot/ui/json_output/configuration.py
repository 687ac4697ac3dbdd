"""The output of `configure` and `config …` for programs. `config schema` prints the schema itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

from bacalhau_spot.ui.json_output.create import archives_data
from bacalhau_spot.ui.json_output.values import ArchiveOutput, Keywords

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bacalhau_spot.core.model import Arch

SchemaOutput = Annotated[
    dict[str, Any],
    Keywords(description="the JSON Schema of `config.yaml` itself", required=["$schema", "properties"]),
]


class ConfigureOutput(TypedDict):
    path: str
    changed: list[str]
    """the keys set"""
    archives: list[ArchiveOutput]
    """the checksums downloaded and written to `bacalhau.sha256`"""


class EffectiveValueOutput(TypedDict):
    value: Any
    source: str
    """file and line, a variable, or `default`"""


class ConfigShowOutput(TypedDict):
    path: str | None
    """null: no file, all values are defaults"""
    values: dict[str, EffectiveValueOutput]
    """every effective key; nested keys have dots"""


class ConfigUpgradeOutput(TypedDict):
    path: str
    backup: NotRequired[str]
    """the previous file; only with `--write`"""
    text: str
    """the file in the present form"""


def configure_data(
    path: Path, changed: Iterable[str], archives: Iterable[tuple[Arch, str]]
) -> ConfigureOutput:
    return {"path": str(path), "changed": sorted(changed), "archives": archives_data(archives)}


def config_show_data(path: Path | None, rows: Iterable[tuple[str, Any, str]]) -> ConfigShowOutput:
    """`rows`: key, value and source."""
    return {
        "path": str(path) if path else None,
        "values": {key: {"value": value, "source": source} for key, value, source in rows},
    }


def config_upgrade_data(path: Path, text: str, *, backup: Path | None = None) -> ConfigUpgradeOutput:
    if backup is None:
        return {"path": str(path), "text": text}
    return {"path": str(path), "backup": str(backup), "text": text}
