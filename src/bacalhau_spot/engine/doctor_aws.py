"""What `doctor` looks at in the account: who we are and what we may, the regions, what they offer and have room for."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.examining import DRY_RUNS, SPOT_ROLE
from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core import checkup
from bacalhau_spot.core.checkup import Check, Finding, Rights, said_by
from bacalhau_spot.core.permissions import COMMANDS
from bacalhau_spot.core.plan import misfit_advice, misfits, shares
from bacalhau_spot.core.policy import questions
from bacalhau_spot.core.remarks import blind_spots
from bacalhau_spot.core.tags import tags_for
from bacalhau_spot.core.verdict import Fault, judge
from bacalhau_spot.engine.calls import problem_of
from bacalhau_spot.engine.look import learned, looked, together
from bacalhau_spot.engine.market import markets
from bacalhau_spot.engine.observe import enabled, everywhere, other_clusters, who_we_are
from bacalhau_spot.engine.prepare import prepare
from bacalhau_spot.engine.ranking import headrooms
from bacalhau_spot.engine.regions import check_blind, choose_regions, with_regions
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from bacalhau_spot.core.choose import Choice
    from bacalhau_spot.core.model import ClusterSpec, Identity, Instance, Market, Region
    from bacalhau_spot.core.plan import Plan
    from bacalhau_spot.core.policy import Question
    from bacalhau_spot.engine.archive import ArchiveSource
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.memory import Memory

# After these a dry run has said neither yes nor no; any other refusal came after the question of permission.
_REGION_REFUSES = (
    "token-not-valid-in-region"  # the verdict's name: the region's trouble, and no question of permission
)
_NO_ANSWER = frozenset({Fault.CREDENTIALS, Fault.THROTTLED, Fault.NETWORK, Fault.AWS, Fault.UNKNOWN})

_AWS = (
    Check.CLOCK,
    Check.REGIONS,
    Check.PERMISSIONS,
    Check.SPOT_ROLE,
    Check.MARKET,
    Check.QUOTAS,
    Check.CREATE,
    Check.OTHER_CLUSTERS,
)


async def account(
    calls: Calls,
    spec: ClusterSpec | None,
    *,
    memory: Memory,
    over_budget: Callable[[Plan], UserError],
    archive: ArchiveSource,
    launched_in: Callable[[Identity], Collection[str]],
    endpoint: str = "",
) -> tuple[Finding, ...]:
    """Credentials first: without them nothing else of AWS can be asked. `spec` None: nothing that depends on it."""
    who = _who_we_are(calls)
    blind = "AWS could not be asked who we are"
    known, why = await learned(calls, Check.CREDENTIALS, who, blind=blind, needed=True)
    if known is None:
        waiting = (
            checkup.not_looked_at(check, why="the credentials come first", fix="see credentials")
            for check in _AWS
        )
        return (*why, *waiting)
    identity, origin = known
    parts: list[Awaitable[Sequence[Finding]]] = [
        looked(calls, Check.CLOCK, _clock(calls)),
        looked(calls, Check.SPOT_ROLE, _spot_role(calls)),
    ]
    if spec is not None:
        parts.append(_regions(calls, spec, identity, memory=memory))
        parts.append(
            _create(
                calls,
                spec,
                memory=memory,
                over_budget=over_budget,
                archive=archive,
                launched_in=launched_in,
            )
        )
        parts.append(looked(calls, Check.OTHER_CLUSTERS, _other_clusters(calls, spec)))
    return (checkup.credentials(identity, origin=origin, endpoint=endpoint), *await together(*parts))


async def _who_we_are(calls: Calls) -> tuple[Identity, str]:
    identity = await who_we_are(calls)
    return identity, await calls.cloud.credentials_origin()


async def _clock(calls: Calls) -> Sequence[Finding]:
    at_aws = await calls.read("", calls.cloud.time_at_aws)
    return (checkup.clock(here=calls.clock.now(), at_aws=at_aws),)


async def _create(
    calls: Calls,
    spec: ClusterSpec,
    *,
    memory: Memory,
    over_budget: Callable[[Plan], UserError],
    archive: ArchiveSource,
    launched_in: Callable[[Identity], Collection[str]],
) -> tuple[Finding, ...]:
    """Whatever a `create` refuses before it makes something, by the function that refuses it."""
    looking = _refusal(
        calls, spec, memory=memory, over_budget=over_budget, archive=archive, launched_in=launched_in
    )
    found, why = await learned(calls, Check.CREATE, looking, blind="it could not be planned", needed=True)
    return why if found is None else found


async def _refusal(
    calls: Calls,
    spec: ClusterSpec,
    *,
    memory: Memory,
    over_budget: Callable[[Plan], UserError],
    archive: ArchiveSource,
    launched_in: Callable[[Identity], Collection[str]],
) -> tuple[Finding, ...]:
    try:
        prepared = await prepare(
            calls,
            spec,
            caller_address=_no_address,
            archive=archive,
            memory=memory,
            launched_in=launched_in,
        )
    except UserError as error:
        return (checkup.create_refused(error),)
    if prepared.plan.over_budget:
        return (checkup.create_refused(over_budget(prepared.plan)),)
    return (checkup.create_planned(prepared.plan.launch), *map(checkup.create_warns, prepared.plan.warnings))


async def _no_address() -> str | None:
    """Nothing is opened, so nobody's address is asked for."""
    return None


