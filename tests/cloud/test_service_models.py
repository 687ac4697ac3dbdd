"""The cut models: made once, kept in files that are trusted only whole, and the same as botocore's in all that is called."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore
import botocore.session
import pytest
from botocore import xform_name
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.regions import EndpointResolver

from bacalhau_spot.cloud import service_models as models
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.cloud.credentials import core_session
from bacalhau_spot.cloud.limits import page_size
from bacalhau_spot.cloud.operations import ALL_OPERATIONS, OPERATIONS
from bacalhau_spot.cloud.service_models import ServiceModels
from bacalhau_spot.cloud.session import Session
from support.calls_in_code import SPELLED, calls_in_code

SMALL = "sqs"  # of whose model the tests of files are made
MODEL, RULES, PAGES = "service-2", "endpoint-rule-set-1", "paginators-1"
CUT = tuple(
    (service, name)
    for service in sorted(OPERATIONS)
    for name in sorted(OPERATIONS[service])
    if service not in ALL_OPERATIONS
)


@pytest.fixture(scope="module")
def whole() -> Any:
    """The loader of botocore itself."""
    return botocore.session.Session().get_component("data_loader")


@pytest.fixture(scope="module")
def cut() -> ServiceModels:
    return ServiceModels(None)


@pytest.fixture(scope="module")
def both(whole: Any, cut: ServiceModels) -> Callable[[str], tuple[ServiceModel, ServiceModel]]:
    known: dict[str, tuple[ServiceModel, ServiceModel]] = {}

    def models_of(service: str) -> tuple[ServiceModel, ServiceModel]:
        if service not in known:
            known[service] = (
                ServiceModel(whole.load_service_model(service, MODEL), service),
                ServiceModel(cut.load_service_model(service, MODEL), service),
            )
        return known[service]

    return models_of


def kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on, nothing is made."""

    def refuse(loader: ServiceModels, name: str) -> dict[str, Any]:
        raise AssertionError(f"{name} is made again")

    monkeypatch.setattr(ServiceModels, "_make", refuse)


# --- The operations


def test_every_call_of_the_code_is_in_the_models() -> None:
    spelled = {SPELLED.get(service, service): service for service in OPERATIONS}
    called: dict[str, set[str]] = {service: set() for service in OPERATIONS if service not in ALL_OPERATIONS}
    for call in calls_in_code():
        service, _, operation = call.partition(":")
        if spelled[service] not in ALL_OPERATIONS:
            called[spelled[service]].add(operation)
    assert called == {service: set(OPERATIONS[service]) for service in called}


def test_a_call_that_no_table_has_takes_the_whole_model(tmp_path: Path) -> None:
    session = Session(
        AwsConnection(access_key_id="a", secret_access_key="b", models_folder=tmp_path / "models")
    )
    known = session._client(SMALL, "eu-west-1", "delete_queue")
    unknown = session._client(SMALL, "eu-west-1", "create_queue")
    assert set(known.meta.method_to_api_mapping) == {xform_name(name) for name in OPERATIONS[SMALL]}
    assert len(unknown.meta.method_to_api_mapping) > 2 * len(known.meta.method_to_api_mapping)
    assert session._client(SMALL, "eu-west-1", "delete_queue") is known
    assert session._client(SMALL, "eu-west-1", "create_queue") is unknown
    session.close()


@pytest.mark.parametrize("service", sorted(ALL_OPERATIONS))
def test_services_that_botocore_calls_itself_are_whole(
    service: str, both: Callable[[str], tuple[ServiceModel, ServiceModel]]
) -> None:
    before, after = both(service)
    assert after.operation_names == before.operation_names


def test_the_prefixes_of_endpoints_are_those_of_the_models(whole: Any) -> None:
    prefixes = {
        whole.load_service_model(name, MODEL)["metadata"]["endpointPrefix"]
        for name in OPERATIONS
        if name != "ec2"
    }
    assert prefixes | {"ec2"} == models._ENDPOINT_PREFIXES


# --- The files


