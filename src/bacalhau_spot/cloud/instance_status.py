"""Status checks and console output of instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.health.observation import StatusCheck, StatusChecks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cloud.session import Session

# "Maximum 100 explicitly specified instance IDs" (EC2 API reference, DescribeInstanceStatus).
_IDS_A_CALL = 100
# The error of types other than Nitro for `Latest` (EC2 API reference, GetConsoleOutput).
_NO_LATEST = "UnsupportedOperation"


class AwsInstanceStatus:
    """`port.InstanceStatus` over botocore."""

    _session: Session

    async def statuses(self, region: str, ids: Sequence[str]) -> dict[str, StatusChecks]:
        rows: list[dict[str, Any]] = []
        for start in range(0, len(ids), _IDS_A_CALL):
            rows += await self._session.pages(
                "ec2",
                region,
                "describe_instance_status",
                "InstanceStatuses",
                InstanceIds=list(ids[start : start + _IDS_A_CALL]),
                IncludeAllInstances=True,
            )
        return {
            row["InstanceId"]: StatusChecks(
                system=_check(row.get("SystemStatus")), instance=_check(row.get("InstanceStatus"))
            )
            for row in rows
        }

    async def console(self, region: str, instance_id: str) -> str:
        try:
            reply = await self._console(region, instance_id, Latest=True)
        except CloudError as error:
            if error.code != _NO_LATEST:
                raise
            reply = await self._console(region, instance_id)
        # Decoded by botocore, including bytes that are not text.
        return str(reply.get("Output") or "")

    async def _console(self, region: str, instance_id: str, **how: bool) -> dict[str, Any]:
        return await self._session.call("ec2", region, "get_console_output", InstanceId=instance_id, **how)


def _check(summary: dict[str, Any] | None) -> StatusCheck:
    status = (summary or {}).get("Status")
    return StatusCheck(status) if status in list(StatusCheck) else StatusCheck.UNKNOWN
