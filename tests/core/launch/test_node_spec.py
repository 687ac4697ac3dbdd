"""Drift: what a node was launched with, what the configuration says today, and the words for the difference."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from bacalhau_spot.core.launch.node_spec import Difference, differences, drifted_nodes, node_spec_tag
from bacalhau_spot.core.model import (
    ORCHESTRATOR_ROLE,
    ROLE_KEY,
    BacalhauSpec,
    ClusterSpec,
    CpuCredits,
    Instance,
    InstanceSpec,
    InterruptionSpec,
    NodeFile,
    OrchestratorMode,
    OrchestratorSpec,
    RegionSpec,
    Secret,
    Secrets,
    State,
    TlsMode,
)
from bacalhau_spot.core.tags import MAX_VALUE, NODE_SPEC_KEY, node_tags
from support.node_specs import FULL, PLAIN

REGION = "us-east-1"


def node(spec: ClusterSpec, **fields: Any) -> Instance:
    """A node that was launched with `spec`."""
    values = {
        "id": "i-1",
        "region": REGION,
        "zone": f"{REGION}a",
        "type": "t3.medium",
        "state": State.RUNNING,
        "launched_at": datetime(2026, 11, 28, tzinfo=UTC),
        "tags": node_tags(spec.naming, region=REGION, node_spec=node_spec_tag(spec, region=REGION)),
        **fields,
    }
    return Instance(**values)


def bacalhau(**fields: Any) -> ClusterSpec:
    return dataclasses.replace(FULL, bacalhau=dataclasses.replace(FULL.bacalhau, **fields))


def instance(**fields: Any) -> ClusterSpec:
    return dataclasses.replace(FULL, instance=dataclasses.replace(FULL.instance, **fields))


CHANGES = {
    "bacalhau.version": bacalhau(version="v1.9.4"),
    "bacalhau.download_url": bacalhau(download_url="https://mirror.example.com/{version}"),
    "bacalhau.orchestrators": bacalhau(orchestrators=("nats://three.example.com:4222",)),
    "bacalhau.token": bacalhau(token=Secret("another-token")),
    "bacalhau.secrets": bacalhau(secrets=Secrets.SSM),
    "bacalhau.tls": bacalhau(tls=TlsMode.PROXY),
    "bacalhau.ca_file": bacalhau(ca_pem="another"),
    "bacalhau.labels": bacalhau(labels=(("team", "other"),)),
    "cluster.name": dataclasses.replace(FULL, name="other"),
    "image": dataclasses.replace(FULL, image="ami-0123456789abcdef0"),
    "username": dataclasses.replace(FULL, username="someone"),
    "public_ssh_key_path": dataclasses.replace(FULL, public_key="ssh-ed25519 other"),
    "instance.root_volume_gib": instance(root_volume_gib=40),
    "instance.public_ip": instance(public_ip=False),
    "instance.cpu_credits": instance(cpu_credits=CpuCredits.UNLIMITED),
    "instance.additional_commands": instance(additional_commands="reboot"),
    "instance.files": instance(files=()),
    "interruption.grace_s": dataclasses.replace(FULL, interruption=InterruptionSpec(grace_s=10)),
    "instance_types": dataclasses.replace(FULL, instance_types=("m6a.large",)),
    f"regions.{REGION}.vpc_id": dataclasses.replace(FULL, regions=(RegionSpec(REGION, vpc_id="vpc-2"),)),
    "cluster.tags.team": dataclasses.replace(
        FULL, naming=dataclasses.replace(FULL.naming, extra_tags=(("team", "data"),))
    ),
}


@pytest.mark.parametrize("key", CHANGES)
def test_a_changed_key_is_the_only_difference(key: str) -> None:
    """Whichever value of a node changes, its key is named, and no other."""
    changed = differences(CHANGES[key], node(FULL, vpc_id="vpc-1"))
    assert [difference.key for difference in changed] == [key]
    assert changed[0].was != changed[0].now


def test_a_difference_shows_both_values() -> None:
    changed = differences(bacalhau(version="v1.9.4"), node(FULL))
    assert changed == (Difference("bacalhau.version", "v1.9.3", "v1.9.4"),)


def test_a_long_or_secret_value_is_not_shown() -> None:
    """A digest would mean nothing to a reader."""
    (changed,) = differences(bacalhau(token=Secret("another-token")), node(FULL))
    assert (changed.was, changed.now) == ("another value", "changed")
    assert "another-token" not in node_spec_tag(bacalhau(token=Secret("another-token")), region=REGION)


def test_a_limit_or_a_number_of_nodes_needs_no_new_node() -> None:
    more = dataclasses.replace(FULL, nodes=7, budget_usd_per_hour=None, ssh_cidrs=())
    assert differences(more, node(FULL)) == ()


def test_the_longest_values_fit_a_tag() -> None:
    """EC2 refuses a longer value, or other letters, and with it the whole launch."""
    longest = dataclasses.replace(
        FULL,
        name="n" * 60,
        username="u" * 32,
        image="ssm:/a/very/long/parameter/name/of/an/image",
        bacalhau=BacalhauSpec(
            orchestrators=("nats://" + "o" * 200,),
            token=Secret("t" * 200),
            secrets=Secrets.USER_DATA,
            tls=TlsMode.NATIVE,
            ca_pem="c" * 5000,
            version="v10.10.10-rc1",
            download_url="https://" + "d" * 200,
            labels=(("ü", "é ∞"),),
        ),
        instance=InstanceSpec(16384, additional_commands="x" * 5000, files=(NodeFile("/a", "b"),)),
        interruption=InterruptionSpec(100),
    )
    for spec in (
        longest,
        PLAIN,
        FULL,
        dataclasses.replace(longest, image="ami-0123456789abcdef0", name="n" * 14),
    ):
        tag = node_spec_tag(spec, region=REGION)
        assert len(tag) <= MAX_VALUE
        assert re.fullmatch(r"[\w +\-=.:/@]*", tag, re.ASCII)


def test_a_managed_orchestrator_that_was_not_asked_is_no_difference() -> None:
    """`list` reads EC2 only: it does not know the address that `create` gave to the nodes."""
    managed = OrchestratorSpec(OrchestratorMode.MANAGED)
    launched = dataclasses.replace(FULL, orchestrator=managed)
    unread = dataclasses.replace(PLAIN, orchestrator=managed, bacalhau=BacalhauSpec())
    keys = [difference.key for difference in differences(unread, node(launched))]
    assert not {"bacalhau.orchestrators", "bacalhau.token", "bacalhau.tls", "bacalhau.ca_file"} & set(keys)


def test_a_node_of_an_older_release_is_unknown_and_not_drifted() -> None:
    before = node(FULL)
    without = {key: value for key, value in before.tags.items() if key != NODE_SPEC_KEY}
    assert differences(PLAIN, dataclasses.replace(before, tags=without)) == ()


def test_the_types_of_a_region_count_for_its_nodes() -> None:
    own = dataclasses.replace(
        FULL, instance_types=("m6a.large",), regions=(RegionSpec(REGION, instance_types=("t3.medium",)),)
    )
    assert differences(own, node(FULL)) == ()


def test_only_living_nodes_drift() -> None:
    changed = bacalhau(version="v1.9.4")
    orchestrator = node(FULL, id="i-2", tags={**node(FULL).tags, ROLE_KEY: ORCHESTRATOR_ROLE})
    dead = node(FULL, id="i-3", state=State.TERMINATED)
    assert [row.instance.id for row in drifted_nodes(changed, (node(FULL), orchestrator, dead))] == ["i-1"]
