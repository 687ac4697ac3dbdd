"""`image list`: the images that `image bake` has made."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions, Regions
from bacalhau_spot.engine.placement.image_list import list_images
from bacalhau_spot.ui import json_output, views


def image_list(
    *,
    region: Regions = (),
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """List the images that `image bake` has made, in all regions.

    Parameters
    ----------
    region
        Only these regions, such as us-east-1,eu-west-1.
    """
    context = CommandContext("image list", common, runtime)
    spec = context.spec(lenient=True)
    with context.runner() as runner:
        found = runner.run_readonly(list_images(runner.calls, spec.naming, only=region))
    code = context.incomplete(found.failed_regions)
    return Result(
        context.command,
        view=views.images_view(found, version=spec.bacalhau.version, now=runtime.clock.now()),
        data=json_output.images_data(found),
        exit_code=code,
        errors=context.errors_of(found.failed_regions, exit_code=code),
    )