async def _other_clusters(calls: Calls, spec: ClusterSpec) -> Sequence[Finding]:
    """A cluster that was renamed runs on under its old name (complaint 10, flintrock#113)."""
    regions = enabled(await calls.read("", calls.cloud.regions))
    counts = await other_clusters(calls, spec.naming, regions=regions)
    return checkup.other_clusters(counts, tag_key=spec.naming.tag_key)


async def _spot_role(calls: Calls) -> Sequence[Finding]:
    arn = await calls.read("", partial(calls.cloud.role_arn, SPOT_ROLE))
    return (checkup.spot_role(arn),)


# --- The regions, and what depends on which of them can be used


async def _regions(
    calls: Calls, spec: ClusterSpec, identity: Identity, *, memory: Memory
) -> tuple[Finding, ...]:
    listing = calls.read("", calls.cloud.regions)
    blind = "the regions could not be listed"
    known, why = await learned(calls, Check.REGIONS, listing, blind=blind, needed=True)
    if known is None:
        return (*why, *await _rights(calls, spec, identity))
    if spec.auto_regions is None:
        names = [region.name for region in spec.regions]
        return (checkup.regions(names, known), *await _within(calls, spec, identity, known))
    choosing = _choice(calls, spec, identity, enabled(known), memory=memory)
    blind = "no regions could be chosen"
    chosen, why = await learned(calls, Check.MARKET, choosing, blind=blind, needed=True)
    if chosen is None:
        quotas = checkup.not_looked_at(
            Check.QUOTAS, why="no regions could be chosen", fix=f"see {Check.MARKET}"
        )
        return (checkup.regions([], known), *why, quotas, *await _rights(calls, spec, identity))
    choices, remarks = chosen
    found = checkup.chosen(choices, remarks, count=spec.auto_regions, known=known)
    return (*found, *await _within(calls, with_regions(spec, choices), identity, known))


async def _within(
    calls: Calls, spec: ClusterSpec, identity: Identity, known: Sequence[Region]
) -> tuple[Finding, ...]:
    """What may be done, and what each usable region has for us."""
    usable = set(enabled(known))
    names = [region.name for region in spec.regions if region.name in usable]
    return await together(_rights(calls, spec, identity), *(_region(calls, spec, name) for name in names))


async def _choice(
    calls: Calls, spec: ClusterSpec, identity: Identity, regions: Sequence[str], *, memory: Memory
) -> tuple[tuple[Choice, ...], tuple[str, ...]]:
    """As a create would choose now, and the remarks. Raises CloudError when AWS would show no region."""
    key, value = spec.naming.tag_key, spec.naming.tag_value

    async def ours(region: str) -> tuple[Instance, ...]:
        return await calls.read(region, lambda: calls.cloud.instances(region, key=key, value=value))

    instances, unseen = await everywhere(regions, ours)
    check_blind(unseen, seen=instances)
    present = {region for region, here in instances.items() if any(one.alive for one in here)}
    choices, remarks = await choose_regions(
        calls, spec, reachable=list(instances), present=present, identity=identity, memory=memory
    )
    return choices, (*remarks, *blind_spots(unseen))


# --- Permissions


async def _rights(calls: Calls, spec: ClusterSpec, identity: Identity) -> tuple[Finding, ...]:
    return await looked(calls, Check.PERMISSIONS, _permissions(calls, spec, identity))


