"""On the interruption notice: no new work at once, time for what ends soon, and gone before the machine is."""

from __future__ import annotations

import datetime as dt
import json
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.core.model import InterruptionSpec
from bacalhau_spot.core.tags import DRAIN_KEY, TIME_FORMAT
from bacalhau_spot.instance.scripts import expiry, interruption_watcher, notice_file
from bacalhau_spot.instance.scripts.bacalhau_cli import BacalhauCli
from bacalhau_spot.instance.scripts.metadata import Metadata
from support.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.node_fakes import MetadataServer, RecordedMessages

T0 = 1_800_000_000.0
GRACE_S = float(InterruptionSpec().grace_s)


class FakeWatchClock(FakeClock, interruption_watcher.WatchClock):
    """Begins at T0."""

    def __init__(self) -> None:
        super().__init__(T0)


@dataclass
class FakeNode(BacalhauCli):
    """A node with work, whose doings are noted with their time. `work`: the running executions; None: no answer."""

    clock: FakeWatchClock
    work: frozenset[str] | None = frozenset()
    queued: int = 0
    problem: str = ""
    steps: list[tuple[str, float]] = field(default_factory=list)

    def _note(self, what: str) -> None:
        self.steps.append((what, self.clock.now() - T0))

    def cordon(self) -> None:
        self._note("cordon")

    def running(self) -> frozenset[str] | None:
        return self.work

    def unfinished(self) -> int | None:
        return None if self.work is None else len(self.work) + self.queued

    def stop_bacalhau(self) -> str:
        self._note("stop bacalhau")
        return self.problem

    def stop_containers(self) -> str:
        self._note("stop containers")
        return ""

    def shut_down(self) -> str:
        self._note("shut down")
        return ""


