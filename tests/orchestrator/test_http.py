"""The client of the orchestrator's API against a server on loopback: what it reads, what it sends, how each failure is told."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bacalhau_spot.core.error_catalog.classifier import CATALOG, classify
from bacalhau_spot.core.model import Secret
from bacalhau_spot.core.orchestrator.orchestrator_nodes import (
    Capacity,
    Membership,
    NodeListing,
    OrchestratorNode,
)
from bacalhau_spot.errors import ExitCode
from bacalhau_spot.orchestrator import parsing
from bacalhau_spot.orchestrator.http import HttpOrchestrator, Login, base_url, is_loopback
from bacalhau_spot.orchestrator.port import OrchestratorError
from support.certificates import self_signed
from support.long_tests import examples
from support.orchestrator import NODES, StandIn, node, requester, stand_in

KEY = "key-0123456789-secret"


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with stand_in() as here:
        yield here


@pytest.fixture
def orchestrator_server(server: StandIn) -> StandIn:
    """The server as it is in the beginning."""
    url = server.url
    server.__init__()  # type: ignore[misc]  # anew, under the same address
    server.url = url
    return server


def members(orchestrator: HttpOrchestrator) -> tuple[OrchestratorNode, ...]:
    return asyncio.run(orchestrator.nodes())


def refused(orchestrator: HttpOrchestrator) -> OrchestratorError:
    with pytest.raises(OrchestratorError) as caught:
        members(orchestrator)
    error = caught.value
    assert error.code in CATALOG
    assert error.address == orchestrator.address
    return error


# What is read


def test_a_connected_node_is_read_whole(orchestrator_server: StandIn) -> None:
    """Labels lower-cased, capacities in bytes and cores, the orchestrator itself left out, unknown fields ignored."""
    orchestrator_server.nodes = [node("n-1", labels={"Instance-ID": "i-1", "cluster": "Blue"})]
    orchestrator_server.nodes[0]["SomethingNew"] = {"a": 1}
    (member,) = members(HttpOrchestrator(orchestrator_server.url))
    assert (member.id, member.connected, member.membership, member.engines) == (
        "n-1",
        True,
        Membership.APPROVED,
        ("docker", "wasm"),
    )
    assert (member.instance_id, member.labels["cluster"], member.version) == ("i-1", "Blue", "v1.9.3")
    assert member.total == Capacity(Decimal("1.6"), 3_200_000_000, 15_000_000_000)
    assert member.free.cpu == Decimal("1.1")
    assert member.last_error == ""
    assert member.last_heartbeat_at == datetime(2026, 11, 25, 9, 29, 42, 636878, tzinfo=UTC)
    assert member.since == datetime(2026, 11, 25, 9, 29, 42, 636878, tzinfo=UTC)


def test_a_disconnected_node_has_no_free_capacity_and_says_since_when_and_why(
    orchestrator_server: StandIn,
) -> None:
    orchestrator_server.nodes = [node("n-2", connected=False, engines=None), node("n-1")]
    first, second = members(HttpOrchestrator(orchestrator_server.url))
    assert [first.id, second.id] == ["n-1", "n-2"]
    assert (second.connected, second.engines, second.free) == (False, (), Capacity())
    assert second.since == datetime(2026, 11, 25, 9, 29, 50, 691047, tzinfo=UTC)
    assert second.last_error == "graceful shutdown"


def test_what_is_zero_or_absent_is_zero(orchestrator_server: StandIn) -> None:
    """The API leaves zeros out, down to a node of which nothing but the name is known."""
    orchestrator_server.nodes = [
        {"Info": {"NodeID": "n-1"}, "Membership": "UNKNOWN", "Connection": "CONNECTED"}
    ]
    (node,) = members(HttpOrchestrator(orchestrator_server.url))
    assert node == OrchestratorNode("n-1", connected=True, membership=Membership.PENDING)


def test_the_orchestrators_own_entry_has_its_version_and_start(orchestrator_server: StandIn) -> None:
    """An earlier machine's entry with the same data is older; the time of the answer is the server's."""
    orchestrator_server.date = "Wed, 25 Nov 2026 09:30:02 GMT"
    old = requester()
    old["Info"]["NodeID"], old["Info"]["BacalhauVersion"] = "before", {"GitVersion": "v1.8.0"}
    old["ConnectionState"]["LastHeartbeat"] = "2026-10-01T00:00:00Z"
    orchestrator_server.nodes = [old, node("n-1")]
    listing = asyncio.run(HttpOrchestrator(orchestrator_server.url).listing())
    assert [node.id for node in listing.nodes] == ["n-1"]
    assert (listing.version, listing.started_at) == (
        "v1.9.3",
        datetime(2026, 11, 25, 9, 29, 42, 636878, tzinfo=UTC),
    )
    assert listing.answered_at == datetime(2026, 11, 25, 9, 30, 2, tzinfo=UTC)


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 25 Nov 2026 09:30:02 -0000"])
def test_a_date_that_says_nothing_is_no_time(date: str) -> None:
    assert parsing.parse_listing({"Nodes": []}, date=date) == NodeListing()


def test_the_version_is_asked_without_the_key(orchestrator_server: StandIn) -> None:
    orchestrator = HttpOrchestrator(orchestrator_server.url, login=Login(key=Secret(KEY)))
    assert asyncio.run(orchestrator.version()) == "v1.9.3"
    assert "Authorization" not in orchestrator_server.requests[0][2]


def test_removing_asks_for_this_node_and_one_that_is_not_known_is_no_error(
    orchestrator_server: StandIn,
) -> None:
    orchestrator_server.nodes = [node("a/b c"), node("n-2")]
    orchestrator = HttpOrchestrator(orchestrator_server.url)
    asyncio.run(orchestrator.remove("a/b c"))
    asyncio.run(orchestrator.remove("a/b c"))
    assert orchestrator_server.names == ["n-2"]
    method, path, _, body = orchestrator_server.requests[0]
    assert (method, path) == ("PUT", f"{NODES}/a%2Fb%20c")
    assert json.loads(body) == {"Action": "delete", "NodeID": "a/b c"}


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        (Login(key=Secret(KEY)), f"Bearer {KEY}"),
        (
            Login(user="me", password=Secret("pass wörd")),
            f"Basic {base64.b64encode('me:pass wörd'.encode()).decode()}",
        ),
    ],
)
def test_who_we_are(orchestrator_server: StandIn, login: Login, sent: str) -> None:
    orchestrator_server.authorization = sent
    assert members(HttpOrchestrator(orchestrator_server.url, login=login)) == ()


# What is refused


def hostile(**fields: bytes) -> tuple[int, dict[str, str], bytes]:
    """A list of one node in which the fields hold raw JSON."""
    capacity = b", ".join(
        b'"%s": %s' % (key.encode(), fields[key]) for key in ("CPU", "Memory") if key in fields
    )
    labels, error = fields.get("Labels", b"{}"), fields.get("LastError", b"null")
    node = b"""{"Info": {"NodeID": "n-1", "NodeType": "Compute", "Labels": %s, "ComputeNodeInfo": {"MaxCapacity": {%s}}},
        "ConnectionState": {"Status": "CONNECTED", "LastHeartbeat": %s, "LastError": %s}, "Membership": %s}""" % (
        labels, capacity, fields.get("LastHeartbeat", b"null"), error, fields.get("Membership", b'"APPROVED"')
    )  # fmt: skip
    return 200, {}, b'{"Nodes": [%s]}' % node


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            (401, {}, b'{"Message": "Request Unauthorized"}'),
            "OrchestratorUnauthorized",
            "Request Unauthorized",
        ),
        (
            (403, {}, b'{"Message": "Request Forbidden", "Details": {"reason": "no write:node"}}'),
            "OrchestratorForbidden",
            "no write:node",
        ),
        ((503, {}, b"Server Timeout!"), "OrchestratorBusy", "HTTP 503: Server Timeout!"),
        ((429, {}, b""), "OrchestratorBusy", "HTTP 429"),
        ((502, {}, b"<html>bad gateway</html>"), "OrchestratorUnreachable", "HTTP 502"),
        ((504, {}, b""), "OrchestratorTimeout", "HTTP 504"),
        ((500, {}, b'{"Message": "the store is closed"}'), "OrchestratorFailed", "the store is closed"),
        ((404, {}, b"404 page not found\n"), "OrchestratorAnswer", "HTTP 404: 404 page not found"),
        ((204, {}, b""), "OrchestratorAnswer", "HTTP 204"),
        (
            (307, {"Location": "http://elsewhere/"}, b""),
            "OrchestratorRedirect",
            "HTTP 307: http://elsewhere/",
        ),
        (
            (400, {}, b"Client sent an HTTP request to an HTTPS server.\n"),
            "OrchestratorScheme",
            "it uses TLS, and the address begins with http",
        ),
        ((200, {}, b"<html>hello</html>"), "OrchestratorAnswer", "the answer is not an object"),
        ((200, {}, b'{"Nodes": 3}'), "OrchestratorAnswer", "Nodes is of the wrong kind"),
        ((200, {}, b'{"Nodes": [3]}'), "OrchestratorAnswer", "node 1 is not an object"),
        ((200, {}, b'{"Nodes": [{}]}'), "OrchestratorAnswer", "a node: Info is missing"),
        # T6: TypeError, InvalidOperation, OverflowError and a number of a gigabyte.
        (hostile(CPU=b"1e9999999999999999999"), "OrchestratorAnswer", "the answer is not an object"),
        (hostile(CPU=b"1e999999999"), "OrchestratorAnswer", "CPU is not a valid number"),
        (hostile(CPU=b"NaN"), "OrchestratorAnswer", "CPU is not a valid number"),
        (hostile(CPU=b"-1"), "OrchestratorAnswer", "CPU is not a valid number"),
        (hostile(CPU=b"true"), "OrchestratorAnswer", "CPU is not a valid number"),
        (hostile(Memory=b"Infinity"), "OrchestratorAnswer", "Memory is not a valid number"),
        (hostile(Memory=b"1e999999999"), "OrchestratorAnswer", "Memory is not a valid number"),
        (hostile(LastHeartbeat=b'"9999-12-31T23:59:59-23:00"'), "OrchestratorAnswer", "is not a time"),
        (hostile(LastHeartbeat=b'["x"]'), "OrchestratorAnswer", "is not a time"),
        ((200, {}, b'{"Nodes": ' + b"9" * 5000 + b"}"), "OrchestratorAnswer", "the answer is not an object"),
        ((200, {"Content-Encoding": "gzip"}, b"no gzip"), "OrchestratorAnswer", ""),
        ((500, {}, b"x" * 5000 + b"\x1b[31m"), "OrchestratorFailed", "…"),
    ],
)
def test_an_answer_that_is_no_list_is_told_by_its_code(
    orchestrator_server: StandIn, answer: tuple[int, dict[str, str], bytes], code: str, words: str
) -> None:
    """With the other side's own words, shortened, and never with the key."""
    orchestrator_server.answer = answer
    error = refused(HttpOrchestrator(orchestrator_server.url, login=Login(key=Secret(KEY))))
    assert error.code == code
    assert words in error.message
    assert len(error.message) < 300
    assert error.message.isprintable()
    assert KEY not in str(error)


