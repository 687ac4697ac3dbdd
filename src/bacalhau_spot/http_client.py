"""HTTP for everything but AWS's API: the orchestrator, and public documents.

urllib3 comes with AWS's own client and is imported with it; another library would cost a second import.

Rules:
1. Each request has its own connection, and none stays open.
2. The environment's proxies are used as AWS's client uses them, where the caller asks for them.
3. Whatever the server does, a response or a TransportError comes within the given time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import os
import ssl
import threading
import urllib.request
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import certifi
import urllib3
from urllib3 import exceptions

from bacalhau_spot.text_marks import shortened_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")

_CHUNK: Final = 1 << 20
_LONGEST: Final = 200  # the maximum length of foreign text in a message


class Failure(Enum):
    """The reason for a missing response."""

    TIMEOUT = auto()
    UNREACHABLE = auto()
    PROXY = auto()  # the proxy that is set cannot be used
    UNTRUSTED = auto()  # the certificate
    NO_TLS = auto()  # the other side does not speak TLS
    TLS = auto()  # any other trouble of TLS
    NO_HTTP = auto()  # the other side does not speak HTTP, or hung up in the middle
    TOO_LARGE = auto()


class HttpError(Exception):
    """The errors of an exchange; readers of a response define their own."""


class TransportError(HttpError):
    """No response. The text is short, on one line."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Request:
    """`total_s`: for the whole exchange; `read_s`: between two bytes. `redirects`: how many are followed."""

    url: str
    total_s: float
    connect_s: float
    read_s: float
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    redirects: int = 0
    proxies: bool = True
    tls: ssl.SSLContext | None = None  # None: `trusted_authorities()`, for https only


@dataclass(frozen=True, slots=True)
class Response:
    """`chunks` may be read once; reading raises TransportError when the body is incomplete."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]

    def read(self, *, max_bytes: int) -> bytes:
        raw = bytearray()
        for part in self.chunks:
            raw += part
            if len(raw) > max_bytes:
                raise TransportError(Failure.TOO_LARGE, f"more than {max_bytes} bytes")
        return bytes(raw)


async def exchange(request: Request, read: Callable[[Response], T]) -> T:
    """The result of `read` on the response. Raises TransportError, and each HttpError of `read`.

    The thread is a daemon: a server that sends a byte now and then delays neither this call nor the program's end.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(settled: Callable[[], None]) -> None:
        if not done.done():
            settled()

    def work() -> None:
        try:
            settled = functools.partial(done.set_result, _exchange(request, read))
        except HttpError as error:
            settled = functools.partial(done.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, settled)

    threading.Thread(target=work, daemon=True, name="fetch").start()
    try:
        return await asyncio.wait_for(done, request.total_s)
    except TimeoutError:
        raise TransportError(Failure.TIMEOUT, f"no answer within {request.total_s:g} s") from None


def trusted_authorities(*, extra_file: str | None = None) -> ssl.SSLContext:
    """The system's CAs, certifi's for systems without any, and those of `extra_file`. SSL_CERT_FILE replaces the first
    two.

    Raises TransportError when `extra_file` has none.
    """
    context = ssl.create_default_context()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        context.load_verify_locations(certifi.where())
    if extra_file:
        try:
            context.load_verify_locations(extra_file)
        except (OSError, ssl.SSLError) as error:
            raise TransportError(
                Failure.TLS, f"{extra_file}: {shortened_line(str(error), _LONGEST)}"
            ) from error
    return context


def _exchange(request: Request, read: Callable[[Response], T]) -> T:
    with contextlib.closing(_Connection(request)) as connection:
        return read(connection.response())


class _Connection:
    def __init__(self, request: Request) -> None:
        self._request = request
        secure = request.tls or (trusted_authorities() if request.url.startswith("https:") else None)
        self._pool = _pool(request.url, proxies=request.proxies, tls=secure)
        self._reply: urllib3.BaseHTTPResponse | None = None

    def response(self) -> Response:
        request = self._request
        try:
            self._reply = self._pool.request(
                request.method,
                request.url,
                body=request.body,
                headers=request.headers,
                timeout=urllib3.Timeout(connect=request.connect_s, read=request.read_s),
                retries=urllib3.Retry(
                    None,
                    connect=0,
                    read=0,
                    status=0,
                    other=0,
                    redirect=request.redirects,
                    raise_on_redirect=False,
                ),
                redirect=request.redirects > 0,
                preload_content=False,
            )
        except _ERRORS as error:
            raise _failure(error, request) from error
        return Response(self._reply.status, self._reply.headers, self._chunks(self._reply))

    def _chunks(self, reply: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        try:
            yield from reply.stream(_CHUNK, decode_content=True)
        except _ERRORS as error:
            raise _failure(error, self._request) from error

    def close(self) -> None:
        if self._reply is not None:
            self._reply.close()
        self._pool.clear()


def _pool(url: str, *, proxies: bool, tls: ssl.SSLContext | None) -> urllib3.PoolManager:
    proxy = _proxy(url) if proxies else None
    if proxy is None:
        return urllib3.PoolManager(ssl_context=tls)
    try:
        return urllib3.ProxyManager(proxy, ssl_context=tls)
    except (exceptions.HTTPError, ValueError) as error:
        raise TransportError(Failure.PROXY, shortened_line(str(error), _LONGEST)) from error


def _proxy(url: str) -> str | None:
    """The proxy of the environment (of the system, on macOS and Windows) for an address."""
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    found = urllib.request.getproxies()
    proxy = found.get(parts.scheme) or found.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


# ValueError: an invalid address, header or length; HTTPException: a response that is not valid HTTP.
_ERRORS = (exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
# OpenSSL's reasons for a response that is not TLS, release by release.
_NOT_TLS: Final = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}


def _failure(error: Exception, request: Request) -> TransportError:
    causes = tuple(_causes(error))
    secure = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if secure is not None:
        return _tls_failure(secure)
    if any(isinstance(cause, TimeoutError | exceptions.ReadTimeoutError) for cause in causes):
        return TransportError(Failure.TIMEOUT, f"no answer within {request.total_s:g} s")
    if any(isinstance(cause, http.client.HTTPException | exceptions.DecodeError) for cause in causes):
        return TransportError(Failure.NO_HTTP, _text(causes))
    return TransportError(Failure.UNREACHABLE, _text(causes))


def _tls_failure(error: ssl.SSLError) -> TransportError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return TransportError(Failure.UNTRUSTED, shortened_line(error.verify_message or str(error), _LONGEST))
    if (error.reason or "") in _NOT_TLS:
        return TransportError(Failure.NO_TLS, "the server does not speak TLS")
    return TransportError(Failure.TLS, shortened_line(str(error), _LONGEST))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, then its causes."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        cause = todo.pop(0)
        if not isinstance(cause, BaseException) or any(cause is other for other in seen):
            continue
        seen.append(cause)
        yield cause
        todo += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]


def _text(causes: tuple[BaseException, ...]) -> str:
    """The system's own message if there is one: the library's begin with an object's address."""
    system = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
    return shortened_line(str(system or causes[-1]) or type(causes[-1]).__name__, _LONGEST)
