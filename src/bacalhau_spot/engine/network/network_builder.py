"""A region's network, created or completed: VPC, gateway, route, subnets, security group.

EC2 has no client tokens for these, so a call with a lost answer is not simply repeated: the region is read again, and
only missing resources are created.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.backoff import backoff_s
from bacalhau_spot.core.error_catalog.classifier import CLOSED_ZONE, Category, classify
from bacalhau_spot.core.error_catalog.internal import FOREIGN_ROUTE_TABLE
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.launch.main_route_table import foreign_table_message
from bacalhau_spot.core.model import Network
from bacalhau_spot.core.tags import group_name, tags_for
from bacalhau_spot.engine.aws_calls.caller import UNCERTAIN, gather_all
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.aws_calls.creation import write_unless_exists

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

T = TypeVar("T")

VPC_CIDR = "10.0.0.0/16"
_SSH_PORT = 22
_READ_ATTEMPTS = 5
# The answer was lost, or AWS reports that the resource exists: in both cases another read shows it.
_STALE_READ_CODES = UNCERTAIN | {Category.EXISTS}


def subnet_cidr(zone: str) -> str:
    """A /20 subnet of the VPC per zone, by the zone's letter: 4,091 nodes in each of up to sixteen zones."""
    return f"10.0.{(ord(zone[-1]) - ord('a')) * 16}.0/20"


