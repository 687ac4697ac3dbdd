"""The operations on AWS for the engine. The docstrings are the contract.

Each method is one AWS call (or its pages), without waiting or deciding. It retries only lost connections. Reads may lag
behind writes by seconds. Each method raises `CloudError` and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bacalhau_spot.cloud.scaling_groups import ScalingGroups

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from decimal import Decimal

    from bacalhau_spot.cloud.cloud_error import CloudError
    from bacalhau_spot.core.cleanup.deletion_result import Dependency
    from bacalhau_spot.core.cleanup.orchestrator_loss import BucketContents
    from bacalhau_spot.core.health.observation import StatusChecks
    from bacalhau_spot.core.iam.policy import SimulationQuery
    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.core.kinds import ResourceKind
    from bacalhau_spot.core.launch.main_route_table import MainRouteTable
    from bacalhau_spot.core.launch.network_egress import PublicAccess, Subnet
    from bacalhau_spot.core.model import (
        Identity,
        Image,
        Instance,
        Network,
        PricePoint,
        Region,
        Requirements,
        Resource,
        Secret,
        SpotRequest,
        TaggedId,
        TaggingApiIndex,
        TypeInfo,
    )
    from bacalhau_spot.core.orchestrator.managed_state import DataVolume, ElasticAddress, InboundGroup
    from bacalhau_spot.core.tags import Scope


@dataclass(frozen=True, slots=True)
class TemplateContent:
    """The content of a launch template version. `tags` are those of the spot requests.

    `metadata_tags`: an instance can read its own tags from the metadata service, and EC2 refuses tag keys that do not suit it.
    """

    user_data: bytes
    group_id: str
    root_device: str
    root_volume_gib: int
    tags: Mapping[str, str]
    profile: str | None = None  # the instance profile's name
    public_ip: bool = True
    cpu_credits: str = ""  # empty for types that are not burstable
    metadata_tags: bool = False
    image_id: str = ""  # empty: the launch names it
    node_tags: Mapping[str, str] | None = (
        None  # of the instance, volumes, interfaces; None: the launch names them
    )


@dataclass(frozen=True, slots=True)
class InstanceRequest:
    """A launch of one on-demand instance, which its own shutdown stops. The same `client_token` never launches twice.

    `profile`: empty for none. `tags`: of the instance, its root volume and its network interface. `metadata_tags`: as in
    `TemplateContent`.
    """

    type: str
    image_id: str
    subnet_id: str
    group_id: str
    profile: str
    user_data: bytes
    root_device: str
    root_volume_gib: int
    tags: Mapping[str, str]
    client_token: str
    metadata_tags: bool = False
    public_ip: bool = True


@dataclass(frozen=True, slots=True)
class RequestedInstance:
    """AWS's reply to an `InstanceRequest`. `age`: since the launch, by AWS's clock; of an earlier launch for a known token."""

    id: str
    age: timedelta


@dataclass(frozen=True, slots=True)
class RequestedVolume:
    """AWS's reply to the request for a volume. `age`: since its creation, by AWS's clock; of an earlier one for a known token."""

    id: str
    age: timedelta


@dataclass(frozen=True, slots=True)
class InstanceProfile:
    """An instance profile as IAM returns it. `roles`: at most one."""

    roles: tuple[str, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredParameter:
    """A parameter's decrypted value. `encrypted`: whether it is stored as a SecureString."""

    value: Secret
    encrypted: bool


@dataclass(frozen=True, slots=True)
class FleetPool:
    """An override of a fleet: a capacity pool, by type and subnet, with the image of the type's architecture."""

    type: str
    zone: str
    subnet_id: str
    image_id: str
    template_version: int
    max_usd_per_hour: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FleetRequest:
    """A launch of `count` spot instances across all `pools`. The same `client_token` never launches twice."""

    template_id: str
    pools: Sequence[FleetPool]
    count: int
    client_token: str
    fleet_tags: Mapping[str, str]
    instance_tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LaunchedInstance:
    """An instance whose launch AWS has begun."""

    id: str
    type: str
    zone: str