@dataclass
class Scene:
    server: MetadataServer
    messages: RecordedMessages
    notice_file: Path
    clock: FakeWatchClock = field(default_factory=FakeWatchClock)

    def __post_init__(self) -> None:
        self.node = FakeNode(self.clock)
        self.watch(Metadata(self.server.url))

    def watch(self, metadata: Metadata, *, grace_s: float = GRACE_S) -> None:
        self.watcher = interruption_watcher.InterruptionWatcher(
            metadata, self.node, self.clock, self.messages.say, grace_s, str(self.notice_file)
        )

    def announce(self, *, at: float, seconds: float = 120, action: str = "terminate") -> None:
        """EC2's notice shows up at a time."""
        ends = dt.datetime.fromtimestamp(T0 + at + seconds, tz=dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = json.dumps({"action": action, "time": ends})
        self.at(at, lambda: self.server.values.update({"spot/instance-action": text}))

    def at(self, moment: float, happens: Callable[[], None]) -> None:
        self.clock.at(T0 + moment, happens)


@pytest.fixture
def scene(metadata_server: MetadataServer, messages: RecordedMessages, tmp_path: Path) -> Scene:
    return Scene(metadata_server, messages, tmp_path / "bacalhau_data" / "interruption.json")


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
    scene.node.work = frozenset({"e-1", "e-2"})
    scene.announce(at=5)
    scene.at(30, lambda: setattr(scene.node, "work", frozenset()))
    scene.watcher.run()
    assert dict(scene.node.steps)["cordon"] == 5
    assert 30 <= dict(scene.node.steps)["stop bacalhau"] <= 30 + interruption_watcher.CHECK_INTERVAL_S


@pytest.mark.parametrize("grace_s", [0, 20, 75, 100])
def test_long_work_is_left_after_the_configured_time(scene: Scene, grace_s: int) -> None:
    scene.watch(Metadata(scene.server.url), grace_s=grace_s)
    scene.node.work = frozenset({"e-1"})
    scene.announce(at=5)
    scene.watcher.run()
    waited = dict(scene.node.steps)["stop bacalhau"] - 5
    assert grace_s <= waited <= grace_s + interruption_watcher.CHECK_INTERVAL_S


def test_queued_work_moves_at_once(scene: Scene) -> None:
    scene.node.queued = 2
    scene.announce(at=5)
    scene.watcher.run()
    assert dict(scene.node.steps)["stop bacalhau"] == 5
    assert ("stopping", "unfinished executions: 2") in scene.messages.lines


def test_work_that_starts_from_the_queue_is_not_waited_for(scene: Scene) -> None:
    scene.node.work, scene.node.queued = frozenset({"e-1"}), 1

    def one_ends_and_the_next_starts() -> None:
        scene.node.work, scene.node.queued = frozenset({"e-2"}), 0

    scene.announce(at=5)
    scene.at(30, one_ends_and_the_next_starts)
    scene.watcher.run()
    assert 30 <= dict(scene.node.steps)["stop bacalhau"] <= 30 + interruption_watcher.CHECK_INTERVAL_S
    assert ("stopping", "unfinished executions: 1") in scene.messages.lines


def test_a_node_that_answers_late_is_waited_for(scene: Scene) -> None:
    scene.node.work = None
    scene.announce(at=5)
    scene.at(20, lambda: setattr(scene.node, "work", frozenset({"e-1"})))
    scene.at(40, lambda: setattr(scene.node, "work", frozenset()))
    scene.watcher.run()
    assert 40 <= dict(scene.node.steps)["stop bacalhau"] <= 40 + interruption_watcher.CHECK_INTERVAL_S


def test_jobs_read_the_notice_while_they_may_still_run(scene: Scene) -> None:
    seen = []
    scene.node.work = frozenset({"e-1"})
    scene.announce(at=5)
    scene.at(40, lambda: seen.append(json.loads(scene.notice_file.read_text())))
    scene.watcher.run()
    at = dt.datetime.fromtimestamp(T0, tz=dt.UTC)
    assert seen == [
        {
            "action": "terminate",
            "time": f"{at + dt.timedelta(seconds=125):%Y-%m-%dT%H:%M:%SZ}",
            "noticed_at": f"{at + dt.timedelta(seconds=5):%Y-%m-%dT%H:%M:%SZ}",
            "seconds_left": 120,
            "stops_at": f"{at + dt.timedelta(seconds=80):%Y-%m-%dT%H:%M:%SZ}",
        }
    ]
    assert stat.S_IMODE(scene.notice_file.stat().st_mode) == 0o644
    assert [file.name for file in scene.notice_file.parent.iterdir()] == ["interruption.json"]


def test_a_link_that_a_job_left_is_replaced_not_followed(scene: Scene, tmp_path: Path) -> None:
    scene.notice_file.parent.mkdir()
    (tmp_path / "shadow").write_text("root")
    scene.notice_file.symlink_to(tmp_path / "shadow")
    scene.announce(at=5)
    scene.watcher.run()
    assert (tmp_path / "shadow").read_text() == "root"
    assert not scene.notice_file.is_symlink()


def test_a_notice_that_cannot_be_written_delays_nothing(scene: Scene) -> None:
    scene.notice_file.mkdir(parents=True)
    scene.announce(at=5)
    scene.watcher.run()
    assert scene.messages.phases == ["interrupted", "warning", "stopping", "stopped"]
    assert "jobs cannot read the notice: " in dict(scene.messages.lines)["warning"]
    assert dict(scene.node.steps)["stop bacalhau"] == 5


@pytest.mark.parametrize("cordoned", [False, True])
def test_the_notice_of_an_earlier_boot_goes_and_this_ones_stays(
    cordoned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, draining, notice = (tmp_path / name for name in ("node.json", "draining", "interruption.json"))
    facts.write_text('{"grace_s": 20}')
    notice.write_text("{}")
    if cordoned:
        draining.touch()
    ran: list[float] = []
    node = BacalhauCli(draining=str(draining))
    monkeypatch.setattr(interruption_watcher, "FACTS", str(facts))
    monkeypatch.setattr(interruption_watcher, "BacalhauCli", lambda: node)
    monkeypatch.setattr(notice_file.remove_notice, "__defaults__", (str(notice),))
    monkeypatch.setattr(
        interruption_watcher.InterruptionWatcher, "run", lambda watcher: ran.append(watcher.grace_s)
    )
    interruption_watcher.main()
    assert notice.exists() is cordoned
    assert ran == [20]


@pytest.mark.parametrize("work", [frozenset({"e-1", "e-2", "e-3"}), None])
def test_long_work_and_silence_are_left_in_time(scene: Scene, work: frozenset[str] | None) -> None:
    scene.node.work = work
    scene.announce(at=5)
    scene.watcher.run()
    stopped = dict(scene.node.steps)["stop bacalhau"]
    assert 5 + GRACE_S <= stopped <= 5 + 120 - interruption_watcher.MARGIN_S
    assert scene.messages.lines[-2] == (
        "stopping",
        f"unfinished executions: {'unknown' if work is None else 3}",
    )


def test_a_late_notice_leaves_less_time(scene: Scene) -> None:
    scene.node.work = frozenset({"e-1"})
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

    server = scene.watcher.metadata

    class Moody(Metadata):
        def get(self, path: str) -> str | None:
            return (metadata if scene.clock.now() < T0 + 20 else server).get(path)

    scene.announce(at=25)
    scene.watch(Moody(metadata_server.url))
    scene.watcher.run()
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
    assert BacalhauCli(agent=busy).unfinished() == 3
    active = serve((200, b'{"ActiveJobs":[{"ExecutionID":"e-1"},{"ExecutionID":"e-2"}]}'))
    assert BacalhauCli(agent=active).running() == frozenset({"e-1", "e-2"})
    assert BacalhauCli(agent=serve((200, b'{"ActiveJobs":[]}'))).running() == frozenset()
    assert BacalhauCli(agent=busy).engines() == ["docker", "wasm"]
    assert BacalhauCli(agent=serve((200, b'{"ComputeNodeInfo":{}}'))).unfinished() == 0
    assert BacalhauCli(agent=serve((500, b"no"))).running() is None
    assert BacalhauCli(agent=serve((500, b"no"))).unfinished() is None
    assert BacalhauCli(agent="http://127.0.0.1:9").engines() == []


def drain(scene: Scene, *, at: float, until: float) -> None:
    """bacalhau-spot tags the instance at a time; both are seconds after the begin."""
    text = dt.datetime.fromtimestamp(T0 + until, tz=dt.UTC).strftime(TIME_FORMAT)
    scene.at(at, lambda: scene.server.values.update({interruption_watcher.DRAIN: text}))


def test_the_watcher_reads_the_tag_that_the_program_writes() -> None:
    assert f"tags/instance/{DRAIN_KEY}" == interruption_watcher.DRAIN


def test_a_drained_node_waits_for_its_work_and_shuts_its_machine_down(scene: Scene) -> None:
    scene.node.work = frozenset({"e-1"})
    drain(scene, at=5, until=905)
    scene.at(400, lambda: setattr(scene.node, "work", frozenset()))
    scene.watcher.run()
    steps = dict(scene.node.steps)
    assert list(steps) == ["cordon", "stop bacalhau", "stop containers", "shut down"]
    assert steps["cordon"] == 5
    assert 400 <= steps["shut down"] <= 400 + interruption_watcher.CHECK_INTERVAL_S
    assert scene.messages.lines == [
        ("draining", "terminate in 900 s; no new work is accepted"),
        ("stopping", "unfinished executions: 0"),
        ("stopped", "the machine shuts down"),
    ]
    assert json.loads(scene.notice_file.read_text())["seconds_left"] == 900


def test_a_drain_ends_at_its_time(scene: Scene) -> None:
    scene.node.work = frozenset({"e-1"})
    drain(scene, at=5, until=95)
    scene.watcher.run()
    assert 95 <= dict(scene.node.steps)["stop bacalhau"] <= 95 + interruption_watcher.CHECK_INTERVAL_S


def test_a_drain_can_be_shortened_but_not_extended(scene: Scene) -> None:
    scene.node.work = frozenset({"e-1"})
    drain(scene, at=5, until=905)
    drain(scene, at=100, until=2000)
    drain(scene, at=200, until=200)
    scene.watcher.run()
    assert 200 <= dict(scene.node.steps)["stop bacalhau"] <= 200 + interruption_watcher.CHECK_INTERVAL_S
    assert json.loads(scene.notice_file.read_text())["seconds_left"] == 0


def test_ec2s_notice_during_a_drain_shortens_it(scene: Scene) -> None:
    """The jobs are told the new time."""
    scene.node.work = frozenset({"e-1"})
    drain(scene, at=5, until=3605)
    scene.announce(at=101)
    scene.watcher.run()
    stopped = dict(scene.node.steps)["stop bacalhau"]
    assert GRACE_S + 101 <= stopped <= GRACE_S + 101 + 2 * interruption_watcher.CHECK_INTERVAL_S
    assert json.loads(scene.notice_file.read_text())["seconds_left"] == pytest.approx(120, abs=2)


@pytest.mark.parametrize("text", ["", "soon", "2027-13-01T00:00:00Z"])
def test_a_tag_without_a_readable_time_drains_nothing(scene: Scene, text: str) -> None:
    scene.server.values[interruption_watcher.DRAIN] = text
    scene.announce(at=50)
    scene.watcher.run()
    assert dict(scene.node.steps)["cordon"] == 50


def test_a_drain_whose_time_is_over_stops_at_once(scene: Scene) -> None:
    scene.node.work = frozenset({"e-1"})
    drain(scene, at=5, until=-100)
    scene.watcher.run()
    assert dict(scene.node.steps)["stop bacalhau"] == 5
    assert scene.messages.lines[0] == ("draining", "terminate in 0 s; no new work is accepted")


def test_the_end_of_the_lifetime_is_a_drain_with_the_usual_grace(scene: Scene) -> None:
    scene.server.values[expiry.TAG] = "2020-01-01T00:00:00Z"
    scene.node.work = frozenset({"e-1"})
    scene.watcher.run()
    steps = dict(scene.node.steps)
    assert steps["cordon"] == expiry.INTERVAL_S * (expiry.ANSWERS - 1)
    assert (
        GRACE_S <= steps["stop bacalhau"] - steps["cordon"] <= GRACE_S + interruption_watcher.CHECK_INTERVAL_S
    )
    assert [step for step, _ in scene.node.steps] == [
        "cordon",
        "stop bacalhau",
        "stop containers",
        "shut down",
    ]
    assert scene.messages.lines[0] == ("draining", f"terminate in {GRACE_S:.0f} s; no new work is accepted")
