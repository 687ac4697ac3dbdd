"""The output of `extend` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from bacalhau_spot.ui.json_output.values import ProblemOutput, Time, optional_time, problem_data

if TYPE_CHECKING:
    from bacalhau_spot.core.lifecycle.extension import ExpiryChange


class ExtensionOutput(TypedDict):
    """The change of a cluster's expiry."""

    cluster: str
    expired_before: Time | None
    """the end before; null without one"""
    expires_at: Time | None
    """the end from now on; null after `--never`"""
    carried_out: bool
    """false with `--dry-run`"""
    instances: list[str]
    """all instances whose expiry changes"""
    changed: list[str]
    """those whose expiry AWS has changed"""
    groups: list[str]
    """the regions of all Auto Scaling groups whose expiry changes"""
    changed_groups: list[str]
    """the regions of those whose expiry AWS has changed"""
    failed: list[ProblemOutput]
    """by region, why the expiry is not completely changed"""
    failed_regions: list[ProblemOutput]
    """regions that could not be scanned"""
    interrupted: bool


def extension_data(change: ExpiryChange, *, cluster: str, carried_out: bool) -> ExtensionOutput:
    planned = change.planned
    return {
        "cluster": cluster,
        "expired_before": optional_time(planned.before.at),
        "expires_at": optional_time(planned.at),
        "carried_out": carried_out,
        "instances": [instance.id for instance in planned.retag],
        "changed": list(change.changed) if carried_out else [],
        "groups": [group.region for group in planned.groups],
        "changed_groups": list(change.changed_groups) if carried_out else [],
        "failed": [problem_data(failure) for failure in change.failed],
        "failed_regions": [problem_data(failure) for failure in change.failed_regions],
        "interrupted": change.interrupted,
    }
