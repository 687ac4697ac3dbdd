"""Warnings of a plan: problems that do not prevent a launch, but should be known before it costs money."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.launch.gpu_image import image_warning
from bacalhau_spot.core.launch.pool_limits import nodes_per_pool, share_warnings
from bacalhau_spot.core.lifecycle.expiry import expiry_warnings
from bacalhau_spot.core.model import CALLER, OrchestratorMode
from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState, SharedOrchestratorState
from bacalhau_spot.core.orchestrator.nats_check import NatsStatus
from bacalhau_spot.core.orchestrator.published_configuration import changed_keys
from bacalhau_spot.core.placement.region_selection import data_gaps
from bacalhau_spot.core.tags import VERSION_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.model import ClusterSpec, Instance, Market, OrchestratorSpec

# At most, between the operator's machine and AWS: AWS refuses requests of another time.
_CLOCK_DIFFERENCE: Final = timedelta(minutes=5)
WITHOUT_ORCHESTRATOR: Final = (
    "without an orchestrator, as chosen: the nodes will run without joining a cluster"
)


def plan_warnings(facts: LaunchFacts) -> tuple[str, ...]:
    """One sentence each; those of prices come with the plan."""
    return (
        *share_warnings(facts.spec, nodes_per_pool(facts.instances)),
        *facts.notes,
        *_unscanned_regions(facts),
        *(check.warning for check in (facts.networks or {}).values() if check.warning),
        *(expiry_warnings(facts.expiry_plan) if facts.expiry_plan else ()),
        *_of_configuration(facts),
        *_encrypted_images(facts.markets or {}),
    )


def _unscanned_regions(facts: LaunchFacts) -> tuple[str, ...]:
    """Regions outside the configuration that may have resources of the cluster all the same."""
    configured = {region.name for region in facts.spec.regions}
    failed = facts.inventory.failed_regions if facts.inventory else ()
    return data_gaps([failure for failure in failed if failure.region not in configured])


def _of_configuration(facts: LaunchFacts) -> Iterator[str]:
    spec = facts.spec
    if CALLER in spec.ssh_cidrs and not facts.caller_address:
        yield "cannot determine your public address, so SSH stays closed; set `ssh_cidrs` to open it"
    yield from (check.message for check in facts.nats_checks if check.status is not NatsStatus.ACCEPTED)
    yield from _of_shared(facts)
    yield from _of_lost_address(facts)
    yield from _of_earlier_orchestrator(facts)
    yield from _of_lost_volume(facts)
    if isinstance(facts.orchestrator, OrchestratorState):
        yield from _of_unapplied_settings(facts.orchestrator, spec.orchestrator)
        yield from _of_older_version(facts.orchestrator, spec)
        yield from _of_unapplied_size(facts.orchestrator, spec.orchestrator)
        yield from _of_reconcile(facts.orchestrator, facts)
    yield from _of_orchestrator(spec)
    types = {
        name: [offer.pool.type for offer in market.offers] for name, market in (facts.markets or {}).items()
    }
    gpu_warning = image_warning(spec, types)
    if gpu_warning:
        yield gpu_warning


def _of_older_version(state: OrchestratorState, spec: ClusterSpec) -> Iterator[str]:
    """An orchestrator keeps the version that it was launched with, while new nodes get the configuration's."""
    instance = state.instance
    if instance is None or not instance.alive:
        return
    version = instance.tags.get(VERSION_KEY, "")
    if version and version != spec.bacalhau.version:
        yield version_difference(version, spec.bacalhau.version, instance)


def version_difference(version: str, configured: str, instance: Instance) -> str:
    """Its jobs, keys and address are on resources that outlive the instance."""
    return (
        f"the managed orchestrator runs Bacalhau {version}, and the configuration has `bacalhau.version: {configured}`. "
        f"`aws ec2 terminate-instances --region {instance.region} --instance-ids {instance.id}` and then "
        "`bacalhau-spot create` replaces it and keeps its jobs"
    )


def _of_orchestrator(spec: ClusterSpec) -> Iterator[str]:
    if spec.orchestrator.mode is OrchestratorMode.NONE:
        yield WITHOUT_ORCHESTRATOR


def _of_lost_address(facts: LaunchFacts) -> Iterator[str]:
    """Nodes have the address in their configuration. It is gone if somebody released it."""
    state = facts.orchestrator
    if not isinstance(state, OrchestratorState) or state.credentials is None:
        return
    nodes = sum(instance.alive for instance in facts.instances)
    present = state.address.address if state.address else ""
    if nodes and present != state.credentials.host:
        yield (
            f"the orchestrator's address {state.credentials.host} is gone, and {nodes} running nodes connect to it: they will "
            "not join the new one; terminate them, and `bacalhau-spot create` launches others"
        )


