"""S3: AWS's rules for names, regions, owners and tags of buckets, which moto lacks.

AWS: S3 API Reference, CreateBucket, "List of error codes"; S3 User Guide, "General purpose bucket naming rules", "Tags",
"Blocking public access", "Controlling ownership of objects" (the defaults of new buckets since April 2023).
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from moto.backends import get_backend

from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT
from aws_spot_sandbox.services.s3_operations import bucket_and_key
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_spot_sandbox.http_types import Call, Handler
    from aws_spot_sandbox.state import World

_OK = 200
DEFAULT = "us-east-1"
MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_TAGS_PER_BUCKET, _KEY_LIMIT, _VALUE_LIMIT = 50, 128, 256
_TAG_TEXT = re.compile(r"[\w +\-=.:/@]*", re.UNICODE)
# Without access control lists, which new buckets do not have, only these values change nothing
_HARMLESS_ACLS = frozenset({"", "bucket-owner-full-control"})


def answer(world: World, call: Call, moto: Handler) -> Reply:
    bucket, _ = bucket_and_key(call.http)
    if call.rest == "CreateBucket":
        return _create(world, call, bucket, moto)
    if bucket:
        _check_owner(world, call, bucket)
        _check_region(call, bucket)
    if call.rest == "PutBucketTagging":
        _check_tags(tags_in(call.body))
    if call.rest == "PutBucketLifecycleConfiguration":
        _check_rules(call.body)
    if call.rest in {"PutObject", "CreateMultipartUpload", "CopyObject"}:
        _check_acl(call)
    if call.rest == "DeleteBucket":
        return _delete(call, bucket, moto)
    return moto(call)


def buckets() -> dict[str, Any]:
    """All buckets of the account, in every region."""
    found: dict[str, Any] = get_backend("s3")[ACCOUNT_ID]["aws"].buckets
    return found


def _create(world: World, call: Call, bucket: str, moto: Handler) -> Reply:
    _check_name(bucket)
    if bucket in world.settings.taken_buckets:
        raise AwsError(
            "BucketAlreadyExists",
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again.",
            status=409,
        )
    _check_constraint(world, call)
    tags = tags_in(call.body)
    _check_tags(tags)
    fresh = bucket not in buckets()
    reply = moto(call)
    if reply.status == _OK and fresh:
        made = buckets()[bucket]
        _block_public_access(made)
        if tags:
            get_backend("s3")[ACCOUNT_ID]["aws"].put_bucket_tagging(bucket, dict(tags))
    return reply


def _delete(call: Call, bucket: str, moto: Handler) -> Reply:
    """Its tags are deleted with it: moto keeps them by the ARN, and the next bucket of the name would have them."""
    deleted = buckets().get(bucket)
    reply = moto(call)
    if deleted is not None and bucket not in buckets():
        get_backend("s3")[ACCOUNT_ID]["aws"].tagger.delete_all_tags_for_resource(deleted.arn)
    return reply


def _check_constraint(world: World, call: Call) -> None:
    """A region of the account, and not us-east-1, which is that of a request without the constraint."""
    for element in _elements(call.body, "LocationConstraint"):
        where = element.text or ""
        if where == DEFAULT or where not in (*ENABLED_BY_DEFAULT, *world.settings.opted_in):
            raise AwsError("InvalidLocationConstraint", "The specified location-constraint is not valid")


def _block_public_access(bucket: Any) -> None:
    from moto.s3.models import PublicAccessBlock  # noqa: PLC0415 - half a second, for the first bucket

    bucket.public_access_block = PublicAccessBlock(True, True, True, True)


def _check_name(bucket: str) -> None:
    valid = _NAME.fullmatch(bucket) and ".." not in bucket and not _is_address(bucket)
    reserved = bucket.startswith(_RESERVED_PREFIXES) or bucket.endswith(_RESERVED_SUFFIXES)
    if not valid or reserved:
        raise AwsError("InvalidBucketName", "The specified bucket is not valid.")


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _check_owner(world: World, call: Call, bucket: str) -> None:
    if bucket in world.settings.taken_buckets:
        raise AwsError("AccessDenied", "Access Denied", status=403)
    expected = call.http.headers.get("x-amz-expected-bucket-owner")
    if expected and expected != ACCOUNT_ID and bucket in buckets():
        raise AwsError("AccessDenied", "Access Denied", status=403)


def _check_region(call: Call, bucket: str) -> None:
    """A request that is signed for another region than the bucket's is refused, with the bucket's region."""
    known = buckets().get(bucket)
    if known is None or known.region_name == call.region or call.rest == "GetBucketLocation":
        return
    code, where = "AuthorizationHeaderMalformed", "The authorization header is malformed"
    if "authorization" not in call.http.headers:
        code, where = "AuthorizationQueryParametersError", "Error parsing the X-Amz-Credential parameter"
    raise AwsError(
        code,
        f"{where}; the region '{call.region}' is wrong; expecting '{known.region_name}'",
        details={"Region": known.region_name},
    )


def tags_in(body: bytes) -> list[tuple[str, str]]:
    """Of PutBucketTagging (Tagging/TagSet) or CreateBucket (CreateBucketConfiguration/Tags)."""
    return [(tag.findtext("Key") or "", tag.findtext("Value") or "") for tag in _elements(body, "Tag")]


def deleted_in(body: bytes) -> list[tuple[str, str]]:
    """The keys and versions of DeleteObjects."""
    rows = _elements(body, "Object")
    return [(row.findtext("Key") or "", row.findtext("VersionId") or "") for row in rows]


def _elements(body: bytes, name: str) -> list[ET.Element]:
    """In any namespace."""
    if not body:
        return []
    try:
        root = ET.fromstring(body)  # noqa: S314 - the sandbox's own user
    except ET.ParseError:
        raise AwsError("MalformedXML", MALFORMED) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return list(root.iter(name))


def _check_tags(tags: Sequence[tuple[str, str]]) -> None:
    if len(tags) > _TAGS_PER_BUCKET:
        raise AwsError("BadRequest", f"Bucket tag count cannot be greater than {_TAGS_PER_BUCKET}")
    if len({key for key, _ in tags}) < len(tags):
        raise AwsError("InvalidTag", "Cannot provide multiple Tags with the same key")
    for key, value in tags:
        if key.lower().startswith("aws:"):
            raise AwsError("InvalidTag", "System tags cannot be added/updated by requester")
        if not 1 <= len(key) <= _KEY_LIMIT or not _TAG_TEXT.fullmatch(key):
            raise AwsError("InvalidTag", "The TagKey you have provided is invalid")
        if len(value) > _VALUE_LIMIT or not _TAG_TEXT.fullmatch(value):
            raise AwsError("InvalidTag", "The TagValue you have provided is invalid")


def _check_rules(body: bytes) -> None:
    """S3 API Reference, LifecycleRule: Status is required, and one of two."""
    for rule in _elements(body, "Rule"):
        if rule.findtext("Status") not in {"Enabled", "Disabled"}:
            raise AwsError("MalformedXML", MALFORMED)


def _check_acl(call: Call) -> None:
    if call.http.headers.get("x-amz-acl", "") not in _HARMLESS_ACLS:
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")
