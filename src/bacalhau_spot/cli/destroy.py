"""`destroy`: this cluster gone, in one run, verified."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli import other_clusters
from bacalhau_spot.cli.audit import Audit
from bacalhau_spot.cli.common import AT_LEAST_ONE, NOTHING_SAID, Cluster, Common, Yes
from bacalhau_spot.cli.invocation import Invocation
from bacalhau_spot.cli.result import Result
from bacalhau_spot.cli.runtime import Runtime
from bacalhau_spot.core.model import State
from bacalhau_spot.core.tags import cluster_scope
from bacalhau_spot.core.teardown import Kind
from bacalhau_spot.engine import members, observe, sights, teardown
from bacalhau_spot.engine.consistency import LAG_S
from bacalhau_spot.engine.place import Terms
from bacalhau_spot.engine.sights import Search
from bacalhau_spot.instance.user_data import in_ssm
from bacalhau_spot.ui import jsonout, views
from bacalhau_spot.ui.prompts import Danger
from bacalhau_spot.ui.words import plural

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from rich.console import RenderableType

    from bacalhau_spot.core.model import ClusterSpec, Identity, Naming, Resource
    from bacalhau_spot.core.prune import Forgotten
    from bacalhau_spot.core.receipt import TeardownReceipt
    from bacalhau_spot.engine.calls import Calls
    from bacalhau_spot.engine.observe import Standing
    from bacalhau_spot.engine.sights import Sights
    from bacalhau_spot.orchestrator.port import Orchestrator

# Deleting takes as long as instances take to end, and then a little; doubled.
_BESIDE_INSTANCES_S = 300
# States of instances on which nothing runs any more.
_ENDING = frozenset({State.SHUTTING_DOWN, State.TERMINATED})


def destroy(
    *,
    yes: Yes = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    cluster: Cluster = None,
    disable_protection: Annotated[bool, Parameter(name="--disable-protection", negative="")] = False,
    timeout: Annotated[int | None, AT_LEAST_ONE, Parameter(name="--timeout")] = None,
    common: Common = NOTHING_SAID,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Delete everything of this cluster, in every region, and verify that it is gone.

    Shows what it found and asks. Whatever does not carry the cluster's tag is not touched. Where the orchestrator's API is
    configured, the orchestrator forgets the cluster's nodes whose instances are gone.

    Parameters
    ----------
    yes
        Do not ask.
    dry_run
        Show what would be deleted and stop.
    cluster
        Another cluster than the configuration's, by the value of its tag.
    disable_protection
        Lift the protection against deletion of what is the cluster's.
    timeout
        Seconds after which it gives up and says what is left.
    """
    call = Invocation("destroy", common, runtime)
    spec = call.spec(lenient=True)
    naming = call.naming(cluster)
    search = _search(spec, naming, named=cluster is not None)
    orchestrator = call.orchestrator()
    with call.engine(spec) as running:
        here, found = running.look(_look(running.calls, search))
        if found.empty:
            call.talk(views.looking_again_view(LAG_S))
            regions = observe.enabled(here.regions)
            found = running.look(sights.look_after_lag(running.calls, search, found, regions=regions))
        others: tuple[str, ...] = ()
        if found.empty:
            enabled = observe.enabled(here.regions)
            others = other_clusters.warnings(running, naming, regions=enabled, command="destroy")
        doomed = [one for one in found.known if not one.kept]
        preview = views.teardown_preview_view(
            doomed,
            unknown=found.unknown,
            identity=here.identity,
            cluster=naming.tag_value,
            unseen=found.unseen,
            silent=found.silent,
        )
        if dry_run:
            return _looked(call, found, view=preview, warnings=others)
        if doomed:
            call.talk(preview)
            _agree(call, doomed, identity=here.identity, cluster=naming.tag_value, agreed=yes)
        audit = Audit(call, identity=here.identity, cluster=naming.tag_value)
        running.listen(audit.emit)
        part = teardown.teardown(
            running.calls,
            search,
            cluster=naming.tag_value,
            sights=found,
            terms=Terms(lift_protection=disable_protection),
            timeout_s=timeout or spec.timeouts.terminate_s + _BESIDE_INSTANCES_S,
        )
        receipt, forgotten = running.work(
            _destroy(
                part,
                running.calls,
                orchestrator,
                cluster=call.label(cluster),
                regions=observe.enabled(here.regions),
            ),
            screen=partial(call.screen, sorted(found.busy), title=f"destroying {naming.tag_value}"),
        )
    audit.ended(receipt)
    late = (*others, *call.record(running.calls.mistakes), *filter(None, (audit.trouble,)))
    return _done(call, receipt, forgotten, naming=naming, warnings=(*late, *views.still_listed(forgotten)))


