"""The orchestrator's HTTP API: requests, and the mapping of transport and server errors to catalogue codes.

Rules:
1. Each request has its own connection, which is closed: a command sends one or two requests.
2. Redirects are not followed: the key is sent to the configured address only.
3. Loopback addresses do not use the environment's proxy.
4. Any response becomes values or an OrchestratorError. No message contains the key or password.

Source: Bacalhau 1.9, pkg/publicapi; its own time-out is 30 seconds, and the port is 1234 unless given, in URLs too.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import ssl
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from bacalhau_spot.http_client import Failure, Request, TransportError, exchange, trusted_authorities
from bacalhau_spot.orchestrator import parsing
from bacalhau_spot.orchestrator.port import OrchestratorError
from bacalhau_spot.text_marks import shortened_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bacalhau_spot.core.model import Secret
    from bacalhau_spot.core.orchestrator.jobs import Job
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import NodeListing, OrchestratorNode
    from bacalhau_spot.http_client import Response

T = TypeVar("T")

DEFAULT_PORT: Final = 1234
CONNECT_S: Final = 5.0
TOTAL_S: Final = 30.0
# A node is two or three kilobytes; ten thousand nodes stay well below.
_MOST_BYTES: Final = 64 << 20
# The maximum length of the server's text in a message.
_LONGEST: Final = 200

_NODES: Final = "/api/v1/orchestrator/nodes"
_JOBS: Final = "/api/v1/orchestrator/jobs"
_VERSION: Final = "/api/v1/agent/version"

_CODES: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "OrchestratorUnauthorized",
    HTTPStatus.FORBIDDEN: "OrchestratorForbidden",
    HTTPStatus.TOO_MANY_REQUESTS: "OrchestratorBusy",
    HTTPStatus.SERVICE_UNAVAILABLE: "OrchestratorBusy",
    HTTPStatus.REQUEST_TIMEOUT: "OrchestratorTimeout",
    HTTPStatus.GATEWAY_TIMEOUT: "OrchestratorTimeout",
    HTTPStatus.BAD_GATEWAY: "OrchestratorUnreachable",
}
# Errors with another meaning where the request is about a job.
_JOB_CODES: Final[dict[int, str]] = {
    **_CODES,
    HTTPStatus.FORBIDDEN: "OrchestratorJobForbidden",
    HTTPStatus.BAD_REQUEST: "OrchestratorJobRejected",
}
_FAILURES: Final = {
    Failure.TIMEOUT: "OrchestratorTimeout",
    Failure.UNREACHABLE: "OrchestratorUnreachable",
    Failure.PROXY: "OrchestratorUnreachable",
    Failure.UNTRUSTED: "OrchestratorTls",
    Failure.NO_TLS: "OrchestratorScheme",
    Failure.TLS: "OrchestratorTls",
    Failure.NO_HTTP: "OrchestratorAnswer",
    Failure.TOO_LARGE: "OrchestratorAnswer",
}


def _other_code(status: int) -> str:
    return "OrchestratorFailed" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "OrchestratorAnswer"


@dataclass(frozen=True, slots=True)
class Login:
    """The credentials: a key, or a user and a password, or neither for an open orchestrator."""

    key: Secret | None = None
    user: str | None = None
    password: Secret | None = None

    def headers(self) -> dict[str, str]:
        if self.key is not None:
            return {"Authorization": f"Bearer {self.key.reveal()}"}
        if self.user is not None and self.password is not None:
            pair = f"{self.user}:{self.password.reveal()}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}


class HttpOrchestrator:
    """`port.Orchestrator` and `port.JobClient` over HTTP.

    `host`: a URL or host, optionally with port; `ca_pem`: the only trusted CA.
    """

    def __init__(
        self,
        host: str,
        *,
        login: Login | None = None,
        ca_pem: str | None = None,
        connect_s: float = CONNECT_S,
        total_s: float = TOTAL_S,
    ) -> None:
        self._base = base_url(host)
        self._login = login or Login()
        self._ca_pem = ca_pem
        self._connect_s = connect_s
        self._total_s = total_s
        self._tls: ssl.SSLContext | None = None

    @property
    def address(self) -> str:
        return self._base

    @property
    def sends_login_in_clear(self) -> bool:
        """Whether credentials go over plain http to another machine."""
        return (
            bool(self._login.headers())
            and urlsplit(self._base).scheme != "https"
            and not is_loopback(self._base)
        )

    async def nodes(self) -> tuple[OrchestratorNode, ...]:
        return (await self.listing()).nodes

    async def listing(self) -> NodeListing:
        answer = await self._ask("GET", _NODES)
        date = answer.headers.get("date", "")
        return self._read(lambda: parsing.parse_listing(self._good(answer), date=date))

    async def remove(self, node_id: str) -> None:
        # The API accepts unique prefixes of ids. Managed nodes' ids have one length, so none is a prefix of another.
        answer = await self._ask(
            "PUT", f"{_NODES}/{quote(node_id, safe='')}", body={"Action": "delete", "NodeID": node_id}
        )
        if answer.status == HTTPStatus.NOT_FOUND and parsing.is_unknown(answer.body):
            return
        self._good(answer)

    async def version(self) -> str:
        answer = await self._ask("GET", _VERSION, login=False)
        return self._read(lambda: parsing.parse_version(self._good(answer)))

    async def submit(self, job: Mapping[str, Any]) -> str:
        answer = await self._ask("PUT", _JOBS, body={"Job": job})
        return self._read(lambda: parsing.parse_submission(self._good(answer, codes=_JOB_CODES)))

    async def job(self, job_id: str) -> Job:
        answer = await self._ask("GET", f"{_JOBS}/{quote(job_id, safe='')}?include=executions")
        return self._read(lambda: parsing.parse_job(self._good(answer, codes=_JOB_CODES)))

    async def all_jobs(self) -> tuple[Job, ...]:
        answer = await self._ask("GET", f"{_JOBS}?namespace=*")  # without a limit: all
        return self._read(lambda: parsing.parse_jobs(self._good(answer, codes=_JOB_CODES)))

    async def stop_job(self, job_id: str, *, reason: str) -> None:
        answer = await self._ask(
            "DELETE", f"{_JOBS}/{quote(job_id, safe='')}?reason={quote(reason, safe='')}"
        )
        if answer.status == HTTPStatus.NOT_FOUND and parsing.is_unknown(answer.body):
            return
        if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR and parsing.has_ended(answer.body):
            return
        self._good(answer, codes=_JOB_CODES)

    async def _ask(self, method: str, path: str, *, body: object = None, login: bool = True) -> _Answer:
        """One request. Raises OrchestratorError when there is no answer, or one that nobody could use."""
        if self._base.startswith("https:") and self._tls is None:
            self._tls = self._context()
        headers = {"Accept": "application/json", "User-Agent": "bacalhau-spot"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = Request(
            f"{self._base}{path}",
            method=method,
            headers={**headers, **(self._credentials() if login else {})},
            body=None if body is None else json.dumps(body).encode(),
            total_s=self._total_s,
            connect_s=self._connect_s,
            read_s=self._total_s,
            proxies=not is_loopback(self._base),
            tls=self._tls,
        )
        try:
            return await exchange(request, _answer)
        except TransportError as error:
            raise self._error(_FAILURES[error.failure], _in_words(error)) from error

    def _credentials(self) -> dict[str, str]:
        headers = self._login.headers()
        if all(value.isascii() and value.isprintable() for value in headers.values()):
            return headers
        # The library's own words would repeat the header that holds the key.
        raise self._error(
            "OrchestratorUnauthorized", "the key or password contains characters that HTTP does not allow"
        )

    def _context(self) -> ssl.SSLContext:
        if self._ca_pem is None:
            return trusted_authorities()
        try:
            context = ssl.create_default_context(cadata=self._ca_pem)
        except (ssl.SSLError, ValueError) as error:
            raise self._error("OrchestratorTls", "the certificate of ca_file cannot be read") from error
        # Certificates of private authorities often violate RFC 5280; Bacalhau's own client accepts them, too.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def _good(self, answer: _Answer, *, codes: Mapping[int, str] = _CODES) -> Any:
        """The body of a successful response. Raises OrchestratorError for any other, with a code of `codes`."""
        status = answer.status
        if status == HTTPStatus.OK:
            return answer.body
        message = shortened_line(parsing.parse_message(answer.body), _LONGEST)
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            where = shortened_line(answer.headers.get("location", "nowhere"), _LONGEST)
            raise self._error("OrchestratorRedirect", f"HTTP {status}: {where}")
        if status == HTTPStatus.BAD_REQUEST and _wants_tls(message):
            raise self._error("OrchestratorScheme", "it uses TLS, and the address begins with http")
        raise self._error(
            codes.get(status, _other_code(status)), f"HTTP {status}{f': {message}' if message else ''}"
        )

    def _read(self, reading: Callable[[], T]) -> T:
        try:
            return reading()
        except parsing.UnexpectedFormatError as error:
            raise self._error("OrchestratorAnswer", str(error)) from error

    def _error(self, code: str, message: str) -> OrchestratorError:
        return OrchestratorError(code, message, address=self._base)


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


def _answer(response: Response) -> _Answer:
    """The body as JSON, or as text where it is none. Numbers with a point are Decimal."""
    raw = response.read(max_bytes=_MOST_BYTES)
    try:
        body = json.loads(raw, parse_float=Decimal)
    except (ValueError, RecursionError, InvalidOperation):  # the last: an exponent of too many digits
        body = raw.decode("utf-8", errors="replace")
    return _Answer(response.status, response.headers, body)


def base_url(host: str) -> str:
    """`o` -> `https://o:1234`, `http://o` -> `http://o:1234`, `localhost` -> `http://localhost:1234`.

    The default scheme is https, except on this machine, because http would expose the key on the network.
    """
    scheme, mark, rest = host.rpartition("://")
    place, slash, path = rest.rstrip("/").partition("/")
    if not place.rpartition(":")[2].isdigit():  # the port; an IPv6 address ends with its bracket
        place = f"{place}:{DEFAULT_PORT}"
    if not mark:
        scheme = "http" if is_loopback(f"http://{place}") else "https"
    return f"{scheme}://{place}{slash}{path}"


def is_loopback(url: str) -> bool:
    """Whether the address, as it is written, is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _in_words(error: TransportError) -> str:
    if error.failure is Failure.PROXY:
        return f"the configured proxy: {error}"
    if error.failure is Failure.NO_TLS:
        return "it does not use TLS, and the address begins with https"
    return str(error)


def _wants_tls(text: str) -> bool:
    """Whether it is the reply of Go's server, or a proxy, to plain HTTP on a TLS port."""
    return "http request" in text.lower() and "https" in text.lower()
