"""The program's model. AWS's dictionaries are translated in cloud/, pydantic's models in config/; other packages use
these values.

Money is Decimal US dollars; times are aware; sizes carry their unit in the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bacalhau_spot.core.notices import NotifyTarget
    from bacalhau_spot.core.orchestrator.published_configuration import PublishedConfiguration


# The tag that distinguishes the resources of a managed orchestrator from the others of the cluster.
ROLE_KEY: Final = "BacalhauRole"
ORCHESTRATOR_ROLE: Final = "orchestrator"
IMAGE_ROLE: Final = "image"  # of an instance from which an image is made


class Arch(StrEnum):
    """A machine's architecture, in EC2's spelling."""

    X86_64 = "x86_64"
    ARM64 = "arm64"


# EC2 user guide, "Instance type naming conventions": behind the generation, `g` is AWS's own arm64 processor. The first ones
# (a1) had no such letter.
_ARM64_NAME: Final = re.compile(r"(a1|[a-z]+\d+[a-z]*g[a-z]*(-[a-z0-9]+)*)\.")


def arch_of_name(instance_type: str) -> Arch:
    """The architecture by the name of an instance type, without a call to AWS."""
    return Arch.ARM64 if _ARM64_NAME.match(instance_type) else Arch.X86_64


class Spread(StrEnum):
    """The handling of nodes for which a region has no capacity."""

    FAILOVER = "failover"  # the other configured regions take them
    STRICT = "strict"  # they stay missing, and the result reports it


class TlsMode(StrEnum):
    """How a compute node speaks to the orchestrator (Bacalhau's NATS): see docs/configuration.md."""

    NONE = "none"
    NATIVE = "native"  # the orchestrator's own NATS has a certificate
    PROXY = "proxy"  # a proxy in front of it terminates TLS: "TLS handshake first"


class CpuCredits(StrEnum):
    """The behaviour of a burstable instance (T family) without CPU credits."""

    STANDARD = "standard"  # it slows down to its baseline
    UNLIMITED = "unlimited"  # it runs on, and AWS bills the surplus


class Secrets(StrEnum):
    """How the token reaches a node."""

    USER_DATA = (
        "user_data"  # in the user data, which every principal that may describe the launch template can read
    )
    SSM = "ssm"  # from SSM's Parameter Store, encrypted, with a role of the cluster's own


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that never appears in a repr, a log or an event. `reveal()` marks each place that uses it."""

    _value: str

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Naming:
    """The names and tags of all created resources. The five that `configure` asks for come first."""

    tag_key: str = "bacalhau-cluster"
    tag_value: str = "bacalhau-aws-spot"
    creator: str = "bacalhau-aws-spot-script"
    resource_prefix: str = "bacalhau-"
    vpc_name: str = "bacalhau-vpc"
    extra_tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Requirements:
    """Requirements on instance types; None means no bound."""

    vcpus_min: int
    memory_gib_min: Decimal
    vcpus_max: int | None = None
    memory_gib_max: Decimal | None = None
    arch: Arch | None = None
    gpus_min: int | None = None
    gpus_max: int | None = None
    families: tuple[
        str, ...
    ] = ()  # the part of a type's name before the dot, such as m6a, or m6*; empty: any


@dataclass(frozen=True, slots=True)
class RegionSpec:
    """One region of the cluster. `nodes` None: its share of the cluster's `nodes`."""

    name: str
    nodes: int | None = None
    instance_types: tuple[str, ...] = ()  # empty: the cluster's
    image: str | None = None  # None: the cluster's
    vpc_id: str | None = None  # an existing VPC; only a security group is created in it


@dataclass(frozen=True, slots=True)
class NodeFile:
    """A file of the user's, put on every node at first boot."""

    path: str
    content: str
    mode: str = "0644"


@dataclass(frozen=True, slots=True)
class BacalhauSpec:
    """The settings for joining the orchestrator. `ca_pem` is the certificate's text."""

    orchestrators: tuple[str, ...] = ()
    token: Secret | None = None
    secrets: Secrets = Secrets.USER_DATA
    tls: TlsMode = TlsMode.NONE
    ca_pem: str | None = None
    version: str = "v1.9.3"
    download_url: str | None = None  # None: Bacalhau's own release address; may contain {version} and {arch}
    sha256: tuple[tuple[Arch, str], ...] = ()  # per architecture, of the archive
    verify_archive: bool = True  # whether a sum is needed for every architecture in use
    labels: tuple[tuple[str, str], ...] = ()
    api_host: str | None = None  # the orchestrator's HTTP API, as URL or host
    api_key: Secret | None = None
    api_user: str | None = None
    api_password: Secret | None = None
    api_ca_pem: str | None = None  # of the authority behind the API's certificate, when it is a private one


class OrchestratorMode(StrEnum):
    """Who runs the orchestrator of the cluster."""

    OWN = "own"  # the user; its addresses are under `bacalhau`
    MANAGED = "managed"  # bacalhau-spot: one on-demand instance in the home region
    SHARED = "shared"  # another cluster of this account has a managed one
    NONE = "none"  # nobody: the nodes join nothing
    UNSET = "unset"  # the configuration names none of these; `create` refuses


@dataclass(frozen=True, slots=True)
class OrchestratorSpec:
    """The cluster's orchestrator. The fields after `cluster` apply to `MANAGED` only."""

    mode: OrchestratorMode = OrchestratorMode.OWN
    cluster: str | None = None  # SHARED: the tag value of the cluster that has the orchestrator
    region: str | None = (
        None  # the home region; None: an existing orchestrator's, or the first of the cluster
    )
    instance_type: str = "t3.small"
    volume_gib: int = 20  # the data volume, which outlives the instance
    reconcile: PublishedConfiguration | None = (
        None  # what its machine runs `reconcile` with; None: it does not
    )

    @property
    def in_account(self) -> bool:
        """Whether it is one that bacalhau-spot manages in this account: its settings are read from AWS."""
        return self.mode in {OrchestratorMode.MANAGED, OrchestratorMode.SHARED}


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """A node's properties other than its type."""

    root_volume_gib: int = 20
    public_ip: bool = True  # False: in private subnets of a VPC of the user's, behind a NAT
    cpu_credits: CpuCredits = CpuCredits.STANDARD
    additional_commands: str = ""  # shell, run last, as root
    files: tuple[NodeFile, ...] = ()


@dataclass(frozen=True, slots=True)
class InterruptionSpec:
    """A node's behaviour after EC2's interruption notice."""

    grace_s: int = 75  # for running jobs to finish; afterwards they restart on other nodes


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts, in seconds. Nothing waits for ever."""

    api_s: int = 60  # one AWS call with its retries, lag included
    fulfilment_s: int = 300  # from asking for an instance until it runs
    join_s: int = 600  # from running until the orchestrator lists it
    terminate_s: int = 600  # from the termination request until the instance is terminated


# AWS takes a highest price only above this (EC2 API reference, FleetLaunchTemplateOverridesRequest, MaxPrice).
MIN_PRICE_USD = Decimal("0.001")
MAX_PRICE_USD = Decimal(1000)  # far above any instance's price

# The value of `ssh_cidrs: caller` until the address is known.
CALLER = "caller"


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """The complete configuration: with every default and the content of every file."""

    name: str
    naming: Naming
    regions: tuple[RegionSpec, ...]
    nodes: int
    instance_types: tuple[str, ...] = ()
    requirements: Requirements | None = None
    auto_regions: int | None = None  # choose this many of the cheapest; `regions` is then empty
    max_price_usd_per_hour: Decimal | None = None  # per instance
    budget_usd_per_hour: Decimal | None = None  # for the whole cluster
    spread: Spread = Spread.FAILOVER
    max_share_per_pool: Decimal | None = (
        None  # of the cluster's nodes, above 0 and up to 1; None: AWS decides
    )
    ttl_s: int | None = None  # the lifetime of the cluster from its first launch; None: no end
    ttl_is_chosen: bool = False  # `create --ttl`: for a living cluster, too
    idle_ttl_s: int | None = None  # the longest time without a job, which `reconcile` enforces; None: any
    self_heal: bool = False  # each region is an Auto Scaling group
    image: str = "auto"  # auto | ami-… | ssm:/parameter/name
    username: str = "bacalhau"
    public_key: str | None = None  # the key's text
    private_ssh_key_path: str | None = None
    ssh_cidrs: tuple[str, ...] = (CALLER,)  # CIDRs, or CALLER; empty: no inbound port at all
    orchestrator: OrchestratorSpec = field(default_factory=OrchestratorSpec)
    bacalhau: BacalhauSpec = field(default_factory=BacalhauSpec)
    instance: InstanceSpec = field(default_factory=InstanceSpec)
    interruption: InterruptionSpec = field(default_factory=InterruptionSpec)
    timeouts: Timeouts = field(default_factory=Timeouts)
    notify: tuple[NotifyTarget, ...] = ()

    @property
    def planned_home(self) -> str | None:
        """The region in which `create` puts a managed orchestrator that does not exist yet.

        None if it is among the regions that `regions: auto` is still to choose.
        """
        return self.orchestrator.region or next((region.name for region in self.regions), None)

    def vpc_of(self, region: str) -> str | None:
        """The VPC of the user's that the configuration names for the region."""
        return next((found.vpc_id for found in self.regions if found.name == region), None)


class State(StrEnum):
    """An instance's state, in EC2's words."""

    PENDING = "pending"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting-down"
    TERMINATED = "terminated"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as AWS returns it. `termination_reason` is AWS's state reason."""

    id: str
    region: str
    zone: str
    type: str
    state: State
    launched_at: datetime
    lifecycle: str = "spot"  # spot | on-demand
    public_ip: str | None = None
    private_ip: str | None = None
    spot_request_id: str | None = None
    subnet_id: str | None = None
    vpc_id: str | None = None
    image_id: str | None = None
    devices: frozenset[str] | None = None  # the device names of its volumes; None: unknown
    termination_reason: str | None = None  # AWS's code, e.g. Server.SpotInstanceTermination
    terminated_at: datetime | None = None  # when its termination began, while AWS returns it
    metadata_tags: bool = False  # whether its metadata service returns its tags
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Counts as a node that we have or are about to have."""
        return self.state in {State.PENDING, State.RUNNING}

    @property
    def is_orchestrator(self) -> bool:
        """Whether it runs the cluster's managed orchestrator."""
        return self.tags.get(ROLE_KEY) == ORCHESTRATOR_ROLE

    @property
    def is_node(self) -> bool:
        """Whether it is a compute node: an instance with another purpose has a tag with its role."""
        return ROLE_KEY not in self.tags


@dataclass(frozen=True, slots=True)
class SpotRequest:
    """The request that a spot instance came from. AWS lists it for hours longer than the instance.

    `status` is AWS's code, e.g. instance-terminated-no-capacity; `updated_at` is when it came to that.
    """

    id: str
    region: str
    zone: str
    type: str
    state: str
    status: str
    created_at: datetime
    updated_at: datetime | None = None
    instance_id: str | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """A capacity pool: spot capacity is granted, refused and priced per instance type and availability zone."""

    type: str
    zone: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A pool with its price. None: AWS gave no price for it."""

    pool: Pool
    usd_per_hour: Decimal | None
    arch: Arch


@dataclass(frozen=True, slots=True)
class PricePoint:
    """A pool's spot price from one change on, until its next."""

    type: str
    zone: str
    since: datetime
    usd_per_hour: Decimal


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the credentials are."""

    account_id: str
    arn: str

    @property
    def role(self) -> str | None:
        """The role of a session, `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`; None for a user."""
        kind, _, rest = self.arn.rpartition(":")[2].partition("/")
        return rest.partition("/")[0] if kind == "assumed-role" else None


@dataclass(frozen=True, slots=True)
class Region:
    """A region of the account; `enabled` is False when it must be opted into first."""

    name: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """The properties of an instance type."""

    name: str
    archs: tuple[Arch, ...]
    vcpus: int
    memory_mib: int
    gpus: int = 0
    spot: bool = True  # sold as spot at all
    gpu_name: str = ""  # the model of each GPU, such as T4
    gpu_memory_mib: int = 0  # of each GPU; 0: unknown


@dataclass(frozen=True, slots=True)
class Image:
    """A machine image in one region. `root_device`: the device name of its root volume.

    Empty: no EBS root volume. `volume_gib`: the size of the root snapshot; 0: not requested. `unknown_key`: the
    snapshot is encrypted with a key that AWS does not return.
    """

    id: str
    arch: Arch
    root_device: str
    volume_gib: int = 0
    unknown_key: bool = False


@dataclass(frozen=True, slots=True)
class Market:
    """The offers of one region: every pool of the acceptable types, cheapest first, and the image of each architecture."""

    region: str
    offers: tuple[Offer, ...] = ()
    images: Mapping[Arch, Image] = field(default_factory=dict)

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(sorted({offer.pool.zone for offer in self.offers}))


@dataclass(frozen=True, slots=True)
class Network:
    """The existing parts of a region's network; None and empty: not created yet. An interrupted create continues from here."""

    vpc_id: str | None = None
    gateway_id: str | None = None
    gateway_attached: bool = False
    route_table_id: str | None = None  # the VPC's main one, once it is certain that it is the cluster's
    has_default_route: bool = False
    subnets: Mapping[str, str] = field(default_factory=dict)  # zone -> subnet id
    group_id: str | None = None
    open_cidrs: frozenset[str] = frozenset()  # who may reach port 22


@dataclass(frozen=True, slots=True)
class TaggedId:
    """A tagged resource from the tag index: only kind and id."""

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class TaggingApiIndex:
    """The tagged resources that the tagging API lists. EC2's own index decides about those of EC2."""

    outside_ec2: tuple[TaggedId, ...] = ()
    any_in_ec2: bool = False


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as AWS returns it now.

    `kind`: AWS's resource type (`vpc`, `launch-template` …). `handle`: the argument of the delete call where it is not
    the id (a name, an address); `arn`: for lookups where AWS does not list it. `attached_to`: attachments to remove
    first (a gateway's VPC, a route table's associations). `used_by`: ids of its users. `children`: instances that it
    launched, tagged or not; `relaunches`: it replaces them. `retained`: why it is never deleted; `protection`: the
    protection to lift first. `is_gone`: it is terminated and AWS still lists it, which matters only for its children.
    """

    kind: str
    id: str
    region: str
    name: str = ""
    state: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    attached_to: tuple[str, ...] = ()
    handle: str = ""
    arn: str = ""
    used_by: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    relaunches: bool = False
    retained: str = ""
    protection: str = ""
    is_gone: bool = False
    type: str = ""  # determines the price: an instance type, a volume type
    zone: str = ""
    size_gib: int = 0
