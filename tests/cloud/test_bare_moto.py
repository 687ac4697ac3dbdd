"""The whole life against a plain emulator that is not ours: the product leans on AWS's API and not on the sandbox.

The endpoint comes from the environment (`AWS_ENDPOINT_URL`), as it would for any other AWS program; nothing else is said.
It runs in a process of its own, because an emulator keeps its world in module state, and so does the sandbox.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from support.cli_runner import CliRunner

# Plain moto knows no Canonical parameters; it does know Amazon's. And it does not know VPC Block Public Access.
IMAGE = "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
SERVER = """
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
import logging
from moto.ec2.responses import EC2Response
EC2Response.describe_vpc_block_public_access_options = lambda self: (
    '<DescribeVpcBlockPublicAccessOptionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>'
    "<vpcBlockPublicAccessOptions><internetGatewayBlockMode>off</internetGatewayBlockMode></vpcBlockPublicAccessOptions>"
    "</DescribeVpcBlockPublicAccessOptionsResponse>"
)
logging.getLogger("werkzeug").disabled = True
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    # The sandbox sets some of moto's switches for the process that it lives in.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MOTO_")}
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True, env=environ)
    assert process.stdout is not None
    url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    yield url
    process.terminate()
    process.wait(timeout=20)


def test_a_life_without_the_sandbox(moto: str, tmp_path: Path) -> None:
    """create, list, create again, destroy: the same words and exit codes, and no managed resource is left."""
    program = CliRunner(folder=tmp_path)
    program.configure(nodes=2, regions="[us-east-1]", more=f'image: "{IMAGE}"\n')
    created = program("create", "--yes", "-o", "json")
    assert created.code == 0, created.stdout
    listed = program("list", "-o", "json")
    assert [instance["state"] for instance in listed.data["instances"]] == ["running"] * 2
    again = program("create", "--yes", "-o", "json")
    assert again.code == 0, again.stdout + again.stderr
    assert again.data["plan"]["launch"] == 0
    destroyed = program("destroy", "--yes", "-o", "json")
    assert destroyed.code == 0, destroyed.stdout
    ec2 = boto3.client("ec2", region_name="us-east-1", endpoint_url=moto)
    cluster_filter = [{"Name": "tag:bacalhau-cluster", "Values": ["bacalhau-aws-spot"]}]
    assert ec2.describe_vpcs(Filters=cluster_filter)["Vpcs"] == []
    assert ec2.describe_launch_templates(Filters=cluster_filter)["LaunchTemplates"] == []
    states = [
        unknown["State"]["Name"]
        for reservation in ec2.describe_instances(Filters=cluster_filter)["Reservations"]
        for unknown in reservation["Instances"]
    ]
    assert set(states) <= {"terminated"}
