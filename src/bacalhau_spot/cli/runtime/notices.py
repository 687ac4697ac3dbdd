"""Sends notices at the end of a command. A failure is a warning, and changes neither the result nor the exit code."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from bacalhau_spot.child_environment import needed_variables
from bacalhau_spot.cli.runtime.reporting import unexpected
from bacalhau_spot.cli.state.audit_log import known_usages
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.notices import create_failed, delivery_warning, interruptions, replacements_joined
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.state.audit_log.known_usages import NewObservations
    from bacalhau_spot.core.history.node_records import NodeRecord
    from bacalhau_spot.core.history.timeline import Replacement
    from bacalhau_spot.core.model import Identity
    from bacalhau_spot.core.notices import DeliveryResult, Notice
    from bacalhau_spot.ui.filtered import FilteredStream
    from bacalhau_spot.ui.json_output.notices import NoticeOutput

# The variables of a command: for programs, their network and their messages. Tokens and AWS keys are not passed on.
_FOR_COMMANDS = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR",
        "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "SSL_CERT_FILE", "SSL_CERT_DIR",
    }
)  # fmt: skip
_FAMILIES = ("LC_",)
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


def send_notices(context: CommandContext, notices: Sequence[Notice]) -> tuple[str, ...]:
    """Send the notices to the receivers of the configuration. Returns a warning for each failed delivery.

    All deliveries run at once and take at most some seconds. Call it outside of an event loop, at the end of a command.
    """
    # After Ctrl-C: the command has done its work, and its result must be printed.
    return send_or_stop(context, notices)[0]


def send_or_stop(context: CommandContext, notices: Sequence[Notice]) -> tuple[tuple[str, ...], bool]:
    """As `send_notices`, and whether Ctrl-C or SIGTERM ended the delivery: for commands that continue after it."""
    try:
        results = deliver_now(context, notices)
    except KeyboardInterrupt:
        return ("the delivery of notices was interrupted; some may not have been delivered",), True
    return tuple(delivery_warning(result) for result, _ in results if not result.delivered), False


def observation_notices(
    context: CommandContext,
    identity: Identity,
    new: NewObservations,
    *,
    cluster: str,
    records: Sequence[NodeRecord] = (),
) -> tuple[Notice, ...]:
    """Interruptions, and replacements that have joined. `records`: of the whole cluster."""
    found: dict[str, Replacement] = {}
    if new.joined:
        from bacalhau_spot.core.history.timeline import replacements  # noqa: PLC0415 - seldom used, by every command

        also = known_usages.replaced_by_passes(context, identity, cluster=cluster)
        found = replacements(records, also=also)
    return (*interruptions(cluster, new.interrupted), *replacements_joined(cluster, found, new.joined))


def with_notices(context: CommandContext, error: UserError, notices: Sequence[Notice]) -> UserError:
    """Send the notices; returns the error with failed deliveries among its details, to be raised."""
    error.details = (*error.details, *send_notices(context, notices))
    return error


@contextmanager
def create_failures(context: CommandContext, cluster: str) -> Iterator[None]:
    """Send a notice if a `create` ends with an error after its confirmation. The error is raised again."""
    try:
        yield
    except UserError as error:
        with_notices(context, error, [_of_error(cluster, error)])
        raise
    except CloudError as error:
        shown = unexpected(error, context.runtime)
        raise with_notices(context, shown, [_of_error(cluster, shown)]) from error


def _of_error(cluster: str, error: UserError) -> Notice:
    return create_failed(cluster, what=error.what, why=error.why, exit_code=error.exit_code)


def deliver_now(
    context: CommandContext, notices: Sequence[Notice]
) -> tuple[tuple[DeliveryResult, NoticeOutput], ...]:
    """Each delivery with its notice as sent. Raises KeyboardInterrupt."""
    targets = context.spec(lenient=True).notify
    chosen = [
        (number, target, position, notice)
        for position, notice in enumerate(notices, 1)
        for number, target in enumerate(targets, 1)
        if target.receives(notice.kind)
    ]
    if not chosen:
        return ()
    # Most runs send nothing, and need no HTTP client.
    from bacalhau_spot.engine import notices as engine  # noqa: PLC0415
    from bacalhau_spot.ui.json_output.notices import notice_data  # noqa: PLC0415

    runtime, now = context.runtime, context.runtime.clock.now()
    # Without secrets, as all output: an error in a notice may quote one.
    safe = cast("FilteredStream", runtime.stdout).redacted
    bodies: list[NoticeOutput] = [
        safe(notice_data(notice, notice_id=f"{runtime.run_id}-{position}", at=now, endpoint=context.endpoint))
        for _, _, position, notice in chosen
    ]
    deliveries = [
        engine.Delivery(number, target, notice, _encoded(body))
        for (number, target, _, notice), body in zip(chosen, bodies, strict=True)
    ]
    results = asyncio.run(engine.deliver(deliveries, environ=_environ(runtime.environ), clock=runtime.clock))
    return tuple(zip(results, bodies, strict=True))


def _encoded(body: NoticeOutput) -> bytes:
    return json.dumps(body).encode()


def _environ(environ: Mapping[str, str]) -> dict[str, str]:
    proxies = {name for name in environ if name.lower() in _PROXIES}
    return needed_variables(environ, _FOR_COMMANDS | proxies, families=_FAMILIES)