class NetworkBuilder:
    """Creates the missing parts of a region's network, and remembers them even if reads do not list them yet."""

    def __init__(
        self,
        calls: AwsCalls,
        region: str,
        naming: Naming,
        *,
        cidrs: Sequence[str],
        own: bool,
        group: bool = True,
        group_known: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`own`: the VPC is the cluster's, otherwise the user's. `group`: with the nodes' security group.

        `group_known` gets the group's id as soon as there is one, which may be more than once.
        """
        self._calls = calls
        self._region = region
        self._naming = naming
        self._cidrs = cidrs
        self._own = own
        self._has_group = group
        self._group_known = group_known
        self.network = Network()
        self.closed_zones: dict[str, CloudError] = {}

    async def complete(self, start: Network, *, zones: Sequence[str]) -> Network:
        """The network `start`, completed with subnets in all `zones` that accept one. Raises CloudError, Cancelled.

        `closed_zones` has AWS's refusal for each of the others; if no zone accepts a subnet, it is raised.
        """
        self.network = start
        for look in range(1, _READ_ATTEMPTS + 1):
            try:
                await self._complete(zones)
            except CloudError as error:
                if look == _READ_ATTEMPTS or classify(error.code).category not in _STALE_READ_CODES:
                    raise
                await self._retry_read(error, look)
            else:
                break
        if self.closed_zones and not set(zones) & set(self.network.subnets):
            raise self.closed_zones[min(self.closed_zones)]
        return self.network

    async def _complete(self, zones: Sequence[str]) -> None:
        if self._own:
            if self.network.vpc_id is not None:
                await self._route_table()  # before anything is created in vain
            await gather_all(self._vpc(), self._gateway())
            group = (self._group(),) if self._has_group else ()
            await gather_all(self._internet_access(), *group, *(self._subnet(zone) for zone in zones))
        else:
            await self._group()

    async def _retry_read(self, error: CloudError, look: int) -> None:
        wait_s = backoff_s(look, jitter=0.5)
        if classify(error.code).category in UNCERTAIN:
            wait_s = max(
                wait_s, LAG_S
            )  # an earlier read might omit the resource, and a second one would be created
        self._calls.emit(
            events.Retrying(
                region=self._region, operation=error.operation, code=error.code, attempt=look, wait_s=wait_s
            )
        )
        await self._calls.pause(wait_s)
        self.network = merge(self.network, await self._calls.read(self._region, self._look))

    async def _look(self) -> Network:
        """The tagged network; of a VPC of the user the tagged security group."""
        cloud, key, value = self._calls.cloud, self._naming.tag_key, self._naming.tag_value
        if self._own:
            return await cloud.network(self._region, key=key, value=value)
        return await cloud.foreign_group(self._region, known(self.network.vpc_id), key=key, value=value)

    async def _vpc(self) -> None:
        if self.network.vpc_id is None:
            tags = tags_for(self._naming, self._naming.vpc_name)
            vpc_id = await self._create(
                ResourceKind.VPC,
                partial(self._calls.cloud.create_vpc, self._region, cidr=VPC_CIDR, tags=tags),
            )
            self.network = replace(self.network, vpc_id=vpc_id)

    async def _internet_access(self) -> None:
        """The main route table applies to every subnet, so one route is enough, and no association is needed."""
        await gather_all(self._attachment(), self._route_table())
        if not self.network.has_default_route:
            await self._write(
                partial(
                    self._calls.cloud.create_default_route,
                    self._region,
                    known(self.network.route_table_id),
                    gateway_id=known(self.network.gateway_id),
                )
            )
            self.network = replace(self.network, has_default_route=True)

    async def _gateway(self) -> None:
        """It needs no VPC before its attachment."""
        if self.network.gateway_id is None:
            gateway_id = await self._create(
                ResourceKind.GATEWAY,
                partial(self._calls.cloud.create_gateway, self._region, tags=self._tags("gateway")),
            )
            self.network = replace(self.network, gateway_id=gateway_id)

    async def _attachment(self) -> None:
        if not self.network.gateway_attached:
            await self._write(
                partial(
                    self._calls.cloud.attach_gateway,
                    self._region,
                    known(self.network.gateway_id),
                    vpc_id=known(self.network.vpc_id),
                )
            )
            self.network = replace(self.network, gateway_attached=True)

    async def _route_table(self) -> None:
        """The one that gets a route, if it lacks one. Raises CloudError for that of others."""
        if self.network.route_table_id is not None or self.network.has_default_route:
            return
        vpc_id = known(self.network.vpc_id)
        table = await self._calls.read(
            self._region, lambda: self._calls.cloud.main_route_table(self._region, vpc_id)
        )
        if not table.belongs_to(self._naming):
            raise CloudError(
                FOREIGN_ROUTE_TABLE,
                foreign_table_message(table, gateway_id=self.network.gateway_id, region=self._region),
                operation="DescribeRouteTables",
                region=self._region,
            )
        self.network = replace(self.network, route_table_id=table.id)

    async def _subnet(self, zone: str) -> None:
        if zone in self.network.subnets or zone in self.closed_zones:
            return
        try:
            subnet_id = await self._create(
                ResourceKind.SUBNET,
                partial(
                    self._calls.cloud.create_subnet,
                    self._region,
                    vpc_id=known(self.network.vpc_id),
                    zone=zone,
                    cidr=subnet_cidr(zone),
                    tags=self._tags(f"subnet-{zone}"),
                ),
            )
        except CloudError as error:
            if error.code != CLOSED_ZONE:
                raise
            self.closed_zones[zone] = error
        else:
            self.network = replace(self.network, subnets={**self.network.subnets, zone: subnet_id})

    async def _group(self) -> None:
        if self.network.group_id is None:
            group_id = await self._create(
                ResourceKind.GROUP,
                partial(
                    self._calls.cloud.create_group,
                    self._region,
                    vpc_id=known(self.network.vpc_id),
                    name=group_name(self._naming),
                    description="Bacalhau compute nodes: SSH from the operator, nothing else",
                    tags=self._tags("nodes"),
                ),
            )
            self.network = replace(self.network, group_id=group_id)
        self._group_known(known(self.network.group_id))
        closed = [cidr for cidr in self._cidrs if cidr not in self.network.open_cidrs]
        if closed:
            await self._write(
                partial(
                    self._calls.cloud.allow_tcp,
                    self._region,
                    known(self.network.group_id),
                    rules={_SSH_PORT: closed},
                )
            )
            self.network = replace(self.network, open_cidrs=self.network.open_cidrs | set(closed))

    def _tags(self, what: str) -> dict[str, str]:
        return tags_for(self._naming, f"{self._naming.resource_prefix}{what}")

    async def _create(self, kind: ResourceKind, call: Callable[[], Awaitable[str]]) -> str:
        made = await self._calls.write(self._region, call, non_idempotent=True)
        self._calls.emit(events.ResourceCreated(region=self._region, kind=kind, id=made))
        return made

    async def _write(self, call: Callable[[], Awaitable[None]]) -> None:
        await write_unless_exists(self._calls, self._region, call)


def merge(known: Network, seen: Network) -> Network:
    """The created parts, completed by those of a read. A part that a lagging read omits is retained."""
    if known.vpc_id is not None and seen.vpc_id not in {None, known.vpc_id}:
        return known
    return Network(
        vpc_id=known.vpc_id or seen.vpc_id,
        gateway_id=known.gateway_id or seen.gateway_id,
        gateway_attached=known.gateway_attached or seen.gateway_attached,
        route_table_id=known.route_table_id or seen.route_table_id,
        has_default_route=known.has_default_route or seen.has_default_route,
        subnets={**seen.subnets, **known.subnets},
        group_id=known.group_id or seen.group_id,
        open_cidrs=known.open_cidrs | seen.open_cidrs,
    )


def known(value: T | None) -> T:
    """The result of an earlier step. Raises AssertionError if that step did not run."""
    if value is None:
        raise AssertionError("a step ran before the one that it builds on")
    return value
