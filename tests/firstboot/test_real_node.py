"""The same first boot with Bacalhau itself, when BACALHAU_BIN names its executable: the orchestrator has the last word."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.core.model import BacalhauSpec, InstanceSpec, Secret
from bacalhau_spot.instance.user_data import render
from firstboot.image import image, missing
from firstboot.machine import boot
from firstboot.metadata_server import Ec2
from support.node_specs import FULL
from support.real_bacalhau import NODE, PROGRAM, TOKEN, WITHOUT, orchestrator, program_archive, until

if TYPE_CHECKING:
    from bacalhau_spot.core.model import ClusterSpec

pytestmark = [
    pytest.mark.firstboot,
    pytest.mark.skipif(not PROGRAM, reason=WITHOUT),
    pytest.mark.skipif(bool(missing()), reason=missing() or "can run"),
]
BOOT_S = 900


def spec(port: int) -> ClusterSpec:
    return dataclasses.replace(
        FULL,
        bacalhau=BacalhauSpec(
            orchestrators=(f"nats://169.254.169.254:{port}",),
            token=Secret(TOKEN),
            download_url="http://169.254.169.254/test/program",
            labels=(("team", "data"),),
        ),
        instance=InstanceSpec(),
    )


def test_the_orchestrator_lists_the_node_until_it_is_interrupted(tmp_path: Path) -> None:
    with orchestrator(tmp_path) as orchestrator_process:
        ec2 = Ec2(render(spec(orchestrator_process.nats), region="us-east-1"))
        ec2.served["program"] = program_archive()
        try:
            with boot(image(), tmp_path / "console") as machine:
                assert "docker" in machine.wait_for("joined", seconds=BOOT_S)
                node = until("the node is connected", orchestrator_process.connected)
                assert "docker" in node["Info"]["ComputeNodeInfo"]["ExecutionEngines"]
                assert node["Info"]["Labels"]["zone"] == "us-east-1a"
                assert node["Info"]["NodeID"] == NODE
                ends = dt.datetime.now(tz=dt.UTC) + dt.timedelta(seconds=120)
                notice = {"action": "terminate", "time": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
                ec2.values["meta-data/spot/instance-action"] = json.dumps(notice).encode()
                machine.wait_for("stopped", seconds=120)
                began = time.monotonic()
                until("the node has left", lambda: not orchestrator_process.connected())
                # A node that says goodbye is gone at once; one that is killed is missed after a minute.
                assert time.monotonic() - began < 10
        finally:
            ec2.close()
