"""`doctor`: every check passes where all is well, and each that can fail does so in its own way, with what to do."""

from __future__ import annotations

import base64
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from bacalhau_spot import project
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.core.doctor.account_checks import AccountCheck, CheckStatus
from bacalhau_spot.core.model import Naming
from bacalhau_spot.core.tags import tags_for
from support.cli_runner import CliRunner
from support.engine_clock import EngineClock
from support.nats_server import NatsServer, running
from support.schemas import contract

CONFIG = """\
nodes: 2
regions: [us-west-2]
instance_types: [t3.medium, t3a.medium]
ssh_cidrs: [192.0.2.0/24]
public_ssh_key_path: key.pub
private_ssh_key_path: key
bacalhau:
  orchestrators: ["nats://127.0.0.1:{port}"]
  token: 7f3a9c5e1b
  api: {{host: "http://127.0.0.1:{api}"}}
"""
# An ed25519 key of zeros.
OTHER_KEY = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


class Api(BaseHTTPRequestHandler):
    """As much of an orchestrator as a checkup asks for."""

    def do_GET(self) -> None:
        version = b'{"GitVersion": "v1.9.3", "BuildVersionInfo": {"GitVersion": "v1.9.3"}}'
        body = version if self.path.startswith("/api/v1/agent/version") else b'{"Nodes": []}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Standard error is not ours."""


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    """The orchestrator's NATS port, and its API's."""
    api = HTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=api.serve_forever, args=(0.05,), daemon=True).start()
    with running(NatsServer(token="7f3a9c5e1b")) as nats:
        yield nats.port, api.server_address[1]
    api.shutdown()
    api.server_close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A key pair of OpenSSH's making, with a passphrase: the pair is told all the same."""
    path = tmp_path_factory.mktemp("keys") / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "passphrase", "-f", str(path)]
    subprocess.run(command, check=True)
    return path.read_text(), path.with_suffix(".pub").read_text()


