"""The existing parts of a managed orchestrator, as AWS returns them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import Arch, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bacalhau_spot.core.model import Instance, TaggedId
    from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials
    from bacalhau_spot.core.orchestrator.published_configuration import PublishedConfiguration

# The volume's device name in the instance's data; NVMe instances have another, and a link of this name.
DATA_DEVICE: Final = "/dev/sdf"
# States in which an instance still is, or may become, the orchestrator.
_USABLE: Final = (State.RUNNING, State.PENDING, State.STOPPING, State.STOPPED)
# What to do about a missing parameter: AWS cannot restore it, and new credentials lock the running nodes out.
LOST_CREDENTIALS: Final = (
    "restore the parameter from a copy; or terminate the running nodes in EC2, and `bacalhau-spot create` makes new credentials "
    "and keeps the jobs. `bacalhau-spot destroy` deletes the data volume with all jobs"
)


@dataclass(frozen=True, slots=True)
class ElasticAddress:
    """An Elastic IP address of the account. `id`: its allocation; `instance_id`: the instance that it is associated with.

    `association_id`, `interface_id`: of an association, also of one with an interface that belongs to no instance.
    """

    id: str
    address: str
    instance_id: str | None = None
    association_id: str | None = None
    interface_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataVolume:
    """The volume with the orchestrator's data. `instance_id`: the instance that it is attached to."""

    id: str
    zone: str
    size_gib: int
    state: str
    instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class InboundGroup:
    """A security group with its inbound TCP rules: the address ranges admitted to each port."""

    id: str
    vpc_id: str
    admitted: Mapping[int, frozenset[str]] = field(default_factory=dict)

    def missing(self, wanted: Mapping[int, Sequence[str]]) -> dict[int, tuple[str, ...]]:
        """The address ranges of `wanted` that are not admitted, by port; ports without any are left out."""
        closed = {
            port: tuple(cidr for cidr in cidrs if cidr not in self.admitted.get(port, frozenset()))
            for port, cidrs in wanted.items()
        }
        return {port: cidrs for port, cidrs in closed.items() if cidrs}


@dataclass(frozen=True, slots=True)
class HomeSite:
    """What a new orchestrator needs to know of the home region. It is gathered only when an instance is missing.

    `zones`: the zones that offer the instance type. `vpc_id`: a VPC of the user's; None: the cluster's own. `subnets`: of the
    user's VPC, by zone. `unreachable`: why the orchestrator could not be reached in the VPC, and the fix. `arch`, `vcpus`: of
    the instance type; `vcpus` None: no such type in the region. `vcpus_used`, `vcpu_quota`, `address_quota`: of the whole
    account; None: AWS did not return it.
    """

    zones: tuple[str, ...] = ()
    vpc_id: str | None = None
    subnets: Mapping[str, str] = field(default_factory=dict)
    unreachable: tuple[str, str] | None = None
    arch: Arch = Arch.X86_64
    vcpus: int | None = None
    vcpus_used: int | None = None
    vcpu_quota: int | None = None
    address_quota: int | None = None


@dataclass(frozen=True, slots=True)
class OrchestratorState:
    """A managed orchestrator in its home region.

    `instance`: the newest that is not terminated. `ended`: ids of terminated ones that AWS still lists. `addresses_used`:
    Elastic IP addresses of the account in the region. `other_address`: one on the instance that lacks the cluster's tag;
    an association of `address` would displace it. `certificate_ends`: of the server certificate; None without one that
    can be read. `renewal_due`: it is in its last year. `first_boot`: the instance was launched a moment ago. `site` None: not
    gathered, because the instance exists. `published`: what the machine runs `reconcile` with; None if it never has.
    """

    region: str
    address: ElasticAddress | None = None
    addresses_used: int = 0
    other_address: ElasticAddress | None = None
    volume: DataVolume | None = None
    group: InboundGroup | None = None
    credentials: OrchestratorCredentials | None = None
    certificate_ends: datetime | None = None
    renewal_due: bool = False
    instance: Instance | None = None
    first_boot: bool = False
    ended: tuple[str, ...] = ()
    site: HomeSite | None = None
    published: PublishedConfiguration | None = None

    @property
    def associated(self) -> bool:
        """Whether the address belongs to the instance."""
        return (
            self.instance is not None
            and self.address is not None
            and self.address.instance_id == self.instance.id
        )

    @property
    def attached(self) -> bool:
        """Whether the volume is attached to the instance."""
        return (
            self.instance is not None
            and self.volume is not None
            and self.volume.instance_id == self.instance.id
        )


@dataclass(frozen=True, slots=True)
class SharedOrchestratorState:
    """The managed orchestrator of another cluster. `region` None: there is none in the account.

    `admits_nodes`: its security group admits every address to the nodes' port; None: it could not be read. `begun_at`: when its
    authority and token were made, by the clock of its operator; None if its certificate cannot be read.
    """

    cluster: str
    region: str | None = None
    admits_nodes: bool | None = None
    begun_at: datetime | None = None


def newest_usable(instances: Sequence[Instance]) -> Instance | None:
    """The orchestrator's instance: a running one before others, then the newest."""
    usable = [instance for instance in instances if instance.is_orchestrator and instance.state in _USABLE]
    usable.sort(key=lambda one: (-_USABLE.index(one.state), one.launched_at, one.id))
    return usable[-1] if usable else None


def home_region(
    instances: Sequence[Instance],
    tagged: Mapping[str, Sequence[TaggedId]],
    *,
    planned: str | None,
) -> str | None:
    """The region of the orchestrator: that of an existing one, else the planned one.

    `tagged`: the resources with the cluster's tag by region. Only the orchestrator has an Elastic IP address.
    """
    existing = newest_usable(instances)
    if existing is not None:
        return existing.region
    with_address = (
        region for region, found in tagged.items() if any(row.kind == ResourceKind.ADDRESS for row in found)
    )
    ended = (one.region for one in instances if one.is_orchestrator)
    return next(iter((*sorted(with_address), *sorted(ended), planned)))