@pytest.mark.parametrize("word", [b"[1]", b"{}", b"7", b'"else"', b"null"])
def test_a_membership_that_nobody_knows_gets_no_work(orchestrator_server: StandIn, word: bytes) -> None:
    """T6: `"Membership": [1]` ended in TypeError."""
    orchestrator_server.answer = hostile(
        Membership=word, Labels=b'{"A": [1], "b": "c"}', LastError=b'{"x": 1}'
    )
    (member,) = asyncio.run(HttpOrchestrator(orchestrator_server.url).nodes())
    assert member.membership == "PENDING"
    assert (dict(member.labels), member.last_error) == ({"a": "", "b": "c"}, "")


def test_a_redirect_is_not_followed(orchestrator_server: StandIn) -> None:
    """The key goes to the configured address and nowhere else."""
    with stand_in() as elsewhere:
        orchestrator_server.answer = (302, {"Location": f"{elsewhere.url}{NODES}"}, b"")
        refused(HttpOrchestrator(orchestrator_server.url, login=Login(key=Secret(KEY))))
        assert elsewhere.requests == []


def test_a_page_not_found_is_not_a_node_not_found(orchestrator_server: StandIn) -> None:
    """Another server's 404 would make us believe that the node is gone."""
    orchestrator_server.answer = (404, {}, b"404 page not found\n")
    with pytest.raises(OrchestratorError) as caught:
        asyncio.run(HttpOrchestrator(orchestrator_server.url).remove("n-1"))
    assert caught.value.code == "OrchestratorAnswer"


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert refused(HttpOrchestrator(f"http://127.0.0.1:{port}")).code == "OrchestratorUnreachable"


