"""Creates the missing parts of a managed orchestrator, in the order of its plan. Repeating it continues where it stopped.

EC2 has no client tokens for addresses and networks, so only the create that owns the claim (orchestrator_claim.py) creates
them. The others wait until it has launched the instance, and then take the same steps, which are safe to repeat.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.port import InstanceRequest
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import ResourceKind
from bacalhau_spot.core.launch import events
from bacalhau_spot.core.model import Network, State
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorStep, inbound_rules, orchestrator_plan
from bacalhau_spot.core.orchestrator.managed_state import DataVolume, InboundGroup
from bacalhau_spot.core.pricing.orchestrator_cost import ROOT_VOLUME_GIB
from bacalhau_spot.core.tags import (
    VERSION_KEY,
    metadata_key_problems,
    orchestrator_name,
    orchestrator_parameter,
    orchestrator_tags,
    results_bucket,
)
from bacalhau_spot.engine.aws_calls.caller import UNCERTAIN
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.aws_calls.creation import create_unless_exists, write_unless_exists
from bacalhau_spot.engine.iam.instance_profile import check_profile, ensure_profile
from bacalhau_spot.engine.network.network_builder import NetworkBuilder, known
from bacalhau_spot.engine.orchestrator.address_association import (
    associate_orchestrator,
    refuse_address_conflict,
)
from bacalhau_spot.engine.orchestrator.managed_facts import state_in, stored_credentials
from bacalhau_spot.engine.orchestrator.managed_instance import InstanceFollower
from bacalhau_spot.engine.orchestrator.orchestrator_bucket import BucketRequest, check_bucket, ensure_bucket
from bacalhau_spot.engine.orchestrator.orchestrator_claim import Claim, OrchestratorClaim
from bacalhau_spot.engine.orchestrator.orchestrator_role import orchestrator_profile
from bacalhau_spot.engine.orchestrator.reconcile_configuration import publish
from bacalhau_spot.engine.placement.market import AUTO, images_of
from bacalhau_spot.errors import UserError
from bacalhau_spot.instance.orchestrator_data import render_orchestrator
from bacalhau_spot.orchestrator.certificates import new_credentials, renewed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from bacalhau_spot.cloud.port import RequestedVolume
    from bacalhau_spot.core.launch.facts import LaunchFacts
    from bacalhau_spot.core.model import Secret
    from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials
    from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorPlan
    from bacalhau_spot.core.orchestrator.managed_state import ElasticAddress, OrchestratorState
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.iam.instance_profile import ExistingProfile, ProfileRequest

_LOOK_PAUSE_S: Final = 5.0
_ATTEMPTS: Final = 5


class OrchestratorBuilder:
    """`state` is the present state. Raises CloudError, Cancelled, UserError."""

    def __init__(self, calls: AwsCalls, facts: LaunchFacts, state: OrchestratorState) -> None:
        self.state = state
        self.network: Network | None = None
        self._calls = calls
        self._facts = facts
        self._spec = facts.spec
        self._naming = facts.spec.naming
        self._name = orchestrator_name(facts.spec.naming)
        self._rules = inbound_rules(facts.ssh_ranges)
        self._profile = ""
        self._existing_profile: ExistingProfile | None = None  # before the first change
        self._is_first = False  # no other create has begun before: nothing exists
        self._was_completed = False  # by another create, meanwhile
        self._ended: Collection[str] = state.ended
        market = (facts.markets or {}).get(state.region)
        self._zones: Sequence[str] = market.zones if market else ()
        account_id = facts.account.identity.account_id
        self._bucket = results_bucket(self._naming, account_id=account_id, region=state.region)
        self._bucket_request = BucketRequest(
            region=state.region, name=self._bucket, account_id=account_id, naming=self._naming
        )
        timeouts = facts.spec.timeouts
        self._follower = InstanceFollower(
            calls,
            state.region,
            self._naming,
            running_within_s=timeouts.fulfilment_s,
            detached_within_s=timeouts.terminate_s,
            expiry=facts.expiry_plan.value if facts.expiry_plan else "",
        )
        self._steps: Mapping[OrchestratorStep, Callable[[], Awaitable[None]]] = {
            OrchestratorStep.BUCKET: self._make_bucket,
            OrchestratorStep.ADDRESS: self._make_address,
            OrchestratorStep.CREDENTIALS: self._make_credentials,
            OrchestratorStep.RENEWAL: self._renew,
            OrchestratorStep.NETWORK: self._make_network,
            OrchestratorStep.RULES: self._open_ports,
            OrchestratorStep.ROLE: self._make_role,
            OrchestratorStep.RECONCILE: self._publish,
            OrchestratorStep.VOLUME: self._make_volume,
            OrchestratorStep.INSTANCE: self._launch,
            OrchestratorStep.START: self._start,
            OrchestratorStep.ATTACH: self._attach,
            OrchestratorStep.ASSOCIATE: self._associate,
            OrchestratorStep.RESTART: self._restart,
        }

    @property
    def region(self) -> str:
        return self.state.region

    @property
    def credentials(self) -> OrchestratorCredentials:
        return known(self.state.credentials)

    async def complete(self) -> None:
        """Take every step of the plan."""
        await self._refuse_foreign_parts()
        self._calls.emit(events.OrchestratorChanged(region=self.region, message="preparing"))
        if not self._has_unique_parts():
            await self._claim()
        for step in self._plan().steps:
            self._calls.emit(events.OrchestratorChanged(region=self.region, message=step.value))
            await self._steps[step]()
        if self._was_completed and self._spec.vpc_of(self.region) is None:
            # The facts are older than the other create's network.
            self.network = await self._tagged_network()

    async def _refuse_foreign_parts(self) -> None:
        """Raises UserError, before anything is created, for names and associations that belong to resources of others."""
        refuse_address_conflict(self.state)
        steps = self._plan().steps
        if OrchestratorStep.BUCKET in steps:
            await check_bucket(self._calls, self._bucket_request)
        if {OrchestratorStep.ROLE, OrchestratorStep.RECONCILE} & set(steps):
            self._existing_profile = await check_profile(self._calls, self._role_request())

    def _plan(self) -> OrchestratorPlan:
        planned = orchestrator_plan(
            self.state,
            self._spec.orchestrator,
            ssh_ranges=self._facts.ssh_ranges,
            preferred_zones=self._zones,
        )
        return known(planned)

    def _has_unique_parts(self) -> bool:
        """Whether only parts are missing that two creates cannot create twice."""
        state = self.state
        return state.instance is not None and state.address is not None and state.group is not None

    async def _claim(self) -> None:
        """Raises UserError if other creates go on for minutes."""
        claim = OrchestratorClaim(self._calls, self.region, self._naming)
        outcome = await claim.take(self._is_complete)
        self._is_first = outcome is Claim.FIRST
        self._was_completed = outcome is Claim.COMPLETED

    async def _is_complete(self) -> bool:
        """Read the parts again; whether another create has created those that two could create twice."""
        key, value = self._naming.tag_key, self._naming.tag_value
        listed = await self._calls.read(
            self.region, partial(self._calls.cloud.instances, self.region, key=key, value=value)
        )
        instances = [instance for instance in listed if instance.is_orchestrator]
        seen = await state_in(self._calls, self._spec, region=self.region, instances=instances)
        self.state = replace(seen, site=seen.site or self.state.site)
        self._ended = {*self._ended, *seen.ended}
        return self._has_unique_parts()

    # --- The steps

    async def _make_bucket(self) -> None:
        await ensure_bucket(self._calls, self._bucket_request)

    async def _make_address(self) -> None:
        tags = orchestrator_tags(self._naming, self._name)
        allocate = partial(self._calls.cloud.allocate_address, self.region, tags=tags)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                address = await self._calls.write(self.region, allocate, non_idempotent=True)
            except CloudError as error:
                if attempt == _ATTEMPTS or classify(error.code).category not in UNCERTAIN:
                    raise
                seen = await self._address_after(LAG_S)
                if seen is not None:
                    self.state = replace(self.state, address=seen)
                    return
            else:
                self._created(ResourceKind.ADDRESS, address.id)
                self.state = replace(self.state, address=address)
                return

    async def _address_after(self, wait_s: float) -> ElasticAddress | None:
        """The address, if AWS allocated it although the answer was lost."""
        await self._calls.pause(wait_s)
        seen = await state_in(self._calls, self._spec, region=self.region, instances=())
        return seen.address

    async def _make_credentials(self) -> None:
        """Of two creates, the parameter of the first counts. Its certificate may be for another address."""
        name, host = orchestrator_parameter(self._naming), known(self.state.address).address
        credentials = new_credentials(host, now=self._calls.clock.now())
        put = self._put(credentials.to_json(), replaces=False)
        if not await create_unless_exists(self._calls, self.region, ResourceKind.PARAMETER, name, put):
            credentials = await self._stored(name)
        self.state = replace(self.state, credentials=credentials)
        if credentials.host != host:
            await self._renew()

    async def _stored(self, name: str) -> OrchestratorCredentials:
        for _ in range(_ATTEMPTS):
            credentials = await stored_credentials(self._calls, self._naming, region=self.region)
            if credentials is not None:
                return credentials
            await self._calls.pause(_LOOK_PAUSE_S)
        raise UserError(
            f"AWS reports that the parameter {name} in {self.region} exists, and does not return it",
            hint="run `bacalhau-spot create` again in a minute",
        )

    async def _renew(self) -> None:
        """A new server certificate; the token stays, because running nodes would not survive another one."""
        host = known(self.state.address).address
        credentials = renewed(self.credentials, host, now=self._calls.clock.now())
        await self._calls.write(self.region, self._put(credentials.to_json(), replaces=True))
        self.state = replace(self.state, credentials=credentials)

    def _put(self, value: Secret, *, replaces: bool) -> Callable[[], Awaitable[None]]:
        name = orchestrator_parameter(self._naming)
        return partial(
            self._calls.cloud.put_parameter,
            self.region,
            name,
            value=value,
            tags=orchestrator_tags(self._naming, name),
            replace=replaces,
        )

    async def _make_network(self) -> None:
        """The VPC of the nodes in the region, or the user's; a subnet in the zone; a security group of its own."""
        zone, vpc_id = self._plan().zone, self._spec.vpc_of(self.region)
        if vpc_id is None:
            builder = NetworkBuilder(self._calls, self.region, self._naming, cidrs=(), own=True, group=False)
            self.network = await builder.complete(await self._existing_network(), zones=[zone])
        else:
            subnets = self.state.site.subnets if self.state.site else {}
            self.network = Network(vpc_id=vpc_id, subnets=subnets)
        if self.state.group is None:
            await self._make_group(known(self.network.vpc_id))
        await self._open_ports()

    async def _existing_network(self) -> Network:
        inventory = self._facts.inventory
        tagged = inventory.tagged.get(self.region, ()) if inventory else ()
        network = {ResourceKind.VPC, ResourceKind.SUBNET, ResourceKind.GATEWAY, ResourceKind.GROUP}
        if self._is_first and not any(row.kind in network for row in tagged):
            return Network()
        return await self._tagged_network()

    async def _tagged_network(self) -> Network:
        key, value = self._naming.tag_key, self._naming.tag_value
        return await self._calls.read(
            self.region, partial(self._calls.cloud.network, self.region, key=key, value=value)
        )

    async def _make_group(self, vpc_id: str) -> None:
        create = partial(
            self._calls.cloud.create_group,
            self.region,
            vpc_id=vpc_id,
            name=self._name,
            description="Bacalhau orchestrator: nodes from anywhere, API and SSH from the operator",
            tags=orchestrator_tags(self._naming, self._name),
        )
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                group_id = await self._calls.write(self.region, create, non_idempotent=True)
            except CloudError as error:
                if attempt == _ATTEMPTS or classify(error.code).category not in UNCERTAIN | {Category.EXISTS}:
                    raise
                await self._calls.pause(_LOOK_PAUSE_S)
                if await self._find_group(vpc_id):
                    return
            else:
                self._created(ResourceKind.GROUP, group_id)
                self.state = replace(self.state, group=InboundGroup(group_id, vpc_id))
                return

    async def _find_group(self, vpc_id: str) -> bool:
        key, value = self._naming.tag_key, self._naming.tag_value
        groups = await self._calls.read(
            self.region, partial(self._calls.cloud.inbound_groups, self.region, key=key, value=value)
        )
        group = next((found for found in groups if found.vpc_id == vpc_id), None)
        self.state = replace(self.state, group=group)
        return group is not None

    async def _open_ports(self) -> None:
        """One call for all missing rules; one for each if another create has added some of them."""
        group = known(self.state.group)
        missing = group.missing(self._rules)
        if not missing:
            return
        if await self._allow(group.id, missing):
            return
        for port, cidrs in missing.items():
            for cidr in cidrs:
                await self._allow(group.id, {port: (cidr,)})

    async def _allow(self, group_id: str, rules: Mapping[int, Sequence[str]]) -> bool:
        allow = partial(self._calls.cloud.allow_tcp, self.region, group_id, rules=rules)
        return await write_unless_exists(self._calls, self.region, allow)

    async def _make_role(self) -> None:
        profile = await ensure_profile(self._calls, self._role_request(), self._existing_profile)
        self._profile = profile.name

    def _role_request(self) -> ProfileRequest:
        return orchestrator_profile(
            self._spec, self._facts.account.identity, region=self.region, bucket=self._bucket
        )

    async def _publish(self) -> None:
        """The permissions come first: the machine begins with the next look at its configuration."""
        if self.state.instance is not None:
            await ensure_profile(self._calls, self._role_request(), self._existing_profile)
        published = await publish(
            self._calls,
            self._spec,
            region=self.region,
            ssh_ranges=self._facts.ssh_ranges,
            replaces=self.state.published is not None,
        )
        self.state = replace(self.state, published=published)

    async def _make_volume(self) -> None:
        """AWS repeats the creation of a volume with the same client token, although somebody has deleted it since."""
        plan = self._plan()
        deleted: set[str] = set()
        for _ in range(_ATTEMPTS):
            asked = await self._request_volume(plan, deleted)
            if asked.age.total_seconds() <= LAG_S or await self._follower.volume(asked.id) is not None:
                self._created(ResourceKind.VOLUME, asked.id)
                volume = DataVolume(asked.id, plan.zone, plan.volume_gib, state="creating")
                self.state = replace(self.state, volume=volume)
                return
            deleted.add(asked.id)
        raise UserError(
            f"AWS repeats the creation of deleted volumes in {self.region}",
            hint="run `bacalhau-spot create` again in an hour",
        )

    async def _request_volume(self, plan: OrchestratorPlan, deleted: Collection[str]) -> RequestedVolume:
        """The client token depends on the address, the instances and the deleted volumes."""
        name = f"{self._name}-data"
        instance = self.state.instance
        parts = (name, known(self.state.address).id, plan.zone, str(plan.volume_gib), *sorted(self._ended))
        before = (instance.id,) if instance else ()
        token = hashlib.sha256("\x1f".join((*parts, *before, *sorted(deleted))).encode()).hexdigest()
        return await self._calls.write(
            self.region,
            partial(
                self._calls.cloud.create_volume,
                self.region,
                zone=plan.zone,
                size_gib=plan.volume_gib,
                tags=orchestrator_tags(self._naming, name),
                client_token=token,
            ),
        )

    async def _launch(self) -> None:
        plan = self._plan()
        site = known(self.state.site)
        images = await images_of(self._calls, self._spec, self.region, AUTO, [site.arch])
        if not images:
            raise UserError(
                f"AWS lists no Ubuntu image for {plan.instance_type} in {self.region}",
                hint="`bacalhau-spot configure --set orchestrator.region=REGION` names another region",
                docs="docs/orchestrator.md",
            )
        request = InstanceRequest(
            type=plan.instance_type,
            image_id=images[0].id,
            subnet_id=known(self.network).subnets[plan.zone],
            group_id=known(self.state.group).id,
            profile=self._profile,
            user_data=render_orchestrator(self._spec, region=self.region, bucket=self._bucket),
            root_device=images[0].root_device,
            root_volume_gib=max(ROOT_VOLUME_GIB, images[0].volume_gib),
            tags={
                **orchestrator_tags(self._naming, self._name),
                VERSION_KEY: self._spec.bacalhau.version,
            },
            client_token="",
            metadata_tags=not metadata_key_problems(self._naming),
        )
        instance = await self._follower.launch(request, ended=self._ended)
        self.state = replace(self.state, instance=instance)

    async def _start(self) -> None:
        await self._follower.start(known(self.state.instance).id)

    async def _attach(self) -> None:
        instance_id = await self._running()
        await self._follower.attach(known(self.state.volume).id, instance_id=instance_id)

    async def _associate(self) -> None:
        await self._running()
        state = replace(self.state, ended=tuple(self._ended))
        await associate_orchestrator(self._calls, self._naming, state)

    async def _running(self) -> str:
        """The instance's id, once it runs."""
        instance = known(self.state.instance)
        if instance.state is not State.RUNNING:
            instance = await self._follower.running(instance.id)
            self.state = replace(self.state, instance=instance)
        return instance.id

    async def _restart(self) -> None:
        await self._follower.reboot(known(self.state.instance).id)

    def _created(self, kind: ResourceKind, resource_id: str) -> None:
        self._calls.emit(events.ResourceCreated(region=self.region, kind=kind, id=resource_id))
