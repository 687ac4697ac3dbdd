"""What the engine may ask of AWS. The docstrings are the contract.

Every verb is one AWS call (or the pages of one), waits for nothing, decides nothing and retries nothing but what the
transport lost. Reads may lag writes by seconds. Every verb raises `CloudError` and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta
    from decimal import Decimal

    from bacalhau_spot.core.cleanup.deletion_result import Dependency
    from bacalhau_spot.core.health.observation import StatusChecks
    from bacalhau_spot.core.iam.policy import SimulationQuery
    from bacalhau_spot.core.kinds import ResourceKind
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
        TypeInfo,
    )
    from bacalhau_spot.core.tags import Scope


class CloudError(Exception):
    """AWS said no, or could not be reached. `code` is AWS's (or the transport's), `operation` the API action."""

    def __init__(self, code: str, message: str, *, operation: str, region: str, request_id: str = "") -> None:
        super().__init__(f"{operation} in {region}: {code}: {message}")
        self.code = code
        self.message = message
        self.operation = operation
        self.region = region
        self.request_id = request_id


@dataclass(frozen=True, slots=True)
class TemplateContent:
    """What a version of a launch template says. `tags` are those of the spot requests."""

    user_data: bytes
    group_id: str
    root_device: str
    root_volume_gib: int
    tags: Mapping[str, str]
    profile: str | None = None  # the instance profile, by name
    public_ip: bool = True
    cpu_credits: str = ""  # empty: the content is not for burstable types


@dataclass(frozen=True, slots=True)
class FleetPool:
    """One override of a fleet: a capacity pool, by type and subnet, with the image of the type's architecture."""

    type: str
    zone: str
    subnet_id: str
    image_id: str
    template_version: int
    max_usd_per_hour: Decimal | None = None


@dataclass(frozen=True, slots=True)
class FleetRequest:
    """One launch of `count` spot instances over all `pools`. The same `client_token` never launches twice."""

    template_id: str
    pools: Sequence[FleetPool]
    count: int
    client_token: str
    fleet_tags: Mapping[str, str]
    instance_tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LaunchedInstance:
    """An instance that AWS has begun to launch."""

    id: str
    type: str
    zone: str


@dataclass(frozen=True, slots=True)
class PoolError:
    """A pool that AWS could not use, or the whole fleet when type and zone are empty."""

    type: str
    zone: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class FleetResult:
    """AWS's answer to a launch. Refusals come beside successes: they say which pools had nothing, not that it failed.

    `answered_at`: when, by AWS's clock; None where the answer does not say.
    """

    fleet_id: str
    launched: tuple[LaunchedInstance, ...] = ()
    pool_errors: tuple[PoolError, ...] = ()
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundTemplate:
    """A launch template that exists. `age`: since its creation, by AWS's clock."""

    id: str
    age: timedelta


@dataclass(frozen=True, slots=True)
class FoundFleet:
    """An instant fleet that exists. `age`: since AWS took its request, by AWS's clock; `instance_ids`: all that it launched."""

    id: str
    created_at: datetime
    age: timedelta
    instance_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FailedDeletion:
    """One resource of a batch that AWS did not delete."""

    id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """AWS's answer to a deletion: the ids of its requests, for AWS's support and the audit log, and what it refused."""

    request_ids: tuple[str, ...] = ()
    failed: tuple[FailedDeletion, ...] = ()


class Account(Protocol):
    """Who we are and where we may go."""

    async def identity(self) -> Identity:
        """Whose credentials these are. The cheapest call that proves them."""

    async def alias(self) -> str:
        """The account's alias, by which people know it; empty when it has none."""

    async def regions(self) -> tuple[Region, ...]:
        """All regions there are, enabled or not, by name."""


