"""A cluster without jobs ends after the configured time; one with jobs, or of unknown state, does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bacalhau_spot.core.lifecycle.expiry import (
    TOLERANCE,
    ExpiryKind,
    cluster_expiry,
    expiry_reason,
    expiry_value,
)
from bacalhau_spot.core.lifecycle.idle import idle_since
from bacalhau_spot.core.model import (
    ORCHESTRATOR_ROLE,
    ROLE_KEY,
    ClusterSpec,
    Instance,
    Naming,
    RegionSpec,
    State,
)
from bacalhau_spot.core.orchestrator.jobs import Job, JobState
from bacalhau_spot.core.tags import EXPIRES_KEY

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SPEC = ClusterSpec("cluster", Naming(), (RegionSpec("us-east-1"),), nodes=1, idle_ttl_s=1800)


def _node(minutes: float, **tags: str) -> Instance:
    """Launched so many minutes ago."""
    launched = NOW - timedelta(minutes=minutes)
    return Instance("i-1", "us-east-1", "us-east-1a", "t3.medium", State.RUNNING, launched, tags=tags)


def _job(state: JobState, minutes: float | None) -> Job:
    """Changed so many minutes ago."""
    return Job("j", state, changed_at=None if minutes is None else NOW - timedelta(minutes=minutes))


def test_it_is_idle_since_the_end_of_the_last_job() -> None:
    jobs = [_job(JobState.COMPLETED, 50), _job(JobState.FAILED, 20), _job(JobState.STOPPED, 90)]
    assert idle_since(jobs, [_node(100)]) == NOW - timedelta(minutes=20)


def test_jobs_before_the_first_launch_do_not_count() -> None:
    assert idle_since([_job(JobState.COMPLETED, 500)], [_node(5), _node(10)]) == NOW - timedelta(minutes=10)


@pytest.mark.parametrize("state", [JobState.PENDING, JobState.QUEUED, JobState.RUNNING, JobState.OTHER])
def test_a_job_that_is_not_final_keeps_it(state: JobState) -> None:
    assert idle_since([_job(JobState.COMPLETED, 50), _job(state, 500)], [_node(900)]) is None


def test_a_job_without_a_time_keeps_it() -> None:
    assert idle_since([_job(JobState.COMPLETED, None)], [_node(900)]) is None


def test_without_nodes_nothing_is_idle() -> None:
    assert idle_since([], [_node(900, **{ROLE_KEY: ORCHESTRATOR_ROLE})]) is None


def test_a_cluster_ends_after_the_idle_time_and_not_before() -> None:
    idle_from = NOW - timedelta(seconds=1799)
    assert expiry_reason(SPEC, cluster_expiry([_node(100)]), now=NOW, idle_from=idle_from) is None
    reason = expiry_reason(
        SPEC, cluster_expiry([_node(100)]), now=NOW + timedelta(seconds=1), idle_from=idle_from
    )
    assert reason is not None and (reason.kind, reason.since) == (ExpiryKind.IDLE, idle_from)


def test_an_unknown_activity_or_no_idle_time_ends_nothing() -> None:
    assert expiry_reason(SPEC, cluster_expiry([_node(9000)]), now=NOW) is None
    spec = replace(SPEC, idle_ttl_s=None)
    assert (
        expiry_reason(spec, cluster_expiry([_node(9000)]), now=NOW, idle_from=NOW - timedelta(days=9)) is None
    )


def test_after_the_lifetime_nodes_first_end_themselves() -> None:
    node = _node(500, **{EXPIRES_KEY: expiry_value(NOW)})
    assert expiry_reason(SPEC, cluster_expiry([node]), now=NOW + TOLERANCE) is None
    reason = expiry_reason(SPEC, cluster_expiry([node]), now=NOW + TOLERANCE + timedelta(seconds=1))
    assert reason is not None and (reason.kind, reason.since) == (ExpiryKind.LIFETIME, NOW)


def test_a_wrong_end_on_some_nodes_does_not_end_the_others() -> None:
    """Without a `ttl`, somebody gave the nodes of one region an end in the past: the nodes end, the cluster does not."""
    past, later = "2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"
    forged = replace(_node(100), tags={**_node(100).tags, EXPIRES_KEY: past})
    without = replace(
        _node(100),
        id="i-other",
        tags={key: tag for key, tag in _node(100).tags.items() if key != EXPIRES_KEY},
    )
    no_ttl, ttl = replace(SPEC, ttl_s=None, idle_ttl_s=None), replace(SPEC, ttl_s=3600, idle_ttl_s=None)
    assert expiry_reason(no_ttl, cluster_expiry([forged, without]), now=NOW) is None
    longer = replace(without, tags={**without.tags, EXPIRES_KEY: later})
    assert expiry_reason(ttl, cluster_expiry([forged, longer]), now=NOW) is None, "the latest end counts"
    for spec, nodes in ((ttl, [forged, without]), (no_ttl, [forged])):
        reason = expiry_reason(spec, cluster_expiry(nodes), now=NOW)
        assert reason is not None and reason.kind is ExpiryKind.LIFETIME
