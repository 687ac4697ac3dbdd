"""`doctor`: checks all prerequisites of a cluster before its creation. Creates and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot import __version__, project
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.fact_sources import fact_sources
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.doctor.account_checks import (
    AccountCheck,
    CheckStatus,
    Finding,
    doctor_exit_code,
    failure_finding,
    waits_for_credentials,
    waits_for_regions,
)
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.engine.aws_calls.caller import api_failure
from bacalhau_spot.engine.doctor import checks as engine
from bacalhau_spot.engine.doctor.aws_checks import regions_usable
from bacalhau_spot.engine.orchestrator.resolve import missing_orchestrator
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import plural

if TYPE_CHECKING:
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.model import BacalhauSpec, ClusterSpec


def doctor(
    *,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Check all prerequisites of a cluster, with a fix for each failure. Changes nothing.

    The configuration, credentials, clock, regions, permissions, offers, quotas, SSH keys, token, orchestrator, version.
    """
    context = CommandContext("doctor", common, runtime)
    spec, configured = _configuration(context)
    with context.runner() as runner:
        bacalhau, missing = _joining(context, runner, spec)
        inputs = engine.DoctorInput(
            calls=runner.calls,
            spec=spec,
            bacalhau=bacalhau,
            missing=missing,
            orchestrator=context.api_client(context.api_of(bacalhau)) if bacalhau is not None else None,
            addresses=context.addresses(bacalhau) if bacalhau is not None else None,
            environ=runtime.environ,
            version=__version__,
            package=project.PACKAGE,
            sources=fact_sources(context),
            over_budget=views.over_budget,
            endpoint=context.endpoint,
        )
        findings = (configured, *runner.run_readonly(engine.run_checks(inputs)))
        mistakes = context.record(runner.calls.mistakes)
    code = doctor_exit_code(findings)
    return Result(
        "doctor",
        view=views.findings_view(findings),
        data=json_output.doctor_data(findings),
        exit_code=code,
        errors=views.doctor_errors(findings, exit_code=code),
        warnings=mistakes,
        stderr_warnings=mistakes,
    )


def _joining(
    context: CommandContext, runner: Runner, spec: ClusterSpec | None
) -> tuple[BacalhauSpec | None, Finding | None]:
    """The nodes' settings for joining, or why there is no orchestrator to join.

    Neither if `create` creates it, or if the account's checks report why a managed one cannot be looked up.
    """
    if spec is None:
        return None, None
    is_managed = spec.orchestrator.mode is OrchestratorMode.MANAGED
    try:
        if _in_unusable_region(runner, spec):
            return None, None if is_managed else waits_for_regions(AccountCheck.ORCHESTRATOR)
        return context.joining(runner), None
    except UserError as error:
        if is_managed and error.what == missing_orchestrator(spec).what:
            return None, None
        return None, Finding(AccountCheck.ORCHESTRATOR, CheckStatus.FAIL, error.what, error.hint)
    except CloudError as error:
        if classify(error.code, error.message).category is Category.CREDENTIALS:
            return None, None if is_managed else waits_for_credentials(AccountCheck.ORCHESTRATOR)
        finding = failure_finding(
            AccountCheck.ORCHESTRATOR, api_failure(error), blind="its credentials cannot be read", needed=True
        )
        return None, finding


def _in_unusable_region(runner: Runner, spec: ClusterSpec) -> bool:
    """Whether the account's orchestrator is looked for in regions that AWS refuses. Raises CloudError of the credentials."""
    if not spec.orchestrator.in_account:
        return False
    try:
        return not runner.run_readonly(regions_usable(runner.calls, spec))
    except CloudError as error:
        if classify(error.code, error.message).category is Category.CREDENTIALS:
            raise
        return False  # the regions cannot be listed, and may have the orchestrator all the same


def _configuration(context: CommandContext) -> tuple[ClusterSpec | None, Finding]:
    """The configuration, if it is valid, and the finding about it."""
    try:
        loaded = context.loaded()
    except UserError as error:
        return None, Finding(
            AccountCheck.CONFIGURATION, CheckStatus.FAIL, error.what, error.hint, error.details
        )
    if loaded.path is None:
        return loaded.spec, Finding(
            AccountCheck.CONFIGURATION,
            CheckStatus.WARN,
            "no config.yaml found: checking the default configuration",
            "bacalhau-spot configure",
        )
    spec = loaded.spec
    where = plural(len(spec.regions), "region") if spec.auto_regions is None else "regions chosen by create"
    notes = tuple(f"{note.where}  {note.text}".strip() for note in loaded.notes)
    if notes:
        return spec, Finding(
            AccountCheck.CONFIGURATION,
            CheckStatus.WARN,
            f"{loaded.path} is valid, with warnings",
            "bacalhau-spot config show",
            notes,
        )
    return spec, Finding(
        AccountCheck.CONFIGURATION, CheckStatus.PASS, f"{loaded.path}: {plural(spec.nodes, 'node')}, {where}"
    )
