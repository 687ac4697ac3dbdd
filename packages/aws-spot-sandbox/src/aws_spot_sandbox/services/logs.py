"""CloudWatch Logs: a service that still writes to a deleted log group creates it again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.backends import get_backend

from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.http_types import Call, Handler, Reply


def answer(region: Region, call: Call, moto: Handler) -> Reply:
    """AWS: VPC user guide, "Publish flow logs to CloudWatch Logs": the service creates a missing group."""
    reply = moto(call)
    if call.action == "DeleteLogGroup":
        name = str(json.loads(call.body or b"{}").get("logGroupName") or "")
        _backend(region).tagger.delete_all_tags_for_resource(
            _arn(region, name)
        )  # moto would assign them to the new group
        region.later(region.world.settings.refill_s, lambda: _write(region, name))
    return reply


def _backend(region: Region) -> Any:
    return get_backend("logs")[ACCOUNT_ID][region.name]


def _arn(region: Region, name: str) -> str:
    return f"arn:aws:logs:{region.name}:{ACCOUNT_ID}:log-group:{name}"


def _write(region: Region, name: str) -> None:
    """Recreate the group, without tags."""
    groups = _backend(region)
    writers = [flow_log for flow_log in region.backend.flow_logs.values() if flow_log.log_group_name == name]
    if writers and name not in groups.groups:
        groups.create_log_group(name, {})
