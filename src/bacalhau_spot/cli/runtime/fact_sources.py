"""The sources of launch facts besides AWS, for both `create` and `doctor`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.cli.state.cache import FileCache
from bacalhau_spot.cloud import archive
from bacalhau_spot.cloud.public_ip import caller_address
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource
from bacalhau_spot.engine.launch.facts_gathering import FactSources
from bacalhau_spot.orchestrator.nats_probe import probe_orchestrators

if TYPE_CHECKING:
    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.core.model import BacalhauSpec, Identity
    from bacalhau_spot.core.orchestrator.nats_check import NatsCheck
    from bacalhau_spot.core.pricing.usage_history import LoggedInstance


def fact_sources(context: CommandContext) -> FactSources:
    return FactSources(
        archive=ArchiveSource(archive.digest, context.connection.archive_url),
        nats_checks=partial(_nats_checks, context),
        caller_address=partial(caller_address, context.connection.checkip_url),
        launched_in=partial(known_usages.launched_in, context),
        logged=partial(_logged, context),
        cache=FileCache(context.cache_dir, clock=context.runtime.clock),
    )


def _logged(context: CommandContext, identity: Identity) -> tuple[LoggedInstance, ...]:
    """Of the configured cluster; `doctor` has sources also without a valid configuration."""
    return tuple(known_usages.logged_usages(context, identity, cluster=context.naming().tag_value))


async def _nats_checks(context: CommandContext, bacalhau: BacalhauSpec) -> tuple[NatsCheck, ...]:
    addresses = context.addresses(bacalhau)
    return () if addresses is None else await probe_orchestrators(bacalhau, addresses=addresses)
