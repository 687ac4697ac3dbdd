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
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from bacalhau_spot.core.model import Resource

# Where the kinds live that are the same in all regions.
GLOBAL = "global"


class Kind(StrEnum):
    """A resource type, in the words of EC2's tag specifications and of AWS's ARNs."""

    SCALING_GROUP = "auto-scaling-group"
    FLEET = "fleet"
    SPOT_FLEET = "spot-fleet-request"
    SPOT_REQUEST = "spot-instances-request"
    INSTANCE = "instance"
    VOLUME = "volume"
    IMAGE = "image"
    SNAPSHOT = "snapshot"
    KEY_PAIR = "key-pair"
    TEMPLATE = "launch-template"
    PLACEMENT_GROUP = "placement-group"
    RESERVATION = "capacity-reservation"
    FLOW_LOG = "vpc-flow-log"
    NAT_GATEWAY = "natgateway"
    ENDPOINT = "vpc-endpoint"
    CONNECT_ENDPOINT = "instance-connect-endpoint"
    PEERING = "vpc-peering-connection"
    INTERFACE = "network-interface"
    ADDRESS = "elastic-ip"
    GATEWAY = "internet-gateway"
    EGRESS_GATEWAY = "egress-only-internet-gateway"
    GROUP = "security-group"
    SUBNET = "subnet"
    ROUTE_TABLE = "route-table"
    ACL = "network-acl"
    VPC = "vpc"
    DHCP_OPTIONS = "dhcp-options"
    PARAMETER = "parameter"
    SECRET = "secret"  # noqa: S105 - a kind of resource
    RULE = "rule"
    ALARM = "alarm"
    QUEUE = "queue"
    TOPIC = "topic"
    BUCKET = "bucket"
    LOG_GROUP = "log-group"
    PROFILE = "instance-profile"
    ROLE = "role"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind.

    `derived`: it normally dies with its owner. `batch`: how many ids one delete call takes. `made`: `create` makes such.
    `service`: the AWS service that has it. `everywhere`: it belongs to the account, not to a region. `patience_s`: how long AWS
    may take to remove one, once it has begun.
    """

    kind: Kind
    after: frozenset[Kind] = frozenset()
    derived: bool = False
    batch: int = 1
    made: bool = False
    service: str = "ec2"
    everywhere: bool = False
    patience_s: float = 300.0


# Longer than AWS's own waiters wait (ten minutes); metal instances and interfaces of Lambda take the longest.
_SLOW_S, _SLOWEST_S = 900.0, 2700.0


def _after(*kinds: Kind) -> frozenset[Kind]:
    return frozenset(kinds)


_LAUNCHERS = _after(Kind.SCALING_GROUP, Kind.FLEET, Kind.SPOT_FLEET)
# What has a network interface of its own in the VPC.
_IN_THE_VPC = _after(Kind.INSTANCE, Kind.NAT_GATEWAY, Kind.ENDPOINT, Kind.CONNECT_ENDPOINT, Kind.INTERFACE)

TABLE: tuple[Row, ...] = (
    # What launches
    Row(Kind.RULE, service="events"),
    Row(Kind.SCALING_GROUP, service="autoscaling", patience_s=_SLOW_S),
    Row(Kind.FLEET, batch=25, made=True),
    Row(Kind.SPOT_FLEET, batch=100),
    Row(Kind.SPOT_REQUEST, after=_LAUNCHERS, batch=100, made=True),
    # What costs most
    Row(
        Kind.INSTANCE,
        after=_LAUNCHERS | _after(Kind.SPOT_REQUEST),
        batch=100,
        made=True,
        patience_s=_SLOWEST_S,
    ),
    Row(Kind.NAT_GATEWAY, patience_s=_SLOW_S),
    Row(Kind.ENDPOINT, batch=25, patience_s=_SLOW_S),
    Row(Kind.CONNECT_ENDPOINT, patience_s=_SLOW_S),
    # What instances used
    Row(Kind.VOLUME, after=_after(Kind.INSTANCE), derived=True, made=True, patience_s=_SLOW_S),
    Row(
        Kind.INTERFACE,
        after=_IN_THE_VPC - {Kind.INTERFACE},
        derived=True,
        made=True,
        patience_s=_SLOWEST_S,
    ),
    Row(Kind.ADDRESS, after=_after(Kind.INSTANCE, Kind.NAT_GATEWAY, Kind.INTERFACE)),
    Row(Kind.TEMPLATE, after=_LAUNCHERS, made=True),
    Row(Kind.PLACEMENT_GROUP, after=_after(Kind.INSTANCE, Kind.TEMPLATE)),
    Row(Kind.RESERVATION, after=_after(Kind.INSTANCE)),
    Row(Kind.KEY_PAIR),
    Row(Kind.IMAGE, after=_LAUNCHERS),
    Row(Kind.SNAPSHOT, after=_after(Kind.IMAGE)),
    # The network
    Row(Kind.FLOW_LOG, batch=25),
    Row(Kind.PEERING),
    Row(Kind.GATEWAY, after=_IN_THE_VPC | _after(Kind.ADDRESS), made=True),
    Row(Kind.EGRESS_GATEWAY, after=_IN_THE_VPC),
    Row(Kind.GROUP, after=_IN_THE_VPC, made=True),
    Row(Kind.SUBNET, after=_IN_THE_VPC, made=True),
    Row(Kind.ROUTE_TABLE, after=_after(Kind.SUBNET, Kind.ENDPOINT)),
    Row(Kind.ACL, after=_after(Kind.SUBNET)),
    Row(
        Kind.VPC,
        after=_after(
            *(Kind.GATEWAY, Kind.EGRESS_GATEWAY, Kind.GROUP, Kind.SUBNET, Kind.ROUTE_TABLE, Kind.ACL),
            *(Kind.PEERING, Kind.FLOW_LOG),
        ),
        made=True,
    ),
    Row(Kind.DHCP_OPTIONS, after=_after(Kind.VPC)),
    # Beside EC2
    Row(Kind.PARAMETER, after=_after(Kind.INSTANCE), batch=10, made=True, service="ssm"),
    Row(Kind.SECRET, after=_after(Kind.INSTANCE), service="secretsmanager"),
    Row(Kind.ALARM, after=_after(Kind.SCALING_GROUP), service="cloudwatch"),
    Row(Kind.QUEUE, after=_after(Kind.RULE), service="sqs"),
    Row(Kind.TOPIC, after=_after(Kind.RULE, Kind.ALARM), service="sns"),
    Row(Kind.BUCKET, after=_after(Kind.INSTANCE, Kind.FLOW_LOG), service="s3"),
    # Whatever still writes makes a log group again.
    Row(Kind.LOG_GROUP, after=_after(Kind.INSTANCE, Kind.FLOW_LOG, Kind.RULE), service="logs"),
    # Once, after all regions
    Row(Kind.PROFILE, made=True, service="iam", everywhere=True),
    Row(Kind.ROLE, after=_after(Kind.PROFILE), made=True, service="iam", everywhere=True),
    Row(Kind.POLICY, after=_after(Kind.ROLE), service="iam", everywhere=True),
)

ROWS: dict[Kind, Row] = {row.kind: row for row in TABLE}
_NAMES = frozenset(row.kind.value for row in TABLE)


def known(kind: str) -> bool:
    return kind in _NAMES


# How EC2's ids begin (EC2 API reference, "Resource IDs"), as far as one thing can hang on another.
_PREFIXES = {
    "i": Kind.INSTANCE,
    "eni": Kind.INTERFACE,
    "nat": Kind.NAT_GATEWAY,
    "subnet": Kind.SUBNET,
    "vpc": Kind.VPC,
    "sg": Kind.GROUP,
    "vpce": Kind.ENDPOINT,
    "eice": Kind.CONNECT_ENDPOINT,
}


def kind_of_id(resource_id: str) -> str:
    """What an id is the id of; the prefix itself where we do not know."""
    prefix = resource_id.partition("-")[0]
    return _PREFIXES[prefix].value if prefix in _PREFIXES else prefix


def kinds_of(place: str) -> tuple[Kind, ...]:
    """The kinds that a region has, or GLOBAL."""
    return tuple(row.kind for row in TABLE if row.everywhere == (place == GLOBAL))


def before(kind: Kind) -> frozenset[Kind]:
    """All kinds that must be gone before `kind`, directly or through others."""
    direct = ROWS[kind].after
    return direct.union(*(before(other) for other in direct)) if direct else direct


def waves() -> tuple[tuple[Kind, ...], ...]:
    """The kinds in the order in which they go: all of a wave at once, each wave when what it waits for is gone."""
    found: list[tuple[Kind, ...]] = []
    for everywhere in (False, True):
        left = {row.kind for row in TABLE if row.everywhere is everywhere}
        while left:
            wave = tuple(kind for kind in ROWS if kind in left and not ROWS[kind].after & left)
            found.append(wave)
            left -= set(wave)
    return tuple(found)


def in_turn(left: Iterable[Resource]) -> frozenset[Kind]:
    """The kinds among what is left in one region that wait for no other kind that is left."""
    present = {Kind(resource.kind) for resource in left if known(resource.kind)}
    return frozenset(kind for kind in present if not before(kind) & present)


def ready(left: Iterable[Resource], *, watched: Collection[Kind]) -> tuple[Resource, ...]:
    """Which of the resources left in one region may be deleted now: those that wait for nothing that is left.

    Only of the kinds in `watched`, which were looked at a moment ago, when it was their turn already: nothing is deleted on
    the word of an old look, and what dies with its owner has had the time to.
    """
    resources = tuple(left)
    turn = in_turn(resources) & frozenset(watched)
    return tuple(one for one in resources if one.kind in turn and not ending(one))


# States in which AWS is already removing the thing: asking again does nothing.
_ENDING = frozenset(
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
_HELD = "in-use"


def leaving(resource: Resource) -> bool:
    """AWS is removing it and only needs time: minutes, for an instance that shuts down."""
    return resource.state in _ENDING


def ending(resource: Resource) -> bool:
    return leaving(resource) or (resource.state == _HELD and ROWS[Kind(resource.kind)].derived)
