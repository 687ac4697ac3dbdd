"""The orchestrator's HTTP API over httpx: requests, and the mapping of errors to catalogue codes.

Rules:
1. Each request has its own connection, which is closed: a command sends one or two requests.
2. Redirects are not followed: the key is sent to the configured address only.
3. Loopback addresses do not use the environment's proxy.
4. Any response becomes values or an OrchestratorError. No message contains the key or password.

Source: Bacalhau 1.9, pkg/publicapi; its own time-out is 30 seconds, and the port is 1234 unless given, in URLs too.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import ssl
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import httpx

from bacalhau_spot.orchestrator import parsing
from bacalhau_spot.orchestrator.port import OrchestratorError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bacalhau_spot.core.model import Secret
    from bacalhau_spot.core.orchestrator.orchestrator_nodes import OrchestratorNode

T = TypeVar("T")

DEFAULT_PORT: Final = 1234
CONNECT_S: Final = 5.0
TOTAL_S: Final = 30.0
# A node is two or three kilobytes; ten thousand nodes stay well below.
_MOST_BYTES: Final = 64 << 20
# The maximum length of the server's text in a message.
_LONGEST: Final = 200

_NODES: Final = "/api/v1/orchestrator/nodes"
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
    """`port.Orchestrator` over HTTP. `host`: a URL or host, optionally with port; `ca_pem`: the only trusted CA."""

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

    async def nodes(self) -> tuple[OrchestratorNode, ...]:
        answer = await self._ask("GET", _NODES)
        return self._read(lambda: parsing.parse_nodes(self._good(answer)))

    async def remove(self, node_id: str) -> None:
        # The API accepts unique prefixes of ids. Managed nodes' ids have one length, so none is a prefix of another.
        answer = await self._ask(
            "PUT", f"{_NODES}/{quote(node_id, safe='')}", body={"Action": "delete", "NodeID": node_id}
        )
        if answer.status == HTTPStatus.NOT_FOUND and parsing.is_unknown_node(answer.body):
            return
        self._good(answer)

    async def version(self) -> str:
        answer = await self._ask("GET", _VERSION, login=False)
        return self._read(lambda: parsing.parse_version(self._good(answer)))

    async def _ask(self, method: str, path: str, *, body: object = None, login: bool = True) -> _Answer:
        """Send one request. Raises OrchestratorError without a usable response."""
        try:
            async with asyncio.timeout(self._total_s), self._client() as client:
                request = client.build_request(
                    method,
                    f"{self._base}{path}",
                    json=body,
                    headers=self._login.headers() if login else None,
                )
                response = await client.send(request, stream=True, follow_redirects=False)
                return _Answer(response.status_code, response.headers, await self._content(response))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._error("OrchestratorTimeout", f"no answer within {self._total_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise self._error(*_transport(error)) from error

    def _client(self) -> httpx.AsyncClient:
        secure = self._base.startswith("https:")
        if secure and self._tls is None:
            self._tls = self._context()
        try:
            return httpx.AsyncClient(
                # Loading the public CA certificates takes longer than a request, and plain HTTP does not need them.
                verify=self._tls if self._tls is not None else False,
                trust_env=not is_loopback(self._base),
                timeout=httpx.Timeout(self._total_s, connect=self._connect_s),
                limits=httpx.Limits(max_keepalive_connections=0),
                headers={"Accept": "application/json", "User-Agent": "bacalhau-spot"},
            )
        except (ImportError, ValueError) as error:
            text = _shortened(str(error))
            raise self._error("OrchestratorUnreachable", f"the configured proxy: {text}") from error

    def _context(self) -> ssl.SSLContext:
        if self._ca_pem is None:
            return httpx.create_ssl_context()
        try:
            context = ssl.create_default_context(cadata=self._ca_pem)
        except (ssl.SSLError, ValueError) as error:
            raise self._error("OrchestratorTls", "the certificate of ca_file cannot be read") from error
        # Certificates of private authorities often violate RFC 5280; Bacalhau's own client accepts them, too.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    async def _content(self, response: httpx.Response) -> Any:
        """The body as JSON, or else as text. Numbers with a decimal point are Decimal."""
        raw = bytearray()
        async for part in response.aiter_bytes():
            raw += part
            if len(raw) > _MOST_BYTES:
                raise self._error("OrchestratorAnswer", f"more than {_MOST_BYTES >> 20} MiB")
        try:
            return json.loads(raw, parse_float=Decimal)
        except (ValueError, RecursionError, InvalidOperation):  # the last: an exponent with too many digits
            return raw.decode("utf-8", errors="replace")

    def _good(self, answer: _Answer) -> Any:
        """The body of a successful response. Raises OrchestratorError for any other."""
        status = answer.status
        if status == HTTPStatus.OK:
            return answer.body
        said = _shortened(parsing.parse_message(answer.body))
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            where = _shortened(answer.headers.get("location", "nowhere"))
            raise self._error("OrchestratorRedirect", f"HTTP {status}: {where}")
        if status == HTTPStatus.BAD_REQUEST and _wants_tls(said):
            raise self._error("OrchestratorScheme", "it uses TLS, and the address begins with http")
        raise self._error(
            _CODES.get(status, _other_code(status)), f"HTTP {status}{f': {said}' if said else ''}"
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
    headers: httpx.Headers
    body: Any


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
    """Whether the address, without name resolution, is a loopback address."""
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _transport(error: Exception) -> tuple[str, str]:
    """A connection error as a catalogue code and a short text."""
    if isinstance(error, httpx.LocalProtocolError):
        # Its text would contain the header with the key.
        return "OrchestratorUnauthorized", "the key or password contains characters that HTTP does not allow"
    text = _shortened(str(error) or type(error).__name__)
    reason = _ssl_error(error)
    if reason is None:
        heard = isinstance(error, httpx.RemoteProtocolError | httpx.DecodingError)
        return "OrchestratorAnswer" if heard else "OrchestratorUnreachable", text
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "OrchestratorTls", _shortened(reason.verify_message or text)
    if (reason.reason or "") in _NOT_TLS:
        return "OrchestratorScheme", "it does not use TLS, and the address begins with https"
    return "OrchestratorTls", text


# OpenSSL's reasons for a response that is not TLS, in its various releases.
_NOT_TLS: Final = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}


def _ssl_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS library's error in the chain of httpx's causes."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _wants_tls(text: str) -> bool:
    """Whether it is the reply of Go's server, or a proxy, to plain HTTP on a TLS port."""
    return "http request" in text.lower() and "https" in text.lower()


def _shortened(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"
