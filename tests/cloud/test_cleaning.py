"""Every kind is found by its tag, and deleted by its own call, as AWS has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.cleaning import HANDLERS
from bacalhau_spot.cloud.session import Access
from bacalhau_spot.core.tags import Scope
from bacalhau_spot.core.teardown import GLOBAL, ROWS, Kind
from bacalhau_spot.sandbox.world import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from support.bestiary import Beasts
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
    made = Aws(
        Access(endpoint_url=sandbox.url, access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET_ACCESS_KEY)
    )
    yield made
    made.close()


@pytest.fixture
def beasts(sandbox: Any) -> Beasts:
    made = Beasts(sandbox.client, REGION, TAGS, "beast").everything()
    made.identities()
    return made


async def found(cloud: Aws, scope: Scope) -> dict[Kind, set[str]]:
    """Of every kind, whatever the indexes show."""
    index = (*await cloud.tagged(REGION, scope), *await cloud.tagged_beside_ec2(REGION, scope))
    shown: dict[Kind, set[str]] = {}
    for kind in Kind:
        place = GLOBAL if ROWS[kind].everywhere else REGION
        ids = [one.id for one in index if one.kind == kind]
        for one in await cloud.find(place, kind, scope, ids=ids):
            if not one.over:
                shown.setdefault(kind, set()).add(one.id)
    return shown


def test_every_kind_has_its_handler() -> None:
    assert set(HANDLERS) == set(Kind)


def test_the_bestiary_has_every_kind(beasts: Beasts) -> None:
    """A kind that is added to the table is added there."""
    assert set(beasts.made) == set(Kind)


@pytest.mark.parametrize("scope", [CLUSTER, ACCOUNT], ids=["cluster", "account"])
def test_every_kind_is_found_by_its_tag(cloud: Aws, beasts: Beasts, scope: Scope) -> None:
    """By the exact value, and by the key with our mark. Untagged instances of ours are found through what launched them."""
    shown = asyncio.run(found(cloud, scope))
    untagged = {Kind.INSTANCE}
    missing = {
        kind: ids
        for kind, ids in beasts.made.items()
        if kind not in untagged and not set(ids) <= shown.get(kind, set())
    }
    assert missing == {}


def test_nobody_elses_is_found(cloud: Aws, beasts: Beasts) -> None:
    """Not by part of a value, by a wildcard, by another spelling, by another creator."""
    assert beasts.made
    for scope in STRANGERS:
        assert asyncio.run(found(cloud, scope)) == {}