@dataclass(frozen=True, slots=True)
class PoolError:
    """A pool that AWS could not use, or the whole fleet if type and zone are empty."""

    type: str
    zone: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FleetResult:
    """AWS's reply to a launch. It may have both instances and pool errors, which do not mean that the launch failed.

    `answered_at`: the time by AWS's clock; None if the reply has none.
    """

    fleet_id: str
    launched: tuple[LaunchedInstance, ...] = ()
    pool_errors: tuple[PoolError, ...] = ()
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundTemplate:
    """An existing launch template. `age`: since its creation, by AWS's clock; `version`: its latest one."""

    id: str
    age: timedelta
    version: int
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundFleet:
    """An existing instant fleet. `age`: since the request, by AWS's clock; `instance_ids`: all instances launched."""

    id: str
    created_at: datetime
    age: timedelta
    instance_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FailedDeletion:
    """A resource of a batch that AWS did not delete."""

    id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """AWS's reply to a deletion: request ids, for AWS's support and the audit log, and the failures."""

    request_ids: tuple[str, ...] = ()
    failed: tuple[FailedDeletion, ...] = ()


class Account(Protocol):
    """The caller's identity and the account's regions."""

    async def identity(self) -> Identity:
        """The identity of the credentials. The cheapest call that verifies them."""

    async def alias(self) -> str:
        """The account's alias; empty if it has none."""

    async def regions(self) -> tuple[Region, ...]:
        """All regions, enabled or not, by name."""


