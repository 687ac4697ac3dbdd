"""The machine of a managed orchestrator boots with Bacalhau itself: on a blank volume, and on the volume of a terminated one.

BACALHAU_BIN=/path/to/bacalhau uv run pytest tests/firstboot/test_orchestrator.py -m firstboot -n 0
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.orchestrator.nats_check import NatsStatus
from bacalhau_spot.orchestrator.certificates import renewed
from firstboot.image import missing
from firstboot.orchestrator_machine import CREDENTIALS, blank_volume, booted
from support.real_bacalhau import PROGRAM, WITHOUT
from support.real_orchestrator import HOST

pytestmark = [
    pytest.mark.firstboot,
    pytest.mark.skipif(not PROGRAM, reason=WITHOUT),
    pytest.mark.skipif(bool(missing()), reason=missing() or "can run"),
]
JOB = {
    "Name": "queued",
    "Namespace": "default",
    "Type": "batch",
    "Count": 1,
    "Tasks": [
        {
            "Name": "main",
            "Engine": {"Type": "docker", "Params": {"Image": "busybox"}},
            "Timeouts": {"QueueTimeout": 86400},
        }
    ],
}


def test_a_blank_volume_is_formatted_once_and_a_new_machine_continues_with_its_data(tmp_path: Path) -> None:
    volume = blank_volume(tmp_path)
    value = CREDENTIALS.to_json().reveal()
    with booted(tmp_path, volume, value=value, console=tmp_path / "first") as first:
        assert [phase for phase, _ in first.phases if phase != "waiting"] == [
            "download",
            "volume",
            "credentials",
            "start",
            "answers",
        ]
        details = dict(first.phases)
        assert (
            "/dev/nvme0n1 is mounted" in details["credentials"]
            and "new file system" in details["credentials"]
        )
        assert details["answers"] == "NATS on port 4222, the API on 1234"
        _check_machine(first.report)
        for secret in (CREDENTIALS.token, CREDENTIALS.operator_key, CREDENTIALS.tool_key):
            assert secret.reveal() not in first.machine.console()

        # From outside, as nodes and operators come.
        assert first.nats_status(CREDENTIALS.token) is NatsStatus.ACCEPTED
        assert first.nats_status(Secret("another")) is NatsStatus.TOKEN_REFUSED
        status, answer = first.here.ask("orchestrator/jobs", key=CREDENTIALS.operator_key, body={"Job": JOB})
        assert status == 200, answer
        assert first.here.ask("orchestrator/jobs", key=CREDENTIALS.tool_key, body={"Job": JOB})[0] == 403
        job_id = answer["JobID"]

    # The machine has ended without an orderly shutdown. Another one gets its volume, and a renewed certificate.
    value = renewed(CREDENTIALS, HOST).to_json().reveal()
    with booted(tmp_path, volume, value=value, console=tmp_path / "second") as second:
        assert "existing data" in dict(second.phases)["credentials"]
        status, found = second.here.ask(f"orchestrator/jobs/{job_id}", key=CREDENTIALS.operator_key)
        assert (status, found["Job"]["Name"]) == (200, "queued")


def _check_machine(report: dict[str, Any]) -> None:
    assert set(report["active"].values()) <= {"active", "inactive"}  # the boot's program has ended
    assert report["active"]["orchestrator.service"] == "active"
    assert report["active"]["orchestrator-credentials.timer"] == "active"
    assert report["enabled"]["orchestrator-boot.service"] == "enabled"
    assert report["enabled"]["orchestrator-credentials.timer"] == "enabled"
    assert report["failed"] == ""
    assert report["process"].split()[0] == "_bacalh+" or report["process"].startswith("_bacalhau")
    folder = "run/bacalhau-orchestrator"
    assert report["files"].pop(folder) == ["0o700", "_bacalhau"]
    assert set(report["files"]) == {
        f"{folder}/{name}" for name in ("ca.pem", "server.pem", "server.key", "sha256", "credentials.yaml")
    }
    assert set(map(tuple, report["files"].values())) == {("0o600", "_bacalhau")}
    assert report["data"] == ["0o700", "_bacalhau"]
    assert report["mount"].split() == ["/dev/nvme0n1", "ext4"]
    assert "0 errors" in report["fstab"] or "Success" in report["fstab"]
    ports = {line.split()[3].rpartition(":")[2] for line in report["listening"].splitlines()}
    assert ports - {"53"} == {"22", "1234", "4222"}
    assert report["seen"] == []
    assert report["journal_has_secret"] is False
    assert "passwordauthentication no" in report["sshd"]
    assert "QEMU NVMe" in report["nvme"]  # the Identify command is understood
    assert report["refresh"] == ""
