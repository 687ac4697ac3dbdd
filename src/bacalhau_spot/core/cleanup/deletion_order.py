"""Resource kinds, their order of deletion, and the conditions of a deletion: the deletion graph as a table.

Rules:
1. A kind is deleted when its region has no resource of the kinds in its `after` left. The table has no cycle (tested).
   A resource that AWS or a rule protects blocks only the resources that AWS makes depend on it.
2. Launchers are deleted first: a running group or fleet could replace a terminated instance.
3. A resource is deleted only if the live resource carries the tag. A resource that AWS deletes with its owner
   (`derived`) is waited for, and deleted only if it outlives its owner.
4. Global resources are deleted last: any region may still use them.
5. "Deleted" means that AWS no longer lists the resource.

Sources: EC2 user guide and VPC user guide, "Delete your VPC"; measured dependencies are in the sandbox's contract
tests.
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
    how long AWS may take to remove one, once it has begun. `at_once`: AWS's answer to the deletion means that it is gone.
    """

    kind: ResourceKind
    after: frozenset[ResourceKind] = frozenset()
    deleted_with_parent: bool = False
    batch: int = 1
    created_by_us: bool = False
    service: str = "ec2"
    is_global: bool = False
    deletion_timeout_s: float = 300.0
    at_once: bool = False


# Longer than AWS's own waiters wait (ten minutes); metal instances and interfaces of Lambda take the longest.
_SLOW_S, _SLOWEST_S = 900.0, 2700.0


def _after(*kinds: ResourceKind) -> frozenset[ResourceKind]:
    return frozenset(kinds)


_LAUNCHERS = _after(ResourceKind.SCALING_GROUP, ResourceKind.FLEET, ResourceKind.SPOT_FLEET)
# Launchers and what they launch: the deletion of one changes the others.
RUNNING = _LAUNCHERS | _after(ResourceKind.SPOT_REQUEST, ResourceKind.INSTANCE)
# Kinds with a network interface in the VPC.
_IN_THE_VPC = _after(
    ResourceKind.INSTANCE,
    ResourceKind.NAT_GATEWAY,
    ResourceKind.ENDPOINT,
    ResourceKind.CONNECT_ENDPOINT,
    ResourceKind.INTERFACE,
)

KIND_SPECS: tuple[KindSpec, ...] = (
    # Launchers
    KindSpec(ResourceKind.RULE, service="events"),
    KindSpec(ResourceKind.SCALING_GROUP, service="autoscaling", deletion_timeout_s=_SLOW_S),
    KindSpec(ResourceKind.FLEET, batch=25, created_by_us=True),
    KindSpec(ResourceKind.SPOT_FLEET, batch=100),
    KindSpec(ResourceKind.SPOT_REQUEST, after=_LAUNCHERS, batch=100, created_by_us=True),
    # The most expensive kinds
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
    # Resources that instances used
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
        created_by_us=True,
    ),
    KindSpec(ResourceKind.TEMPLATE, after=_LAUNCHERS, created_by_us=True, at_once=True),
    KindSpec(ResourceKind.PLACEMENT_GROUP, after=_after(ResourceKind.INSTANCE, ResourceKind.TEMPLATE)),
    KindSpec(ResourceKind.RESERVATION, after=_after(ResourceKind.INSTANCE)),
    KindSpec(ResourceKind.KEY_PAIR),
    KindSpec(ResourceKind.IMAGE, after=_LAUNCHERS),
    KindSpec(ResourceKind.SNAPSHOT, after=_after(ResourceKind.IMAGE)),
    # The network
    KindSpec(ResourceKind.FLOW_LOG, batch=25),
    KindSpec(ResourceKind.PEERING),
    KindSpec(
        ResourceKind.GATEWAY,
        after=_IN_THE_VPC | _after(ResourceKind.ADDRESS),
        created_by_us=True,
        at_once=True,
    ),
    KindSpec(ResourceKind.EGRESS_GATEWAY, after=_IN_THE_VPC),
    KindSpec(ResourceKind.GROUP, after=_IN_THE_VPC, created_by_us=True, at_once=True),
    KindSpec(ResourceKind.SUBNET, after=_IN_THE_VPC, created_by_us=True, at_once=True),
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
        at_once=True,
    ),
    KindSpec(ResourceKind.DHCP_OPTIONS, after=_after(ResourceKind.VPC)),
    # Services other than EC2
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
    KindSpec(
        ResourceKind.BUCKET,
        after=_after(ResourceKind.INSTANCE, ResourceKind.FLOW_LOG),
        created_by_us=True,
        service="s3",
    ),
    # A service that still writes recreates its log group.
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
    """All kinds that must be deleted before `kind`, directly or through others."""
    direct = SPEC_BY_KIND[kind].after
    return direct.union(*(prerequisites(other) for other in direct)) if direct else direct


def levels() -> tuple[tuple[ResourceKind, ...], ...]:
    """The kinds in order of deletion: each level is deleted in parallel, after the kinds that it depends on."""
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
    """Of the kinds that remain in one region, those that depend on no other remaining kind."""
    present = {ResourceKind(resource.kind) for resource in resources if is_known_kind(resource.kind)}
    return frozenset(kind for kind in present if not prerequisites(kind) & present)


def deletable(remaining: Iterable[Resource], *, scanned: Collection[ResourceKind]) -> tuple[Resource, ...]:
    """Of the resources that remain in one region, those that can be deleted now: they depend on no other.

    Only kinds in `scanned`: a deletion needs a recent scan, and a resource that AWS deletes with its owner needs time
    for it.
    """
    resources = tuple(remaining)
    turn = unblocked_kinds(resources) & frozenset(scanned)
    return tuple(
        resource for resource in resources if resource.kind in turn and not is_deleting_or_detaching(resource)
    )


# States in which AWS is already deleting the resource: another call has no effect.
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


# A resource that is being deleted also releases its attachments.
_IN_USE = "in-use"


def is_deleting(resource: Resource) -> bool:
    """AWS is removing it and only needs time: minutes, for an instance that shuts down."""
    return resource.state in _DELETING_STATES


def is_deleting_or_detaching(resource: Resource) -> bool:
    return is_deleting(resource) or (
        resource.state == _IN_USE and SPEC_BY_KIND[ResourceKind(resource.kind)].deleted_with_parent
    )
