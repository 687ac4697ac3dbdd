"""On EC2's interruption notice or a drain: accepts no new work, lets work finish, and moves the rest to other nodes.

The notice is two minutes. Bacalhau 1.9 cannot drain a node: a file that its admission probe tests rejects new work, and
its shutdown notifies the orchestrator, which then restarts the work elsewhere at once instead of a minute later.

A drain is a tag of the instance with the time at which the node stops. Afterwards the node shuts its machine down.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import notice_file
from .bacalhau_cli import BacalhauCli
from .console import Console
from .expiry import INTERVAL_S, Expiry
from .metadata import Metadata

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 5.0  # AWS's recommended interval
CHECK_INTERVAL_S = 2.0
FACTS = "/etc/bacalhau-spot/node.json"
# The time to stop Bacalhau (0.1 s, at most 10 s) and the containers (5 s).
MARGIN_S = 20.0
# The minimum time of EC2's notice, for one without a readable time.
NOTICE_S = 120.0
_POLLS = int(INTERVAL_S / POLL_S)
DRAIN = "tags/instance/BacalhauDrainUntil"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class WatchClock:
    """The time; replaced in tests."""

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True)
class Notice:
    """EC2 interrupts the instance at `at` (seconds since the epoch). In a drain the node stops then, at the latest."""

    action: str
    at: float
    drain: bool = False


@dataclass(frozen=True)
class InterruptionWatcher:
    metadata: Metadata
    node: BacalhauCli
    clock: WatchClock
    say: Callable[[str, str], None]
    # For running work to finish: each second delays the restart of the rest elsewhere.
    grace_s: float
    notice_file: str = notice_file.NOTICE_FILE

    def run(self) -> None:
        """Poll until a notice, a drain or the end of the lifetime, then drain and stop the node."""
        advised, polls, expiry = False, 0, Expiry(self.metadata, self.say)
        while True:
            try:
                notice = self.notice()
                if not notice and polls % _POLLS == 0 and expiry.is_over():
                    notice = Notice("terminate", self.clock.now() + self.grace_s, drain=True)
                if notice:
                    self.leave(notice)
                    return
                if not advised and self.metadata.get("events/recommendations/rebalance") is not None:
                    # Often without consequence, and the node has no replacement: it continues to work.
                    self.say("rebalance", "EC2 expects to interrupt this instance; it works on")
                    advised = True
            except OSError as error:
                print(f"the metadata service does not answer: {error}", flush=True)
            polls += 1
            self.clock.sleep(POLL_S)

    def notice(self) -> Notice | None:
        """EC2's notice, which cannot be postponed, or a drain."""
        text = self.metadata.get("spot/instance-action")
        if text is None:
            return self._drain()
        try:
            notice = json.loads(text)
            return Notice(str(notice["action"]), _seconds(notice["time"]))
        except (ValueError, KeyError, TypeError):
            return Notice("terminate", self.clock.now() + NOTICE_S)

    def _drain(self) -> Notice | None:
        text = self.metadata.get(DRAIN)
        with contextlib.suppress(ValueError):
            return Notice("terminate", _seconds(text), drain=True) if text else None
        return None

    def leave(self, notice: Notice) -> None:
        self.node.cordon()
        phase = "draining" if notice.drain else "interrupted"
        self.say(phase, f"{notice.action} in {self._left(notice)} s; no new work is accepted")
        until = self._stops_at(notice)
        self._tell_jobs(notice, stops_at=until)
        self._wait_for_running(until)
        unfinished = self.node.unfinished()
        self.say("stopping", f"unfinished executions: {'unknown' if unfinished is None else unfinished}")
        problems = (self.node.stop_bacalhau(), self.node.stop_containers())
        for problem in filter(None, problems):
            self.say("warning", problem)
        if not notice.drain:
            self.say("stopped", f"{self._left(notice)} s before the instance ends")
            return
        self.say("stopped", "the machine shuts down")
        problem = self.node.shut_down()
        if problem:
            self.say("warning", problem)

    def _stops_at(self, notice: Notice) -> float:
        now = self.clock.now()
        return max(now, notice.at if notice.drain else min(now + self.grace_s, notice.at - MARGIN_S))

    def _tell_jobs(self, notice: Notice, *, stops_at: float) -> None:
        try:
            notice_file.write_notice(
                action=notice.action,
                at=notice.at,
                noticed_at=self.clock.now(),
                stops_at=stops_at,
                path=self.notice_file,
            )
        except OSError as error:  # a full disk, or a folder of a job's with this name
            self.say("warning", f"jobs cannot read the notice: {error}")

    def _wait_for_running(self, until: float) -> None:
        """Wait for the work that runs now. Work from the node's queue starts late; it moves with the rest."""
        awaited = running = self.node.running()
        while running != frozenset() and self.clock.now() < until:
            self.clock.sleep(CHECK_INTERVAL_S)
            until = self._earlier(until)
            running = self.node.running()
            if awaited is None:
                awaited = running
            elif running is not None:
                running &= awaited

    def _earlier(self, until: float) -> float:
        """A drain may be shortened, and EC2's notice may arrive during it."""
        with contextlib.suppress(OSError):
            notice = self.notice()
            sooner = self._stops_at(notice) if notice else until
            if notice and sooner < until:
                self._tell_jobs(notice, stops_at=sooner)
                return sooner
        return until

    def _left(self, notice: Notice) -> int:
        return max(0, round(notice.at - self.clock.now()))


def _seconds(text: str) -> float:
    return dt.datetime.strptime(text, _TIME).replace(tzinfo=dt.timezone.utc).timestamp()


def main() -> None:
    facts = json.loads(Path(FACTS).read_text("utf-8"))
    node = BacalhauCli()
    if not node.cordoned():  # this is a new boot, and the file is the last one's
        with contextlib.suppress(OSError):
            notice_file.remove_notice()
    InterruptionWatcher(Metadata(), node, WatchClock(), Console().say, facts["grace_s"]).run()


if __name__ == "__main__":
    main()
