"""S3: buckets, objects, presigned URLs. Source: S3 API Reference and S3 User Guide."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

import botocore.auth
import pytest
from botocore.config import Config

from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from sandbox.conftest import boto_session
from sandbox.ec2.clusters import TAGS, refused

BUCKET = "bacalhau-results-ab12cd34-000000000000-us-east-1"
ALL_BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


def fetch(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    """Without proxies and without signing anything."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, method=method, data=body)) as reply:
            return int(reply.status), bytes(reply.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


@pytest.fixture
def signing(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client that signs URLs at the time of the sandbox's clock."""
    signers = ["botocore.auth", *(["botocore.crt.auth"] if find_spec("awscrt") else [])]
    for module in signers:
        monkeypatch.setattr(
            f"{module}.get_current_datetime", lambda **_: datetime.fromtimestamp(sandbox.clock.now(), UTC)
        )
    client = boto_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=sandbox.url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        config=Config(signature_version="s3v4", proxies={}, retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


def test_a_bucket_has_tags_from_its_creation(sandbox: Any) -> None:
    """CreateBucket, CreateBucketConfiguration, Tags; the Resource Groups Tagging API lists them in the bucket's region."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"Tags": TAGS})
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == TAGS
    for region, found in (("us-east-1", [f"arn:aws:s3:::{BUCKET}"]), ("eu-west-1", [])):
        tagging = sandbox.client("resourcegroupstaggingapi", region)
        rows = tagging.get_resources(TagFilters=[{"Key": TAGS[0]["Key"]}])["ResourceTagMappingList"]
        assert [row["ResourceARN"] for row in rows] == found


def test_tags_of_a_bucket_are_replaced(sandbox: Any) -> None:
    """PutBucketTagging sets the whole tag set; GetBucketTagging: NoSuchTagSet without one."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    with refused("NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=BUCKET)
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": TAGS})
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": TAGS[:1]})
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == TAGS[:1]


def test_the_next_bucket_of_a_name_has_no_tags_of_the_deleted_one(sandbox: Any) -> None:
    """S3 API Reference, DeleteBucket: it deletes the bucket; GetBucketTagging of a new one: NoSuchTagSet."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"Tags": TAGS})
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"v")
    with refused("BucketNotEmpty"):
        s3.delete_bucket(Bucket=BUCKET)
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == TAGS
    s3.delete_object(Bucket=BUCKET, Key="k")
    s3.delete_bucket(Bucket=BUCKET)
    s3.create_bucket(Bucket=BUCKET)
    with refused("NoSuchTagSet"):
        s3.get_bucket_tagging(Bucket=BUCKET)


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": "aws:own", "Value": "1"}], "InvalidTag"),
        ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "InvalidTag"),
        ([{"Key": "k" * 129, "Value": ""}], "InvalidTag"),
        ([{"Key": "a", "Value": "v" * 257}], "InvalidTag"),
        ([{"Key": "a", "Value": "<"}], "InvalidTag"),
        ([{"Key": str(number), "Value": ""} for number in range(51)], "BadRequest"),
    ],
)
def test_wrong_tags(sandbox: Any, tags: list[dict[str, str]], code: str) -> None:
    """S3 User Guide, "Using cost allocation S3 bucket tags"; "List of error codes": InvalidTag."""
    s3 = sandbox.client("s3")
    with refused(code):
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"Tags": tags})
    s3.create_bucket(Bucket=BUCKET)
    with refused(code):
        s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": tags})


@pytest.mark.parametrize(
    ("region", "constraint", "code"),
    [
        ("us-east-1", None, ""),
        ("us-east-1", "eu-west-1", ""),
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
        ("us-east-1", "nowhere-1", "InvalidLocationConstraint"),
        ("eu-west-1", "eu-west-1", ""),
        ("eu-west-1", None, "IllegalLocationConstraintException"),
        ("eu-west-1", "eu-west-2", "IllegalLocationConstraintException"),
    ],
)
def test_the_location_constraint(sandbox: Any, region: str, constraint: str | None, code: str) -> None:
    """CreateBucket, LocationConstraint: required outside us-east-1, equal to the endpoint's region; not for us-east-1."""
    s3 = sandbox.client("s3", region)
    configuration = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    if code:
        with refused(code):
            s3.create_bucket(Bucket=BUCKET, **configuration)
        return
    s3.create_bucket(Bucket=BUCKET, **configuration)
    assert s3.head_bucket(Bucket=BUCKET)["BucketRegion"] == constraint or region


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a" * 64,
        "Results",
        "results_1",
        "-results",
        "results-",
        "re..sults",
        "192.168.5.4",
        "xn--results",
        "sthree-results",
        "results-s3alias",
        "results--x-s3",
    ],
)
def test_wrong_names_of_buckets(sandbox: Any, name: str) -> None:
    """S3 User Guide, "General purpose bucket naming rules"."""
    status, body = fetch_signed(sandbox, "PUT", f"/{name}")
    assert (status, b"<Code>InvalidBucketName</Code>" in body) == (400, True)