async def _permissions(calls: Calls, spec: ClusterSpec, identity: Identity) -> Sequence[Finding]:
    """IAM's simulator for every action, and dry runs in every region, where other policies than the identity's count, too."""
    asked = questions(
        spec, commands=COMMANDS, account=identity.account_id, partition=identity.arn.split(":")[1]
    )
    actions = {action for question in asked for action in question.actions}
    missing, dry, doubtful = await _dry_runs(calls, spec, actions)
    why = next(iter(sorted(doubtful.values())), "")
    try:
        principal = await _principal(calls, identity)
        answers = await asyncio.gather(
            *(calls.read("", partial(calls.cloud.may, principal, question)) for question in asked)
        )
        told, refused = _tally(asked, answers)
        told, why = told | dry, why or checkup.UNCERTAIN
        for action in refused:
            missing.setdefault(action, "")
    except CloudError as error:
        fault = judge(error.code, error.message).fault
        if fault is Fault.CREDENTIALS:
            raise
        told, why = dry, said_by(problem_of(error))
        if fault is Fault.PERMISSION:
            why = f"{error.operation}: {error.code}"
            missing[f"iam:{error.operation}"] = error.code
    told = told - set(doubtful)
    unasked = tuple(sorted(actions - told - set(missing)))
    rights = Rights(asked=len(told - set(missing)), missing=missing, unasked=unasked, why=why)
    return (checkup.permissions(rights),)


def _tally(asked: Sequence[Question], answers: Sequence[dict[str, bool]]) -> tuple[set[str], set[str]]:
    """The actions of which every question had its answer, and those that some answer refuses."""
    pairs = [(action, answer) for one, answer in zip(asked, answers, strict=True) for action in one.actions]
    silent = {action for action, answer in pairs if action not in answer}
    refused = {action for action, answer in pairs if not answer.get(action, True)}
    return {action for action, _ in pairs} - silent, refused


async def _principal(calls: Calls, identity: Identity) -> str:
    """Whom the simulator knows: a user, or the role behind a session. Raises CloudError."""
    kind, _, rest = identity.arn.split(":", 5)[5].partition("/")
    if kind != "assumed-role":
        return identity.arn
    name = rest.partition("/")[0]
    arn = await calls.read("", partial(calls.cloud.role_arn, name))
    return arn or identity.arn


async def _dry_runs(
    calls: Calls, spec: ClusterSpec, actions: set[str]
) -> tuple[dict[str, str], set[str], dict[str, str]]:
    """What EC2 says that it would refuse, and in which region; what it was asked; what it would not tell, and why."""
    tags = tags_for(spec.naming, "doctor")
    missing: dict[str, str] = {}
    doubtful: dict[str, str] = {}
    asked = [action for action in DRY_RUNS if action in actions]

    async def one(region: str, action: str) -> None:
        refused = await calls.read(region, partial(calls.cloud.may_make, region, action, tags=tags))
        verdict = None if refused is None else judge(refused.code)
        fault = None if verdict is None else verdict.fault
        if refused is not None and verdict is not None and verdict.name == _REGION_REFUSES:
            doubtful.setdefault(action, said_by(problem_of(refused)))
        elif refused is not None and fault is Fault.PERMISSION:
            missing.setdefault(action, f"in {region}: {refused.code}")
        elif refused is not None and fault in _NO_ANSWER:
            doubtful.setdefault(action, said_by(problem_of(refused)))

    await asyncio.gather(*(one(region.name, action) for region in spec.regions for action in asked))
    return missing, set(asked) if spec.regions else set(), doubtful


# --- A region


async def _region(calls: Calls, spec: ClusterSpec, name: str) -> tuple[Finding, ...]:
    looking = markets(calls, spec, regions=[name])
    found, why = await learned(
        calls, Check.MARKET, looking, blind=f"{name}: it could not be told", needed=True
    )
    if found is None:
        fix = f"see {Check.MARKET}"
        return (*why, checkup.not_looked_at(Check.QUOTAS, why=f"{name}: its offers come first", fix=fix))
    market = found[name]
    quotas = await looked(calls, Check.QUOTAS, _quotas(calls, spec, name, market))
    return (checkup.market(market, problems=misfits(spec, market), advice=misfit_advice(spec)), *quotas)


async def _quotas(calls: Calls, spec: ClusterSpec, name: str, market: Market) -> Sequence[Finding]:
    names = sorted({offer.pool.type for offer in market.offers})
    if not names:
        return ()
    key, value = spec.naming.tag_key, spec.naming.tag_value
    infos = {info.name: info for info in await calls.read(name, partial(calls.cloud.types, name, names))}
    instances, room = await asyncio.gather(
        calls.read(name, partial(calls.cloud.instances, name, key=key, value=value)),
        headrooms(calls, name, infos),
    )
    more = max(0, shares(spec).get(name, 0) - sum(instance.alive for instance in instances))
    found = [checkup.spot_quota(name, nodes=more, types=infos, headrooms=room)]
    if all(region.vpc_id is None for region in spec.regions if region.name == name):
        count, ours = await calls.read(name, partial(calls.cloud.vpcs, name, key=key, value=value))
        limit = await calls.read(
            name, partial(calls.cloud.quota, name, service="vpc", code=checkup.VPC_QUOTA)
        )
        full = checkup.vpc_quota(name, count=count, ours=ours, limit=limit)
        found += [full] if full is not None else []
    return found
