"""`image bake`: makes an image with Docker and Bacalhau in every region."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.cluster_lock import ClusterLock
from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions, Regions, Yes
from bacalhau_spot.cli.state.audit_log.writer import AuditLog
from bacalhau_spot.core.images.account_image import AVAILABLE, BAKED
from bacalhau_spot.core.model import Arch, arch_of_name
from bacalhau_spot.engine.images.bake import make_images
from bacalhau_spot.engine.images.bake_look import look_before_bake
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import plural
from bacalhau_spot.ui.prompts import Impact

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.images.bake_plan import BakePlan, BakeResult
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls
    from bacalhau_spot.engine.images.bake_look import BakeLook

# Two vCPUs and 2 GiB: enough to install packages within minutes.
_TYPES = {Arch.X86_64: "t3.small", Arch.ARM64: "t4g.small"}


@Parameter(name="*")
@dataclass(frozen=True)
class ImageContents:
    """The options about the image itself."""

    arch: Annotated[
        list[Literal["x86_64", "arm64"]] | None, Parameter(name="--arch", negative="", metavar="ARCH...")
    ] = None
    """The architecture; may be repeated. Default: those of the configured instance types."""

    base: Annotated[str, Parameter(name="--base", metavar="IMAGE")] = "auto"
    """The image to start from: `auto` (current Ubuntu LTS), an id (ami-…), or ssm:/ and a public parameter's name."""

    instance_type: Annotated[str | None, Parameter(name="--instance-type", metavar="TYPE")] = None
    """The type of the instance. Default: t3.small, and t4g.small for arm64."""


_PLAIN = ImageContents()


def image_bake(
    *,
    region: Regions = (),
    contents: ImageContents = _PLAIN,
    fresh: Annotated[bool, Parameter(negative="")] = False,
    yes: Yes = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Make an image with Docker and Bacalhau in every configured region, for `image: baked`.

    Launches one on-demand instance for some minutes, makes an image of it, copies the image to the other regions, and
    terminates the instance. A region that has an image of this version of Bacalhau keeps it.

    Parameters
    ----------
    region
        Only these regions, such as us-east-1,eu-west-1. The instance runs in the first one. Default: the regions of the
        configuration.
    fresh
        Also in regions that have such an image: for the security updates since then.
    yes
        Do not ask.
    dry_run
        Show the plan and stop.
    """
    context = CommandContext("image bake", common, runtime)
    spec = context.spec()
    regions = _regions(spec, region)
    _check_base(contents.base)
    types = _builder_types(spec, contents.arch, contents.instance_type)
    with context.runner(spec) as runner:

        def look() -> BakeLook:
            before = look_before_bake(
                runner.calls, spec, regions=regions, types=types, base=contents.base, fresh=fresh
            )
            return runner.run_readonly(before)

        found = look()
        if found.failed_regions:
            raise context.errors_of(found.failed_regions, exit_code=ExitCode.INCOMPLETE)[0]
        shown = views.bake_plan_view(found.plans)
        if dry_run or all(plan.is_complete for plan in found.plans):
            return Result(context.command, view=shown, data=json_output.bake_data(found.plans, ()))
        context.print_status(shown)
        _confirm(context, found, yes=yes)
        return _carried_out(context, runner, found, look, base=contents.base)


def _regions(spec: ClusterSpec, named: Sequence[str] | None) -> list[str]:
    """Raises UserError if the configuration names none."""
    regions = list(named or (found.name for found in spec.regions))
    if not regions:
        raise UserError(
            "image bake needs the regions of the images",
            why="the configuration leaves the choice of regions to `create`",
            hint="`bacalhau-spot image bake --region us-east-1`",
            exit_code=ExitCode.USAGE,
        )
    return regions


def _check_base(base: str) -> None:
    """Raises UserError for an image that another `image bake` has made."""
    if base == BAKED:
        raise UserError(
            "an image cannot be made of a baked one", hint="leave `--base` out", exit_code=ExitCode.USAGE
        )


def _builder_types(
    spec: ClusterSpec, archs: Sequence[str] | None, instance_type: str | None
) -> dict[Arch, str]:
    """The instance type of the machine, by architecture. Raises UserError for a type of another architecture."""
    wanted = [Arch(arch) for arch in archs] if archs else _configured_archs(spec)
    if instance_type is None:
        return {arch: _TYPES[arch] for arch in wanted}
    arch = arch_of_name(instance_type)
    if archs and wanted != [arch]:
        raise UserError(
            f"{instance_type} has the architecture {arch}",
            hint=f"`--arch {arch}`, or leave one of the two out",
            exit_code=ExitCode.USAGE,
        )
    return {arch: instance_type}


def _configured_archs(spec: ClusterSpec) -> list[Arch]:
    """Of the instance types that the configuration names; without names, that of its requirements, or x86_64."""
    names = {*spec.instance_types, *(name for region in spec.regions for name in region.instance_types)}
    if names:
        return sorted({arch_of_name(name) for name in names}, reverse=True)
    wanted = spec.requirements.arch if spec.requirements else None
    return [wanted or Arch.X86_64]


def _confirm(context: CommandContext, found: BakeLook, *, yes: bool) -> None:
    images = sum(plan.makes + len(plan.copies) for plan in found.plans)
    waits = any(image.state != AVAILABLE for plan in found.plans for image in plan.present.values())
    rest = "Complete the images" if waits else "Terminate the instance"
    what = f"Make {plural(images, 'image')}" if images else rest
    context.confirm(f"{what} in account {found.identity.account_id}?", impact=Impact.ADDS, confirmed=yes)


def _carried_out(
    context: CommandContext, runner: Runner, found: BakeLook, look: Callable[[], BakeLook], *, base: str
) -> Result:
    """`look`: again, if another command has held the lock meanwhile."""
    spec = context.spec()
    with ClusterLock(
        context, runner, naming=spec.naming, identity=found.identity, command=context.command
    ) as lock:
        if lock.take():
            found = look()
        audit = AuditLog(context, identity=found.identity, cluster=spec.naming.tag_value)
        runner.listen(audit.emit)
        regions = sorted({region for plan in found.plans for region in plan.regions})
        results = runner.run_with_progress(
            _make_all(runner.calls, spec, found.plans, base),
            screen=partial(context.screen, regions, title="making images"),
        )
    late = (*context.record(runner.calls.mistakes), *lock.warnings, *filter(None, (audit.trouble,)))
    code = max((result.exit_code for result in results), default=ExitCode.DONE)
    failures = [failure for result in results for failure in result.problems]
    return Result(
        context.command,
        view=views.bake_result_view(results),
        data=json_output.bake_data(found.plans, results),
        exit_code=code,
        errors=context.errors_of(failures, exit_code=code),
        warnings=late,
        stderr_warnings=late,
    )


async def _make_all(
    calls: AwsCalls, spec: ClusterSpec, plans: Sequence[BakePlan], base: str
) -> list[BakeResult]:
    """All architectures at once. A failure of one is raised when the others have ended."""
    parts: list[Awaitable[BakeResult]] = [make_images(calls, spec, plan, base=base) for plan in plans]
    results = await asyncio.gather(*parts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
