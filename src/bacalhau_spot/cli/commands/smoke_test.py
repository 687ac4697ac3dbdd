"""`smoke-test`: runs one tiny job on every joined node."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.context import CommandContext, no_api
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, TIMEOUT, CommonOptions
from bacalhau_spot.core.orchestrator.prune import nodes_by_other_cluster, region_of
from bacalhau_spot.core.orchestrator.smoke_test import IMAGE, Engine, SmokeTestOptions, joined_nodes
from bacalhau_spot.engine.orchestrator.smoke_test import run_smoke_test
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def smoke_test(
    *,
    engine: Annotated[Engine, Parameter(name="--engine", metavar="ENGINE")] = Engine.DOCKER,
    image: Annotated[str, Parameter(name="--image", metavar="IMAGE")] = IMAGE,
    timeout: Annotated[int, TIMEOUT] = 120,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Run one tiny job on every joined node of the cluster, and report for each node whether it ran and how long it took.

    Exit code 0: the job ran on every node. The jobs go through the orchestrator's API; each has a constraint on one node's
    label `instance-id`. Ctrl-C and the timeout stop the jobs that have not ended.

    Parameters
    ----------
    engine
        `docker`: a container, which includes the download of its image. `wasm`: a WebAssembly program within the job, for
        nodes that reach no registry.
    image
        With docker: the image; it needs /bin/echo.
    timeout
        Seconds to wait for a node, including the time in the orchestrator's queue.
    """
    context = CommandContext("smoke-test", common, runtime)
    api = context.operator_api()
    client = context.api_client(api)
    if client is None:
        raise no_api("smoke-test")
    label = context.label()
    options = SmokeTestOptions(engine=engine, image=image, timeout_s=timeout, run_id=runtime.run_id[:8])
    with context.runner() as runner:
        listed = runner.run_readonly(client.nodes(), other="the orchestrator")
        nodes, unjoined = joined_nodes(listed, cluster=label)
        if not nodes:
            others = nodes_by_other_cluster(listed, cluster=label)
            raise _nothing_to_test(label, unjoined, others=others, address=client.address)
        result = runner.run_with_progress(
            run_smoke_test(runner.calls, client, nodes, options, cluster=label, unjoined=unjoined),
            screen=partial(
                context.screen, sorted({region_of(node) for node in nodes}), title=f"testing {label}"
            ),
        )
    return Result(
        "smoke-test",
        view=views.smoke_test_view(result),
        data=json_output.smoke_test_data(result),
        exit_code=result.exit_code,
        errors=context.errors_of(result.failures, exit_code=result.exit_code),
        warnings=views.smoke_test_warnings(result),
    )


def _nothing_to_test(
    label: str, unjoined: Sequence[str], *, others: Mapping[str, int], address: str
) -> UserError:
    listed = f"; it lists {len(unjoined)} without a connection or approval" if unjoined else ""
    return UserError(
        f"no node of cluster {label} has joined the orchestrator {address}{listed}",
        details=views.other_label_warnings(others, address=address, command="smoke-test"),
        hint="`bacalhau-spot status` shows each node with the reason; `bacalhau-spot create` launches nodes",
        exit_code=ExitCode.FAILED,
    )
