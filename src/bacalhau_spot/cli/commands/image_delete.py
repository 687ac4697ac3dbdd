"""`image delete`: deletes images that `image bake` has made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.parsers import duration
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions, Regions, Yes
from bacalhau_spot.cli.state.audit_log.writer import AuditLog
from bacalhau_spot.core.images.image_deletion import ImageDeletion
from bacalhau_spot.engine.images.image_deletion import delete_images
from bacalhau_spot.engine.placement.image_list import list_images
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui.formatting import comma_list, plural
from bacalhau_spot.ui.prompts import Impact

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.images.account_image import AccountImage
    from bacalhau_spot.engine.placement.image_list import ImageList


def image_delete(
    *ids: Annotated[str, Parameter(name="IMAGE")],
    older_than: Annotated[str | None, Parameter(name="--older-than", metavar="DURATION")] = None,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    region: Regions = (),
    yes: Yes = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Delete images that `image bake` has made, with their snapshots. Running nodes keep working.

    A snapshot without the tag of these images stays: another program made it.

    Parameters
    ----------
    ids
        The ids of images (ami-…).
    older_than
        All images older than this, such as `30d`.
    everything
        All images.
    region
        Only these regions, such as us-east-1,eu-west-1.
    yes
        Do not ask.
    dry_run
        Show the images and stop.
    """
    context = CommandContext("image delete", common, runtime)
    choice = _choice(ids, older_than=older_than, everything=everything)
    spec = context.spec(lenient=True)
    with context.runner(spec) as runner:
        found = runner.run_readonly(list_images(runner.calls, spec.naming, only=region))
        _check_known(ids, found)
        now = runtime.clock.now()
        deletion = ImageDeletion(
            choice.among(found.images, now),
            snapshots=found.snapshots,
            orphans=found.orphans,
            failed_regions=found.failed_regions,
        )
        shown = views.image_deletion_view(deletion, now=now)
        if not deletion.empty and not dry_run:
            context.print_status(shown)
            counts = ((len(deletion.chosen), "image"), (len(deletion.orphans), "snapshot"))
            what = comma_list([plural(count, noun) for count, noun in counts if count])
            question = f"Delete {what} in account {found.identity.account_id}?"
            context.confirm(question, impact=Impact.DESTROYS, confirmed=yes)
            deletion = _carried_out(context, runner, found, deletion)
            shown = views.image_deletion_result_view(deletion)
    code = deletion.exit_code
    return Result(
        context.command,
        view=shown,
        data=json_output.image_deletion_data(deletion, carried_out=not dry_run),
        exit_code=code,
        errors=context.errors_of((*deletion.failures, *deletion.failed_regions), exit_code=code),
    )


@dataclass(frozen=True)
class _Choice:
    """By id, by age, or all."""

    ids: Sequence[str]
    least: timedelta | None
    everything: bool

    def among(self, images: Sequence[AccountImage], now: datetime) -> tuple[AccountImage, ...]:
        return tuple(image for image in images if self._has(image, now))

    def _has(self, image: AccountImage, now: datetime) -> bool:
        is_old = self.least is not None and now - image.created_at > self.least
        return self.everything or is_old or image.id in self.ids


def _choice(ids: Sequence[str], *, older_than: str | None, everything: bool) -> _Choice:
    """Raises UserError unless exactly one of the three is given."""
    if sum((bool(ids), older_than is not None, everything)) != 1:
        raise UserError(
            "image delete takes ids, --older-than or --all: one of the three",
            hint="`bacalhau-spot image delete ami-…`, `--older-than 30d` or `--all`; `bacalhau-spot image list` shows them",
            exit_code=ExitCode.USAGE,
        )
    least = None if older_than is None else duration(older_than, flag="--older-than")
    return _Choice(ids, least, everything)


def _check_known(ids: Sequence[str], found: ImageList) -> None:
    """Raises UserError for an id that is none of these images."""
    known = {image.id for image in found.images}
    unknown = [one for one in ids if one not in known]
    if unknown:
        raise UserError(
            f"{', '.join(unknown)}: no image of `image bake`",
            why="some regions could not be scanned" if found.failed_regions else "",
            hint="`bacalhau-spot image list` shows them",
            exit_code=ExitCode.INCOMPLETE if found.failed_regions else ExitCode.USAGE,
        )


def _carried_out(
    context: CommandContext, runner: Runner, found: ImageList, deletion: ImageDeletion
) -> ImageDeletion:
    runner.listen(AuditLog(context, identity=found.identity).emit)
    regions = {image.region for image in deletion.chosen} | {one.region for one in deletion.orphans}
    return runner.run_with_progress(
        delete_images(runner.calls, deletion),
        screen=partial(context.screen, sorted(regions), title="deleting images"),
    )
