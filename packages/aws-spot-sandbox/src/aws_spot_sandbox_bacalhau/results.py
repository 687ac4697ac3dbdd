"""The results of jobs in the orchestrator's bucket, as Bacalhau's publisher `s3managed` stores them.

Bacalhau 1.9, pkg/s3managed and pkg/publisher/s3: one archive per execution, with stdout, stderr and exitCode, at
<key>/<job>/<execution>.tar.gz; the reply to a request for results has a presigned URL for each.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING, Any

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials

from aws_spot_sandbox.iam import role_policies
from aws_spot_sandbox.iam.policy_evaluator import Ask
from aws_spot_sandbox.state import ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY
from aws_spot_sandbox_bacalhau.job_store import PublishError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.state import World
    from aws_spot_sandbox_bacalhau.job_store import Execution, Job

S3MANAGED = "s3managed"
_EXPIRES_S = 3600
_NOTHING = {
    "Bucket": "", "ChecksumSHA256": "", "Endpoint": "", "Filter": "", "Key": "",
    "Partition": {"DateFormat": "", "EndIndex": 0, "Pattern": "", "StartIndex": 0, "Type": ""},
    "Region": "", "VersionID": "",
}  # fmt: skip


class Results:
    """`section`: Publishers.Types.S3Managed in the orchestrator's configuration. `machine`: whose role writes."""

    def __init__(
        self,
        world: World,
        *,
        section: Callable[[], Mapping[str, Any]],
        machine: Callable[[], Machine | None],
    ) -> None:
        self._world = world
        self._section = section
        self._machine = machine

    def publish(self, job: Job, execution: Execution) -> dict[str, Any]:
        """The published result. Raises PublishError as a node does whose upload is refused."""
        kind = str(job.spec["Tasks"][0]["Publisher"].get("Type") or "").lower()
        if kind != S3MANAGED:
            return {"Type": ""}
        section, machine = self._section(), self._machine()
        bucket = str(section.get("Bucket") or "")
        if not bucket or machine is None:
            raise PublishError("failed to get pre-signed URL: managed publisher is not configured")
        key = _key(section, job, execution)
        arn = f"arn:aws:s3:::{bucket}/{key}"
        if not role_policies.allows(machine, Ask("s3:PutObject", arn)):
            raise PublishError("failed to upload result: unexpected status 403 Forbidden")
        self._put(bucket, key, _archive(execution))
        return {"Type": S3MANAGED, "Params": {"ExecutionID": execution.id, "JobID": job.id}}

    def listed(self, job: Job) -> list[dict[str, Any]]:
        section = self._section()
        urls = (
            self._presigned(section, _key(section, job, execution))
            for execution in job.executions
            if execution.published.get("Type") == S3MANAGED
        )
        return [
            {"Type": "s3PreSigned", "Params": {"Managed": True, "PreSignedURL": url, "SourceSpec": _NOTHING}}
            for url in urls
        ]

    def _put(self, bucket: str, key: str, body: bytes) -> None:
        from moto.backends import get_backend  # noqa: PLC0415 - two seconds, after the environment is set

        backend = get_backend("s3")[ACCOUNT_ID]["aws"]
        if bucket not in backend.buckets:
            raise PublishError("failed to upload result: unexpected status 404 Not Found")
        backend.put_object(bucket, key, body)

    def _presigned(self, section: Mapping[str, Any], key: str) -> str:
        request = AWSRequest("GET", f"{self._world.url}/{section['Bucket']}/{key}")
        keys = AwsCredentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        S3SigV4QueryAuth(keys, "s3", str(section.get("Region") or "us-east-1"), expires=_EXPIRES_S).add_auth(
            request
        )
        return str(request.url)


def _key(section: Mapping[str, Any], job: Job, execution: Execution) -> str:
    folder = str(section.get("Key") or "").strip("/")
    return "/".join(filter(None, (folder, job.id, f"{execution.id}.tar.gz")))


def _archive(execution: Execution) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in _files(execution):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _files(execution: Execution) -> Iterator[tuple[str, bytes]]:
    yield "stdout", execution.output.encode()
    yield "stderr", b""
    yield "exitCode", b"0"
