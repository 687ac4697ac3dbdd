"""The lock of the cluster during a command that changes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from bacalhau_spot.cli.runtime.cancellation import runs_in_thread
from bacalhau_spot.cli.runtime.runner import NullProgress
from bacalhau_spot.cli.state.machine_mark import machine_mark
from bacalhau_spot.cli.state.recent_changes import ChangeMark
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.lifecycle.operator_lock import LockHolder
from bacalhau_spot.engine.aws_calls.caller import Cancelled
from bacalhau_spot.engine.lifecycle.operator_lock import LockPlace, OperatorLock
from bacalhau_spot.ui.formatting import error_label
from bacalhau_spot.ui.views import lock_view
from bacalhau_spot.ui.views.blocks import Paragraph

if TYPE_CHECKING:
    from types import TracebackType

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.core.model import Identity, Naming

# More than most commands need; after it the other one is named.
WAIT_S = 600.0


class ClusterLock:
    """A context manager that releases the lock. A refusal for want of a permission is a warning, and the command goes on."""

    def __init__(
        self,
        context: CommandContext,
        runner: Runner,
        *,
        naming: Naming,
        identity: Identity,
        command: str,
        creates: bool = True,
    ) -> None:
        """`creates`: the command may create resources, which AWS's lists omit at first."""
        self._context = context
        self._runner = runner
        self._mark = (
            ChangeMark(context.cache_dir, run=context.runtime.run_id, clock=context.runtime.clock)
            if creates
            else None
        )
        self._in_order = False
        self.warnings: tuple[str, ...] = ()
        runtime = context.runtime
        now = runtime.clock.now()
        self._machine = machine_mark(runtime.state_dir, host=runtime.host)
        holder = LockHolder(
            command=command,
            by=identity.arn,
            host=runtime.host,
            pid=os.getpid(),
            run=runtime.run_id,
            since=now,
            until=now,
            machine=self._machine,
        )
        self._lock = OperatorLock(
            runner.calls, LockPlace(context.lock_region, naming), holder, ended=self._has_ended
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        in_order = self._mark is None or (self._in_order and error is None)
        self._runner.calls.before_change = None
        if self._mark is not None and (in_order or not self._lock.lag_left_s):
            self._mark.clear()
        if self._lock.id is None:
            return
        try:
            self._runner.run_last(self._lock.release(in_order=in_order))
        except CloudError as refusal:
            self._context.print_status(
                Paragraph(lock_view.not_released(error_label(refusal.code)), prefix="warning: ")
            )

    def ends_in_order(self) -> None:
        """The command has seen AWS list everything that it has created."""
        self._in_order = True

    @property
    def is_exclusive(self) -> bool:
        """Whether this command holds the lock, and nobody had it when it took it: the last command ended in order."""
        return self._lock.is_first_try

    @property
    def is_valid(self) -> bool:
        """Whether this command still holds it, after a pause in which it was not renewed."""
        return self._lock.is_valid

    @property
    def id(self) -> str | None:
        """The id of the launch template, while this command holds the lock."""
        return self._lock.id

    def take(self, *, wait_s: float = WAIT_S) -> bool:
        """Returns whether another command had it before: facts that were read earlier are then out of date.

        Raises UserError if the other command does not end in time, CloudError if AWS does not answer.
        """
        if self._lock.id is not None or self.warnings:
            return False
        if self._mark is not None:
            self._runner.calls.before_change = self._mark.write
        waited = False

        def tell(holder: LockHolder) -> None:
            nonlocal waited
            waited = True
            text = lock_view.waiting_text(holder, now=self._context.runtime.clock.now())
            self._context.print_status(Paragraph(text))

        try:
            # With a handler for Ctrl-C: a call in flight may create the lock, which is then released.
            other = self._runner.run_with_progress(
                self._lock.take(wait_s=wait_s, told=tell), screen=NullProgress
            )
        except Cancelled as error:
            raise KeyboardInterrupt from error
        except CloudError as error:
            if classify(error.code).category is not Category.PERMISSION:
                raise
            self.warnings = (lock_view.not_locked(error_label(error.code)),)
            return False
        if self._runner.calls.stop.is_set:
            raise KeyboardInterrupt
        if other is not None:
            raise lock_view.still_held(other, now=self._context.runtime.clock.now())
        return waited

    def take_if_free(self) -> None:
        """Without a wait: a command for which the lock is only a proof goes on without it. Raises KeyboardInterrupt."""
        try:
            self._runner.run_with_progress(self._lock.take_if_free(), screen=NullProgress)
        except Cancelled as error:
            raise KeyboardInterrupt from error
        except CloudError as error:
            if classify(error.code).category is Category.CREDENTIALS:
                raise
        if self._runner.calls.stop.is_set:
            raise KeyboardInterrupt

    def changing(self) -> str:
        """A sentence about the command that is changing the cluster at present; empty without one, or without AWS's answer."""
        try:
            other = self._runner.run_readonly(self._lock.other())
        except CloudError:  # it informs alone: a command that changes anything takes the lock
            return ""
        return "" if other is None else lock_view.changing_text(other, now=self._context.runtime.clock.now())

    def _has_ended(self, holder: LockHolder) -> bool:
        """A process of this machine that does not run any more, or a command of this process that has ended."""
        if not holder.is_on(self._machine):
            return False
        if holder.pid == os.getpid():
            return not runs_in_thread(holder.run)
        return not _runs(holder.pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's; or nothing is known about it
        return True
    return True
