"""Everything that a cluster needs, looked at at once. Nothing is made or changed, and no look stops another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.examining import DRY_RUNS, SPOT_ROLE
from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core import checkup, checkup_here
from bacalhau_spot.core.checkup import Check, Finding, Mark, Rights
from bacalhau_spot.core.permissions import COMMANDS
from bacalhau_spot.core.plan import market_problems, shares
from bacalhau_spot.core.policy import questions
from bacalhau_spot.core.receipt import Problem
from bacalhau_spot.core.tags import tags_for
from bacalhau_spot.core.verdict import Fault, judge
from bacalhau_spot.engine import local
from bacalhau_spot.engine.calls import problem_of
from bacalhau_spot.engine.market import markets
from bacalhau_spot.engine.ranking import headrooms
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Mapping, Sequence

    from bacalhau_spot.core.model import ClusterSpec, Identity, Market, Region
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.orchestrator.port import Orchestrator

# How long one look may take, whatever it waits for.
DEADLINE_S = 30.0
_AWS = (Check.CLOCK, Check.REGIONS, Check.PERMISSIONS, Check.SPOT_ROLE, Check.MARKET, Check.QUOTAS)
_NEEDS_CONFIGURATION = (
    *(Check.REGIONS, Check.PERMISSIONS, Check.MARKET, Check.QUOTAS),
    *(Check.SSH_KEYS, Check.TOKEN, Check.ORCHESTRATOR),
)
_CONFIGURE_FIRST = "correct the configuration first, then run `bacalhau-spot doctor` again"


@dataclass(frozen=True)
class Patient:
    """What is looked at. `spec` None: the configuration is wrong, and what depends on it is not looked at.

    `addresses`: where the nodes connect to, to be tried from here; None: not what is configured, and nothing is tried.
    """

    calls: Calls
    spec: ClusterSpec | None
    orchestrator: Orchestrator | None
    addresses: tuple[str, ...] | None
    environ: Mapping[str, str]
    version: str
    package: str


async def examine(patient: Patient) -> tuple[Finding, ...]:
    """All findings, in the order of `Check`. Never raises for what it finds."""
    parts: list[tuple[Check, Awaitable[Sequence[Finding]]]] = [
        (Check.CREDENTIALS, _account(patient)),
        (Check.VERSION, _version(patient)),
        (Check.TOOLS, _tools(patient)),
    ]
    if patient.spec is not None:
        parts += [
            (Check.SSH_KEYS, _ssh_keys(patient.spec)),
            (Check.TOKEN, _token(patient.spec)),
            (Check.ORCHESTRATOR, _api(patient)),
            *((Check.ORCHESTRATOR, part) for part in _addresses(patient)),
        ]
    groups = await asyncio.gather(*(_guarded(patient.calls, check, part) for check, part in parts))
    found = [one for group in groups for one in group]
    if patient.spec is None:
        seen = {one.check for one in found}
        found += [
            checkup.not_looked_at(check, why="the configuration comes first", fix=_CONFIGURE_FIRST)
            for check in _NEEDS_CONFIGURATION
            if check not in seen
        ]
    return checkup.in_order(found)


async def _guarded(calls: Calls, check: Check, part: Awaitable[Sequence[Finding]]) -> Sequence[Finding]:
    """The boundary of a look: what goes wrong in one is told in its place, and stops no other."""
    try:
        return await asyncio.wait_for(part, DEADLINE_S)
    except TimeoutError:
        why = f"there was no answer within {DEADLINE_S:.0f} seconds"
        return (checkup.not_looked_at(check, why=why, fix="run `bacalhau-spot doctor` again"),)
    except CloudError as error:
        return (checkup.refusal(check, problem_of(error), blind="it could not be told"),)
    except Exception as error:  # noqa: BLE001 - the boundary of a look: our own mistake in one must not lose the others
        problem = calls.mistake(error, region="")
        return (checkup.refusal(check, problem, blind="it could not be told"),)


# --- The account


async def _account(patient: Patient) -> Sequence[Finding]:
    """Credentials first: without them nothing else of AWS can be asked."""
    calls, cloud = patient.calls, patient.calls.cloud
    try:
        identity = await calls.read("", cloud.identity)
        origin = await cloud.credentials_origin()
    except CloudError as error:
        failed = checkup.refusal(
            Check.CREDENTIALS, problem_of(error), blind="AWS could not be asked who we are"
        )
        waiting = (
            checkup.not_looked_at(check, why="the credentials come first", fix="see credentials")
            for check in _AWS
        )
        return (failed, *waiting)
    parts = [(Check.CLOCK, _clock(calls)), (Check.SPOT_ROLE, _spot_role(calls))]
    if patient.spec is not None:
        parts.append((Check.REGIONS, _regions(calls, patient.spec, identity)))
    groups = await asyncio.gather(*(_guarded(calls, check, part) for check, part in parts))
    return (checkup.credentials(identity, origin=origin), *(one for group in groups for one in group))


async def _clock(calls: Calls) -> Sequence[Finding]:
    at_aws = await calls.read("", calls.cloud.time_at_aws)
    return (checkup.clock(here=calls.clock.now(), at_aws=at_aws),)


async def _spot_role(calls: Calls) -> Sequence[Finding]:
    arn = await calls.read("", partial(calls.cloud.role_arn, SPOT_ROLE))
    return (checkup.spot_role(arn),)


async def _regions(calls: Calls, spec: ClusterSpec, identity: Identity) -> Sequence[Finding]:
    """The regions, and what depends on which of them can be used."""
    parts = [(Check.PERMISSIONS, _permissions(calls, spec, identity))]
    try:
        known = await calls.read("", calls.cloud.regions)
    except CloudError as error:
        first = checkup.refusal(Check.REGIONS, problem_of(error), blind="the regions could not be listed")
        groups = await asyncio.gather(*(_guarded(calls, check, part) for check, part in parts))
        return (first, *(one for group in groups for one in group))
    if spec.auto_regions is not None:
        fix = "see the choice with `bacalhau-spot create --dry-run`"
        auto = [
            checkup.not_looked_at(check, why="regions are chosen by create", fix=fix)
            for check in (Check.MARKET, Check.QUOTAS)
        ]
    else:
        auto = []
        parts += [(Check.MARKET, _region(calls, spec, name)) for name in _usable(spec, known)]
    groups = await asyncio.gather(*(_guarded(calls, check, part) for check, part in parts))
    names = [region.name for region in spec.regions]
    return (checkup.regions(names, known), *auto, *(one for group in groups for one in group))


def _usable(spec: ClusterSpec, known: Sequence[Region]) -> list[str]:
    enabled = {region.name for region in known if region.enabled}
    return [region.name for region in spec.regions if region.name in enabled]


# --- Permissions


async def _permissions(calls: Calls, spec: ClusterSpec, identity: Identity) -> Sequence[Finding]:
    """IAM's simulator for every action, and dry runs in every region, where other policies than the identity's count, too."""
    asked = questions(
        spec, commands=COMMANDS, account=identity.account_id, partition=identity.arn.split(":")[1]
    )
    actions = {action for question in asked for action, _ in question.asked}
    missing, dry = await _dry_runs(calls, spec, actions)
    why = ""
    try:
        principal = await _principal(calls, identity)
        answers = await asyncio.gather(
            *(calls.read("", partial(calls.cloud.refused, principal, question)) for question in asked)
        )
        for action in sorted({action for answer in answers for action in answer}):
            missing.setdefault(action, "")
        told = actions
    except CloudError as error:
        if judge(error.code).fault is Fault.CREDENTIALS:
            raise
        told, why = dry, error.message or error.code
        if judge(error.code).fault is Fault.PERMISSION:
            why = f"{error.operation}: {error.code}"
    unasked = tuple(sorted(actions - told - set(missing)))
    rights = Rights(asked=len(told - set(missing)), missing=missing, unasked=unasked, why=why)
    return (checkup.permissions(rights),)


async def _principal(calls: Calls, identity: Identity) -> str:
    """Whom the simulator knows: a user, or the role behind a session. Raises CloudError."""
    kind, _, rest = identity.arn.split(":", 5)[5].partition("/")
    if kind != "assumed-role":
        return identity.arn
    name = rest.partition("/")[0]
    arn = await calls.read("", partial(calls.cloud.role_arn, name))
    return arn or identity.arn


async def _dry_runs(calls: Calls, spec: ClusterSpec, actions: set[str]) -> tuple[dict[str, str], set[str]]:
    """What EC2 says that it would refuse, and in which region, and what it was asked."""
    tags = tags_for(spec.naming, "doctor")
    missing: dict[str, str] = {}
    asked = [action for action in DRY_RUNS if action in actions]

    async def one(region: str, action: str) -> None:
        refused = await calls.read(region, partial(calls.cloud.may_make, region, action, tags=tags))
        if refused is not None and judge(refused.code).fault is Fault.PERMISSION:
            missing.setdefault(action, f"in {region}: {refused.code}")

    await asyncio.gather(*(_quietly(one(region.name, action)) for region in spec.regions for action in asked))
    return missing, set(asked) if spec.regions else set()


async def _quietly(part: Awaitable[None]) -> None:
    """A region that does not answer is told where its offers are."""
    try:
        await part
    except CloudError:
        return


# --- A region


async def _region(calls: Calls, spec: ClusterSpec, name: str) -> Sequence[Finding]:
    found = (await markets(calls, spec, regions=[name]))[name]
    wanted = next(region for region in spec.regions if region.name == name)
    types = wanted.instance_types or spec.instance_types
    problems = market_problems(found, image=wanted.image or spec.image, types=types)
    quotas = await _guarded(calls, Check.QUOTAS, _quotas(calls, spec, name, found))
    return (checkup.market(found, problems=problems), *quotas)


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


# --- The machine, the keys, the orchestrator


async def _ssh_keys(spec: ClusterSpec) -> Sequence[Finding]:
    path = spec.private_ssh_key_path
    private = await asyncio.to_thread(local.key_file, path) if path else None
    return (checkup_here.ssh_keys(public=spec.public_key, private=private, open_to=bool(spec.ssh_cidrs)),)


async def _token(spec: ClusterSpec) -> Sequence[Finding]:
    return (checkup_here.token(spec.bacalhau.token),)


def _addresses(patient: Patient) -> list[Coroutine[object, object, Sequence[Finding]]]:
    async def one(address: str) -> Sequence[Finding]:
        return (checkup_here.address(address, trouble=await local.trouble_reaching(address)),)

    async def none() -> Sequence[Finding]:
        return (checkup_here.no_orchestrator(),)

    if patient.addresses is None:
        return []
    return [one(address) for address in patient.addresses] or [none()]


async def _api(patient: Patient) -> Sequence[Finding]:
    orchestrator = patient.orchestrator
    if orchestrator is None:
        return (checkup_here.api(None),)
    try:
        # The version needs no key, the nodes do.
        version = await orchestrator.version()
        await orchestrator.members()
    except OrchestratorError as error:
        problem = Problem(code=error.code, message=error.message, operation="", region="")
        return (checkup_here.api(orchestrator.address, problem=problem),)
    return (checkup_here.api(orchestrator.address, version=version),)


async def _version(patient: Patient) -> Sequence[Finding]:
    newest, why = await local.newest_version(patient.package, environ=patient.environ)
    return (checkup_here.version(patient.version, newest=newest, why=why),)


async def _tools(patient: Patient) -> Sequence[Finding]:
    return (checkup_here.tools(ssh=local.has_ssh(patient.environ)),)


def failed(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(one for one in findings if one.mark is Mark.FAIL)