def _of_earlier_orchestrator(facts: LaunchFacts) -> Iterator[str]:
    """Nodes keep the authority and token of their launch. A shared orchestrator may have been destroyed and created again."""
    shared = facts.orchestrator
    if not isinstance(shared, SharedOrchestratorState) or shared.begun_at is None:
        return
    before = shared.begun_at - _CLOCK_DIFFERENCE
    nodes = sum(instance.alive and instance.launched_at < before for instance in facts.instances)
    if nodes:
        who = "1 running node was" if nodes == 1 else f"{nodes} running nodes were"
        yield (
            f"{who} launched before the present orchestrator of cluster {shared.cluster} was created, and cannot join it: "
            "terminate them, and `bacalhau-spot create` launches others"
        )


def _of_lost_volume(facts: LaunchFacts) -> Iterator[str]:
    """The volume is created before the instance, so an instance or a node had one. AWS lists the instance of a destroyed
    orchestrator for an hour; its address and credentials are gone.
    """
    state = facts.orchestrator
    if not isinstance(state, OrchestratorState) or state.volume is not None:
        return
    destroyed = state.address is None and state.credentials is None
    if (
        state.instance
        or (state.ended and not destroyed)
        or any(instance.alive for instance in facts.instances)
    ):
        yield (
            f"the orchestrator's data volume in {state.region} does not exist: all jobs are lost, and `bacalhau-spot create` "
            "makes an empty one. To keep the jobs, restore the volume from a snapshot before (docs/orchestrator.md)"
        )


def _of_unapplied_settings(state: OrchestratorState, spec: OrchestratorSpec) -> Iterator[str]:
    """Settings that differ from the existing orchestrator, which `create` does not move, replace or resize."""
    instance = state.instance
    exists = bool(instance or state.volume or state.address)
    if exists and spec.region not in {None, state.region}:
        yield (
            f"`orchestrator.region: {spec.region}` has no effect: the orchestrator exists in {state.region}. To move it, run "
            "`bacalhau-spot destroy` and then `bacalhau-spot create`: its jobs are lost"
        )
    if instance and instance.type != spec.instance_type:
        yield (
            f"`orchestrator.instance_type: {spec.instance_type}` has no effect yet: the orchestrator is a {instance.type}. "
            f"`aws ec2 terminate-instances --region {state.region} --instance-ids {instance.id}` and then "
            "`bacalhau-spot create` replaces it and keeps its jobs"
        )


def _of_reconcile(state: OrchestratorState, facts: LaunchFacts) -> Iterator[str]:
    """What changes on the orchestrator's machine."""
    own = facts.spec.orchestrator.reconcile
    running = state.published if state.published is not None and state.published.is_on else None
    if own is None:
        if running is not None:
            yield "`reconcile` on the orchestrator's machine ends: the configuration has no `orchestrator.reconcile`"
        return
    if running is not None:
        yield from _of_changed_reconcile(changed_keys(own, running), surplus=bool(facts.demand.removable))
    elif state.instance is not None:
        yield (
            "`reconcile` on the orchestrator's machine needs a machine launched by this version or later: "
            f"`aws ec2 terminate-instances --region {state.region} --instance-ids {state.instance.id}` and then "
            "`bacalhau-spot create` replaces an older one and keeps its jobs"
        )


def _of_changed_reconcile(changes: Sequence[str], *, surplus: bool) -> Iterator[str]:
    if changes:
        yield (
            f"`reconcile` on the orchestrator's machine gets this configuration ({'; '.join(changes)}): within a minute it "
            "launches missing nodes and drains surplus ones"
        )
    elif surplus:
        yield "`reconcile` on the orchestrator's machine drains the surplus nodes"


def _of_unapplied_size(state: OrchestratorState, spec: OrchestratorSpec) -> Iterator[str]:
    volume = state.volume
    if volume and volume.size_gib < spec.volume_gib:
        yield (
            f"`orchestrator.volume_gib: {spec.volume_gib}` has no effect yet: the data volume has {volume.size_gib} GiB. "
            f"`aws ec2 modify-volume --region {state.region} --volume-id {volume.id} --size {spec.volume_gib}` enlarges it; "
            "the file system grows at the next start of the machine"
        )
    if volume and volume.size_gib > spec.volume_gib:
        yield (
            f"`orchestrator.volume_gib: {spec.volume_gib}` has no effect: the data volume has {volume.size_gib} GiB, and AWS "
            "cannot make a volume smaller"
        )


def _of_shared(facts: LaunchFacts) -> Iterator[str]:
    shared = facts.orchestrator
    if isinstance(shared, SharedOrchestratorState) and shared.region and shared.admits_nodes is False:
        yield (
            f"the security group of cluster {shared.cluster}'s orchestrator in {shared.region} does not admit every address to "
            f"port 4222, so nodes may be unable to join: `bacalhau-spot create` in that cluster's configuration opens it"
        )


def _encrypted_images(markets: Mapping[str, Market]) -> tuple[str, ...]:
    """EC2 user guide, "Spot service-linked role": a customer managed key needs a grant. DescribeImages does not show the key."""
    return tuple(
        f"{image.id} in {market.region} is encrypted: unless that is AWS's own key, AWSServiceRoleForEC2Spot needs a grant to "
        "it, or AWS terminates the nodes at once (`bacalhau-spot explain permissions`)"
        for market in markets.values()
        for image in market.images.values()
        if image.unknown_key
    )