class MarketPlace(Protocol):
    """A region's offers."""

    async def pools(self, region: str, types: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """(type, zone) of every pool among `types`. Types that the region does not offer are omitted."""

    async def types(self, region: str, names: Sequence[str]) -> tuple[TypeInfo, ...]:
        """The named types that the region offers."""

    async def matching_types(self, region: str, requirements: Requirements) -> tuple[str, ...]:
        """Names of the types that meet `requirements`, current generations only."""

    async def spot_prices(self, region: str, types: Sequence[str]) -> dict[tuple[str, str], Decimal]:
        """The current Linux price in USD per hour of each (type, zone) that has one."""

    async def parameters(self, region: str, names: Sequence[str]) -> dict[str, str]:
        """Values of public or own SSM parameters; unknown names are omitted."""

    async def images(self, region: str, ids: Sequence[str]) -> tuple[Image, ...]:
        """The images by id. An unknown id raises InvalidAMIID.NotFound."""


class Prices(Protocol):
    """AWS's prices. Price lists are the same from any region; access may be denied."""

    async def on_demand_prices(
        self, regions: Sequence[str], types: Sequence[str]
    ) -> dict[tuple[str, str], Decimal]:
        """Linux on-demand prices in USD per hour by (region, type), for all regions at once; unknown ones are omitted."""

    async def volume_prices(self, regions: Sequence[str]) -> dict[str, Decimal]:
        """Prices of gp3 in USD per GiB and month by region, for all regions at once; unknown ones are omitted."""

    async def spot_history(
        self,
        region: str,
        types: Sequence[str],
        *,
        since: datetime,
        until: datetime,
        zones: Sequence[str] = (),
    ) -> tuple[PricePoint, ...]:
        """All changes of the Linux price of these pools (no zones: all), and the price in force at `since`; by time."""


class PlacementScoring(Protocol):
    """Data for choosing a region."""

    async def placement_scores(
        self, types: Sequence[str], *, target: int, regions: Sequence[str] = ()
    ) -> dict[str, int]:
        """The likelihood of `target` spot instances of `types`, 1 to 10, by region: the ten best of `regions`.

        Without `regions`: of all enabled ones; at most ten may be named. With fewer than three types, every score is
        low. New requests are limited per day and account (MaxConfigLimitExceeded); repeated ones are not.
        """

    async def quota(self, region: str, *, service: str, code: str) -> int | None:
        """The account's quota in the region; None if Service Quotas has no such quota there."""

    async def spot_in_use(self, region: str) -> dict[str, int]:
        """The number of pending and running spot instances by type, of the whole account in the region."""


class Diagnostics(Protocol):
    """The calls of `doctor`. None creates or changes anything."""

    async def time_at_aws(self) -> datetime:
        """AWS's clock, to the second."""

    async def credentials_origin(self) -> str:
        """Botocore's name for the origin of the credentials (`env`, `sso`, `assume-role` …); empty without credentials."""

    async def dry_run_create(self, region: str, action: str, *, tags: Mapping[str, str]) -> CloudError | None:
        """EC2's error for a create action in a dry run; None if it is permitted."""

    async def simulate(self, principal: str, query: SimulationQuery) -> dict[str, bool]:
        """Whether IAM's simulator allows the user or role each action; it evaluates the identity's own policies only.

        Actions without a certain result are omitted.
        """

    async def role_arn(self, name: str) -> str | None:
        """The ARN of a role by its name; None if there is no such role."""

    async def vpcs(self, region: str, *, key: str, value: str) -> tuple[int, bool]:
        """The number of VPCs in the region, and whether one has the tag."""


class Networking(Protocol):
    """A region's network. Create calls also tag, and are not idempotent: check for existing resources first."""

    async def network(self, region: str, *, key: str, value: str) -> Network:
        """The tagged VPC, gateway, subnets and the nodes' group, and whether the main route table has a default route. Of
        several VPCs: the most complete.
        """

    async def foreign_group(self, region: str, vpc_id: str, *, key: str, value: str) -> Network:
        """A VPC of the user with the cluster's group, if it exists; without its subnets."""

    async def subnets(self, region: str, vpc_id: str) -> tuple[Subnet, ...]:
        """The subnets of the user's VPC, and their egress routes. An unknown VPC raises InvalidVpcID.NotFound."""

    async def public_access(self, region: str) -> PublicAccess:
        """The account's VPC Block Public Access mode in the region."""

    async def create_vpc(self, region: str, *, cidr: str, tags: Mapping[str, str]) -> str: ...
    async def create_gateway(self, region: str, *, tags: Mapping[str, str]) -> str: ...
    async def attach_gateway(self, region: str, gateway_id: str, *, vpc_id: str) -> None: ...
    async def main_route_table(self, region: str, vpc_id: str) -> MainRouteTable:
        """The main route table of a VPC, and the others. Raises InvalidRouteTableID.NotFound while it is not listed yet."""

    async def create_default_route(self, region: str, table_id: str, *, gateway_id: str) -> None: ...
    async def create_subnet(
        self, region: str, *, vpc_id: str, zone: str, cidr: str, tags: Mapping[str, str]
    ) -> str: ...
    async def create_group(
        self, region: str, *, vpc_id: str, name: str, description: str, tags: Mapping[str, str]
    ) -> str: ...
    async def allow_tcp(self, region: str, group_id: str, *, rules: Mapping[int, Sequence[str]]) -> None:
        """Admit the address ranges to each port. An existing rule raises InvalidPermission.Duplicate."""


class Compute(Protocol):
    """Instances, and the templates and fleets that launch them."""

    async def instances(self, region: str, *, key: str, value: str) -> tuple[Instance, ...]:
        """All instances with the tag, including terminated ones that AWS still lists."""

    async def instances_with_key(self, region: str, key: str) -> tuple[Instance, ...]:
        """The same for every value of the tag."""

    async def instances_by_id(self, region: str, ids: Sequence[str]) -> tuple[Instance, ...]:
        """The listed instances among at most 200 ids, tagged or not, terminated ones included. Omits unknown ids."""

    async def spot_requests(self, region: str, *, key: str, value: str) -> tuple[SpotRequest, ...]:
        """All spot requests with the tag, including closed ones that AWS still lists."""

    async def create_template(
        self, region: str, *, name: str, client_token: str, tags: Mapping[str, str]
    ) -> str:
        """Create a template without content. An existing name raises InvalidLaunchTemplateName.AlreadyExistsException."""

    async def template(self, region: str, name: str) -> FoundTemplate | None:
        """The template of this name, if it exists."""

    async def delete_template(self, region: str, template_id: str) -> None:
        """Delete it. A deleted one raises InvalidLaunchTemplateId.NotFound."""

    async def version_age(self, region: str, template_id: str, version: int) -> timedelta:
        """Since the creation of a template's version, by AWS's clock; zero if AWS does not list it yet."""

    async def claim_template(self, region: str, template_id: str, *, owner: str, client_token: str) -> None:
        """Create a version without content. With the token of another owner's raises IdempotentParameterMismatch."""

    async def create_template_version(
        self, region: str, template_id: str, *, content: TemplateContent, client_token: str
    ) -> int:
        """Create a version and return its number; the same token returns the same version."""

    async def launch(self, region: str, request: FleetRequest) -> FleetResult:
        """Request instances from all pools at once; AWS chooses. Returns when AWS has tried each pool."""

    async def fleet_instances(self, region: str, fleet_id: str) -> tuple[Instance, ...]:
        """All instances of the fleet, by AWS's tag, including terminated ones that AWS still lists."""

    async def fleet(self, region: str, fleet_id: str) -> FoundFleet | None:
        """An instant fleet; None if AWS does not list it."""

    async def tag(self, region: str, ids: Sequence[str], *, tags: Mapping[str, str]) -> None:
        """Add or overwrite tags of at most 1,000 EC2 resources. One unknown id fails the whole call."""

    async def terminate(self, region: str, ids: Sequence[str]) -> None:
        """Begin to terminate. Terminated instances are not an error; one unknown id fails the whole call."""


class InstanceStatus(Protocol):
    """EC2's data on the health of instances."""

    async def statuses(self, region: str, ids: Sequence[str]) -> dict[str, StatusChecks]:
        """The status checks of each instance, in any state; one unknown id fails the whole call."""

    async def console(self, region: str, instance_id: str) -> str:
        """The console output so far, at most the last 64 KiB; for older types it is minutes old."""


class OrchestratorResources(Protocol):
    """The parts of a managed orchestrator other than its network and role."""

    async def addresses(self, region: str) -> tuple[ElasticAddress, ...]:
        """All Elastic IP addresses of the account in the region."""

    async def allocate_address(self, region: str, *, tags: Mapping[str, str]) -> ElasticAddress:
        """Allocate an address. There is no client token: check for an existing one first."""

    async def associate_address(
        self, region: str, allocation_id: str, *, instance_id: str, moves: bool
    ) -> None:
        """Associate the address with the instance. Another address on the instance is displaced.

        `moves`: also if the address is associated with another one, which otherwise raises Resource.AlreadyAssociated.
        """

    async def volumes(self, region: str, *, key: str, value: str) -> tuple[DataVolume, ...]:
        """The orchestrator's data volumes of the cluster, in any state, by id."""

    async def create_volume(
        self, region: str, *, zone: str, size_gib: int, tags: Mapping[str, str], client_token: str
    ) -> RequestedVolume:
        """Create an encrypted gp3 volume; the same token returns the same volume, also after its deletion."""

    async def attach_volume(self, region: str, volume_id: str, *, instance_id: str, device: str) -> None: ...
    async def inbound_groups(self, region: str, *, key: str, value: str) -> tuple[InboundGroup, ...]:
        """The orchestrator's security groups of the cluster, by id."""

    async def run_instance(self, region: str, request: InstanceRequest) -> RequestedInstance:
        """Launch one on-demand instance. An operating-system shutdown stops it."""

    async def start_instance(self, region: str, instance_id: str) -> None: ...
    async def reboot_instance(self, region: str, instance_id: str) -> None: ...
    async def on_demand_in_use(self, region: str) -> dict[str, int]:
        """The number of pending and running on-demand instances by type, of the whole account in the region."""

    async def create_bucket(self, region: str, name: str, *, tags: Mapping[str, str]) -> None:
        """Create a bucket in the region. An existing one of the account raises BucketAlreadyOwnedByYou, or nothing at all."""

    async def bucket_tags(self, region: str, bucket: str, *, account_id: str) -> dict[str, str] | None:
        """The tags of the account's bucket; None if there is no such bucket. Another account's raises AccessDenied."""

    async def has_lifecycle(self, region: str, bucket: str, *, account_id: str) -> bool:
        """Whether the bucket has any lifecycle rules."""

    async def block_public_access(self, region: str, bucket: str, *, account_id: str) -> None: ...
    async def abort_uploads(self, region: str, bucket: str, *, account_id: str, days: int) -> None:
        """Replace the bucket's lifecycle rules by one that removes uploads which are incomplete after so many days."""


class Images(Protocol):
    """The account's own images that bacalhau-spot has made."""

    async def account_images(self, region: str, *, key: str, value: str) -> tuple[AccountImage, ...]:
        """Those with the tag, in any state."""

    async def create_image(self, region: str, instance_id: str, *, name: str, tags: Mapping[str, str]) -> str:
        """Begin an image of a stopped instance; the id. A second one of the same name raises InvalidAMIName.Duplicate."""

    async def copy_image(
        self,
        region: str,
        image_id: str,
        *,
        source_region: str,
        name: str,
        tags: Mapping[str, str],
        client_token: str,
    ) -> str:
        """Begin a copy in `region`; its id. A repeated call with the token returns the first one's."""


class SecretStore(Protocol):
    """Secrets in SSM's parameters, and the roles that read them. IAM is global."""

    async def parameter(self, region: str, name: str) -> Secret | None:
        """The decrypted value of a cluster's parameter; None if it does not exist."""

    async def stored_parameter(self, region: str, name: str) -> StoredParameter | None:
        """As `parameter`, with its type."""

    async def parameter_tags(self, region: str, name: str) -> dict[str, str]:
        """The tags of a parameter. Raises InvalidResourceId if it does not exist."""

    async def put_parameter(
        self, region: str, name: str, *, value: Secret, tags: Mapping[str, str], replace: bool
    ) -> None:
        """Write an encrypted parameter. An existing one keeps its tags, or without `replace` raises
        ParameterAlreadyExists.
        """

    async def role_tags(self, name: str) -> dict[str, str] | None:
        """The tags of a role; None if there is no such role."""

    async def role_policy(self, role: str, *, policy: str) -> str | None:
        """The role's inline policy of that name as JSON with sorted keys; None without the role or the policy."""

    async def create_role(
        self, name: str, *, path: str, principal: str, description: str, tags: Mapping[str, str]
    ) -> None:
        """Create a role for EC2 instances. An existing one raises EntityAlreadyExists."""

    async def put_role_policy(self, role: str, *, policy: str, document: str) -> None: ...
    async def instance_profile(self, name: str) -> InstanceProfile | None:
        """None if there is no such profile."""

    async def create_profile(self, name: str, *, path: str, tags: Mapping[str, str]) -> None:
        """Create an instance profile. An existing one raises EntityAlreadyExists."""

    async def add_role(self, profile: str, *, role: str) -> None: ...


class Cleanup(Protocol):
    """Finding and deleting by tag. `region` may be core.kinds.GLOBAL, for resource types of global services."""

    async def tagged(self, region: str, scope: Scope) -> tuple[TaggedId, ...]:
        """All EC2 resources in the region's tag index, of every type."""

    async def tagging_api(self, region: str, scope: Scope) -> TaggingApiIndex:
        """The resources of all services in the account's tag index; they may have been deleted hours ago."""

    async def find(
        self, region: str, kind: ResourceKind, scope: Scope, *, ids: Sequence[str] = ()
    ) -> tuple[Resource, ...]:
        """The existing resources of a type with the tag. `ids`: candidates, for types that AWS does not list by tag.

        For instances, `ids` are those of managed fleets, groups and spot requests: they match without the tag.
        """

    async def delete(self, region: str, kind: ResourceKind, resources: Sequence[Resource]) -> Deletion:
        """Begin to delete. A deleted resource is not an error; in a batch it may fail the others."""

    async def bucket_contents(self, region: str, name: str) -> BucketContents:
        """The number and size of a bucket's objects, with all versions, of the first ten thousand."""

    async def empty_bucket(self, region: str, name: str) -> None:
        """Delete all objects of a bucket, with all versions."""

    async def unprotect(self, region: str, resource: Resource) -> None:
        """Remove the resource's deletion protection."""

    async def dry_run_delete(self, region: str, resource: Resource) -> CloudError | None:
        """AWS's error if the caller may not delete this; None if permitted, or without a dry run. Changes nothing."""

    async def revoke_mutual_rules(
        self, region: str, *, groups: Collection[str], vpcs: Collection[str]
    ) -> Deletion:
        """Revoke the rules between two of the cluster's groups, or one and the default group of its VPC."""

    async def dependencies(
        self, region: str, resource: Resource
    ) -> tuple[tuple[Dependency, ...], tuple[CloudError, ...]]:
        """All dependencies that AWS lists, managed or not, and the errors of lists that could not be read."""

    async def exists(self, region: str, resource_id: str) -> bool:
        """Whether the region has this EC2 resource, tagged or not."""

    async def adopt(self, region: str, resource_id: str, *, tags: Mapping[str, str]) -> None:
        """Tag an untagged EC2 resource as part of the cluster."""


class Cloud(
    Account,
    MarketPlace,
    Prices,
    PlacementScoring,
    Networking,
    Compute,
    ScalingGroups,
    InstanceStatus,
    OrchestratorResources,
    Images,
    SecretStore,
    Cleanup,
    Diagnostics,
    Protocol,
):
    """All operations."""
