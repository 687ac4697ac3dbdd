"""A machine ends after the cluster's lifetime, by AWS's clock, and never because of a wrong answer."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.core.lifecycle import expiry as cluster
from bacalhau_spot.core.tags import EXPIRES_KEY
from bacalhau_spot.instance.scripts import expiry, orchestrator_expiry
from bacalhau_spot.instance.scripts.metadata import Metadata
from bacalhau_spot.instance.scripts.orchestrator_credentials import CONFIG
from support import orchestrator
from support.certificates import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.node_fakes import MetadataServer, RecordedMessages

END = dt.datetime(2026, 11, 28, 20, 0, tzinfo=dt.UTC)


@dataclass
class Machine:
    """A machine whose metadata service is asked; `clock` is AWS's."""

    server: MetadataServer
    messages: RecordedMessages
    asked: expiry.Expiry = field(init=False)

    def __post_init__(self) -> None:
        self.asked = expiry.Expiry(Metadata(self.server.url), self.messages.say)
        self.tag(cluster.expiry_value(END))

    def tag(self, value: str) -> None:
        self.server.values[expiry.TAG] = value

    def at(self, minutes: float) -> None:
        """AWS's time, from the end on."""
        self.server.date = f"{END + dt.timedelta(minutes=minutes):%a, %d %b %Y %H:%M:%S} GMT"

    def over_at(self, minutes: float) -> bool:
        self.at(minutes)
        return self.asked.is_over()


@pytest.fixture
def machine(metadata_server: MetadataServer, messages: RecordedMessages) -> Machine:
    return Machine(metadata_server, messages)


def test_the_tag_and_the_time_of_the_warning_are_those_of_the_program() -> None:
    assert f"tags/instance/{EXPIRES_KEY}" == expiry.TAG
    assert dt.timedelta(seconds=expiry.WARNING_S) == cluster.WARNING_TIME


def test_it_ends_at_the_third_answer_after_the_end(machine: Machine) -> None:
    """Two minutes later: AWS may run the scheduled action of a group as late as that."""
    assert [machine.over_at(minutes) for minutes in (-1, 0, 1, 2)] == [False, False, False, True]


def test_the_end_is_announced_once_ten_minutes_before(machine: Machine) -> None:
    for minutes in (-11, -10, -9, -1):
        machine.over_at(minutes)
    assert machine.messages.lines == [
        ("expiring", "the lifetime of the cluster ends at 2026-11-28T20:00:00Z")
    ]


@pytest.mark.parametrize("value", ["", "never", "soon", "2026-11-28", "2026-11-28T20:00:00+01:00", "0"])
def test_a_tag_without_a_time_ends_nothing(machine: Machine, value: str) -> None:
    machine.tag(value)
    assert not any(machine.over_at(minutes) for minutes in (5, 6, 7))


def test_a_missing_tag_ends_nothing(machine: Machine) -> None:
    machine.server.values.clear()
    assert not any(machine.over_at(minutes) for minutes in (5, 6, 7))


def test_an_extension_between_answers_counts(machine: Machine) -> None:
    assert not machine.over_at(0)
    machine.tag(cluster.expiry_value(END + dt.timedelta(hours=4)))
    assert not machine.over_at(1)
    assert [machine.over_at(minutes) for minutes in (240, 241, 242)] == [False, False, True]


@pytest.mark.parametrize("between", ["never", "silence", "no date"])
def test_three_answers_in_a_row_must_agree(machine: Machine, between: str) -> None:
    assert not machine.over_at(-1)
    assert not machine.over_at(0)
    if between == "never":
        machine.tag("never")
        machine.over_at(1)
    elif between == "no date":
        machine.server.date = "yesterday"
        machine.asked.is_over()
    else:
        url, machine.asked.metadata = machine.asked.metadata, Metadata("http://127.0.0.1:9")
        with pytest.raises(OSError, match="refused"):
            machine.asked.is_over()
        machine.asked.metadata = url
    machine.tag(cluster.expiry_value(END))
    assert [machine.over_at(minutes) for minutes in (2, 3, 4)] == [False, False, True]


def test_this_machines_own_clock_does_not_matter(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: END.timestamp() + 1e9)
    assert not machine.over_at(-60)
    assert not machine.over_at(-59)


def _watch(machine: Machine, connected: Callable[[], int], *, minutes: int) -> tuple[int, list[str]]:
    """The minutes until the orchestrator's machine stops, of at most so many after the end."""
    passed, stopped = 0, []

    def sleep(seconds: float) -> None:
        nonlocal passed
        passed += round(seconds / 60)
        if passed > minutes:
            raise TimeoutError
        machine.at(passed)

    machine.at(0)
    with contextlib.suppress(TimeoutError):
        orchestrator_expiry.watch(
            machine.asked,
            connected,
            stop=lambda: stopped.append("stopped"),
            say=machine.messages.say,
            sleep=sleep,
        )
    return passed, stopped


def test_an_orchestrator_without_nodes_stops_after_the_end(machine: Machine) -> None:
    passed, stopped = _watch(machine, lambda: 0, minutes=30)
    assert (passed, stopped) == (orchestrator_expiry.ALONE + expiry.ANSWERS - 2, ["stopped"])
    assert machine.messages.phases == ["stopped"]


def test_an_orchestrator_with_another_clusters_nodes_never_stops(machine: Machine) -> None:
    assert _watch(machine, lambda: 1, minutes=600)[1] == []


def test_an_orchestrator_before_its_end_is_not_asked(machine: Machine) -> None:
    machine.tag(cluster.expiry_value(END + dt.timedelta(days=9)))

    def asked() -> int:
        raise AssertionError

    assert _watch(machine, asked, minutes=30)[1] == []


def test_an_orchestrator_that_does_not_answer_stops_after_an_hour(machine: Machine) -> None:
    def silent() -> int:
        raise json.JSONDecodeError("no answer", "", 0)

    passed, stopped = _watch(machine, silent, minutes=200)
    assert stopped == ["stopped"]
    assert passed >= orchestrator_expiry.SILENT


def test_the_connected_compute_nodes_are_counted_as_bacalhau_lists_them(tmp_path: Path) -> None:
    """Of all clusters. The former field `Connection` is a text, and deprecated (models.NodeState of Bacalhau 1.9)."""
    nodes = [
        orchestrator.requester(),
        orchestrator.cluster_node("i-1", cluster="one", connected=True),
        orchestrator.cluster_node("i-2", cluster="two", connected=True),
        orchestrator.cluster_node("i-3", cluster="two"),
    ]
    keys: list[str] = []

    class Api(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            keys.append(self.headers["Authorization"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"Nodes": nodes}).encode())

        def log_message(self, *_: object) -> None: ...

    (tmp_path / "ca.pem").write_text(self_signed(tmp_path))
    users = [{"APIKey": "operator"}, {"APIKey": "tool"}]
    (tmp_path / CONFIG).write_text(json.dumps({"API": {"Auth": {"Users": users}}}))
    with http.server.HTTPServer(("127.0.0.1", 0), Api) as server:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.handle_request, daemon=True).start()
        port = server.server_address[1]
        assert orchestrator_expiry.connected_nodes(folder=str(tmp_path), port=port) == 2
    assert keys == ["Bearer tool"]