class MarketPlace(Protocol):
    """What a region offers."""

    async def pools(self, region: str, types: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """(type, zone) of every pool among `types`. Types that the region does not have are simply absent."""

    async def types(self, region: str, names: Sequence[str]) -> tuple[TypeInfo, ...]:
        """The named types, those that the region has."""

    async def matching_types(self, region: str, requirements: Requirements) -> tuple[str, ...]:
        """Names of the types that meet `requirements`, current generations only."""

    async def spot_prices(self, region: str, types: Sequence[str]) -> dict[tuple[str, str], Decimal]:
        """Now's Linux price in USD per hour of each (type, zone) that has one."""

    async def parameters(self, region: str, names: Sequence[str]) -> dict[str, str]:
        """Values of public or own SSM parameters; unknown names are absent."""

    async def images(self, region: str, ids: Sequence[str]) -> tuple[Image, ...]:
        """The images by id. An unknown one raises InvalidAMIID.NotFound."""


class Prices(Protocol):
    """What things cost. Price lists are the same wherever they are asked for, and may be refused to us."""

    async def on_demand_prices(
        self, regions: Sequence[str], types: Sequence[str]
    ) -> dict[tuple[str, str], Decimal]:
        """Linux on-demand prices in USD per hour by (region, type), of all regions at once; those unknown are absent."""

    async def volume_prices(self, regions: Sequence[str]) -> dict[str, Decimal]:
        """What a GiB of gp3 costs a month in USD, by region, of all regions at once; those unknown are absent."""

    async def spot_history(
        self,
        region: str,
        types: Sequence[str],
        *,
        since: datetime,
        until: datetime,
        zones: Sequence[str] = (),
    ) -> tuple[PricePoint, ...]:
        """Every change of the Linux price of these pools (no zones: all), and the price in force at `since`; by time."""


class PlacementScoring(Protocol):
    """What tells regions apart before anything is launched there."""

    async def placement_scores(
        self, types: Sequence[str], *, target: int, regions: Sequence[str] = ()
    ) -> dict[str, int]:
        """How likely AWS grants `target` spot instances over `types` now, 1 to 10, by region: the ten best of `regions`.

        No `regions`: of all that the account has; more than ten may not be named. With fewer than three types every score
        is low. New questions are limited per day and account, repeated ones are not: MaxConfigLimitExceeded.
        """

    async def quota(self, region: str, *, service: str, code: str) -> int | None:
        """What Service Quotas allows the account in the region; None when it knows no such quota there."""

    async def spot_in_use(self, region: str) -> dict[str, int]:
        """How many spot instances of each type run or start in the region, whosever of the account they are."""


class Diagnostics(Protocol):
    """What `doctor` asks. Nothing here makes or changes anything."""

    async def time_at_aws(self) -> datetime:
        """AWS's clock, to the second."""

    async def credentials_origin(self) -> str:
        """How the credentials were found, in botocore's words (`env`, `sso`, `assume-role` …); empty when there are none."""

    async def dry_run_create(self, region: str, action: str, *, tags: Mapping[str, str]) -> CloudError | None:
        """EC2's refusal of one of the actions that can be asked by a dry run; None when it would be done."""

    async def simulate(self, principal: str, query: SimulationQuery) -> dict[str, bool]:
        """Whether the user or role may do each of the actions, as IAM's simulator says; it knows the identity's own policies.

        An action of which it says nothing certain is absent.
        """

    async def role_arn(self, name: str) -> str | None:
        """The ARN of a role by its name; None when there is none."""

    async def vpcs(self, region: str, *, key: str, value: str) -> tuple[int, bool]:
        """How many VPCs the region has, and whether one of them carries the tag."""


class Networking(Protocol):
    """A region's network. Everything is tagged by the call that makes it. Making is not idempotent; look first."""

    async def network(self, region: str, *, key: str, value: str) -> Network:
        """What carries the tag of VPC, gateway, route table, subnets and group. With several VPCs: the most complete."""

    async def foreign_group(self, region: str, vpc_id: str, *, key: str, value: str) -> Network:
        """A VPC of the user's with our group in it, when there is one; without its subnets."""

    async def subnets(self, region: str, vpc_id: str) -> tuple[Subnet, ...]:
        """The subnets of a VPC of the user's, and where each leads. An unknown VPC raises InvalidVpcID.NotFound."""

    async def public_access(self, region: str) -> PublicAccess:
        """The account's VPC Block Public Access in the region."""

    async def create_vpc(self, region: str, *, cidr: str, tags: Mapping[str, str]) -> str: ...
    async def create_gateway(self, region: str, *, tags: Mapping[str, str]) -> str: ...
    async def attach_gateway(self, region: str, gateway_id: str, *, vpc_id: str) -> None: ...
    async def main_route_table(self, region: str, vpc_id: str) -> str:
        """The route table that a VPC is born with. Not shown yet: InvalidRouteTableID.NotFound."""

    async def create_default_route(self, region: str, table_id: str, *, gateway_id: str) -> None: ...
    async def create_subnet(
        self, region: str, *, vpc_id: str, zone: str, cidr: str, tags: Mapping[str, str]
    ) -> str: ...
    async def create_group(
        self, region: str, *, vpc_id: str, name: str, description: str, tags: Mapping[str, str]
    ) -> str: ...
    async def allow_ssh(self, region: str, group_id: str, *, cidrs: Sequence[str]) -> None: ...


class Compute(Protocol):
    """Instances and what launches them."""

    async def instances(self, region: str, *, key: str, value: str) -> tuple[Instance, ...]:
        """Every instance with the tag, ended ones too as long as AWS lists them."""

    async def instances_by_id(self, region: str, ids: Sequence[str]) -> tuple[Instance, ...]:
        """Those of at most 200 ids that the region shows, tagged or not, ended ones too. Unknown ids are simply absent."""

    async def spot_requests(self, region: str, *, key: str, value: str) -> tuple[SpotRequest, ...]:
        """Every spot request with the tag, closed ones too as long as AWS lists them."""

    async def create_template(
        self, region: str, *, name: str, client_token: str, tags: Mapping[str, str]
    ) -> str:
        """A template without content. A name that exists raises InvalidLaunchTemplateName.AlreadyExistsException."""

    async def template(self, region: str, name: str) -> FoundTemplate | None:
        """The template of this name, if there is one."""

    async def create_template_version(
        self, region: str, template_id: str, *, content: TemplateContent, client_token: str
    ) -> int:
        """The number of a version with this content; the same token gives the same version."""

    async def launch(self, region: str, request: FleetRequest) -> FleetResult:
        """Ask for instances over all pools at once; AWS chooses. Answers when AWS has granted or refused each."""

    async def fleet_instances(self, region: str, fleet_id: str) -> tuple[Instance, ...]:
        """Every instance that the fleet launched, by the tag that AWS gives it, ended ones too as long as AWS lists them."""

    async def fleet(self, region: str, fleet_id: str) -> FoundFleet | None:
        """An instant fleet as AWS shows it; None where it does not."""

    async def terminate(self, region: str, ids: Sequence[str]) -> None:
        """Begin to end the instances. Harmless on those that have ended; one unknown id fails the whole call."""


class InstanceStatus(Protocol):
    """What EC2 says about instances beside that they exist."""

    async def statuses(self, region: str, ids: Sequence[str]) -> dict[str, StatusChecks]:
        """Each instance's status checks, whatever its state; one unknown id fails the whole call."""

    async def console(self, region: str, instance_id: str) -> str:
        """The console's output so far, at most its last 64 KiB; older types answer with that of minutes ago."""


class SecretStore(Protocol):
    """The nodes' token in SSM, and the role with which they read it. IAM is the same in all regions."""

    async def parameter(self, region: str, name: str) -> Secret | None:
        """The decrypted value of a parameter of ours; None when there is none."""

    async def put_parameter(
        self, region: str, name: str, *, value: Secret, tags: Mapping[str, str], replace: bool
    ) -> None:
        """An encrypted parameter. With `replace` the one there keeps its tags, else it raises ParameterAlreadyExists."""

    async def role_policy(self, role: str) -> str | None:
        """What the role may do, as JSON with sorted keys; None when there is no such role or it may do nothing."""

    async def create_role(self, name: str, *, path: str, principal: str, tags: Mapping[str, str]) -> None:
        """A role for EC2 instances. One that is there raises EntityAlreadyExists."""

    async def put_role_policy(self, role: str, *, document: str) -> None: ...
    async def profile_roles(self, name: str) -> tuple[str, ...] | None:
        """The roles in an instance profile, at most one; None when there is no such profile."""

    async def create_profile(self, name: str, *, path: str, tags: Mapping[str, str]) -> None:
        """An instance profile. One that is there raises EntityAlreadyExists."""

    async def add_role(self, profile: str, *, role: str) -> None: ...


class Cleanup(Protocol):
    """Finding and deleting by tag. `region` may be core.cleanup.deletion_order.GLOBAL, where the kinds are that are the
    same everywhere.
    """

    async def tagged(self, region: str, scope: Scope) -> tuple[TaggedId, ...]:
        """Everything of EC2 in the region that its tag index shows, of every kind."""

    async def tagged_outside_ec2(self, region: str, scope: Scope) -> tuple[TaggedId, ...]:
        """Everything of other services that the account's tag index shows; it may have been deleted hours ago."""

    async def find(
        self, region: str, kind: ResourceKind, scope: Scope, *, ids: Sequence[str] = ()
    ) -> tuple[Resource, ...]:
        """The live resources of one kind that show the tag. `ids`: candidates, for kinds that AWS does not list by tag.

        Of instances the `ids` are those that a launcher of ours named as its own: they count without the tag.
        """

    async def delete(self, region: str, kind: ResourceKind, resources: Sequence[Resource]) -> Deletion:
        """Begin to delete. One that has gone already is no error; in a batch it may fail the others with it."""

    async def unprotect(self, region: str, resource: Resource) -> None:
        """Take away what protects the resource from deletion."""

    async def dry_run_delete(self, region: str, resource: Resource) -> CloudError | None:
        """AWS's refusal if we may not delete this; None if we may, or AWS cannot be asked. Changes nothing."""

    async def revoke_mutual_rules(
        self, region: str, *, groups: Collection[str], vpcs: Collection[str]
    ) -> Deletion:
        """Revoke the rules that join two of our security groups, or one with the default group of a VPC of ours."""

    async def dependencies(
        self, region: str, resource: Resource
    ) -> tuple[tuple[Dependency, ...], tuple[CloudError, ...]]:
        """Everything that AWS shows to depend on the resource, ours or not; and what it would not show."""

    async def exists(self, region: str, resource_id: str) -> bool:
        """Whether the region has this thing of EC2's, tagged or not."""

    async def adopt(self, region: str, resource_id: str, *, tags: Mapping[str, str]) -> None:
        """Give our tags to something of EC2's that lacks them."""


class Cloud(
    Account,
    MarketPlace,
    Prices,
    PlacementScoring,
    Networking,
    Compute,
    InstanceStatus,
    SecretStore,
    Cleanup,
    Diagnostics,
    Protocol,
):
    """All of it."""