def fetch_signed(sandbox: Any, method: str, path: str) -> tuple[int, bytes]:
    """Past botocore's own check of names."""
    request = botocore.awsrequest.AWSRequest(method=method, url=f"{sandbox.url}{path}", data=b"")
    credentials = botocore.credentials.Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    botocore.auth.S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(request)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    plain = urllib.request.Request(request.url, method=method, headers=dict(request.headers), data=b"")
    try:
        with opener.open(plain) as reply:
            return int(reply.status), bytes(reply.read())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


def test_a_bucket_of_ours_and_one_of_somebody_else(sandbox: Any) -> None:
    """CreateBucket: BucketAlreadyOwnedByYou, except in us-east-1 (200); BucketAlreadyExists; AccessDenied for its content."""
    elsewhere = sandbox.client("s3", "eu-west-1")
    place = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    elsewhere.create_bucket(Bucket=BUCKET, **place)
    with refused("BucketAlreadyOwnedByYou"):
        elsewhere.create_bucket(Bucket=BUCKET, **place)
    s3 = sandbox.client("s3")
    for _ in range(2):
        s3.create_bucket(Bucket="results-in-virginia", CreateBucketConfiguration={"Tags": TAGS})
    assert s3.get_bucket_tagging(Bucket="results-in-virginia")["TagSet"] == TAGS
    sandbox.settings.taken_buckets = ["taken-results"]
    with refused("BucketAlreadyExists"):
        s3.create_bucket(Bucket="taken-results")
    with refused("AccessDenied"):
        s3.list_objects_v2(Bucket="taken-results")
    with refused("403"):
        s3.head_bucket(Bucket="taken-results")
    with refused("404"):
        s3.head_bucket(Bucket="no-such-results")
    with refused("NoSuchBucket"):
        s3.list_objects_v2(Bucket="no-such-results")


def test_a_new_bucket_is_private(sandbox: Any) -> None:
    """S3 User Guide, "Default settings for new S3 buckets FAQ": public access is blocked, access lists are disabled."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    shown = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert shown == ALL_BLOCKED
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=ALL_BLOCKED)
    with refused("AccessControlListNotSupported"):
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"", ACL="public-read")
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"", ACL="bucket-owner-full-control")


def test_objects(sandbox: Any) -> None:
    """PutObject, HeadObject, GetObject, ListObjectsV2, DeleteObjects; DeleteBucket: BucketNotEmpty."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    keys = ["jobs/a/exitCode", "jobs/a/with space+plus", "other"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    head = s3.head_object(Bucket=BUCKET, Key=keys[1])
    assert (head["ContentLength"], head["ETag"]) == (
        len(keys[1]),
        s3.get_object(Bucket=BUCKET, Key=keys[1])["ETag"],
    )
    assert s3.get_object(Bucket=BUCKET, Key=keys[1])["Body"].read() == keys[1].encode()
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="jobs/", PaginationConfig={"PageSize": 1}
    )
    assert [row["Key"] for page in pages for row in page["Contents"]] == keys[:2]
    with refused("NoSuchKey"):
        s3.get_object(Bucket=BUCKET, Key="none")
    with refused("404"):
        s3.head_object(Bucket=BUCKET, Key="none")
    with refused("BucketNotEmpty"):
        s3.delete_bucket(Bucket=BUCKET)
    reply = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in [*keys, "none"]]})
    assert len(reply["Deleted"]) == 4  # a missing key is reported as deleted
    s3.delete_bucket(Bucket=BUCKET)
    with refused("NoSuchBucket"):
        s3.delete_bucket(Bucket=BUCKET)


def test_a_lifecycle_configuration(sandbox: Any) -> None:
    """PutBucketLifecycleConfiguration, AbortIncompleteMultipartUpload."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    rule = {
        "ID": "unfinished",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    assert s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"] == [rule]
    with refused("MalformedXML"):
        s3.put_bucket_lifecycle_configuration(
            Bucket=BUCKET, LifecycleConfiguration={"Rules": [{**rule, "Status": "Maybe"}]}
        )


def test_a_request_signed_for_another_region(sandbox: Any) -> None:
    """S3 API Reference, "List of error codes": AuthorizationHeaderMalformed, with the bucket's region."""
    sandbox.client("s3", "eu-west-1").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    status, body = fetch_signed(sandbox, "GET", f"/{BUCKET}")
    assert status == 400
    assert b"<Code>AuthorizationHeaderMalformed</Code>" in body
    assert b"<Region>eu-west-1</Region>" in body
    # boto3 signs again for the region in the error
    assert sandbox.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_presigned_urls(sandbox: Any, signing: Any) -> None:
    """S3 User Guide, "Download and upload objects with presigned URLs"."""
    signing.create_bucket(Bucket=BUCKET)
    where = {"Bucket": BUCKET, "Key": "jobs/a b+c/results.tar.gz"}
    put = signing.generate_presigned_url("put_object", Params=where, ExpiresIn=60)
    assert put.startswith(f"{sandbox.url}/{BUCKET}/jobs/")
    assert fetch(put, "PUT", b"result") == (200, b""), put
    get = signing.generate_presigned_url("get_object", Params=where, ExpiresIn=60)
    assert fetch(get) == (200, b"result")
    assert signing.get_object(**where)["Body"].read() == b"result"
    for url, method in (
        (put, "GET"),
        (get.replace("results.tar", "other.tar"), "GET"),
        (get[:-4] + "0000", "GET"),
    ):
        status, body = fetch(url, method)
        assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)
    sandbox.clock.advance(61)
    status, body = fetch(get)
    assert (status, b"Request has expired" in body) == (403, True)


