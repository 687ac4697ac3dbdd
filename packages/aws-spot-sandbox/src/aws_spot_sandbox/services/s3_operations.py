"""S3's REST calls: their operation, bucket and key, and the permissions that they need.

AWS: S3 API Reference (botocore's model of it); Service Authorization Reference, "Actions, resources, and condition keys
for Amazon S3"; S3 User Guide, "Required permissions for Amazon S3 API operations".
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote

from moto.core.utils import get_service_model

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Http

UNKNOWN = "UnknownOperation"
# Operations whose action in policies has another name
_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteObjects": "DeleteObject",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}


class _Form(NamedTuple):
    """The request that an operation has: its method, path, and the query and headers that it requires."""

    name: str
    method: str
    depth: int  # 0 the service, 1 a bucket, 2 an object
    query: frozenset[tuple[str, str]]  # with a value, or "" for any
    headers: frozenset[str]


def bucket_and_key(http: Http) -> tuple[str, str]:
    """Path style, decoded."""
    bucket, _, key = http.path.removeprefix("/").partition("/")
    return unquote(bucket), unquote(key)


def operation(http: Http) -> str:
    """The most specific operation that the request matches."""
    bucket, key = bucket_and_key(http)
    depth = 2 if key else 1 if bucket else 0
    query = dict(parse_qsl(http.query, keep_blank_values=True))
    matching = [
        form
        for form in _forms()
        if (form.method, form.depth) == (http.method, depth)
        and all(name in query and value in ("", query[name]) for name, value in form.query)
        and form.headers <= http.headers.keys()
    ]
    best = max(matching, key=lambda form: len(form.query) + len(form.headers), default=None)
    return best.name if best else UNKNOWN


def action(name: str) -> str:
    """The operation's action in policies."""
    return _ACTIONS.get(name, name)


@cache
def _forms() -> tuple[_Form, ...]:
    model = get_service_model("s3")
    forms = []
    for name in model.operation_names:
        if model.operation_model(name).deprecated:  # another one has the same form
            continue
        http = model.operation_model(name).http
        path, _, fixed = http["requestUri"].partition("?")
        shape = model.operation_model(name).input_shape
        required = [shape.members[member].serialization for member in shape.required_members] if shape else []
        query = {
            *parse_qsl(fixed, keep_blank_values=True),
            *((row["name"], "") for row in required if row.get("location") == "querystring"),
        }
        headers = {row["name"].lower() for row in required if row.get("location") == "header"}
        depth = path.count("{")
        forms.append(_Form(name, http["method"], depth, frozenset(query), frozenset(headers)))
    return tuple(forms)
