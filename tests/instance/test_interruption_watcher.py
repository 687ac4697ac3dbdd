"""On the interruption notice: no new work at once, time for what ends soon, and gone before the machine is."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.instance.scripts import interruption_watcher
from bacalhau_spot.instance.scripts.bacalhau_cli import BacalhauCli
from bacalhau_spot.instance.scripts.metadata import Metadata
from support.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.node_fakes import MetadataServer, RecordedMessages

T0 = 1_800_000_000.0


class FakeWatchClock(FakeClock, interruption_watcher.WatchClock):
    """Begins at T0."""

    def __init__(self) -> None:
        super().__init__(T0)


@dataclass
class FakeNode(BacalhauCli):
    """A node with work, whose doings are noted with their time."""

    clock: FakeWatchClock
    work: int | None = 0
    problem: str = ""
    steps: list[tuple[str, float]] = field(default_factory=list)

    def _note(self, what: str) -> None:
        self.steps.append((what, self.clock.now() - T0))

    def cordon(self) -> None:
        self._note("cordon")

    def running(self) -> int | None:
        return self.work

    def stop_bacalhau(self) -> str:
        self._note("stop bacalhau")
        return self.problem

    def stop_containers(self) -> str:
        self._note("stop containers")
        return ""


@dataclass
class Scene:
    server: MetadataServer
    messages: RecordedMessages
    clock: FakeWatchClock = field(default_factory=FakeWatchClock)

    def __post_init__(self) -> None:
        self.node = FakeNode(self.clock)
        self.watcher = interruption_watcher.InterruptionWatcher(
            Metadata(self.server.url), self.node, self.clock, self.messages.say
        )

    def announce(self, *, at: float, seconds: float = 120, action: str = "terminate") -> None:
        """EC2's notice shows up at a time."""
        ends = dt.datetime.fromtimestamp(T0 + at + seconds, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = json.dumps({"action": action, "time": ends})
        self.at(at, lambda: self.server.values.update({"spot/instance-action": text}))

    def at(self, moment: float, happens: Callable[[], None]) -> None:
        self.clock.at(T0 + moment, happens)


@pytest.fixture
def scene(metadata_server: MetadataServer, messages: RecordedMessages) -> Scene:
    return Scene(metadata_server, messages)


def test_an_idle_node_leaves_at_once(scene: Scene) -> None:
    scene.announce(at=12)
    scene.watcher.run()
    assert scene.node.steps == [("cordon", 15), ("stop bacalhau", 15), ("stop containers", 15)]
    assert scene.messages.lines == [
        ("interrupted", "terminate in 117 s; no new work is accepted"),
        ("stopping", "unfinished executions: 0"),
        ("stopped", "117 s before the instance ends"),
    ]


def test_short_work_may_end(scene: Scene) -> None:
    scene.node.work = 2
    scene.announce(at=5)
    scene.at(30, lambda: setattr(scene.node, "work", 0))
    scene.watcher.run()
    assert dict(scene.node.steps)["cordon"] == 5
    assert 30 <= dict(scene.node.steps)["stop bacalhau"] <= 30 + interruption_watcher.CHECK_INTERVAL_S


@pytest.mark.parametrize("work", [3, None])
def test_long_work_and_silence_are_left_in_time(scene: Scene, work: int | None) -> None:
    scene.node.work = work
    scene.announce(at=5)
    scene.watcher.run()
    stopped = dict(scene.node.steps)["stop bacalhau"]
    assert 5 + interruption_watcher.GRACE_S <= stopped <= 5 + 120 - interruption_watcher.MARGIN_S
    assert scene.messages.lines[-2] == (
        "stopping",
        f"unfinished executions: {'unknown' if work is None else 3}",
    )


def test_a_late_notice_leaves_less_time(scene: Scene) -> None:
    scene.node.work = 1
    scene.announce(at=5, seconds=45)
    scene.watcher.run()
    assert (
        dict(scene.node.steps)["stop bacalhau"]
        <= 5 + 45 - interruption_watcher.MARGIN_S + interruption_watcher.CHECK_INTERVAL_S
    )


@pytest.mark.parametrize("text", ["", "soon", "[]", '{"action": "stop"}', '{"action": "stop", "time": 3}'])
def test_a_notice_that_cannot_be_read_is_a_notice(scene: Scene, text: str) -> None:
    scene.server.values["spot/instance-action"] = text
    scene.watcher.run()
    assert scene.messages.phases == ["interrupted", "stopping", "stopped"]


def test_a_recommendation_is_told_once_and_changes_nothing(scene: Scene) -> None:
    scene.server.values["events/recommendations/rebalance"] = '{"noticeTime": "2027-01-15T08:00:00Z"}'
    scene.announce(at=60)
    scene.watcher.run()
    assert scene.messages.phases == ["rebalance", "interrupted", "stopping", "stopped"]
    assert scene.node.steps[0] == ("cordon", 60)


def test_a_token_that_is_over_is_renewed(scene: Scene) -> None:
    scene.at(20, scene.server.forget_tokens)
    scene.announce(at=40)
    scene.watcher.run()
    assert scene.server.tokens == 2
    assert scene.messages.phases[-1] == "stopped"


def test_a_silent_metadata_service_is_asked_again(
    scene: Scene, metadata_server: MetadataServer, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata = Metadata("http://127.0.0.1:9", timeout_s=0.2)

    class Moody(Metadata):
        def get(self, path: str) -> str | None:
            return (metadata if scene.clock.now() < T0 + 20 else scene.watcher.metadata).get(path)

    scene.announce(at=25)
    watcher = interruption_watcher.InterruptionWatcher(
        Moody(metadata_server.url), scene.node, scene.clock, scene.messages.say
    )
    watcher.run()
    assert "the metadata service does not answer" in capsys.readouterr().out
    assert scene.messages.phases[-1] == "stopped"


def test_what_could_not_be_stopped_is_told(scene: Scene) -> None:
    scene.node.problem = "Unit bacalhau.service not loaded."
    scene.announce(at=1)
    scene.watcher.run()
    assert ("warning", "Unit bacalhau.service not loaded.") in scene.messages.lines


def test_the_cordon_is_the_file_that_the_admission_probe_looks_at(tmp_path: Path) -> None:
    node = BacalhauCli(draining=str(tmp_path / "run" / "draining"))
    assert not node.cordoned()
    node.cordon()
    assert node.cordoned()


def test_running_work_is_what_bacalhau_says(serve: Callable[..., str]) -> None:
    busy = serve(
        (
            200,
            b'{"ComputeNodeInfo":{"ExecutionEngines":["wasm","docker"],"RunningExecutions":2,"EnqueuedExecutions":1}}',
        )
    )
    assert BacalhauCli(agent=busy).running() == 3
    assert BacalhauCli(agent=busy).engines() == ["docker", "wasm"]
    assert BacalhauCli(agent=serve((200, b'{"ComputeNodeInfo":{}}'))).running() == 0
    assert BacalhauCli(agent=serve((500, b"no"))).running() is None
    assert BacalhauCli(agent="http://127.0.0.1:9").engines() == []
