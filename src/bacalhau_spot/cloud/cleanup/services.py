"""Regional resource types outside EC2. The tagging API provides candidates, because most services do not list by tag;
each candidate's own tags decide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cleanup.handler import DENIED, FindRequest, Handler, Row, deletion, is_gone_error
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.ec2_params import tags_of
from bacalhau_spot.core.cleanup.orchestrator_loss import BucketContents
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import Resource
from bacalhau_spot.core.tags import IAM_ROOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bacalhau_spot.cloud.port import Deletion
    from bacalhau_spot.cloud.session import Session

_OF_AWS = "AWS manages it"
_PAGES = 10  # of a bucket's list, with a thousand objects each


def _name(arn: str) -> str:
    """The last part of an ARN, after the account."""
    return arn.split(":", 5)[-1]


def from_candidates(
    inspect: Callable[[FindRequest, str], Awaitable[Resource | None]],
) -> Callable[[FindRequest], Awaitable[list[Resource]]]:
    """Check the tags of each candidate. Candidates deleted in the meantime are omitted."""

    async def find(request: FindRequest) -> list[Resource]:
        found = []
        for resource_id in dict.fromkeys(request.ids):
            try:
                resource = await inspect(request, resource_id)
            except CloudError as error:
                if not is_gone_error(error):
                    raise
                continue
            if resource is not None and request.scope.matches(resource.tags):
                found.append(replace(resource, arn=resource_id))
        return found

    return find


def _one(
    service: str, operation: str, ask: Callable[[Resource], Mapping[str, Any]]
) -> Callable[[Session, str, Sequence[Resource]], Awaitable[Deletion]]:
    """One delete call per resource."""

    async def delete(session: Session, region: str, resources: Sequence[Resource]) -> Deletion:
        return deletion(
            *[await session.call(service, region, operation, **ask(resource)) for resource in resources]
        )

    return delete


# --- SSM parameters: managed ones have their own path, because AWS's tag filters cannot match any value.


async def find_parameters(request: FindRequest) -> list[Resource]:
    reply = await request.session.all_pages(
        "ssm",
        request.region,
        "describe_parameters",
        ParameterFilters=[{"Key": "Path", "Option": "Recursive", "Values": [IAM_ROOT.rstrip("/")]}],
    )
    rows = {row["Name"]: row for row in reply.get("Parameters", ())}
    names = dict.fromkeys((*rows, *request.ids))
    return await from_candidates(lambda at, name: _parameter(at, name, rows.get(name, {})))(
        FindRequest(request.session, request.region, request.scope, tuple(names))
    )


async def _parameter(request: FindRequest, name: str, row: Row) -> Resource:
    reply = await request.session.call(
        "ssm", request.region, "list_tags_for_resource", ResourceType="Parameter", ResourceId=name
    )
    return Resource(
        kind=ResourceKind.PARAMETER.value,
        id=name,
        region=request.region,
        tags=tags_of({"Tags": reply.get("TagList", ())}),
        created_at=row.get("LastModifiedDate"),
    )


async def delete_parameters(session: Session, region: str, resources: Sequence[Resource]) -> Deletion:
    """Unknown names are returned as `InvalidParameters`: they are already deleted."""
    return deletion(
        await session.call("ssm", region, "delete_parameters", Names=[resource.id for resource in resources])
    )


# --- Secrets: the filter matches prefixes, and keys and values separately.


async def find_secrets(request: FindRequest) -> list[Resource]:
    reply = await request.session.all_pages(
        "secretsmanager",
        request.region,
        "list_secrets",
        Filters=[{"Key": "tag-key", "Values": [request.scope.key]}],
    )
    return [
        Resource(
            kind=ResourceKind.SECRET.value,
            id=row["Name"],
            region=request.region,
            handle=row["ARN"],
            tags=tags_of(row),
            created_at=row.get("CreatedDate"),
        )
        for row in reply.get("SecretList", ())
        # A replica is deleted with its primary secret.
        if request.scope.matches(tags_of(row)) and row.get("PrimaryRegion", request.region) == request.region
    ]


async def delete_secrets(session: Session, region: str, resources: Sequence[Resource]) -> Deletion:
    """Without recovery: a scheduled deletion reserves the name for a week. Replicas first (Secrets Manager user guide)."""
    replies = []
    for resource in resources:
        about = await session.call("secretsmanager", region, "describe_secret", SecretId=resource.handle)
        copies = [copy["Region"] for copy in about.get("ReplicationStatus") or ()]
        if copies:
            replies.append(
                await session.call(
                    "secretsmanager",
                    region,
                    "remove_regions_from_replication",
                    SecretId=resource.handle,
                    RemoveReplicaRegions=copies,
                )
            )
        replies.append(
            await session.call(
                "secretsmanager",
                region,
                "delete_secret",
                SecretId=resource.handle,
                ForceDeleteWithoutRecovery=True,
            )
        )
    return deletion(*replies)


# --- Resource types found only by the tagging API. The candidates are ARNs.


async def _rule(request: FindRequest, arn: str) -> Resource:
    *bus, name = _name(arn).removeprefix("rule/").split("/")
    where = {"EventBusName": "/".join(bus)} if bus else {}
    row = await request.session.call("events", request.region, "describe_rule", Name=name, **where)
    tags = await request.session.call("events", request.region, "list_tags_for_resource", ResourceARN=arn)
    return Resource(
        kind=ResourceKind.RULE.value,
        id=name,
        region=request.region,
        handle="/".join(bus),
        tags=tags_of(tags),
        state=str(row.get("State", "")),
        retained=_OF_AWS if row.get("ManagedBy") else "",
    )


async def delete_rules(session: Session, region: str, resources: Sequence[Resource]) -> Deletion:
    """A rule with targets cannot be deleted (EventBridge API reference, DeleteRule)."""
    replies = []
    for resource in resources:
        where = {"EventBusName": resource.handle} if resource.handle else {}
        targets = await session.call("events", region, "list_targets_by_rule", Rule=resource.id, **where)
        ids = [target["Id"] for target in targets.get("Targets", ())]
        if ids:
            replies.append(
                await session.call("events", region, "remove_targets", Rule=resource.id, Ids=ids, **where)
            )
        replies.append(await session.call("events", region, "delete_rule", Name=resource.id, **where))
    return deletion(*replies)


async def _alarm(request: FindRequest, arn: str) -> Resource | None:
    name = _name(arn).removeprefix("alarm:")
    reply = await request.session.call(
        "cloudwatch",
        request.region,
        "describe_alarms",
        AlarmNames=[name],
        AlarmTypes=["MetricAlarm", "CompositeAlarm"],
    )
    if not reply.get("MetricAlarms") and not reply.get("CompositeAlarms"):
        return None
    tags = await request.session.call("cloudwatch", request.region, "list_tags_for_resource", ResourceARN=arn)
    return Resource(kind=ResourceKind.ALARM.value, id=name, region=request.region, tags=tags_of(tags))


async def _queue(request: FindRequest, arn: str) -> Resource:
    name = _name(arn)
    url = (await request.session.call("sqs", request.region, "get_queue_url", QueueName=name))["QueueUrl"]
    reply = await request.session.call("sqs", request.region, "list_queue_tags", QueueUrl=url)
    return Resource(
        kind=ResourceKind.QUEUE.value,
        id=name,
        region=request.region,
        handle=url,
        tags=dict(reply.get("Tags") or {}),
    )


async def _topic(request: FindRequest, arn: str) -> Resource:
    reply = await request.session.call("sns", request.region, "list_tags_for_resource", ResourceArn=arn)
    return Resource(
        kind=ResourceKind.TOPIC.value, id=_name(arn), region=request.region, handle=arn, tags=tags_of(reply)
    )


async def _log_group(request: FindRequest, arn: str) -> Resource | None:
    name = _name(arn).removeprefix("log-group:").removesuffix(":*")
    reply = await request.session.all_pages(
        "logs", request.region, "describe_log_groups", logGroupNamePrefix=name
    )
    row = next((row for row in reply.get("logGroups", ()) if row["logGroupName"] == name), None)
    if row is None:
        return None
    tags = await request.session.call(
        "logs", request.region, "list_tags_for_resource", resourceArn=arn.removesuffix(":*")
    )
    return Resource(
        kind=ResourceKind.LOG_GROUP.value,
        id=name,
        region=request.region,
        tags=dict(tags.get("tags") or {}),
        protection="deletion protection" if row.get("deletionProtectionEnabled") else "",
    )


async def _unprotect_log_group(session: Session, region: str, resource: Resource) -> None:
    await session.call(
        "logs",
        region,
        "put_log_group_deletion_protection",
        logGroupIdentifier=resource.id,
        deletionProtectionEnabled=False,
    )


async def _bucket(request: FindRequest, arn: str) -> Resource | None:
    name = _name(arn)
    try:
        reply = await request.session.call("s3", request.region, "get_bucket_tagging", Bucket=name)
    except CloudError as error:
        if error.code not in DENIED or await _may_be_ours(request, name):
            raise
        return None
    tags = tags_of({"Tags": reply.get("TagSet", ())})
    return Resource(kind=ResourceKind.BUCKET.value, id=name, region=request.region, tags=tags)


async def _may_be_ours(request: FindRequest, name: str) -> bool:
    """False if AWS's list of the account's buckets lacks it: the name is global, and another account may have it."""
    try:
        reply = await request.session.all_pages("s3", request.region, "list_buckets", Prefix=name)
    except CloudError as error:
        if error.code not in DENIED:
            raise
        return True
    return any(row["Name"] == name for row in reply.get("Buckets", ()))


async def delete_buckets(session: Session, region: str, resources: Sequence[Resource]) -> Deletion:
    """Delete markers and unfinished uploads are deleted first (S3 API reference, DeleteBucket).

    No version is deleted here: S3 refuses to delete a bucket while it contains one, so that no object is lost that came
    after the count.
    """
    replies: list[dict[str, Any]] = []
    for resource in resources:
        replies += await delete_versions(session, region, resource.id, only_markers=True)
        replies += await _abort_uploads(session, region, resource.id)
        replies.append(await session.call("s3", region, "delete_bucket", Bucket=resource.id))
    return deletion(*replies)


async def bucket_contents(session: Session, region: str, bucket: str) -> BucketContents:
    """Of the first ten pages. Delete markers are not objects."""
    contents = BucketContents(complete=False)
    marker: dict[str, str] = {}
    for _ in range(_PAGES):
        page = await session.call("s3", region, "list_object_versions", Bucket=bucket, **marker)
        versions = page.get("Versions", ())
        contents = BucketContents(
            objects=contents.objects + len(versions),
            size_bytes=contents.size_bytes + sum(int(row.get("Size", 0)) for row in versions),
            complete=not page.get("IsTruncated"),
        )
        if contents.complete:
            break
        marker = {
            "KeyMarker": page.get("NextKeyMarker", ""),
            "VersionIdMarker": page.get("NextVersionIdMarker", ""),
        }
    return contents


async def delete_versions(
    session: Session, region: str, bucket: str, *, only_markers: bool = False
) -> list[dict[str, Any]]:
    """Delete every version and delete marker. With `only_markers` nothing while there is a version."""
    listed = await session.all_pages("s3", region, "list_object_versions", Bucket=bucket)
    if only_markers and listed.get("Versions"):
        return []
    objects = [
        {"Key": row["Key"], "VersionId": row["VersionId"]}
        for key in ("Versions", "DeleteMarkers")
        for row in listed.get(key, ())
    ]
    replies = []
    for start in range(0, len(objects), 1000):  # S3 API reference, DeleteObjects: up to 1000 keys
        part = {"Objects": objects[start : start + 1000], "Quiet": True}
        reply = await session.call("s3", region, "delete_objects", Bucket=bucket, Delete=part)
        for error in reply.get("Errors", ())[:1]:
            raise CloudError(
                str(error.get("Code", "Unknown")),
                str(error.get("Message", "")),
                operation="DeleteObjects",
                region=region,
            )
        replies.append(reply)
    return replies


async def _abort_uploads(session: Session, region: str, bucket: str) -> list[dict[str, Any]]:
    replies = []
    uploads = await session.all_pages("s3", region, "list_multipart_uploads", Bucket=bucket)
    for row in uploads.get("Uploads", ()):
        upload = {"Bucket": bucket, "Key": row["Key"], "UploadId": row["UploadId"]}
        try:
            replies.append(await session.call("s3", region, "abort_multipart_upload", **upload))
        except CloudError as error:
            if error.code != "NoSuchUpload":  # aborted or completed in the meantime
                raise
    return replies


HANDLERS: dict[ResourceKind, Handler] = {
    ResourceKind.PARAMETER: Handler(find=find_parameters, delete=delete_parameters),
    ResourceKind.SECRET: Handler(find=find_secrets, delete=delete_secrets),
    ResourceKind.RULE: Handler(find=from_candidates(_rule), delete=delete_rules),
    ResourceKind.ALARM: Handler(
        find=from_candidates(_alarm),
        delete=_one("cloudwatch", "delete_alarms", lambda alarm: {"AlarmNames": [alarm.id]}),
    ),
    ResourceKind.QUEUE: Handler(
        find=from_candidates(_queue),
        delete=_one("sqs", "delete_queue", lambda queue: {"QueueUrl": queue.handle}),
    ),
    ResourceKind.TOPIC: Handler(
        find=from_candidates(_topic),
        delete=_one("sns", "delete_topic", lambda topic: {"TopicArn": topic.handle}),
    ),
    ResourceKind.LOG_GROUP: Handler(
        find=from_candidates(_log_group),
        delete=_one("logs", "delete_log_group", lambda group: {"logGroupName": group.id}),
        unprotect=_unprotect_log_group,
    ),
    ResourceKind.BUCKET: Handler(find=from_candidates(_bucket), delete=delete_buckets),
}