def _agree(
    call: Invocation, doomed: Sequence[Resource], *, identity: Identity, cluster: str, agreed: bool
) -> None:
    """Raises UserError (exit code 3) unless the user agrees: where nodes run, by typing the cluster's name."""
    running = sum(one.kind == Kind.INSTANCE and one.state not in _ENDING for one in doomed)
    nodes = f" ({plural(running, 'running node')})" if running else ""
    question = (
        f"Delete {plural(len(doomed), 'resource')} of {cluster}{nodes} in account {identity.account_id}?"
    )
    if running:
        call.confirm_typed(
            question, word=cluster, name="the cluster's name", agreed=agreed, danger=Danger.DESTROYS
        )
    else:
        call.confirm(question, danger=Danger.DESTROYS, agreed=agreed)


def _done(
    call: Invocation,
    receipt: TeardownReceipt,
    forgotten: Forgotten | None,
    *,
    naming: Naming,
    warnings: tuple[str, ...],
) -> Result:
    return Result(
        "destroy",
        view=views.with_forgotten(views.teardown_receipt_view(receipt, naming=naming), forgotten),
        data=jsonout.teardown_data(receipt, forgotten),
        exit_code=receipt.exit_code,
        errors=call.errors_of((*receipt.problems, *receipt.unseen), exit_code=receipt.exit_code),
        warnings=warnings,
        late_warnings=warnings,
    )


def _looked(call: Invocation, found: Sights, *, view: RenderableType, warnings: tuple[str, ...]) -> Result:
    return Result(
        "destroy",
        view=view,
        data={
            "found": jsonout.resources_data(one for one in found.known if not one.kept),
            "unknown": jsonout.resources_data(found.unknown),
        },
        errors=call.errors_of(found.unseen),
        exit_code=call.blind(found.unseen),
        warnings=warnings,
        late_warnings=warnings,
    )


async def _destroy(
    part: Awaitable[TeardownReceipt],
    calls: Calls,
    orchestrator: Orchestrator | None,
    *,
    cluster: str,
    regions: Sequence[str],
) -> tuple[TeardownReceipt, Forgotten | None]:
    """What AWS has, then the cluster's nodes in the orchestrator whose instances are gone; trouble with it is only told."""
    receipt = await part
    if orchestrator is None or not receipt.outcomes or calls.stop.is_set:
        return receipt, None
    ended = receipt.gone(Kind.INSTANCE)
    return receipt, await members.forget_gone(calls, orchestrator, ended, cluster=cluster, regions=regions)


def _search(spec: ClusterSpec, naming: Naming, *, named: bool) -> Search:
    """`named`: a cluster that need not be the configuration's. Nobody knows what it was made with: with all that may be."""
    needed = {"ec2", "ssm", "iam"} if named or in_ssm(spec) else {"ec2"}
    return Search(
        cluster_scope(naming),
        closely=frozenset(region.name for region in spec.regions),
        required=frozenset(needed),
    )


async def _look(calls: Calls, search: Search) -> tuple[Standing, Sights]:
    here = await observe.standing(calls)
    return here, await sights.look(calls, search, regions=observe.enabled(here.regions))
