"""A client for all regions sends what clients of single regions send."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.cloud.credentials import core_session
from bacalhau_spot.cloud.operations import OPERATIONS
from bacalhau_spot.cloud.session import Session
from bacalhau_spot.cloud.shared_client import follows_rules

KEYS = AwsConnection(access_key_id="AKIAEXAMPLE", secret_access_key="secret")
ARN = "arn:aws:sns:eu-west-1:123456789012:name"
# A call of each service that the program calls in regions.
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "autoscaling": ("describe_auto_scaling_groups", {"MaxRecords": 50}),
    "cloudwatch": ("describe_alarms", {"AlarmNames": ["ä"]}),
    "ec2": (
        "describe_instances",
        {"Filters": [{"Name": "tag:ключ", "Values": ["a b&c", "+/="]}], "MaxResults": 7},
    ),
    "events": ("describe_rule", {"Name": "r"}),
    "iam": ("get_role", {"RoleName": "r"}),
    "logs": ("describe_log_groups", {}),
    "pricing": ("get_products", {"ServiceCode": "AmazonEC2"}),
    "resourcegroupstaggingapi": ("get_resources", {}),
    "secretsmanager": ("list_secrets", {}),
    "service-quotas": ("get_service_quota", {"ServiceCode": "ec2", "QuotaCode": "q"}),
    "sns": ("list_tags_for_resource", {"ResourceArn": ARN}),
    "sqs": ("get_queue_url", {"QueueName": "q"}),
    "ssm": ("describe_parameters", {}),
}
# In every request another one.
_OWN = ("X-Amz-Date", "Authorization", "amz-sdk-invocation-id", "User-Agent")
SCOPE = re.compile(r"Credential=[^/]+/\d+/([^,]+), SignedHeaders=([^,]+)")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What would be sent, in place of sending it."""
    requests: list[tuple[Any, ...]] = []

    def note(_pool: Any, request: Any) -> None:
        text = {
            name: value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        }
        scope = SCOPE.search(text["Authorization"])
        assert scope is not None
        headers = {name: value for name, value in text.items() if name not in _OWN}
        body = request.body.decode() if isinstance(request.body, bytes) else request.body
        requests.append((request.method, request.url, body, scope.groups(), headers))
        raise EndpointConnectionError(endpoint_url=request.url)

    monkeypatch.setattr(URLLib3Session, "send", note)
    for name in ("AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return requests


def partitions() -> dict[str, list[str]]:
    loader = botocore.session.Session().get_component("data_loader")
    return {row["partition"]: list(row["regions"]) for row in loader.load_data("endpoints")["partitions"]}


def ask_shared(session: Session, service: str, region: str) -> None:
    method, parameters = CALLS[service]
    with pytest.raises(CloudError):
        session._call(service, region, method, parameters)


def ask_own(core: Any, service: str, region: str) -> None:
    method, parameters = CALLS[service]
    with contextlib.suppress(EndpointConnectionError):
        getattr(core.create_client(service, region_name=region), method)(**parameters)


def regions_of(service: str) -> Iterator[str]:
    """All of them for EC2, which is in all; for the others two a partition."""
    for names in partitions().values():
        yield from names if service == "ec2" else names[:2]


def test_there_is_a_call_for_every_service() -> None:
    assert set(CALLS) == set(OPERATIONS) - {"s3", "sts"}
    for service, (method, _) in CALLS.items():
        assert method in {botocore.xform_name(name) for name in OPERATIONS[service]}, service


@pytest.mark.parametrize("service", sorted(CALLS))
def test_requests_are_the_same_in_all_regions(service: str, sent: list[tuple[Any, ...]]) -> None:
    session, core = Session(KEYS), core_session(KEYS)
    regions = list(regions_of(service))
    for region in regions:
        ask_shared(session, service, region)
        ask_own(core, service, region)
    assert sent[0::2] == sent[1::2]
    assert len(sent) == 2 * len(regions)
    assert len({request[1] for request in sent}) > 1  # the URLs differ
    assert len(session._clients) == 1
    if service == "ec2":
        assert {request[3][0].split("/")[0] for request in sent} == set(regions)


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        {"AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:9"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_DEFAULTS_MODE": "auto"},
        {"AWS_RETRY_MODE": "adaptive"},
    ],
    ids=str,
)
def test_requests_are_the_same_with_every_setting(
    variables: dict[str, str], sent: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    session, core = Session(KEYS), core_session(KEYS)
    for region in ("us-east-1", "us-gov-west-1", "us-west-2"):
        ask_shared(session, "ec2", region)
        ask_own(core, "ec2", region)
    assert sent[0::2] == sent[1::2]
    variants = {"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"} & set(variables)
    assert len(session._clients) == (3 if variants else 1)


def test_the_users_own_endpoints_are_followed(
    sent: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Botocore takes them in place of its rules, for the region of the client."""
    loader = botocore.session.Session().get_component("data_loader")
    endpoints = json.loads(json.dumps(loader.load_data("endpoints")))
    endpoints["partitions"][0]["services"]["ec2"]["endpoints"]["eu-west-1"] = {"hostname": "ec2.example.org"}
    (tmp_path / "endpoints.json").write_text(json.dumps(endpoints))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    session, core = Session(KEYS), core_session(KEYS)
    assert not follows_rules(core)
    for region in ("us-east-1", "eu-west-1"):
        ask_shared(session, "ec2", region)
        ask_own(core, "ec2", region)
    assert sent[0::2] == sent[1::2]
    assert [request[1] for request in sent[0::2]] == [
        "https://ec2.us-east-1.amazonaws.com/",
        "https://ec2.example.org/",
    ]


def test_threads_do_not_mix_their_regions(sent: list[tuple[Any, ...]]) -> None:
    session = Session(KEYS)
    regions = partitions()["aws"]
    threads = [threading.Thread(target=ask_shared, args=(session, "ec2", region)) for region in regions * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(request[1] for request in sent) == sorted(
        f"https://ec2.{region}.amazonaws.com/" for region in regions * 3
    )
    assert all(request[3][0] == f"{request[1].split('.')[1]}/ec2/aws4_request" for request in sent)


def test_a_name_that_no_region_has_is_refused(sent: list[tuple[Any, ...]]) -> None:
    session = Session(KEYS)
    ask_shared(session, "ec2", "eu-west-1")
    with pytest.raises(CloudError) as caught:
        session._call("ec2", "eu west.example.org/", "describe_regions", {})
    assert caught.value.code == "UnknownRegionError"
    assert len(sent) == 1


def test_a_shared_client_without_a_region_asks_nobody(sent: list[tuple[Any, ...]]) -> None:
    client = Session(KEYS)._client("ec2", "eu-west-1")
    with pytest.raises(LookupError):
        client.describe_regions()
    assert sent == []


def test_an_error_names_the_region_of_its_call(sent: list[tuple[Any, ...]]) -> None:
    lines: list[str] = []
    session = Session(AwsConnection(access_key_id="a", secret_access_key="b", on_call=lines.append))
    for region in ("eu-west-1", "us-west-2"):
        ask_shared(session, "ec2", region)
    assert [line.split()[:2] for line in lines] == [
        ["ec2:DescribeInstances", "eu-west-1"],
        ["ec2:DescribeInstances", "us-west-2"],
    ]


def test_a_launch_has_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """CreateFleet answers after it has tried every pool, over the same client as the other calls."""
    timeouts: list[float] = []

    def note(pool: Any, request: Any) -> None:
        timeouts.append(pool._timeout.read_timeout)
        raise EndpointConnectionError(endpoint_url=request.url)

    monkeypatch.setattr(URLLib3Session, "send", note)
    session = Session(KEYS)
    fleet = {"TargetCapacitySpecification": {"TotalTargetCapacity": 1}, "LaunchTemplateConfigs": []}
    for method, parameters in (("create_fleet", fleet), ("describe_regions", {})):
        with pytest.raises(CloudError):
            session._call("ec2", "eu-west-1", method, parameters)
    assert timeouts == [300, 45]