@pytest.fixture
def well(
    program: CliRunner, ports: tuple[int, int], pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> CliRunner:
    """A user with whom all is well: pip and ssh are there, and nothing newer is, as if the program had been published."""
    monkeypatch.setattr(project, "PACKAGE", "bacalhau-spot")
    monkeypatch.setattr(
        "bacalhau_spot.cli.commands.doctor.__version__", "0.0.1"
    )  # the real one comes from the tags
    private, public = pair
    (program.folder / "config.yaml").write_text(CONFIG.format(port=ports[0], api=ports[1]))
    (program.folder / "key.pub").write_text(public)
    write(program.folder / "key", private, mode=0o600)
    tools(program, pip="echo 'bacalhau-spot (0.0.1)'")
    return program


def write(path: Path, text: str, *, mode: int) -> None:
    path.write_text(text)
    path.chmod(mode)


def tools(program: CliRunner, *, pip: str | None = None, ssh: bool = True) -> None:
    """What is on the user's path."""
    folder = program.folder / "bin"
    folder.mkdir(exist_ok=True)
    for name, script in (("pip", pip), ("ssh", "exit 0" if ssh else None)):
        path = folder / name
        path.unlink(missing_ok=True)
        if script is not None:
            write(path, f"#!/bin/sh\n{script}\n", mode=stat.S_IRWXU)
    program.environ = {"PATH": str(folder)}


def change(program: CliRunner, old: str, new: str) -> None:
    path = program.folder / "config.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class Ahead(EngineClock):
    """A clock that is off."""

    def __init__(self, clock: Any, off_s: float) -> None:
        super().__init__(clock)
        self._off = timedelta(seconds=off_s)

    def now(self) -> datetime:
        return super().now() + self._off


def test_all_is_well(sandbox: Any, well: CliRunner) -> None:
    """Nothing fails, nothing is made, and the form is published."""
    sandbox.settings.spot_vcpu_quota = {"*": 64}
    before = sandbox.leftovers()
    result = well("doctor", "-o", "json")
    assert result.code == 0, result.stdout
    assert {finding["check"] for finding in result.data["findings"]} == {
        check.value for check in AccountCheck
    }
    assert [finding for finding in result.data["findings"] if finding["status"] != "PASS"] == []
    contract("doctor", result.data)
    assert sandbox.leftovers() == before
    calls = [call for _, call, outcome in sandbox.world.calls if "Create" in call and outcome == "ok"]
    assert calls == []


class Case(NamedTuple):
    """What is wrong, and how it is told. `change`: text of the configuration, before and after; `do`: anything else."""

    check: AccountCheck
    mark: CheckStatus
    says: str
    fix: str
    settings: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it
    change: tuple[str, str] = ("", "")
    do: str = ""
    code: int | None = None


DENIED = 4
C, W, F = AccountCheck, CheckStatus.WARN, CheckStatus.FAIL
AUTO = ("[us-west-2]", "{auto: {count: 2}}")
NOWHERE = (
    "regions: [us-west-2]\ninstance_types: [t3.medium, t3a.medium]",
    "regions: {auto: {count: 2}}\ninstance_types: [p9.large]",
)
ALL_BUT_SQS = "autoscaling cloudwatch ec2 events iam logs pricing s3 secretsmanager servicequotas sns ssm tag"
# Queues only with a second factor: whether the caller has one, the simulator is not told.
SECOND_FACTOR = [
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": [f"{name}:*" for name in ALL_BUT_SQS.split()], "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": "sqs:*",
                "Resource": "*",
                "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
            },
        ],
    }
]
CASES = [
    Case(C.CONFIGURATION, F, "2 problems", "", change=("nodes: 2", "nodez: 2\nspread: never"), code=1),
    Case(
        C.CONFIGURATION, F, "no config.yaml in this folder", "bacalhau-spot configure", do="no config", code=1
    ),
    Case(C.CONFIGURATION, W, "with warnings", "config show", change=("192.0.2.0/24", "0.0.0.0/0")),
    Case(
        C.CREDENTIALS, F, "have expired", "get new ones", {"credentials_expire_after_calls": 0}, code=DENIED
    ),
    Case(C.REGIONS, W, "needs the credentials first", "credentials", {"credentials_expire_after_calls": 0}),
    Case(C.CLOCK, F, "s ahead of AWS's; AWS rejects", "timedatectl", do="clock 400"),
    Case(C.CLOCK, W, "90 s behind AWS's", "timedatectl", do="clock -90"),
    Case(
        C.CREATE,
        F,
        "budget",
        "",
        change=("[us-west-2]", "[us-west-2]\nbudget_usd_per_hour: 0.001"),
    ),
    Case(
        C.REGIONS,
        F,
        "1 of 2 configured",
        "enable-region --region-name ap-east-1",
        change=("[us-west-2]", "[us-west-2, ap-east-1]"),
        code=1,
    ),
    Case(
        C.PERMISSIONS, F, "1 action is not allowed", "iam-policy", {"deny": ["sqs:DeleteQueue"]}, code=DENIED
    ),
    Case(C.PERMISSIONS, F, "1 action is not allowed", "iam-policy", {"deny": ["ec2:CreateVpc"]}, code=DENIED),
    Case(C.PERMISSIONS, F, "1 action is not allowed", "iam-policy", {"deny": ["iam:Simulate*"]}, code=DENIED),
    Case(
        C.PERMISSIONS,
        W,
        "could not be checked",
        "iam-policy",
        {"faults": [{"match": "iam:SimulatePrincipalPolicy", "code": "InternalError", "status": 500}]},
    ),
    Case(
        C.PERMISSIONS,
        W,
        "3 actions could not be checked (IAM's simulator cannot decide",
        "iam-policy",
        {"policies": SECOND_FACTOR},
    ),
    Case(
        C.OTHER_CLUSTERS,
        W,
        "1 instance runs in another cluster under bacalhau-cluster: hunt",
        "list --cluster hunt",
        do="renamed",
    ),
    Case(C.SPOT_ROLE, W, "never used spot", "create-service-linked-role", {"service_roles": []}),
    Case(C.SPOT_ROLE, W, "could not be checked: GetRole", "", {"deny": ["iam:GetRole"]}),
    Case(
        C.MARKET,
        F,
        "offers none of",
        "instance_types",
        change=("[t3.medium, t3a.medium]", "[p9.large]"),
        code=1,
    ),
    Case(
        C.MARKET,
        F,
        "is for x86_64",
        "image",
        change=("[t3.medium, t3a.medium]", "[t4g.medium]\nimage: AMI"),
        code=1,
    ),
    Case(
        C.MARKET,
        W,
        "2 pools in 2 zones",
        "add types to `instance_types`",
        change=(
            "regions: [us-west-2]\ninstance_types: [t3.medium, t3a.medium]",
            "regions: [us-west-1]\ninstance_types: [t3.medium]",
        ),
    ),
    Case(
        C.MARKET,
        F,
        "us-west-2: could not be checked: your AWS identity is not allowed",
        "DescribeSpotPriceHistory",
        {
            "faults": [
                {"match": "ec2:DescribeSpotPriceHistory", "code": "UnauthorizedOperation", "status": 403}
            ]
        },
        code=DENIED,
    ),
    Case(
        C.MARKET,
        W,
        "us-west-2: could not be checked: DescribeSpotPriceHistory: InternalError",
        "",
        {"faults": [{"match": "ec2:DescribeSpotPriceHistory", "code": "InternalError", "status": 500}]},
        code=1,  # the check of `create` fails, as `create` does
    ),
    Case(C.MARKET, F, "no enabled region offers", "instance_types", change=NOWHERE, code=1),
    Case(
        C.MARKET,
        F,
        "no regions could be chosen: your AWS identity is not allowed",
        "ec2:DescribeSpotPriceHistory",
        {"deny": ["ec2:DescribeSpotPriceHistory"]},
        change=AUTO,
        code=DENIED,
    ),
    Case(
        C.REGIONS,
        W,
        "us-east-1, us-east-2",
        "offers --by region",
        {"spot_vcpu_quota": {"us-east-1": 8, "us-east-2": 8, "*": 0}},
        change=("[us-west-2]", "{auto: {count: 3}}"),
    ),
    Case(
        C.QUOTAS,
        F,
        "no enabled region the account's quota",
        "offers --by region",
        {"spot_vcpu_quota": {"*": 0}},
        change=AUTO,
        code=1,
    ),
    Case(
        C.QUOTAS,
        F,
        "need 4 vCPUs",
        "request-service-quota-increase --region us-west-2",
        {"spot_vcpu_quota": {"*": 2}},
        code=1,
    ),
    Case(C.QUOTAS, F, "VPCs are in use", "--service-code vpc", {"quotas": {"vpcs": 1}}, code=1),
    Case(C.QUOTAS, W, "could not be checked", "", {"deny": ["servicequotas:*"]}),
    Case(C.SSH_KEYS, F, "is readable by other users (0644)", "chmod 600", do="key mode", code=1),
    Case(C.SSH_KEYS, F, "are not a pair", "ssh-keygen -y", do="other key", code=1),
    Case(
        C.SSH_KEYS,
        F,
        "no such file",
        "private_ssh_key_path",
        change=("private_ssh_key_path: key", "private_ssh_key_path: gone"),
        code=1,
    ),
    Case(
        C.SSH_KEYS,
        F,
        "only the private key",
        "public_ssh_key_path",
        change=("public_ssh_key_path: key.pub\n", ""),
        code=1,
    ),
    Case(
        C.SSH_KEYS,
        W,
        "only the public key",
        "private_ssh_key_path",
        change=("private_ssh_key_path: key\n", ""),
    ),
    Case(
        C.SSH_KEYS,
        W,
        "login is impossible",
        "ssh-keygen",
        change=("public_ssh_key_path: key.pub\nprivate_ssh_key_path: key\n", ""),
    ),
    Case(
        C.TOKEN,
        F,
        "a placeholder from an example",
        "token_env",
        change=("7f3a9c5e1b", "your-token-here"),
        code=1,
    ),
    # C4: somebody's own token may have such words in it.
    Case(
        C.TOKEN, W, "looks like a placeholder", "token_env", change=("7f3a9c5e1b", "secret-token-0123456789")
    ),
    Case(
        C.TOKEN,
        CheckStatus.PASS,
        "configured; the orchestrator check verifies it",
        "",
        change=("7f3a9c5e1b", "yourco-prod-7f3a9c5e1b"),
    ),
    Case(C.TOKEN, W, "no token is configured", "token_file", change=("  token: 7f3a9c5e1b\n", "")),
    Case(C.ORCHESTRATOR, W, "is unreachable from this machine (connection refused)", "firewall", do="deaf"),
    Case(
        C.ORCHESTRATOR,
        F,
        "the configuration names no orchestrator",
        "configure --set",
        do="no orchestrator",
        code=1,
    ),
    Case(C.CREATE, W, "needs an orchestrator first", "see orchestrator", do="no orchestrator", code=1),
    Case(C.ORCHESTRATOR, W, "none: nodes run without joining", "configure --set", do="none", code=0),
    Case(C.ORCHESTRATOR, F, " failed", "", do="deaf api", code=1),
    Case(C.ORCHESTRATOR, W, "its API is not configured", "bacalhau.api.host", do="no api"),
    Case(C.VERSION, W, "0.0.1; the newest is 9.9.9", "pip install --upgrade", do="newer"),
    Case(C.VERSION, W, "pip is not on the PATH", "pip index versions", do="no pip"),
    Case(C.VERSION, W, "finds no package", "pip index versions", do="pip knows nothing"),
    Case(C.TOOLS, W, "ssh is not on the PATH", "openssh-client", do="no ssh"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.check}-{case.says[:24]}")
def test_what_is_wrong_is_told(sandbox: Any, well: CliRunner, ports: tuple[int, int], case: Case) -> None:
    """The check that it belongs to, its mark, what is wrong, what to do; and the exit code says whether anything failed."""
    sandbox.settings.spot_vcpu_quota = {"*": 64}
    for name, value in case.settings.items():
        setattr(sandbox.settings, name, value)
    if case.change[0]:
        image = (
            sandbox.client("ssm", "us-west-2").get_parameter(
                Name="/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
            )["Parameter"]["Value"]
            if "AMI" in case.change[1]
            else ""
        )
        change(well, case.change[0], case.change[1].replace("AMI", image))
    disturb(sandbox, well, case.do, ports)
    result = well("doctor", "-o", "json")
    findings = [
        finding
        for finding in result.data["findings"]
        if finding["check"] == case.check and finding["status"] == case.mark
    ]
    assert [
        finding
        for finding in findings
        if case.says in finding["message"] and case.fix in "\n".join([finding["hint"], *finding["details"]])
    ], result.stdout
    if case.code is not None:
        assert result.code == case.code
        assert bool(result.envelope["errors"]) == bool(case.code)
    elif not any(finding["status"] == "FAIL" for finding in result.data["findings"]):
        assert result.code == 0


def test_no_version_is_looked_for_where_none_is_published(
    well: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A7: it warned on every run that pip finds no package of that name."""
    monkeypatch.setattr(project, "PACKAGE", "")
    tools(well, pip="exit 1")
    findings = [
        finding for finding in well("doctor", "-o", "json").data["findings"] if finding["check"] == C.VERSION
    ]
    assert [(finding["status"], finding["message"]) for finding in findings] == [(CheckStatus.PASS, "0.0.1")]


def test_left_to_auto_the_choice_is_made_and_held_against_the_quotas(sandbox: Any, well: CliRunner) -> None:
    """The regions that a create would take now, each with its offers and what its quotas leave; nothing is made."""
    sandbox.settings.spot_vcpu_quota = {"*": 8}
    change(well, "regions: [us-west-2]", "regions: {auto: {count: 2}}")
    change(well, "nodes: 2", "nodes: 4")
    plan = well("create", "--dry-run", "-o", "json").data
    planned = [finding["region"] for finding in plan["plan"]["regions"]]
    result = well("doctor", "-o", "json")
    assert result.code == 0, result.stdout
    messages = {
        (finding["check"], finding["message"].split(":")[0])
        for finding in result.data["findings"]
        if finding["status"] == "PASS"
    }
    for region in planned:
        assert {("offers", region), ("quotas", region)} <= messages
    (where,) = [finding["message"] for finding in result.data["findings"] if finding["check"] == "regions"]
    assert where.startswith(f"{', '.join(sorted(planned))} chosen now, of ")
    sandbox.settings.spot_vcpu_quota = {"*": 2}
    assert well("doctor").code == 1


def disturb(sandbox: Any, well: CliRunner, what: str, ports: tuple[int, int]) -> None:
    """What is wrong outside the configuration's text."""
    name, _, number = what.partition(" ")
    deaf = free_port()
    if name == "clock":
        well.clock = Ahead(sandbox.clock, float(number))
    deeds: dict[str, Callable[[], object]] = {
        "no config": (well.folder / "config.yaml").unlink,
        "key mode": lambda: (well.folder / "key").chmod(0o644),
        "other key": lambda: (well.folder / "key.pub").write_text(f"ssh-ed25519 {OTHER_KEY} x\n"),
        "deaf": lambda: change(well, f"nats://127.0.0.1:{ports[0]}", f"nats://127.0.0.1:{deaf}"),
        "no orchestrator": lambda: change(well, f'  orchestrators: ["nats://127.0.0.1:{ports[0]}"]\n', ""),
        "none": lambda: change(
            well,
            f'bacalhau:\n  orchestrators: ["nats://127.0.0.1:{ports[0]}"]\n  token: 7f3a9c5e1b\n'
            f'  api: {{host: "http://127.0.0.1:{ports[1]}"}}\n',
            "orchestrator: none\n",
        ),
        "deaf api": lambda: change(well, f"http://127.0.0.1:{ports[1]}", f"http://127.0.0.1:{deaf}"),
        "no api": lambda: change(well, f'  api: {{host: "http://127.0.0.1:{ports[1]}"}}\n', ""),
        "newer": lambda: tools(well, pip="echo 'bacalhau-spot (9.9.9)'"),
        "no pip": lambda: tools(well),
        "pip knows nothing": lambda: tools(well, pip="echo 'ERROR: No matching distribution' >&2; exit 1"),
        "renamed": lambda: run_as_cluster(sandbox, "hunt"),
        "no ssh": lambda: tools(well, pip="echo 'bacalhau-spot (0.0.1)'", ssh=False),
    }
    if what in deeds:
        deeds[what]()


def run_as_cluster(sandbox: Any, name: str) -> None:
    """An instance of a cluster that the configuration does not name any more (complaint 10, flintrock#113)."""
    naming = Naming(tag_value=name)
    tags = [{"Key": key, "Value": value} for key, value in tags_for(naming, "test").items()]
    client = sandbox.client("ec2", "us-west-2")
    client.run_instances(
        ImageId=client.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"],
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.medium",
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )


def free_port() -> int:
    """A loopback port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_every_check_has_a_case() -> None:
    """No check is there that cannot be seen to find something."""
    assert {case.check for case in CASES} == set(AccountCheck)


def test_one_look_that_breaks_stops_no_other(sandbox: Any, well: CliRunner) -> None:
    """A mistake of ours in one place is told there; all the rest is looked at."""
    sandbox.settings.spot_vcpu_quota = {"*": 64}
    sandbox.settings.faults = [{"match": "iam:*", "code": "InternalError", "status": 500}]
    result = well("doctor", "-o", "json")
    marks = {finding["check"]: finding["status"] for finding in result.data["findings"]}
    assert set(marks) == {check.value for check in AccountCheck}
    assert marks["spot role"] == marks["permissions"] == "WARN"
    assert marks["offers"] == marks["quotas"] == marks["orchestrator"] == "PASS"
    assert result.code == 0


def test_for_people(sandbox: Any, well: CliRunner) -> None:
    """A line a finding, what to do below it; which failed is on stderr, too; the secret is in neither."""
    sandbox.settings.deny = ["ec2:CreateVpc"]
    result = well("doctor")
    assert result.code == DENIED
    assert "PASS  clock " in result.stdout
    assert "FAIL  permissions     1 action is not allowed" in result.stdout
    assert "      ec2:CreateVpc in us-west-2: UnauthorizedOperation" in result.stdout
    assert "1 failed" in result.stdout.splitlines()[-1]
    assert "error: 1 of 17 checks failed: permissions\n" in result.stderr
    assert "ec2:CreateVpc" not in result.stderr  # said once
    assert "7f3a9c5e1b" not in result.stdout + result.stderr


def test_in_the_sandbox_the_configured_orchestrator_is_left_alone(
    sandbox: Any, well: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the port that nodes would connect to nor the API; the sandbox's own is asked."""
    connection = AwsConnection(
        endpoint_url=sandbox.url,
        access_key_id=ACCESS_KEY_ID,
        secret_access_key=SECRET_ACCESS_KEY,
        orchestrator_url=f"{sandbox.url}/_sandbox/orchestrator",
    )
    monkeypatch.setattr(
        "bacalhau_spot.cli.runtime.sandbox_connection.connect_sandbox", lambda _runtime: connection
    )
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        port = theirs.getsockname()[1]
        (well.folder / "config.yaml").write_text(CONFIG.format(port=port, api=port))
        result = well("doctor", "--sandbox", "-o", "json")
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.accept()
    assert result.code == 0, result.stdout
    said = [finding["message"] for finding in result.data["findings"] if finding["check"] == "orchestrator"]
    assert said == [
        f"your own, at nats://127.0.0.1:{port}",
        f"its API at {sandbox.url}/_sandbox/orchestrator answers, v1.9.3",
    ]
