"""The results of jobs in the orchestrator's bucket, as Bacalhau's publisher `s3managed` stores them.

Bacalhau 1.9, pkg/s3managed and pkg/publisher/s3: one archive per execution, with stdout, stderr, exitCode and result paths, at
<key>/<job>/<execution>.tar.gz; the reply to a request for results has a presigned URL for each.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import urllib.error
import urllib.request
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox import instance_access
from aws_spot_sandbox.iam import sessions
from aws_spot_sandbox_bacalhau.job_store import PublishError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.state import World
    from aws_spot_sandbox_bacalhau.job_store import Execution, Job

S3MANAGED = "s3managed"
_EXPIRES_S, _TIMEOUT_S = 3600, 30.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
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
        url = self._presigned("PUT", job, execution)
        if not url:
            raise PublishError("failed to get pre-signed URL: managed publisher is not configured")
        request = urllib.request.Request(url, data=_archive(execution), method="PUT")  # noqa: S310 - our own
        try:
            _OPENER.open(request, timeout=_TIMEOUT_S).close()
        except urllib.error.HTTPError as error:
            with error:
                raise PublishError(
                    f"failed to upload result: unexpected status {error.code} {error.reason}"
                ) from error
        return {"Type": S3MANAGED, "Params": {"ExecutionID": execution.id, "JobID": job.id}}

    def listed(self, job: Job) -> list[dict[str, Any]]:
        urls = (
            self._presigned("GET", job, execution)
            for execution in job.present
            if execution.published.get("Type") == S3MANAGED
        )
        return [
            {"Type": "s3PreSigned", "Params": {"Managed": True, "PreSignedURL": url, "SourceSpec": _NOTHING}}
            for url in urls
        ]

    def _presigned(self, method: str, job: Job, execution: Execution) -> str:
        """With the credentials of the orchestrator's machine; empty without bucket or credentials."""
        section, machine = self._section(), self._machine()
        session = sessions.of_machine(self._world, machine) if machine is not None else None
        if session is None or not section.get("Bucket"):
            return ""
        return instance_access.presigned_url(
            self._world.url,
            session,
            method=method,
            bucket=str(section["Bucket"]),
            key=_key(section, job, execution),
            region=str(section.get("Region") or "us-east-1"),
            now=self._world.now(),
            expires_s=_EXPIRES_S,
        )


def _key(section: Mapping[str, Any], job: Job, execution: Execution) -> str:
    folder = str(section.get("Key") or "").strip("/")
    return "/".join(filter(None, (folder, job.id, f"{execution.id}.tar.gz")))


def _archive(execution: Execution) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in _folders(execution):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(member)
        for name, content in _files(execution):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def _folders(execution: Execution) -> list[str]:
    """The parents before the children: Bacalhau's client creates no parent by itself."""
    parents = (str(parent) for path in execution.files for parent in PurePosixPath(path).parents)
    return sorted({parent for parent in parents if parent != "."})


def _files(execution: Execution) -> Iterator[tuple[str, bytes]]:
    yield "stdout", execution.output.encode()
    yield "stderr", b""
    yield "exitCode", b"0"
    for path, content in execution.files.items():
        yield path, content.encode()
