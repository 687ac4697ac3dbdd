"""`notify-test`: sends a notice to every receiver of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.context import CommandContext
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.notices import deliver_now
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions
from bacalhau_spot.core.notices import NoticeKind, sample_notice
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.notices import DeliveryResult, NotifyTarget


def notify_test(
    *,
    event: Annotated[
        list[NoticeKind] | None, Parameter(name=["--event", "-e"], negative="", metavar="EVENT...")
    ] = None,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Send a test notice to every receiver under `notify` in the configuration.

    Each receiver gets one notice of each kind that it receives; all of them state that nothing has happened. Calls no AWS
    service. Exit code 1: a delivery failed.

    Parameters
    ----------
    event
        Only notices of this kind; may be repeated. Default: `create-ended`, and every kind that a receiver names.
    """
    context = CommandContext("notify-test", common, runtime)
    spec = context.spec()
    if not spec.notify:
        raise _no_receiver()
    kinds = tuple(event) if event else _kinds(spec.notify)
    cluster = spec.naming.tag_value
    results = deliver_now(context, [sample_notice(kind, cluster) for kind in dict.fromkeys(kinds)])
    delivered = [result for result, _ in results]
    return Result(
        "notify-test",
        view=views.notify_test_view(delivered),
        data=json_output.notify_test_data(results),
        exit_code=_exit_code(delivered),
    )


def _no_receiver() -> UserError:
    return UserError(
        "the configuration names no receiver of notices",
        hint="add a webhook or a command under `notify`, such as `notify: [{url_env: SLACK_WEBHOOK_URL}]`",
        docs="docs/notices.md",
        exit_code=ExitCode.USAGE,
    )


def _kinds(targets: Sequence[NotifyTarget]) -> tuple[NoticeKind, ...]:
    """Every kind that a receiver names, and one for the receivers that name none."""
    named = {kind for target in targets for kind in target.events}
    if any(not target.events for target in targets):
        named.add(NoticeKind.CREATE_ENDED)
    return tuple(kind for kind in NoticeKind if kind in named)


def _exit_code(results: Sequence[DeliveryResult]) -> ExitCode:
    return ExitCode.DONE if all(result.delivered for result in results) else ExitCode.FAILED
