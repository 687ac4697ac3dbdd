"""EC2's instance metadata service, version 2, of one instance.

AWS: EC2 User Guide, "Instance metadata categories", "Spot Instance interruption notices", "EC2 instance rebalance
recommendations" and "Use IMDS".
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_spot_sandbox.ec2 import machine as machines
from aws_spot_sandbox.http_server import Listener
from aws_spot_sandbox.http_types import Reply
from aws_spot_sandbox.iam import sessions

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.http_types import Http

_TOKEN = "sandbox-metadata-token"  # noqa: S105 - opens nothing
_DATA, _ROLES = "/latest/meta-data/", "iam/security-credentials/"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class MetadataService:
    """`url` is set while it listens."""

    def __init__(self, region: Region, machine: Machine) -> None:
        self._region = region
        self._machine = machine
        self._listener = Listener(self._answer, now=region.now)
        self.url = self._listener.start()

    def stop(self) -> None:
        self._listener.stop()

    def _answer(self, http: Http, body: bytes) -> Reply:
        del body
        if (http.method, http.path) == ("PUT", "/latest/api/token"):
            lasts = ("X-aws-ec2-metadata-token-ttl-seconds", "21600")
            return Reply(_TOKEN.encode(), content_type="text/plain", headers=(lasts,))
        if http.headers.get("x-aws-ec2-metadata-token") != _TOKEN:
            return Reply(b"", status=401, content_type="text/plain")
        text = self._value(http.path.removeprefix(_DATA)) if http.path.startswith(_DATA) else None
        if text is None:
            return Reply(b"", status=404, content_type="text/plain")
        return Reply(text.encode(), content_type="text/plain")

    def _value(self, path: str) -> str | None:
        machine = self._machine
        if path.startswith(_ROLES):
            return self._credentials(path.removeprefix(_ROLES))
        return {
            "instance-id": machine.id,
            "instance-type": machine.type,
            "placement/region": self._region.name,
            "placement/availability-zone": machine.zone,
            "instance-life-cycle": "spot" if machine.spot else "on-demand",
            "spot/instance-action": self._notice(),
            "events/recommendations/rebalance": self._recommendation(),
        }.get(path)

    def _notice(self) -> str | None:
        machine = self._machine
        if machine.notice_at is None or machine.state != machines.RUNNING:
            return None
        at = datetime.fromtimestamp(machine.notice_at + machine.notice_s, UTC)
        return json.dumps({"action": "terminate", "time": at.strftime(_TIME)})

    def _recommendation(self) -> str | None:
        machine = self._machine
        if machine.rebalance_at is None or machine.state != machines.RUNNING:
            return None
        at = datetime.fromtimestamp(machine.rebalance_at, UTC)
        return json.dumps({"noticeTime": at.strftime(_TIME)})

    def _credentials(self, role: str) -> str | None:
        session = sessions.of_machine(self._region.world, self._machine)
        if session is None:
            return None
        if not role:
            return session.role
        if role != session.role:
            return None
        return json.dumps(
            {
                "Code": "Success",
                "Type": "AWS-HMAC",
                "AccessKeyId": session.access_key_id,
                "SecretAccessKey": session.secret_access_key,
                "Token": session.token,
                "LastUpdated": datetime.fromtimestamp(self._region.now(), UTC).strftime(_TIME),
                "Expiration": datetime.fromtimestamp(session.expires_at, UTC).strftime(_TIME),
            }
        )
