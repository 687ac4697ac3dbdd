"""The keys of `status --watch`: select a node, and run another command of this program on it."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from bacalhau_spot.ui.progress.keys import Key, Keyboard, keyboard_of
from bacalhau_spot.ui.progress.status_watch import LiveWatcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bacalhau_spot.cli.runtime.context import CommandContext
    from bacalhau_spot.cli.runtime.runner import Runner
    from bacalhau_spot.engine.aws_calls.clock import Clock
    from bacalhau_spot.ui.progress.status_watch import StatusWatcher

_COMMANDS = {Key.CONSOLE: "console", Key.SSH: "ssh", Key.REPLACE: "replace"}
_STEPS = {Key.UP: -1, Key.DOWN: 1}


class WatchKeys:
    """Waits for keys between two checks."""

    def __init__(
        self,
        keyboard: Keyboard,
        watcher: LiveWatcher,
        *,
        flags: Sequence[str],
        say: Callable[[str], None],
        run: Callable[[Sequence[str]], int],
    ) -> None:
        """`flags`: the options of this run for other commands. `say`: prints a line. `run`: a command line, in front."""
        self._keyboard = keyboard
        self._watcher = watcher
        self._flags = flags
        self._say = say
        self._run = run
        watcher.show_keys()

    def wait(self, runner: Runner, clock: Clock, interval_s: float) -> bool:
        """Until the next check is due; whether the user quits. Raises KeyboardInterrupt on Ctrl-C."""
        until = clock.now() + timedelta(seconds=interval_s)
        while (left_s := (until - clock.now()).total_seconds()) > 0:
            keys = runner.run_readonly(self._next(clock, left_s))
            for key in keys:
                if key is Key.QUIT:
                    return True
                if self._handle(key):
                    return False  # the cluster may have changed: check now
        return False

    async def _next(self, clock: Clock, left_s: float) -> tuple[Key, ...]:
        """The keys that are pressed, as soon as there are any; none when the time is over."""
        pause = asyncio.ensure_future(clock.sleep(left_s))
        if self._keyboard.closed:
            await pause
            return ()
        self._keyboard.take()
        loop = asyncio.get_running_loop()
        pressed = asyncio.Event()
        loop.add_reader(self._keyboard.fd, pressed.set)
        waiting = asyncio.ensure_future(pressed.wait())
        try:
            await asyncio.wait({pause, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(self._keyboard.fd)
            for task in (pause, waiting):
                task.cancel()
        return self._keyboard.read() if pressed.is_set() else ()

    def _handle(self, key: Key) -> bool:
        """Whether another command has run."""
        if key in _STEPS:
            self._watcher.move_selection(_STEPS[key])
        elif key is Key.HELP:
            self._watcher.toggle_help()
        elif self._watcher.selected is None:
            self._watcher.ask_for_selection()
        else:
            self._in_front(_COMMANDS[key], self._watcher.selected)
            return True
        return False

    def _in_front(self, command: str, node: str) -> None:
        """Give the terminal to the command until it ends, and wait until its output has been read."""
        self._watcher.pause()
        self._keyboard.restore()
        line = (command, *self._flags, node)
        try:
            self._say(f"bacalhau-spot {shlex.join(line)}")
            code = self._run(line)
            self._keyboard.restore()  # as it was, whatever the command has left, and without its unread input
            self._keyboard.take()
            # Only now: what is typed after the request counts.
            self._say(f"ended with exit code {code}; any key returns to the status")
            self._keyboard.read()
        finally:
            self._watcher.resume()


@contextlib.contextmanager
def watch_keys(context: CommandContext, watcher: StatusWatcher) -> Iterator[WatchKeys | None]:
    """None without a live frame, or without a keyboard. Gives the terminal back at the end."""
    keyboard = keyboard_of(context.runtime.stdin) if isinstance(watcher, LiveWatcher) else None
    if keyboard is None or not isinstance(watcher, LiveWatcher):
        yield None
        return
    flags = [word for flag in context.runtime.invocation.context_flags for word in shlex.split(flag)]

    def say(text: str) -> None:
        context.err.print(text, soft_wrap=True)

    try:
        yield WatchKeys(keyboard, watcher, flags=flags, say=say, run=run_in_front)
    finally:
        keyboard.restore()


def run_in_front(words: Sequence[str]) -> int:
    """Run a command of this program on this process's streams. It alone reacts to Ctrl-C; SIGTERM is passed on to it."""
    command = (sys.executable, "-m", "bacalhau_spot", *words)
    with subprocess.Popen(command) as running, contextlib.ExitStack() as stack:  # noqa: S603 - this program

        def pass_on(number: int, _: object) -> None:
            if number != signal.SIGINT:
                running.send_signal(number)

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.signal(number, pass_on))
        return running.wait()
