"""The starting point of every command: the identity, the regions, and the resources with the cluster's tag."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, TypeVar

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.clusters.listing import Listing
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.inventory import (
    AccountContext,
    ClusterInventory,
    nodes_only,
    orchestrators_only,
)
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.model import Resource, State
from bacalhau_spot.core.orchestrator.managed_state import newest_usable
from bacalhau_spot.core.partitions import region_advice
from bacalhau_spot.core.tags import account_scope, cluster_scope
from bacalhau_spot.engine.aws_calls.caller import api_failure
from bacalhau_spot.engine.aws_calls.consistency import tagged_and_instances
from bacalhau_spot.errors import ExitCode, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence

    from bacalhau_spot.core.model import Identity, Instance, Naming, Region, TaggedId
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

T = TypeVar("T")

# The first call: if AWS cannot be reached, the user should not wait long for the error.
_WHO_AM_I_S = 10.0
# The alias is only displayed: it is asked again for a short time, where IAM cannot be reached.
_ALIAS_S = 2.0

# Final states of a spot request (EC2 user guide, "Spot request states").
_FINISHED = frozenset({"closed", "cancelled", "failed"})


async def get_identity(calls: AwsCalls) -> Identity:
    """The identity of the credentials. Raises CloudError, after a short timeout."""
    return await calls.read("", calls.cloud.identity, within_s=_WHO_AM_I_S)


async def load_account(calls: AwsCalls) -> AccountContext:
    """Check the credentials before anything else, and list the account's regions meanwhile. Raises CloudError.

    The credentials are found before any call begins: several calls at once would each ask for an MFA code. STS names the
    fault of credentials best: its error comes first. EC2's refusal before STS has accepted them is not the last word: EC2
    is asked again. The account's alias, for the display, is asked at the same time.
    """
    await calls.find_credentials(within_s=_WHO_AM_I_S)
    display = calls.account_display
    asking = asyncio.ensure_future(_regions(calls))
    naming = asyncio.ensure_future(account_alias(calls)) if display and display.wants_alias() else None
    try:
        identity = await get_identity(calls)
        if display is not None:
            await display.show(identity, ask_alias=lambda: naming or account_alias(calls))
        found = await asking
    finally:  # nothing goes on after an error or Ctrl-C
        asking.cancel()
        if naming is not None:
            naming.cancel()
    if isinstance(found, CloudError):
        if classify(found.code).category is not Category.CREDENTIALS:
            raise found
        found = await calls.read("", calls.cloud.regions)
    return AccountContext(identity=identity, regions=found)


async def _regions(calls: AwsCalls) -> tuple[Region, ...] | CloudError:
    """The account's regions, or AWS's refusal."""
    try:
        return await calls.read("", calls.cloud.regions)
    except CloudError as error:
        return error


async def account_alias(calls: AwsCalls) -> str:
    """The account's alias; empty if it has none, AWS denies the call or does not answer soon."""
    try:
        return await calls.read("", calls.cloud.alias, within_s=_ALIAS_S)
    except CloudError:
        return ""


def enabled_names(regions: Sequence[Region]) -> tuple[str, ...]:
    return tuple(region.name for region in regions if region.enabled)


def requested_regions(regions: Sequence[Region], only: Sequence[str]) -> tuple[str, ...]:
    """The regions of `only`, or all enabled ones. Raises UserError for a region that is not enabled."""
    reachable = enabled_names(regions)
    known = tuple(region.name for region in regions)
    missing = sorted(set(only) - set(reachable))
    if missing:
        unknown = [name for name in missing if name not in known]
        disabled = [name for name in missing if name in known]
        raise UserError(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not among the enabled regions of this account",
            details=(f"enabled are {', '.join(reachable)}",),
            hint=region_advice(unknown, disabled, known=known),
            exit_code=ExitCode.USAGE,
        )
    return tuple(only) or reachable


async def cluster_inventory(
    calls: AwsCalls, naming: Naming, *, regions: Sequence[str], configured: Collection[str] | None = None
) -> ClusterInventory:
    """Everything with the cluster's tag in `regions`: one call in a region without instances, otherwise two in parallel.

    AWS's tag index is only eventually consistent and may omit every resource of a region. DescribeInstances therefore
    counts the instances in each region, and is repeated while another list names more. `configured`: the regions whose
    resources besides instances matter, too; None: all.
    """

    async def ask(region: str) -> tuple[tuple[TaggedId, ...], tuple[Instance, ...]]:
        if configured is not None and region not in configured:
            key, value = naming.tag_key, naming.tag_value
            found = await calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value))
            if not found:
                return (), ()
        return await tagged_and_instances(calls, naming, region)

    answers, unseen = await in_all_regions(regions, ask)
    every = [instance for _, instances in answers.values() for instance in instances]
    return ClusterInventory(
        tagged={region: tagged for region, (tagged, _) in answers.items()},
        instances=nodes_only(every),
        failed_regions=unseen,
        orchestrators=orchestrators_only(every),
    )


async def instances_of(calls: AwsCalls, naming: Naming, *, regions: Sequence[str]) -> ClusterInventory:
    """Only the cluster's instances: one call per region."""
    key, value = naming.tag_key, naming.tag_value

    async def ask(region: str) -> tuple[Instance, ...]:
        return await calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value))

    answers, unseen = await in_all_regions(regions, ask)
    every = [instance for instances in answers.values() for instance in instances]
    return ClusterInventory(
        instances=nodes_only(every), failed_regions=unseen, orchestrators=orchestrators_only(every)
    )


