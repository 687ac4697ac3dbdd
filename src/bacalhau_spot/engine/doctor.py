"""Everything that a cluster needs, looked at at once. Nothing is made or changed, and no look stops another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core import checkup, checkup_here
from bacalhau_spot.core.checkup import Check, Finding, Mark
from bacalhau_spot.core.receipt import Problem
from bacalhau_spot.engine import local
from bacalhau_spot.engine.doctor_aws import account
from bacalhau_spot.engine.look import looked, together
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence

    from bacalhau_spot.core.model import ClusterSpec, Identity
    from bacalhau_spot.core.plan import Plan
    from bacalhau_spot.engine.archive import ArchiveSource
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.memory import Memory
    from bacalhau_spot.errors import UserError
    from bacalhau_spot.orchestrator.port import Orchestrator

_NEEDS_CONFIGURATION = (
    *(Check.REGIONS, Check.PERMISSIONS, Check.MARKET, Check.QUOTAS, Check.CREATE),
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
    memory: Memory
    over_budget: Callable[[Plan], UserError]
    archive: ArchiveSource
    launched_in: Callable[[Identity], Collection[str]]
    endpoint: str = ""  # what is asked instead of AWS


async def examine(patient: Patient) -> tuple[Finding, ...]:
    """All findings, in the order of `Check`. Never raises for what it finds."""
    calls, spec = patient.calls, patient.spec
    parts: list[Awaitable[Sequence[Finding]]] = [
        account(
            calls,
            spec,
            memory=patient.memory,
            over_budget=patient.over_budget,
            archive=patient.archive,
            launched_in=patient.launched_in,
            endpoint=patient.endpoint,
        ),
        looked(calls, Check.VERSION, _version(patient)),
        looked(calls, Check.TOOLS, _tools(patient)),
    ]
    if spec is not None:
        parts += [
            looked(calls, Check.SSH_KEYS, _ssh_keys(spec)),
            looked(calls, Check.TOKEN, _token(spec)),
            looked(calls, Check.ORCHESTRATOR, _api(patient)),
            *(looked(calls, Check.ORCHESTRATOR, part) for part in _addresses(patient)),
        ]
    found = [*await together(*parts)]
    if spec is None:
        seen = {one.check for one in found}
        found += [
            checkup.not_looked_at(check, why="the configuration comes first", fix=_CONFIGURE_FIRST)
            for check in _NEEDS_CONFIGURATION
            if check not in seen
        ]
    return checkup.in_order(found)


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
    if not patient.package:
        return (checkup_here.unpublished(patient.version),)
    newest, why = await local.newest_version(patient.package, environ=patient.environ)
    return (checkup_here.version(patient.version, package=patient.package, newest=newest, why=why),)


async def _tools(patient: Patient) -> Sequence[Finding]:
    return (checkup_here.tools(ssh=local.has_ssh(patient.environ)),)


def failed(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(one for one in findings if one.mark is Mark.FAIL)
