"""`doctor`: everything that a cluster needs, looked at before it is needed. Makes and changes nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot import __version__, project
from bacalhau_spot.cli import noting
from bacalhau_spot.cli.common import NOTHING_SAID, Common
from bacalhau_spot.cli.invocation import Invocation
from bacalhau_spot.cli.memory import Files
from bacalhau_spot.cli.result import Result
from bacalhau_spot.cli.runtime import Runtime
from bacalhau_spot.cloud import archive
from bacalhau_spot.core.checkup import Check, Finding, Mark, exit_code
from bacalhau_spot.engine import doctor as engine
from bacalhau_spot.engine.archive import ArchiveSource
from bacalhau_spot.errors import UserError
from bacalhau_spot.ui import jsonout, views
from bacalhau_spot.ui.words import plural

if TYPE_CHECKING:
    from bacalhau_spot.core.model import ClusterSpec


def doctor(
    *,
    common: Common = NOTHING_SAID,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Check everything that a cluster needs, and say how to mend what is wrong. Makes and changes nothing.

    The configuration, credentials, clock, regions, permissions, offers, quotas, SSH keys, token, orchestrator, version.
    """
    call = Invocation("doctor", common, runtime)
    spec, configured = _configuration(call)
    with call.engine() as running:
        patient = engine.Patient(
            calls=running.calls,
            spec=spec,
            orchestrator=call.orchestrator() if spec is not None else None,
            addresses=call.addresses() if spec is not None else None,
            environ=runtime.environ,
            version=__version__,
            package=project.PACKAGE,
            memory=Files(call.memory_dir, clock=runtime.clock),
            launched_in=partial(noting.launched_in, call),
            endpoint=call.endpoint,
            over_budget=views.over_budget,
            archive=ArchiveSource(archive.digest, call.access.archive_url),
        )
        findings = (configured, *running.look(engine.examine(patient)))
        mistakes = call.record(running.calls.mistakes)
    code = exit_code(findings)
    return Result(
        "doctor",
        view=views.checkup_view(findings),
        data=jsonout.checkup_data(findings),
        exit_code=code,
        errors=views.checkup_errors(findings, exit_code=code),
        warnings=mistakes,
        late_warnings=mistakes,
    )


def _configuration(call: Invocation) -> tuple[ClusterSpec | None, Finding]:
    """The configuration, if it can be used, and what is to be said of it."""
    try:
        loaded = call.loaded()
    except UserError as error:
        return None, Finding(Check.CONFIGURATION, Mark.FAIL, error.what, error.hint, error.details)
    if loaded.path is None:
        return loaded.spec, Finding(
            Check.CONFIGURATION,
            Mark.WARN,
            "there is no config.yaml: the default configuration is looked at",
            "bacalhau-spot configure",
        )
    spec = loaded.spec
    where = plural(len(spec.regions), "region") if spec.auto_regions is None else "regions chosen by create"
    notes = tuple(f"{note.where}  {note.text}".strip() for note in loaded.notes)
    if notes:
        return spec, Finding(
            Check.CONFIGURATION,
            Mark.WARN,
            f"{loaded.path} can be used, with remarks",
            "bacalhau-spot config show",
            notes,
        )
    return spec, Finding(
        Check.CONFIGURATION, Mark.PASS, f"{loaded.path}: {plural(spec.nodes, 'node')}, {where}"
    )