async def count_other_clusters(calls: AwsCalls, naming: Naming, *, regions: Sequence[str]) -> dict[str, int]:
    """The instances in each other cluster with our tag key and `CreatedBy` tag. Regions that refuse are omitted."""
    return count_by_cluster(await other_cluster_instances(calls, naming, regions=regions), naming)


def count_by_cluster(instances: Iterable[Resource], naming: Naming) -> dict[str, int]:
    names = Counter(instance.tags.get(naming.tag_key, "") for instance in instances)
    return dict(sorted(names.items()))


async def other_cluster_instances(
    calls: AwsCalls, naming: Naming, *, regions: Sequence[str]
) -> tuple[Resource, ...]:
    """The living instances of other clusters with our tag key and `CreatedBy` tag, orchestrators included."""
    scope = account_scope(naming)

    async def ask(region: str) -> Sequence[Resource]:
        return await calls.read(region, lambda: calls.cloud.find(region, ResourceKind.INSTANCE, scope))

    answers, _ = await in_all_regions(regions, ask)
    return tuple(
        instance
        for instances in answers.values()
        for instance in instances
        if instance.state not in {State.SHUTTING_DOWN, State.TERMINATED}
        and instance.tags.get(naming.tag_key, "") != naming.tag_value
    )


async def cluster_listing(
    calls: AwsCalls, naming: Naming, *, cluster: str, regions: Sequence[str], configured: Collection[str] = ()
) -> Listing:
    """Everything of the cluster in all `regions`: one tag index call in a region without resources.

    In the others, and in the `configured` ones, whose nodes the index may not list yet, one describe call besides.

    AWS lists spot requests, with their tags, for hours after their end (EC2 user guide, "Spot request status"). If a
    region has requests without an instance, a third call returns which of them have ended.
    """
    key, value, scope = naming.tag_key, naming.tag_value, cluster_scope(naming)

    async def list_instances(region: str) -> tuple[Instance, ...]:
        return await calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value))

    async def list_tagged(region: str) -> tuple[TaggedId, ...]:
        return await calls.read(region, lambda: calls.cloud.tagged(region, scope))

    async def scan(region: str) -> tuple[tuple[Instance, ...], tuple[TaggedId, ...]]:
        if region in configured:
            instances, tagged = await asyncio.gather(list_instances(region), list_tagged(region))
        else:
            tagged = await list_tagged(region)
            if not tagged:
                return (), ()
            instances = await list_instances(region)
        held = {instance.spot_request_id for instance in instances if instance.state is not State.TERMINATED}
        if all(resource.id in held for resource in tagged if resource.kind == ResourceKind.SPOT_REQUEST):
            return instances, tagged
        over = await _finished_requests(calls, region, key=key, value=value)
        return instances, tuple(resource for resource in tagged if resource.id not in over)

    answers, unseen = await in_all_regions(regions, scan)
    check_permitted(answers, unseen)
    every = [instance for instances, _ in answers.values() for instance in instances]
    machines = _image_builders(every)
    return Listing(
        cluster=cluster,
        instances=nodes_only(every),
        orchestrator=newest_usable(every),
        others=tuple(
            Resource(kind=resource.kind, id=resource.id, region=region)
            for region, (_, tagged) in answers.items()
            for resource in tagged
            if resource.kind != ResourceKind.INSTANCE or resource.id in machines
        ),
        regions_scanned=tuple(answers),
        failed_regions=unseen,
    )


def _image_builders(instances: Iterable[Instance]) -> frozenset[str]:
    """The ids of the machines of `image bake`, which are neither nodes nor orchestrators."""
    others = (one for one in instances if not one.is_node and not one.is_orchestrator)
    return frozenset(one.id for one in others if one.state is not State.TERMINATED)


async def _finished_requests(calls: AwsCalls, region: str, *, key: str, value: str) -> frozenset[str]:
    """The spot requests that have ended; empty if AWS refuses, because a listing must not omit an open one."""
    try:
        requests = await calls.read(region, lambda: calls.cloud.spot_requests(region, key=key, value=value))
    except CloudError:
        return frozenset()
    return frozenset(request.id for request in requests if request.state in _FINISHED)


def check_permitted(answers: Mapping[str, object], unseen: Sequence[ApiFailure]) -> None:
    """Raises one CloudError if no region answered because permissions are missing, instead of an empty list."""
    if (
        answers
        or len(unseen) < 2  # noqa: PLR2004 - several
        or any(classify(failure.code).category is not Category.PERMISSION for failure in unseen)
    ):
        return
    first = min(unseen, key=lambda failure: (failure.operation, failure.region))
    raise CloudError(
        first.code,
        first.message,
        operation=first.operation,
        region=f"all {len(unseen)} regions",
        request_id=first.request_id,
    )


async def in_all_regions(
    regions: Sequence[str], call: Callable[[str], Coroutine[object, object, T]]
) -> tuple[dict[str, T], tuple[ApiFailure, ...]]:
    """`call` in all regions in parallel: the answers, and the failures of the other regions.

    If the credentials are refused in every region, it raises that one error.
    """
    results = await asyncio.gather(*(call(region) for region in regions), return_exceptions=True)
    answers: dict[str, T] = {}
    errors: list[CloudError] = []
    for region, result in zip(regions, results, strict=True):
        if isinstance(result, CloudError):
            errors.append(result)
        elif isinstance(result, BaseException):
            raise result
        else:
            answers[region] = result
    if (
        errors
        and not answers
        and all(classify(error.code).category is Category.CREDENTIALS for error in errors)
    ):
        raise errors[0]
    return answers, tuple(api_failure(error) for error in errors)
