"""Fills in the settings for joining a managed orchestrator: its credentials are in one SSM parameter of its home region."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from bacalhau_spot.core.launch.refusals import no_shared_orchestrator
from bacalhau_spot.core.model import OrchestratorMode, TlsMode
from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials
from bacalhau_spot.core.tags import orchestrator_parameter
from bacalhau_spot.engine.aws_calls.caller import most_severe_error
from bacalhau_spot.engine.aws_calls.discovery import enabled_names, in_all_regions
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.instance.bacalhau_config import API_PORT
from bacalhau_spot.orchestrator.nats_probe import NATS_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.cloud.port import StoredParameter
    from bacalhau_spot.core.model import BacalhauSpec, ClusterSpec, Naming
    from bacalhau_spot.core.problem import ApiFailure
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls


@dataclass(frozen=True, slots=True)
class FoundOrchestrator:
    """A managed orchestrator, found by its credentials. `region`: its home region."""

    region: str
    credentials: OrchestratorCredentials


async def resolve_orchestrator(calls: AwsCalls, spec: ClusterSpec, *, operator: bool = False) -> ClusterSpec:
    """The specification with the address, certificate, token and API key of the orchestrator under `bacalhau`.

    One call if the orchestrator is in the configured home region, otherwise one per enabled region. `operator`: with the
    operator's API key, which may submit jobs. The user's own orchestrator is returned as configured. Raises UserError if there
    is no such orchestrator, CloudError if AWS refuses to read its credentials.
    """
    if not spec.orchestrator.in_account:
        return spec
    found = await find_orchestrator(calls, spec)
    if found is None:
        raise missing_orchestrator(spec)
    return with_orchestrator(spec, found.credentials, operator=operator)


def with_orchestrator(
    spec: ClusterSpec, credentials: OrchestratorCredentials, *, operator: bool = False
) -> ClusterSpec:
    """The specification of a cluster whose nodes join the orchestrator of these credentials."""
    return replace(spec, bacalhau=_joining(spec.bacalhau, credentials, operator=operator))


def _joining(bacalhau: BacalhauSpec, credentials: OrchestratorCredentials, *, operator: bool) -> BacalhauSpec:
    return replace(
        bacalhau,
        orchestrators=(f"tls://{credentials.host}:{NATS_PORT}",),
        token=credentials.token,
        tls=TlsMode.NATIVE,
        ca_pem=credentials.ca_pem,
        api_host=f"https://{credentials.host}:{API_PORT}",
        api_key=credentials.operator_key if operator else credentials.tool_key,
        api_user=None,
        api_password=None,
        api_ca_pem=credentials.ca_pem,
    )


def orchestrator_naming(spec: ClusterSpec) -> Naming:
    """The names and tags of the cluster that has the orchestrator: this one, or with `SHARED` another of the account."""
    if spec.orchestrator.mode is OrchestratorMode.SHARED and spec.orchestrator.cluster:
        return replace(spec.naming, tag_value=spec.orchestrator.cluster)
    return spec.naming


async def find_orchestrator(calls: AwsCalls, spec: ClusterSpec) -> FoundOrchestrator | None:
    """The orchestrator that `spec` names; None if no enabled region has its credentials.

    Raises CloudError if a region that may have them refuses, and UserError for credentials in another format.
    """
    name = orchestrator_parameter(orchestrator_naming(spec))
    first = () if spec.planned_home is None else (spec.planned_home,)  # likely for another cluster's, too
    found, failures = await _look(calls, name, first)
    if found is None:
        enabled = enabled_names(await calls.read("", calls.cloud.regions))
        others = [region for region in enabled if region not in first]
        found, more = await _look(calls, name, others)
        failures = (*failures, *more)
    if found is None and failures:
        raise most_severe_error(failures)
    return found


def missing_orchestrator(spec: ClusterSpec) -> UserError:
    """The error for a cluster without the orchestrator that its configuration names."""
    naming = orchestrator_naming(spec)
    if spec.orchestrator.mode is OrchestratorMode.SHARED:
        refused = no_shared_orchestrator(naming.tag_value)
        return UserError(refused.what, hint=refused.hint, docs=refused.docs, exit_code=refused.exit_code)
    return UserError(
        f"cluster {naming.tag_value} has no orchestrator, or its credentials were deleted",
        hint="`bacalhau-spot status` shows which; `bacalhau-spot create` creates one that does not exist. Its credentials are "
        f"in the SSM parameter {orchestrator_parameter(naming)}",
        docs="docs/orchestrator.md",
        exit_code=ExitCode.FAILED,
    )


async def _look(
    calls: AwsCalls, name: str, regions: Sequence[str]
) -> tuple[FoundOrchestrator | None, tuple[ApiFailure, ...]]:
    async def look(region: str) -> StoredParameter | None:
        return await calls.read(region, partial(calls.cloud.stored_parameter, region, name))

    answers, failures = await in_all_regions(regions, look)
    for region, value in answers.items():
        if value is not None:
            return FoundOrchestrator(region, parsed_credentials(value, name=name, region=region)), ()
    return None, failures


def parsed_credentials(stored: StoredParameter, *, name: str, region: str) -> OrchestratorCredentials:
    """The parameter's value. Raises UserError for another type or format."""
    if not stored.encrypted:
        raise foreign_parameter(name, region=region)
    try:
        return OrchestratorCredentials.from_json(stored.value)
    except ValueError as error:
        raise foreign_parameter(name, region=region) from error


def foreign_parameter(name: str, *, region: str) -> UserError:
    """The error for a parameter that bacalhau-spot did not write for this cluster."""
    return UserError(
        f"the parameter {name} in {region} does not contain this cluster's credentials in the expected format",
        hint="upgrade bacalhau-spot; or, if no orchestrator uses the parameter, delete it and run `bacalhau-spot create`",
        docs="docs/orchestrator.md",
    )
