"""A managed orchestrator's machine in the sandbox, with all that it needs, and clients of its API and its NATS port."""

from __future__ import annotations

import datetime as dt
import http.client
import ipaddress
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bacalhau_spot.core.model import BacalhauSpec, ClusterSpec, Secret, TlsMode
from bacalhau_spot.core.tags import orchestrator_parameter, reconcile_parameter
from bacalhau_spot.instance import orchestrator_data
from sandbox.ec2.clusters import image
from sandbox_nodes.machines import spec
from support.node_specs import PLAIN

REGION, ZONE = "us-east-1", "us-east-1a"
PARAMETER = orchestrator_parameter(PLAIN.naming)
BUCKET = "bacalhau-results-demo"
TOKEN, OPERATOR, TOOL = "node-token-0123456789", "operator-key-0123456789", "tool-key-0123456789ab"
DEVICE = "/dev/sdf"


@dataclass
class Authority:
    """A certificate authority, as `create` makes one for each cluster."""

    pem: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign(_name("authority"), key.public_key(), _name("authority"), key, ca=True)
        return cls(_pem(certificate), certificate, key)

    def credentials(self, host: str, **changed: str) -> dict[str, str]:
        """The content of the parameter, for a server with this address."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign(
            _name("orchestrator"), key.public_key(), self.certificate.subject, self.key, host=host
        )
        values = {"host": host, "token": TOKEN, "operator_key": OPERATOR, "tool_key": TOOL}
        certificates = {"ca_pem": self.pem, "ca_key": "", "server_pem": _pem(certificate)}
        return {**values, **certificates, "server_key": _key_pem(key), **changed}


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


def _sign(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    host: str = "127.0.0.1",
) -> x509.Certificate:
    now = dt.datetime.now(tz=dt.UTC)
    names = [x509.IPAddress(ipaddress.ip_address(address)) for address in dict.fromkeys((host, "127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )


@dataclass
class Orchestrator:
    """The machine and its resources. Each `give_…` adds one of the things that its boot waits for."""

    sandbox: Any
    authority: Authority = field(default_factory=Authority.new)
    instance_id: str = ""
    allocation_id: str = ""
    address: str = ""
    volume_id: str = ""
    group_id: str = ""

    @property
    def ec2(self) -> Any:
        return self.sandbox.client()

    @classmethod
    def complete(cls, sandbox: Any) -> Orchestrator:
        """A machine that has all that it needs."""
        made = cls(sandbox)
        made.prepare()
        made.give_parameter()
        made.launch()
        made.give_volume()
        made.give_address()
        return made

    def prepare(self, *, policy: dict[str, Any] | None = None) -> None:
        """Address, volume, role and security group; nothing of it is attached."""
        volume = self.ec2.create_volume(AvailabilityZone=ZONE, Size=20, Encrypted=True, VolumeType="gp3")
        self.volume_id = volume["VolumeId"]
        address = self.ec2.allocate_address(Domain="vpc")
        self.allocation_id, self.address = address["AllocationId"], address["PublicIp"]
        self.give_role(policy)
        vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.group_id = self.ec2.create_security_group(GroupName="o", Description="o", VpcId=vpc)["GroupId"]
        self.open_port(4222, "0.0.0.0/0")
        self.open_port(1234, "52.94.76.1/32")

    def give_role(self, policy: dict[str, Any] | None = None) -> None:
        iam = self.sandbox.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = {"Version": "2012-10-17", "Statement": [trust]}
        iam.create_role(RoleName="orchestrator", AssumeRolePolicyDocument=json.dumps(document))
        iam.create_instance_profile(InstanceProfileName="orchestrator")
        iam.add_role_to_instance_profile(InstanceProfileName="orchestrator", RoleName="orchestrator")
        self.allow(policy or permissions())

    def allow(self, policy: dict[str, Any]) -> None:
        self.sandbox.client("iam").put_role_policy(
            RoleName="orchestrator", PolicyName="orchestrator", PolicyDocument=json.dumps(policy)
        )

    def open_port(self, port: int, cidr: str) -> None:
        self.ec2.authorize_security_group_ingress(GroupId=self.group_id, IpPermissions=[_rule(port, cidr)])

    def close_port(self, port: int, cidr: str) -> None:
        self.ec2.revoke_security_group_ingress(GroupId=self.group_id, IpPermissions=[_rule(port, cidr)])

    def give_parameter(self, **changed: str) -> None:
        self.sandbox.client("ssm").put_parameter(
            Name=PARAMETER,
            Value=json.dumps(self.authority.credentials(self.address, **changed)),
            Type="SecureString",
            Overwrite=True,
        )

    def launch(self) -> None:
        row = self.ec2.run_instances(
            ImageId=image(self.ec2),
            InstanceType="t3.small",
            Placement={"AvailabilityZone": ZONE},
            MinCount=1,
            MaxCount=1,
            SecurityGroupIds=[self.group_id],
            IamInstanceProfile={"Name": "orchestrator"},
            UserData=orchestrator_data.render_orchestrator(PLAIN, region=REGION, bucket=BUCKET),
        )["Instances"][0]
        self.instance_id = row["InstanceId"]
        self.sandbox.clock.advance(self.sandbox.settings.pending_s)
        self.ec2.describe_instances()

    def give_volume(self) -> None:
        self.ec2.attach_volume(VolumeId=self.volume_id, InstanceId=self.instance_id, Device=DEVICE)

    def give_address(self) -> None:
        self.ec2.associate_address(AllocationId=self.allocation_id, InstanceId=self.instance_id)

    def boots(self) -> None:
        self.sandbox.clock.advance(self.sandbox.settings.boot_s)
        self.sandbox.server.settle()

    def spec(self, *, token: str = TOKEN, ca_pem: str | None = None) -> ClusterSpec:
        """A cluster whose nodes join it."""
        import dataclasses  # noqa: PLC0415 - the field of this name is the standard library's

        bacalhau = BacalhauSpec(
            orchestrators=(f"tls://{self.address}:4222",),
            token=Secret(token),
            tls=TlsMode.NATIVE,
            ca_pem=self.authority.pem if ca_pem is None else ca_pem,
        )
        return dataclasses.replace(spec(), bacalhau=bacalhau)

    # --- Its API

    def ask(
        self, path: str, *, method: str = "GET", body: Any = None, key: str | None = OPERATOR
    ) -> tuple[int, Any]:
        """Status and JSON."""
        connection = http.client.HTTPSConnection(self.address, 1234, timeout=10, context=self.tls())
        try:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            data = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1{path}", body=data, headers=headers)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority.pem)

    def nodes(self) -> list[dict[str, Any]]:
        rows = self.ask("/orchestrator/nodes")[1]["Nodes"]
        return [row for row in rows if row["Info"]["NodeType"] == "Compute"]

    def summary(self) -> list[tuple[str, str]]:
        states = [row["ConnectionState"] for row in self.nodes()]
        return [(state["Status"], state.get("LastError", "")) for state in states]

    def submit(self, job: dict[str, Any]) -> str:
        status, reply = self.ask("/orchestrator/jobs", method="PUT", body={"Job": job})
        assert status == 200, reply
        return str(reply["JobID"])

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.ask(f"/orchestrator/jobs/{job_id}")[1]["Job"]
        return job

    def executions(self, job_id: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.ask(f"/orchestrator/jobs/{job_id}/executions")[1]["Items"]
        return rows


def permissions() -> dict[str, Any]:
    """Of the orchestrator's role."""
    names = (PARAMETER, reconcile_parameter(PLAIN.naming))
    parameters = [f"arn:aws:ssm:{REGION}:000000000000:parameter{name}" for name in names]
    statements = [
        {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": parameters},
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": f"arn:aws:s3:::{BUCKET}/jobs/*",
        },
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _rule(port: int, cidr: str) -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]}


def echo(*words: str, name: str = "echo", **more: Any) -> dict[str, Any]:
    """A batch job in a container."""
    engine = {"Type": "docker", "Params": {"Image": "alpine", "Parameters": list(words)}}
    return {"Name": name, "Type": "batch", "Count": 1, "Tasks": [{"Name": "main", "Engine": engine}], **more}
