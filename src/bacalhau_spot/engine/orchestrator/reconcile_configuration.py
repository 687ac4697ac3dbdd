"""Reads and writes the configuration with which the orchestrator's machine runs `reconcile`."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import CALLER
from bacalhau_spot.core.orchestrator.published_configuration import SWITCHED_OFF, PublishedConfiguration
from bacalhau_spot.core.tags import orchestrator_tags, reconcile_parameter
from bacalhau_spot.engine.aws_calls.creation import create_unless_exists
from bacalhau_spot.engine.iam.ownership import check_parameter
from bacalhau_spot.engine.orchestrator.resolve import foreign_parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.model import ClusterSpec, Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


async def published_configuration(
    calls: AwsCalls, naming: Naming, *, region: str
) -> PublishedConfiguration | None:
    """None if it was never written. Raises CloudError, and UserError for a parameter of another format."""
    name = reconcile_parameter(naming)
    stored = await calls.read(region, partial(calls.cloud.stored_parameter, region, name))
    if stored is None:
        return None
    if not stored.encrypted:
        raise foreign_parameter(name, region=region)
    try:
        return PublishedConfiguration.from_parameter(stored.value)
    except ValueError as error:
        raise foreign_parameter(name, region=region) from error


async def publish(
    calls: AwsCalls, spec: ClusterSpec, *, region: str, ssh_ranges: Sequence[str], replaces: bool
) -> PublishedConfiguration:
    """Write the configuration of `spec`, or that `reconcile` is switched off. Raises CloudError, Cancelled,
    and UserError for a parameter of others.

    `ssh_ranges`: the addresses of `ssh_cidrs: caller`, which on the machine would be those of the machine. `replaces`: the
    parameter exists.
    """
    own = spec.orchestrator.reconcile
    value = SWITCHED_OFF if own is None else _with_ranges(own, spec, ssh_ranges)
    name = reconcile_parameter(spec.naming)
    put = partial(
        calls.cloud.put_parameter,
        region,
        name,
        value=value.to_parameter(),
        tags=orchestrator_tags(spec.naming, name),
    )
    if not replaces and await create_unless_exists(
        calls, region, ResourceKind.PARAMETER, name, partial(put, replace=False)
    ):
        return value
    await check_parameter(calls, spec.naming, region, name)
    await calls.write(region, partial(put, replace=True))
    return value


def _with_ranges(
    own: PublishedConfiguration, spec: ClusterSpec, ssh_ranges: Sequence[str]
) -> PublishedConfiguration:
    if CALLER not in spec.ssh_cidrs:
        return own
    return replace(own, config={**own.config, "ssh_cidrs": list(ssh_ranges) or "none"})