def test_a_presigned_url_lasts_a_week_at_most(sandbox: Any, signing: Any) -> None:
    """S3 API Reference, "Authenticating Requests: Using Query Parameters", X-Amz-Expires; its date may not be in the future."""
    signing.create_bucket(Bucket=BUCKET)
    where = {"Bucket": BUCKET, "Key": "a"}
    long = signing.generate_presigned_url("put_object", Params=where, ExpiresIn=604_801)
    status, body = fetch(long, "PUT", b"")
    assert (status, b"AuthorizationQueryParametersError" in body) == (400, True)
    early = signing.generate_presigned_url("put_object", Params=where, ExpiresIn=60)
    sandbox.clock.advance(-1000)
    status, body = fetch(early, "PUT", b"")
    assert (status, b"<Code>AccessDenied</Code>" in body) == (403, True)


def test_signature_version_2_is_refused(sandbox: Any) -> None:
    """S3 User Guide, "AWS Signature Version 2 turned off": InvalidRequest for buckets created after 24 June 2020."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "a"})
    assert "AWSAccessKeyId" in url
    status, body = fetch(url)
    assert (status, b"<Code>InvalidRequest</Code>" in body) == (400, True)


def test_authentication_errors(sandbox: Any) -> None:
    """S3 API Reference, "List of error codes"."""
    with refused("InvalidAccessKeyId"):
        sandbox.client("s3", key_id="AKIAUNKNOWNUNKNOWNUN").list_buckets()
    with refused("SignatureDoesNotMatch"):
        sandbox.client("s3", secret="wrong").list_buckets()
    sandbox.settings.credentials_expire_after_calls = 0
    with refused("ExpiredToken"):
        sandbox.client("s3").list_buckets()


def test_faults_name_operations_and_policies_name_actions(sandbox: Any) -> None:
    """Service Authorization Reference, "Actions defined by Amazon S3": ListObjectsV2 needs s3:ListBucket."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    sandbox.settings.faults = [{"match": "s3:ListObjectsV2", "code": "SlowDown", "status": 503, "count": 1}]
    with refused("SlowDown"):
        s3.list_objects_v2(Bucket=BUCKET)
    s3.list_objects_v2(Bucket=BUCKET)
    assert [call for call in sandbox.world.calls if call[2] != "ok"] == [
        ("us-east-1", "s3:ListObjectsV2", "SlowDown")
    ]
    sandbox.settings.deny = ["s3:ListBucket"]
    with refused("AccessDenied"):
        s3.list_objects_v2(Bucket=BUCKET)


def allow(actions: list[str], resource: str, **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return {
        "Version": "2012-10-17",
        "Statement": [statement | ({"Condition": condition} if condition else {})],
    }


def test_permissions_of_buckets_and_objects(sandbox: Any) -> None:
    """Service Authorization Reference: a bucket's actions name the bucket, an object's its key; tags need TagResource."""
    s3 = sandbox.client("s3")
    bucket = f"arn:aws:s3:::{BUCKET}"
    sandbox.settings.policies = [allow(["s3:CreateBucket"], bucket)]
    with refused("AccessDenied"):
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"Tags": TAGS})
    sandbox.settings.policies.append(
        allow(["s3:TagResource"], bucket, StringEquals={"aws:RequestTag/bacalhau-cluster": "one"})
    )
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"Tags": TAGS})
    sandbox.settings.policies = [
        allow(["s3:PutObject", "s3:DeleteObject"], f"{bucket}/jobs/*"),
        allow(["s3:ListBucket"], bucket, StringLike={"s3:prefix": "jobs/*"}),
        allow(["s3:PutLifecycleConfiguration", "s3:PutBucketPublicAccessBlock"], bucket),
    ]
    s3.put_object(Bucket=BUCKET, Key="jobs/a", Body=b"")
    s3.list_objects_v2(Bucket=BUCKET, Prefix="jobs/a")
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=ALL_BLOCKED)
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "jobs/a"}]})
    for call, arguments in (
        ("put_object", {"Key": "a", "Body": b""}),
        ("get_object", {"Key": "jobs/a"}),
        ("list_objects_v2", {}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "jobs/a"}, {"Key": "a"}]}}),
        ("delete_object", {"Key": "jobs/a", "VersionId": "1"}),
        ("get_bucket_tagging", {}),
        ("delete_bucket", {}),
    ):
        with refused("AccessDenied"):
            getattr(s3, call)(Bucket=BUCKET, **arguments)
