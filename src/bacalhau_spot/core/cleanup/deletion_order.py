"""Which kinds of resource exist, what must be gone before what, and what may be touched: the deletion graph as a table.

Rules:
1. A kind is deleted when nothing of the kinds in its `after` is left in its region. The table has no cycle (tested). What
   cannot go, because AWS refuses it or it is not ours to touch, holds back only what AWS itself makes depend on it.
2. Launchers go first: a group or a fleet that lives could start again what we just ended.
3. Only what shows our tag on the live resource is deleted. What dies with an owned resource (`derived`) is waited for,
   and deleted only when it outlives its owner.
4. What is the same in all regions goes last: any region may still use it.
5. "Deleted" means that AWS no longer shows it.

Sources: EC2 user guide and VPC user guide, "Delete your VPC"; measured dependencies are in the sandbox's contract tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.kinds import GLOBAL, ResourceKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bacalhau_spot.core.model import Resource


@dataclass(frozen=True, slots=True)
class KindSpec:
    """One kind.

    `deleted_with_parent`: it normally dies with its owner. `batch`: how many ids one delete call takes. `created_by_us`:
    `create` makes such.
    `service`: the AWS service that has it. `is_global`: it belongs to the account, not to a region. `deletion_timeout_s`:
    how long AWS
    may take to remove one, once it has begun.
    """

    kind: ResourceKind
    after: frozenset[ResourceKind] = frozenset()
    deleted_with_parent: bool = False
    batch: int = 1
    created_by_us: bool = False
    service: str = "ec2"
    is_global: bool = False
    deletion_timeout_s: float = 300.0


# Longer than AWS's own waiters wait (ten minutes); metal instances and interfaces of Lambda take the longest.
_SLOW_S, _SLOWEST_S = 900.0, 2700.0


def _after(*kinds: ResourceKind) -> frozenset[ResourceKind]:
    return frozenset(kinds)


_LAUNCHERS = _after(ResourceKind.SCALING_GROUP, ResourceKind.FLEET, ResourceKind.SPOT_FLEET)
# What has a network interface of its own in the VPC.
_IN_THE_VPC = _after(
    ResourceKind.INSTANCE,
    ResourceKind.NAT_GATEWAY,
    ResourceKind.ENDPOINT,
    ResourceKind.CONNECT_ENDPOINT,
    ResourceKind.INTERFACE,
)

KIND_SPECS: tuple[KindSpec, ...] = (
    # What launches
    KindSpec(ResourceKind.RULE, service="events"),
    KindSpec(ResourceKind.SCALING_GROUP, service="autoscaling", deletion_timeout_s=_SLOW_S),
    KindSpec(ResourceKind.FLEET, batch=25, created_by_us=True),
    KindSpec(ResourceKind.SPOT_FLEET, batch=100),
    KindSpec(ResourceKind.SPOT_REQUEST, after=_LAUNCHERS, batch=100, created_by_us=True),
    # What costs most
    KindSpec(
        ResourceKind.INSTANCE,
        after=_LAUNCHERS | _after(ResourceKind.SPOT_REQUEST),
        batch=100,
        created_by_us=True,
        deletion_timeout_s=_SLOWEST_S,
    ),
    KindSpec(ResourceKind.NAT_GATEWAY, deletion_timeout_s=_SLOW_S),
    KindSpec(ResourceKind.ENDPOINT, batch=25, deletion_timeout_s=_SLOW_S),
    KindSpec(ResourceKind.CONNECT_ENDPOINT, deletion_timeout_s=_SLOW_S),
    # What instances used
    KindSpec(
        ResourceKind.VOLUME,
        after=_after(ResourceKind.INSTANCE),
        deleted_with_parent=True,
        created_by_us=True,
        deletion_timeout_s=_SLOW_S,
    ),
    KindSpec(
        ResourceKind.INTERFACE,
        after=_IN_THE_VPC - {ResourceKind.INTERFACE},
        deleted_with_parent=True,
        created_by_us=True,
        deletion_timeout_s=_SLOWEST_S,
    ),
    KindSpec(
        ResourceKind.ADDRESS,
        after=_after(ResourceKind.INSTANCE, ResourceKind.NAT_GATEWAY, ResourceKind.INTERFACE),
    ),
    KindSpec(ResourceKind.TEMPLATE, after=_LAUNCHERS, created_by_us=True),
    KindSpec(ResourceKind.PLACEMENT_GROUP, after=_after(ResourceKind.INSTANCE, ResourceKind.TEMPLATE)),
    KindSpec(ResourceKind.RESERVATION, after=_after(ResourceKind.INSTANCE)),
    KindSpec(ResourceKind.KEY_PAIR),
    KindSpec(ResourceKind.IMAGE, after=_LAUNCHERS),
    KindSpec(ResourceKind.SNAPSHOT, after=_after(ResourceKind.IMAGE)),
    # The network
    KindSpec(ResourceKind.FLOW_LOG, batch=25),
    KindSpec(ResourceKind.PEERING),
    KindSpec(ResourceKind.GATEWAY, after=_IN_THE_VPC | _after(ResourceKind.ADDRESS), created_by_us=True),
    KindSpec(ResourceKind.EGRESS_GATEWAY, after=_IN_THE_VPC),
    KindSpec(ResourceKind.GROUP, after=_IN_THE_VPC, created_by_us=True),
    KindSpec(ResourceKind.SUBNET, after=_IN_THE_VPC, created_by_us=True),
    KindSpec(ResourceKind.ROUTE_TABLE, after=_after(ResourceKind.SUBNET, ResourceKind.ENDPOINT)),
    KindSpec(ResourceKind.ACL, after=_after(ResourceKind.SUBNET)),
    KindSpec(
        ResourceKind.VPC,
        after=_after(
            *(
                ResourceKind.GATEWAY,
                ResourceKind.EGRESS_GATEWAY,
                ResourceKind.GROUP,
                ResourceKind.SUBNET,
                ResourceKind.ROUTE_TABLE,
                ResourceKind.ACL,
            ),
            *(ResourceKind.PEERING, ResourceKind.FLOW_LOG),
        ),
        created_by_us=True,
    ),
    KindSpec(ResourceKind.DHCP_OPTIONS, after=_after(ResourceKind.VPC)),
    # Beside EC2
    KindSpec(
        ResourceKind.PARAMETER,
        after=_after(ResourceKind.INSTANCE),
        batch=10,
        created_by_us=True,
        service="ssm",
    ),
    KindSpec(ResourceKind.SECRET, after=_after(ResourceKind.INSTANCE), service="secretsmanager"),
    KindSpec(ResourceKind.ALARM, after=_after(ResourceKind.SCALING_GROUP), service="cloudwatch"),
    KindSpec(ResourceKind.QUEUE, after=_after(ResourceKind.RULE), service="sqs"),
    KindSpec(ResourceKind.TOPIC, after=_after(ResourceKind.RULE, ResourceKind.ALARM), service="sns"),
    KindSpec(ResourceKind.BUCKET, after=_after(ResourceKind.INSTANCE, ResourceKind.FLOW_LOG), service="s3"),
    # Whatever still writes makes a log group again.
    KindSpec(
        ResourceKind.LOG_GROUP,
        after=_after(ResourceKind.INSTANCE, ResourceKind.FLOW_LOG, ResourceKind.RULE),
        service="logs",
    ),
    # Once, after all regions
    KindSpec(ResourceKind.PROFILE, created_by_us=True, service="iam", is_global=True),
    KindSpec(
        ResourceKind.ROLE,
        after=_after(ResourceKind.PROFILE),
        created_by_us=True,
        service="iam",
        is_global=True,
    ),
    KindSpec(ResourceKind.POLICY, after=_after(ResourceKind.ROLE), service="iam", is_global=True),
)

SPEC_BY_KIND: dict[ResourceKind, KindSpec] = {row.kind: row for row in KIND_SPECS}
_NAMES = frozenset(row.kind.value for row in KIND_SPECS)


def is_known_kind(kind: str) -> bool:
    return kind in _NAMES


def kinds_of(region: str) -> tuple[ResourceKind, ...]:
    """The kinds that a region has, or GLOBAL."""
    return tuple(row.kind for row in KIND_SPECS if row.is_global == (region == GLOBAL))


def prerequisites(kind: ResourceKind) -> frozenset[ResourceKind]:
    """All kinds that must be gone before `kind`, directly or through others."""
    direct = SPEC_BY_KIND[kind].after
    return direct.union(*(prerequisites(other) for other in direct)) if direct else direct


def levels() -> tuple[tuple[ResourceKind, ...], ...]:
    """The kinds in the order in which they go: all of a wave at once, each wave when what it waits for is gone."""
    waves: list[tuple[ResourceKind, ...]] = []
    for everywhere in (False, True):
        left = {row.kind for row in KIND_SPECS if row.is_global is everywhere}
        while left:
            wave = tuple(
                kind for kind in SPEC_BY_KIND if kind in left and not SPEC_BY_KIND[kind].after & left
            )
            waves.append(wave)
            left -= set(wave)
    return tuple(waves)


def unblocked_kinds(resources: Iterable[Resource]) -> frozenset[ResourceKind]:
    """The kinds among what is left in one region that wait for no other kind that is left."""
    present = {ResourceKind(resource.kind) for resource in resources if is_known_kind(resource.kind)}
    return frozenset(kind for kind in present if not prerequisites(kind) & present)


def deletable(remaining: Iterable[Resource], *, scanned: Collection[ResourceKind]) -> tuple[Resource, ...]:
    """Which of the resources left in one region may be deleted now: those that wait for nothing that is left.

    Only of the kinds in `scanned`, which were looked at a moment ago, when it was their turn already: nothing is deleted on
    the word of an old look, and what dies with its owner has had the time to.
    """
    resources = tuple(remaining)
    turn = unblocked_kinds(resources) & frozenset(scanned)
    return tuple(
        resource for resource in resources if resource.kind in turn and not is_deleting_or_detaching(resource)
    )


# States in which AWS is already removing the thing: asking again does nothing.
_DELETING_STATES = frozenset(
    {
        *(
            "shutting-down",
            "deleting",
            "detaching",
            "deleted-terminating",
            "deleted_terminating",
            "cancelling",
        ),
        *("delete-in-progress", "Delete in progress", "cancelled_terminating"),
    }
)


# And what hangs on something that is ending is let go by it.
_IN_USE = "in-use"


def is_deleting(resource: Resource) -> bool:
    """AWS is removing it and only needs time: minutes, for an instance that shuts down."""
    return resource.state in _DELETING_STATES


def is_deleting_or_detaching(resource: Resource) -> bool:
    return is_deleting(resource) or (
        resource.state == _IN_USE and SPEC_BY_KIND[ResourceKind(resource.kind)].deleted_with_parent
    )
