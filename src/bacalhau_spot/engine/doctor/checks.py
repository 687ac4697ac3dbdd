"""All checks of `doctor`, run in parallel. They are read-only, and a failed check does not stop the others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.doctor import account_checks, local_checks, orchestrator_checks
from bacalhau_spot.core.doctor.account_checks import AccountCheck, Finding
from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.engine.doctor import local_probes
from bacalhau_spot.engine.doctor.aws_checks import account_findings
from bacalhau_spot.engine.doctor.doctor_runner import run_check, run_checks_together
from bacalhau_spot.orchestrator.nats_probe import probe_nats
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from bacalhau_spot.core.launch.plan import Plan
    from bacalhau_spot.core.model import BacalhauSpec, ClusterSpec
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.launch.facts_gathering import FactSources
    from bacalhau_spot.errors import UserError
    from bacalhau_spot.orchestrator.port import Orchestrator

_NEEDS_CONFIGURATION = (
    *(
        AccountCheck.REGIONS,
        AccountCheck.PERMISSIONS,
        AccountCheck.MARKET,
        AccountCheck.QUOTAS,
        AccountCheck.CREATE,
    ),
    *(AccountCheck.SSH_KEYS, AccountCheck.TOKEN, AccountCheck.ORCHESTRATOR),
)
_CONFIGURE_FIRST = "correct the configuration first, then run `bacalhau-spot doctor` again"


@dataclass(frozen=True)
class DoctorInput:
    """The subject of the checks. `spec` None: the configuration is invalid, and checks that need it are skipped.

    `bacalhau`: the settings of the nodes for joining; None: there is no orchestrator to join yet, and `missing` is the
    finding, unless `create` creates it.
    `addresses`: the orchestrator addresses of the nodes, to be tested from this machine. None: the nodes use others
    than the configured ones (sandbox), so none is tested.
    """

    calls: AwsCalls
    spec: ClusterSpec | None
    bacalhau: BacalhauSpec | None
    missing: Finding | None
    orchestrator: Orchestrator | None
    addresses: tuple[str, ...] | None
    environ: Mapping[str, str]
    version: str
    package: str
    sources: FactSources
    over_budget: Callable[[Plan], UserError]
    endpoint: str = ""  # the address used instead of AWS


async def run_checks(inputs: DoctorInput) -> tuple[Finding, ...]:
    """All findings, in the order of `AccountCheck`. Never raises for a failed check."""
    calls, spec = inputs.calls, inputs.spec
    parts: list[Awaitable[Sequence[Finding]]] = [
        account_findings(
            calls, spec, sources=inputs.sources, over_budget=inputs.over_budget, endpoint=inputs.endpoint
        ),
        run_check(calls, AccountCheck.VERSION, _version(inputs)),
        run_check(calls, AccountCheck.TOOLS, _tools(inputs)),
    ]
    if spec is not None:
        parts += [
            run_check(calls, AccountCheck.SSH_KEYS, _ssh_keys(spec)),
            run_check(calls, AccountCheck.ORCHESTRATOR, _choice(spec, inputs.missing)),
            *(run_check(calls, check, part) for check, part in _orchestrator_checks(inputs, spec)),
        ]
    findings = [*await run_checks_together(*parts)]
    if spec is None:
        seen = {finding.check for finding in findings}
        findings += [
            account_checks.not_checked(check, why="needs the configuration first", fix=_CONFIGURE_FIRST)
            for check in _NEEDS_CONFIGURATION
            if check not in seen
        ]
    return account_checks.by_severity(findings)


# --- The machine, the keys, the orchestrator


async def _ssh_keys(spec: ClusterSpec) -> Sequence[Finding]:
    path = spec.private_ssh_key_path
    private = await asyncio.to_thread(local_probes.read_key_file, path) if path else None
    return (local_checks.ssh_keys(public=spec.public_key, private=private, open_to=bool(spec.ssh_cidrs)),)


async def _choice(spec: ClusterSpec, missing: Finding | None) -> Sequence[Finding]:
    finding = missing or orchestrator_checks.orchestrator_choice(spec)
    return (finding,) if finding else ()


def _orchestrator_checks(
    inputs: DoctorInput, spec: ClusterSpec
) -> list[tuple[AccountCheck, Coroutine[object, object, Sequence[Finding]]]]:
    if inputs.bacalhau is None:
        return [(AccountCheck.TOKEN, _token(spec, spec.bacalhau, exists=inputs.missing is None))]
    return [
        (AccountCheck.TOKEN, _token(spec, inputs.bacalhau)),
        *((AccountCheck.ORCHESTRATOR, part) for part in _api(inputs, spec)),
        *((AccountCheck.ORCHESTRATOR, part) for part in _addresses(inputs, inputs.bacalhau)),
    ]


async def _token(spec: ClusterSpec, bacalhau: BacalhauSpec, *, exists: bool = True) -> Sequence[Finding]:
    if not exists:
        return (orchestrator_checks.waits_for_orchestrator(AccountCheck.TOKEN),)
    return (orchestrator_checks.orchestrator_token(spec) or local_checks.token(bacalhau.token),)


def _addresses(
    inputs: DoctorInput, bacalhau: BacalhauSpec
) -> list[Coroutine[object, object, Sequence[Finding]]]:
    async def address_finding(address: str) -> Sequence[Finding]:
        return (local_checks.orchestrator_address(await probe_nats(address, bacalhau)),)

    return [address_finding(address) for address in inputs.addresses or ()]


def _api(inputs: DoctorInput, spec: ClusterSpec) -> list[Coroutine[object, object, Sequence[Finding]]]:
    """Only one's own orchestrator has an API that is to be configured. Without an orchestrator, none is asked."""
    if spec.orchestrator.mode in {OrchestratorMode.UNSET, OrchestratorMode.NONE}:
        return []
    if inputs.orchestrator is not None:
        return [_answers(inputs.orchestrator)]
    return [_no_api()] if spec.orchestrator.mode is OrchestratorMode.OWN else []


async def _no_api() -> Sequence[Finding]:
    return (local_checks.orchestrator_api(None),)


async def _answers(orchestrator: Orchestrator) -> Sequence[Finding]:
    try:
        # The version needs no key, the list of nodes does.
        version = await orchestrator.version()
        await orchestrator.nodes()
    except OrchestratorError as error:
        failure = ApiFailure(code=error.code, message=error.message, operation="", region="")
        return (local_checks.orchestrator_api(orchestrator.address, failure=failure),)
    return (local_checks.orchestrator_api(orchestrator.address, version=version),)


async def _version(inputs: DoctorInput) -> Sequence[Finding]:
    if not inputs.package:
        return (local_checks.unpublished(inputs.version),)
    newest, why = await local_probes.newest_version(inputs.package, environ=inputs.environ)
    return (
        local_checks.newest_version_check(inputs.version, package=inputs.package, newest=newest, why=why),
    )


async def _tools(inputs: DoctorInput) -> Sequence[Finding]:
    return (local_checks.local_tools(ssh=local_probes.has_ssh(inputs.environ)),)
