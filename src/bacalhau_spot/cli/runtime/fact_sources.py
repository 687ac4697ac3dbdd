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

if TYPE_CHECKING:
    from bacalhau_spot.cli.runtime.context import CommandContext


def fact_sources(context: CommandContext) -> FactSources:
    return FactSources(
        archive=ArchiveSource(archive.digest, context.connection.archive_url),
        caller_address=partial(caller_address, context.connection.checkip_url),
        launched_in=partial(known_usages.launched_in, context),
        cache=FileCache(context.cache_dir, clock=context.runtime.clock),
    )