@pytest.fixture
def talker() -> Iterator[Any]:
    """A server that says these bytes and nothing else; with none it says nothing and keeps the line open."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sockets: list[socket.socket] = []

        def serve(response: bytes) -> str:
            def run() -> None:
                line, _ = server.accept()
                sockets.append(line)
                if response:
                    line.recv(65536)
                    line.sendall(response)
                    line.shutdown(socket.SHUT_WR)

            threading.Thread(target=run, daemon=True).start()
            return f"127.0.0.1:{server.getsockname()[1]}"

        yield serve
        for line in sockets:
            line.close()


def test_nobody_answers(talker: Any) -> None:
    """The whole request has one time limit."""
    error = refused(HttpOrchestrator(talker(b""), total_s=0.05))
    assert (error.code, error.message) == ("OrchestratorTimeout", "no answer within 0.05 s")


def test_the_port_that_nodes_join(talker: Any) -> None:
    """NATS speaks first and is no HTTP: the hint names both ports."""
    error = refused(HttpOrchestrator(talker(b'INFO {"server_id":"x"}\r\n')))
    assert error.code == "OrchestratorAnswer"
    assert "4222" in classify(error.code).hint


def test_https_to_a_server_of_http(orchestrator_server: StandIn) -> None:
    error = refused(HttpOrchestrator(orchestrator_server.url.replace("http:", "https:")))
    assert (error.code, error.message) == (
        "OrchestratorScheme",
        "it does not use TLS, and the address begins with https",
    )


def test_a_private_authority_is_trusted_when_it_is_named_and_only_then(tmp_path: Path) -> None:
    text = self_signed(tmp_path)
    with stand_in(tmp_path) as server:
        assert members(HttpOrchestrator(server.url, ca_pem=text)) == ()
        unknown = refused(HttpOrchestrator(server.url))
        assert unknown.code == "OrchestratorTls"
        assert "certificate" in unknown.message
        elsewhere = refused(HttpOrchestrator(server.url.replace("127.0.0.1", "localhost"), ca_pem=text))
        assert elsewhere.code == "OrchestratorTls"
        assert "localhost" in elsewhere.message
    assert refused(HttpOrchestrator("https://127.0.0.1", ca_pem="x")).code == "OrchestratorTls"


def test_http_to_a_real_server_of_https(tmp_path: Path) -> None:
    """Python's server hangs up where Go's answers; either way it is no traceback."""
    self_signed(tmp_path)
    with stand_in(tmp_path) as server:
        error = refused(HttpOrchestrator(server.url.replace("https:", "http:")))
        assert error.code in {"OrchestratorAnswer", "OrchestratorUnreachable"}


def test_a_key_that_no_request_can_carry_is_not_repeated(orchestrator_server: StandIn) -> None:
    error = refused(HttpOrchestrator(orchestrator_server.url, login=Login(key=Secret("se\ncret"))))
    assert error.code == "OrchestratorUnauthorized"
    assert "cret" not in str(error)


def test_a_proxy_is_not_asked_for_this_machine(
    orchestrator_server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that cannot be used is named where it is asked."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert members(HttpOrchestrator(orchestrator_server.url)) == ()
    assert refused(HttpOrchestrator("http://nowhere.invalid")).code == "OrchestratorUnreachable"
    monkeypatch.setenv("HTTP_PROXY", "strange://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "strange://127.0.0.1:1")
    assert "proxy" in refused(HttpOrchestrator("http://nowhere.invalid")).message


# Addresses and tables


@pytest.mark.parametrize(
    ("host", "url"),
    [
        # T8: a key went to a remote host in clear unless the address said https.
        ("o", "https://o:1234"),
        ("o:80", "https://o:80"),
        ("10.0.0.1", "https://10.0.0.1:1234"),
        ("[2001:db8::1]:80", "https://[2001:db8::1]:80"),
        ("localhost.example.com", "https://localhost.example.com:1234"),
        ("localhost", "http://localhost:1234"),
        ("127.0.0.1:80", "http://127.0.0.1:80"),
        ("http://o", "http://o:1234"),
        ("https://o/", "https://o:1234"),
        ("https://o:443", "https://o:443"),
        ("[::1]", "http://[::1]:1234"),
        ("[::1]:9", "http://[::1]:9"),
        ("http://127.0.0.1:5/_sandbox/orchestrator", "http://127.0.0.1:5/_sandbox/orchestrator"),
    ],
)
def test_an_address_is_completed_as_bacalhau_does(host: str, url: str) -> None:
    assert base_url(host) == url


def test_which_addresses_are_this_machines() -> None:
    here = [
        "http://127.0.0.1:1",
        "http://127.9.9.9:1",
        "http://[::1]:1",
        "http://localhost:1",
        "http://a.localhost:1",
    ]
    assert all(is_loopback(url) for url in here)
    assert not any(
        is_loopback(url) for url in ("http://10.0.0.1:1", "http://localhost.example.com:1", "http://o:1")
    )


def test_exit_codes_of_the_orchestrators_errors() -> None:
    """A wrong key is told apart from a wrong address, and both from what may be repeated."""
    codes = {code: CATALOG[code].exit_code for code in CATALOG if code.startswith("Orchestrator")}
    assert codes == {
        "OrchestratorUnauthorized": ExitCode.DENIED,
        "OrchestratorForbidden": ExitCode.DENIED,
        "OrchestratorJobForbidden": ExitCode.DENIED,
        "OrchestratorJobRejected": ExitCode.USAGE,
        "OrchestratorUnreachable": ExitCode.FAILED,
        "OrchestratorTimeout": ExitCode.FAILED,
        "OrchestratorTls": ExitCode.USAGE,
        "OrchestratorScheme": ExitCode.USAGE,
        "OrchestratorRedirect": ExitCode.USAGE,
        "OrchestratorBusy": ExitCode.FAILED,
        "OrchestratorAnswer": ExitCode.FAILED,
        "OrchestratorFailed": ExitCode.FAILED,
    }


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "x", "CONNECTED", "2026-11-25T09:29:42Z"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Info",
                    "NodeID",
                    "NodeType",
                    "Labels",
                    "ComputeNodeInfo",
                    "MaxCapacity",
                    "CPU",
                    "Memory",
                    "ConnectionState",
                    "Status",
                    "LastHeartbeat",
                    "ExecutionEngines",
                    "BacalhauVersion",
                    "RunningExecutions",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=examples(150))
@given(body=_JSON.map(lambda node: {"Nodes": [node]}) | _JSON)
def test_whatever_the_json_reading_ends_in_nodes_or_one_error(body: Any) -> None:
    try:
        nodes = parsing.parse_listing(body).nodes
    except parsing.UnexpectedFormatError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
    else:
        assert all(node.id for node in nodes)
