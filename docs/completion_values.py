"""The values that completion offers: regions, instance types, keys of the configuration, columns of tables."""

from __future__ import annotations

import json
from typing import Any

import botocore.session

from bacalhau_spot.config.json_schema import every_key
from bacalhau_spot.core.partitions import PARTITIONS
from bacalhau_spot.ui.table_columns import COLUMNS

FILE = "src/bacalhau_spot/cli/completion_values.json"


def text() -> str:
    """The content of FILE."""
    content = {
        "regions": [region for partition in PARTITIONS for region in partition.regions],
        "types": _types(),
        "keys": {
            key: _choices(schema)
            for key, schema in every_key()
            if not {*"*[]"} & {*key} and _is_value(schema)
        },
        "columns": {command: list(names) for command, names in COLUMNS.items()},
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _types() -> dict[str, str]:
    """The sizes of each family, from botocore's model of EC2."""
    model = botocore.session.get_session().get_service_model("ec2")
    found: dict[str, list[str]] = {}
    for name in model.shape_for("InstanceType").enum:
        family, _, size = name.partition(".")
        found.setdefault(family, []).append(size)
    return {family: " ".join(sizes) for family, sizes in sorted(found.items())}


def _is_value(schema: dict[str, Any]) -> bool:
    return "properties" not in schema or "anyOf" in schema


def _choices(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type")
    if schema.get("enum"):
        return [str(value) for value in schema["enum"] if value is not None]
    if kinds == "boolean" or (isinstance(kinds, list) and "boolean" in kinds):
        return ["true", "false"]
    return [value for branch in schema.get("anyOf", ()) for value in _choices(branch)]
