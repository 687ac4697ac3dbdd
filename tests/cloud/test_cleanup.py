"""Every kind is found by its tag, and deleted by its own call, as AWS has it."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name

from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from bacalhau_spot.cloud import cleanup
from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.cleanup.handlers import HANDLERS
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.core.cleanup.deletion_order import SPEC_BY_KIND
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import GLOBAL, ResourceKind
from bacalhau_spot.core.tags import Scope
from sandbox.conftest import boto_session
from support.one_of_each import ResourceFixture
from support.sandbox import sandbox, sandbox_server

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["sandbox", "sandbox_server"]

REGION = "us-west-2"
TAGS = {"bacalhau-cluster": "mine", "CreatedBy": "us", "Name": "beast"}
CLUSTER = Scope("bacalhau-cluster", "mine")
ACCOUNT = Scope("bacalhau-cluster", "another", creator="us")
STRANGERS = (
    Scope("bacalhau-cluster", "min"),
    Scope("bacalhau-cluster", "m*"),
    Scope("bacalhau-cluster", "Mine"),
    Scope("bacalhau", "mine"),
    Scope("bacalhau-cluster", "another", creator="them"),
)


@pytest.fixture
def cloud(sandbox: Any) -> Iterator[Aws]:
    aws = Aws(
        AwsConnection(
            endpoint_url=sandbox.url, access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET_ACCESS_KEY
        )
    )
    yield aws
    aws.close()


@pytest.fixture
def beasts(sandbox: Any) -> ResourceFixture:
    resources = ResourceFixture(sandbox.client, REGION, TAGS, "beast").everything()
    resources.identities()
    return resources


async def listed_ids(cloud: Aws, scope: Scope) -> dict[ResourceKind, set[str]]:
    """Of every kind, whatever the indexes show."""
    index = (*await cloud.tagged(REGION, scope), *(await cloud.tagging_api(REGION, scope)).outside_ec2)
    shown: dict[ResourceKind, set[str]] = {}
    for kind in ResourceKind:
        place = GLOBAL if SPEC_BY_KIND[kind].is_global else REGION
        ids = [tagged.id for tagged in index if tagged.kind == kind]
        for resource in await cloud.find(place, kind, scope, ids=ids):
            if not resource.is_gone:
                shown.setdefault(kind, set()).add(resource.id)
    return shown


def test_every_kind_has_its_handler() -> None:
    assert set(HANDLERS) == set(ResourceKind)


def test_the_bestiary_has_every_kind(beasts: ResourceFixture) -> None:
    """A kind that is added to the table is added there."""
    assert set(beasts.resource_ids) == set(ResourceKind)


@pytest.mark.parametrize("scope", [CLUSTER, ACCOUNT], ids=["cluster", "account"])
def test_every_kind_is_found_by_its_tag(cloud: Aws, beasts: ResourceFixture, scope: Scope) -> None:
    """By the exact value, and by the key with our mark. Untagged instances of ours are found through what launched them."""
    shown = asyncio.run(listed_ids(cloud, scope))
    untagged = {ResourceKind.INSTANCE}
    missing = {
        kind: ids
        for kind, ids in beasts.resource_ids.items()
        if kind not in untagged and not set(ids) <= shown.get(kind, set())
    }
    assert missing == {}


def test_nobody_elses_is_found(cloud: Aws, beasts: ResourceFixture) -> None:
    """Not by part of a value, by a wildcard, by another spelling, by another creator."""
    assert beasts.resource_ids
    for scope in STRANGERS:
        assert asyncio.run(listed_ids(cloud, scope)) == {}


# --- The code itself

FOLDER = Path(cleanup.__file__).parent
# Asked of one thing by its id or name, which fits on a page: (EventBridge allows five targets a rule.) The versions of a
# bucket are counted page by page up to a limit, which is part of the result.
ONE_PAGE = {"list_targets_by_rule", "describe_alarms", "list_object_versions"}
# A refusal that says what is wrong with the request or that there is no such thing: asking again would not help.
FINAL = {
    *(
        "NoSuchEntity",
        "ResourceNotFoundException",
        "ResourceNotFound",
        "QueueDoesNotExist",
        "NotFound",
        "NoSuchUpload",
    ),
    *(
        "InvalidInput",
        "InvalidParameterException",
        "InvalidParameter",
        "InvalidRequestException",
        "InvalidAddress",
    ),
    *("InvalidSecurity", "InvalidState", "UnmodifiableEntity", "ManagedRuleException", "ValidationException"),
    *(
        "UnsupportedOperation",
        "StaleTag",
        "TagPolicy",
        "LimitExceeded",
        "ServiceLinkedRoleFailure",
        "InvalidOperationException",
    ),
}


def documented_calls() -> Iterator[tuple[str, str, str]]:
    """Every call that cleaning makes, as it stands in the code: how, of which service, which operation."""
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                first, operation, how = node.args[0], node.args[min(2, len(node.args) - 1)], node.func.attr
                named = isinstance(first, ast.Constant) and isinstance(operation, ast.Constant)
                if named and how in {"call", "pages", "everything"}:
                    yield how, str(ast.literal_eval(first)), str(ast.literal_eval(operation))


def test_whatever_has_pages_is_read_to_its_end() -> None:
    """A list of which only the first page is read leaves the rest behind."""
    loader = boto_session()
    first_page_only = []
    for how, service, operation in set(documented_calls()):
        client = loader.create_client(service, region_name=REGION)
        if how == "call" and client.can_paginate(operation) and operation not in ONE_PAGE:
            first_page_only.append((service, operation))
        client.close()
    assert first_page_only == []


def test_every_refusal_of_a_deletion_is_known() -> None:
    """Of services that publish their errors (EC2 does not): what passes is waited out, and no code is unknown to us."""
    strange = set()
    for how, service, operation in set(documented_calls()):
        if how == "call" and service != "ec2" and not operation.startswith(("describe", "list", "get")):
            model = boto_session().get_service_model(service)
            names = {xform_name(name): name for name in model.operation_names}
            for shape in model.operation_model(names[operation]).error_shapes:
                code = shape.metadata.get("error", {}).get("code", shape.name)
                if classify(code).category is Category.UNKNOWN and code not in FINAL:
                    strange.add((service, operation, code))
    assert strange == set()
