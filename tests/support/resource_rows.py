"""The full description of each EC2 resource and Auto Scaling group in the sandbox, past its lag and faults.

Cheaper than support.account_snapshot, which asks every service as a user would: for a comparison after each command.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from aws_spot_sandbox import inventory


def resource_rows(sandbox: Any, regions: Iterable[str]) -> dict[str, str]:
    """By region, kind and id: everything that AWS lists about the resource. Without those that have ended."""
    server = sandbox.server
    server.settle()
    return {
        f"{region} {kind.name} {row.findtext(kind.id_name)}": ET.tostring(row, encoding="unicode")
        for region in regions
        for kind in inventory.KINDS
        for row in inventory._rows(server._ec2, region, kind)
        if not kind.state_path or (row.findtext(kind.state_path) or "-") not in kind.deleted_states
    }


def changed_rows(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The keys of `before` whose rows are gone or different."""
    return sorted(key for key, row in before.items() if after.get(key) != row)