def test_a_cut_is_kept_for_this_user_alone_and_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "state" / "models"
    made = ServiceModels(folder).load_service_model(SMALL, MODEL)
    (path,) = kept(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert path.name.startswith(f"{SMALL}-{botocore.__version__}-")
    never(monkeypatch)
    assert ServiceModels(folder).load_service_model(SMALL, MODEL) == made


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: raw.replace(b"DeleteQueue", b"CreateQueue"),  # still JSON
        lambda raw: b"",
        lambda raw: b"\xff\n[" + b"[" * 100_000,
    ],
    ids=["cut off", "changed", "empty", "nonsense"],
)
def test_a_broken_file_is_made_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    folder = tmp_path / "models"
    made = ServiceModels(folder).load_service_model(SMALL, MODEL)
    (path,) = kept(folder)
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert ServiceModels(folder).load_service_model(SMALL, MODEL) == made
    assert path.read_bytes() == good


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_is_not_trusted(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "models"
    made = ServiceModels(folder).load_service_model(SMALL, MODEL)
    (path,) = kept(folder)
    forged = path.read_bytes().partition(b"\n")[2].replace(b"DeleteQueue", b"PurgeQueue!")
    path.write_bytes(hashlib.sha256(forged).hexdigest().encode() + b"\n" + forged)
    path.chmod(mode)
    assert ServiceModels(folder).load_service_model(SMALL, MODEL) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_of_another_user_is_neither_read_nor_written(
    tmp_path: Path, cut: ServiceModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    ServiceModels(folder).load_service_model(SMALL, MODEL)
    (path,) = kept(folder)
    body = path.read_bytes().partition(b"\n")[2].replace(b"DeleteQueue", b"PurgeQueue!")
    forged = hashlib.sha256(body).hexdigest().encode() + b"\n" + body
    path.write_bytes(forged)
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    assert ServiceModels(folder).load_service_model(SMALL, MODEL) == cut.load_service_model(SMALL, MODEL)
    assert path.read_bytes() == forged


def test_another_version_of_botocore_has_a_file_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    ServiceModels(folder).load_service_model(SMALL, MODEL)
    (path,) = kept(folder)
    monkeypatch.setattr(botocore, "__version__", "9.9.9")
    ServiceModels(folder).load_service_model(SMALL, MODEL)
    assert len(kept(folder)) == 2
    path.touch()
    later = time.time() + 31 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(botocore, "__version__", "9.9.10")
    ServiceModels(folder).load_service_model(SMALL, MODEL)
    assert [found.name.split("-")[1] for found in kept(folder)] == ["9.9.10"]


def test_other_operations_have_a_file_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models"
    ServiceModels(folder).load_service_model(SMALL, MODEL)
    monkeypatch.setattr(models, "OPERATIONS", {SMALL: frozenset({"CreateQueue"})})
    assert list(ServiceModels(folder).load_service_model(SMALL, MODEL)["operations"]) == ["CreateQueue"]
    assert len(kept(folder)) == 2


def test_a_folder_that_cannot_be_written_costs_time_alone(tmp_path: Path, cut: ServiceModels) -> None:
    """A home without write permission: here a file stands in the place of the folder, which stops root, too."""
    (tmp_path / "state").write_text("")
    loader = ServiceModels(tmp_path / "state" / "models")
    assert loader.load_service_model(SMALL, MODEL) == cut.load_service_model(SMALL, MODEL)
    assert (tmp_path / "state").read_text() == ""


def test_two_processes_at_once(tmp_path: Path) -> None:
    program = (
        "import sys, json; from pathlib import Path; from bacalhau_spot.cloud.service_models import ServiceModels;"
        "loader = ServiceModels(Path(sys.argv[1])); sys.stdin.read();"
        f"print(sorted(loader.load_service_model('{SMALL}', '{MODEL}')['operations']))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "models")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:  # they are ready, and begin together
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    outputs = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert outputs == [str(sorted(OPERATIONS[SMALL]))] * 2
    (path,) = kept(tmp_path / "models")
    assert models._read(path) is not None
    assert [found.name for found in (tmp_path / "models").iterdir()] == [path.name]


# --- The search path


def users_own(folder: Path, whole: Any, **metadata: str) -> None:
    """A model of the user, which comes before botocore's."""
    version = whole.determine_latest_version(SMALL, MODEL)
    model = json.loads(json.dumps(whole.load_service_model(SMALL, MODEL)))
    model["metadata"] |= metadata
    place = folder / SMALL / version
    place.mkdir(parents=True)
    (place / f"{MODEL}.json.gz").write_bytes(gzip.compress(json.dumps(model).encode()))


def test_a_model_of_the_user_comes_first(tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_DATA_PATH, as with boto3."""
    users_own(tmp_path / "own", whole, signingName="mine")
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path / "own"))
    connection = AwsConnection(access_key_id="a", secret_access_key="b", models_folder=tmp_path / "models")
    client = core_session(connection).create_client(SMALL, region_name="eu-west-1")
    assert client.meta.service_model.signing_name == "mine"
    assert len(client.meta.service_model.operation_names) == len(OPERATIONS[SMALL])
    monkeypatch.delenv("AWS_DATA_PATH")
    botocores = core_session(connection).create_client(SMALL, region_name="eu-west-1")
    assert botocores.meta.service_model.signing_name == "sqs"


def test_a_model_that_cannot_be_cut_is_left_to_botocore(tmp_path: Path, whole: Any) -> None:
    place = tmp_path / "own" / SMALL / whole.determine_latest_version(SMALL, MODEL)
    place.mkdir(parents=True)
    (place / f"{MODEL}.json").write_text('{"metadata": {"endpointPrefix": "sqs"}, "operations": []}')
    loader = ServiceModels(tmp_path / "models", [str(tmp_path / "own")])
    assert loader.load_service_model(SMALL, MODEL)["operations"] == []


def test_an_explicit_version_is_whole(whole: Any, cut: ServiceModels) -> None:
    version = cut.latest_version(SMALL)
    assert cut.load_service_model(SMALL, MODEL, version) == whole.load_service_model(SMALL, MODEL, version)


# --- The same as botocore's


def shape_as_data(shape: Any, seen: tuple[str, ...] = ()) -> Any:
    """All that a serializer, validator or parser reads of a shape."""
    if shape is None or shape.name in seen:
        return shape and shape.name
    inner = (*seen, shape.name)
    data = [shape.name, shape.type_name, dict(shape.serialization), dict(shape.metadata)]
    if shape.type_name == "structure":
        data += [[name, shape_as_data(member, inner)] for name, member in shape.members.items()]
    elif shape.type_name == "list":
        data.append(shape_as_data(shape.member, inner))
    elif shape.type_name == "map":
        data += [shape_as_data(shape.key, inner), shape_as_data(shape.value, inner)]
    return data


def operation_as_data(operation: Any) -> list[Any]:
    return [
        *(operation.name, operation.http, operation.auth_type, operation.auth, operation.deprecated),
        *(
            operation.endpoint,
            operation.http_checksum,
            operation.request_compression,
            operation.unsigned_payload,
        ),
        *(operation.idempotent_members, operation.static_context_parameters, operation.context_parameters),
        operation.has_streaming_output,
        shape_as_data(operation.input_shape),
        shape_as_data(operation.output_shape),
        [shape.name for shape in operation.error_shapes],
    ]


@pytest.mark.parametrize("service", sorted(OPERATIONS))
def test_operations_are_the_same(
    service: str, both: Callable[[str], tuple[ServiceModel, ServiceModel]]
) -> None:
    before, after = both(service)
    assert after.metadata == before.metadata
    assert [shape.name for shape in after.error_shapes] == [shape.name for shape in before.error_shapes]
    for name in OPERATIONS[service]:
        whole, cut = before.operation_model(name), after.operation_model(name)
        assert operation_as_data(cut) == operation_as_data(whole)
        assert page_size(cut, {}) == page_size(whole, {})


@pytest.mark.parametrize("service", sorted(OPERATIONS))
def test_rules_and_pages_are_the_same(service: str, whole: Any, cut: ServiceModels) -> None:
    assert cut.load_service_model(service, RULES) == whole.load_service_model(service, RULES)
    version = cut.latest_version(service)
    if PAGES in cut._cut(service):
        assert cut.load_service_model(service, PAGES, version) == whole.load_service_model(
            service, PAGES, version
        )


# A reply for each operation, with every member that its documentation has.


def sample(shape: Any, depth: int = 0) -> Any:
    """A value with all members, nested six deep."""
    match shape.type_name:
        case "structure":
            members = list(shape.members.items()) if depth < 6 else []
            if shape.is_tagged_union:  # one of them alone
                members = members[:1]
            return {name: sample(member, depth + 1) for name, member in members}
        case "list":
            return [sample(shape.member, depth + 1)] * 2 if depth < 6 else []
        case "map":
            return {"key": sample(shape.value, depth + 1)}
        case "timestamp":
            return "2026-11-28T10:00:00Z"
        case "integer" | "long" | "float" | "double":
            return 7
        case "boolean":
            return True
        case "blob":
            return base64.b64encode(b"bytes").decode()
        case _:
            return (shape.enum or ["text"])[0]


def xml(shape: Any, value: Any, tag: str) -> str:
    if isinstance(value, dict) and shape.type_name == "structure":
        parts = (
            xml(member, value[name], member.serialization.get("name", name))
            for name, member in shape.members.items()
            if name in value
        )
        return f"<{tag}>{''.join(parts)}</{tag}>"
    if shape.type_name == "map":
        entries = "".join(
            f"<entry><key>{key}</key>{xml(shape.value, inner, 'value')}</entry>"
            for key, inner in value.items()
        )
        return f"<{tag}>{entries}</{tag}>"
    if isinstance(value, list):
        if shape.serialization.get("flattened"):
            return "".join(xml(shape.member, item, tag) for item in value)
        name = shape.member.serialization.get("name", "member")
        return f"<{tag}>{''.join(xml(shape.member, item, name) for item in value)}</{tag}>"
    return f"<{tag}>{str(value).lower() if isinstance(value, bool) else value}</{tag}>"


def timestamps_of_json(value: Any) -> Any:
    """JSON protocols have seconds."""
    if isinstance(value, dict):
        return {key: timestamps_of_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [timestamps_of_json(inner) for inner in value]
    return 1795860000 if value == "2026-11-28T10:00:00Z" else value


def body(operation: Any) -> bytes:
    shape = operation.output_shape
    value = sample(shape) if shape is not None else {}
    protocol = operation.service_model.resolved_protocol
    if protocol in {"json", "rest-json", "smithy-rpc-v2-cbor"}:
        return json.dumps(timestamps_of_json(value)).encode()
    inner = xml(shape, value, "X")[3:-4] if shape is not None else ""
    if protocol == "query":
        name = (
            shape.serialization.get("resultWrapper", f"{operation.name}Result") if shape is not None else "X"
        )
        inner = f"<{name}>{inner}</{name}><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    else:
        inner = f"<requestId>r</requestId>{inner}"
    return f"<{operation.name}Response>{inner}</{operation.name}Response>".encode()


@pytest.mark.parametrize("service", sorted(service for service in OPERATIONS if service != "s3"))
def test_replies_are_parsed_to_the_same(
    service: str, both: Callable[[str], tuple[ServiceModel, ServiceModel]]
) -> None:
    before, after = both(service)
    parser = create_parser(before.resolved_protocol)
    full = 0
    for name in sorted(OPERATIONS[service]):
        operation = before.operation_model(name)
        reply = {"body": body(operation), "headers": {"x-amzn-requestid": "r"}, "status_code": 200}
        expected = parser.parse(reply, operation.output_shape)
        assert parser.parse(reply, after.operation_model(name).output_shape) == expected
        full += len(expected) > 1
    assert full or service in ALL_OPERATIONS


@pytest.mark.parametrize("service", ["ssm", "iam", "autoscaling"])
def test_errors_are_the_same(service: str, both: Callable[[str], tuple[ServiceModel, ServiceModel]]) -> None:
    before, after = both(service)
    for shape in before.error_shapes:
        assert shape_as_data(after.shape_for_error_code(shape.error_code)) == shape_as_data(
            before.shape_for_error_code(shape.error_code)
        )


# --- Partitions


def resolved(loader: Any) -> Any:
    data, path = loader.load_data_with_path("endpoints")
    return EndpointResolver(data, uses_builtin_data=loader.is_builtin_path(path))


def regions_of_all_partitions(whole: Any) -> Iterator[tuple[str, str]]:
    for partition in whole.load_data("endpoints")["partitions"]:
        for region in (*partition["regions"], "fips-us-east-1", "aws-global"):
            yield partition["partition"], region


@pytest.mark.parametrize(
    "variant", [{}, {"use_fips_endpoint": True}, {"use_dualstack_endpoint": True}], ids=str
)
def test_endpoints_are_the_same_in_every_partition(
    whole: Any, cut: ServiceModels, variant: dict[str, bool]
) -> None:
    before, after = resolved(whole), resolved(cut)
    assert after.uses_builtin_data is before.uses_builtin_data is True

    def endpoint(resolver: Any, prefix: str, partition: str, region: str) -> Any:
        try:
            return resolver.construct_endpoint(prefix, region, partition_name=partition, **variant)
        except botocore.exceptions.BotoCoreError as error:
            return str(error)

    compared = 0
    for partition, region in regions_of_all_partitions(whole):
        for prefix in models._ENDPOINT_PREFIXES:
            compared += 1
            assert endpoint(after, prefix, partition, region) == endpoint(before, prefix, partition, region)
    assert compared > 500


def test_the_first_use_of_another_service_completes_the_endpoints() -> None:
    """The credential chain signs in with services of which the program knows nothing."""
    whole = botocore.session.Session().get_component("data_loader")  # whose endpoints no resolver has changed
    loader = ServiceModels(None)
    resolver = resolved(loader)
    assert "oidc" not in resolver._endpoint_data["partitions"][0]["services"]
    loader.load_service_model("sso-oidc", MODEL)
    assert resolver._endpoint_data == whole.load_data("endpoints")
    assert resolved(loader)._endpoint_data == whole.load_data("endpoints")


def test_endpoints_of_the_user_are_his(tmp_path: Path, whole: Any) -> None:
    """Botocore then uses them in place of its rules; the path of the data decides."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "endpoints.json").write_text(json.dumps(whole.load_data("endpoints")))
    loader = ServiceModels(None, [str(tmp_path / "own")])
    assert resolved(loader).uses_builtin_data is False


@pytest.mark.parametrize(
    ("region", "variables"),
    [
        ("eu-west-1", {}),
        ("us-gov-west-1", {}),
        ("cn-north-1", {}),
        ("us-east-1", {"AWS_USE_FIPS_ENDPOINT": "true"}),
        ("eu-west-1", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}),
        ("eu-west-1", {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9"}),
        (
            "eu-west-1",
            {"AWS_RETRY_MODE": "adaptive", "AWS_MAX_ATTEMPTS": "7", "AWS_STS_REGIONAL_ENDPOINTS": "legacy"},
        ),
    ],
)
def test_clients_are_as_botocore_makes_them(
    region: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    own = core_session(AwsConnection(access_key_id="a", secret_access_key="b"))
    botocores = botocore.session.Session()
    botocores.set_credentials("a", "b")

    def facts(session: Any, service: str) -> tuple[Any, ...]:
        client = session.create_client(service, region_name=region)
        address = client._ruleset_resolver.construct_endpoint(
            client.meta.service_model.operation_model(min(OPERATIONS[service] or {"GetCallerIdentity"})),
            {},
            {},
        )
        meta = client.meta
        return (
            meta.endpoint_url,
            meta.partition,
            meta.region_name,
            meta.config.retries,
            address.url,
            address.properties,
        )

    for service in (SMALL, "sts", "iam"):
        assert facts(own, service) == facts(botocores, service)
