"""One pool of connections for the clients of all regions and services.

botocore gives each client a pool and a trust store of its own, and reads the file of authorities for each connection:
13 ms of CPU, twice a region. Here it is read once. Requests take this way by botocore's event `before-send`, whose
handler may answer in place of the client's own pool (botocore, "Events"). Proxies, authorities and socket options are
those that botocore would take for the client.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

# urllib.parse.quote_plus leaves the other letters as they are (RFC 3986, 2.3).
_TO_QUOTE: Final = re.compile(r"[^A-Za-z0-9_.~-]")
_QUOTED: Final = {chr(byte): quote_plus(chr(byte)) for byte in range(128)}
_HOSTS: Final = 200  # urllib3's pool of pools would close the connections to the eleventh host


class Transport:
    """The connections of one botocore session. Safe to use from any thread."""

    def __init__(self, core: Any, *, connections: int) -> None:
        """`connections`: those that are kept for each host."""
        self._options: dict[str, Any] = {
            # As botocore.session.Session.create_client and botocore.endpoint.EndpointCreator.
            "verify": core.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True,
            "socket_options": _socket_options(keep_alive=bool(core.get_config_variable("tcp_keepalive"))),
            "max_pool_connections": connections,
        }
        self._trust = _Trust()
        self._lock = threading.Lock()
        self._pools: dict[tuple[Any, ...], _Pool] = {}
        self._proxies: dict[str, Mapping[str, str]] = {}  # by host: NO_PROXY names hosts

    def take_over(self, client: Any, *, slow_operations: Mapping[str, float]) -> None:
        """Send the requests of this client. `slow_operations`: their read timeouts, where these are longer."""
        config = client.meta.config

        def send(*, request: Any, event_name: str, **_others: Any) -> Any:
            read_s = slow_operations.get(event_name.rpartition(".")[2], config.read_timeout)
            with self._lock:
                pool = self._pool(request.url, config.proxies, config.connect_timeout, read_s)
            return pool.send(request)

        client.meta.events.register("before-send", send)
        client.meta.events.register("before-call", _encode_form)

    def _pool(self, url: str, proxies: Mapping[str, str] | None, connect_s: float, read_s: float) -> _Pool:
        """The pool with these settings. `proxies` None: those of the environment for the host."""
        if proxies is None:
            proxies = self._environments_proxies(url)
        key = (connect_s, read_s, *sorted(proxies.items()))
        if key not in self._pools:
            self._pools[key] = _Pool(
                self._trust, timeout=(connect_s, read_s), proxies=proxies, **self._options
            )
        return self._pools[key]

    def _environments_proxies(self, url: str) -> Mapping[str, str]:
        host = urlsplit(url).netloc
        if host not in self._proxies:
            self._proxies[host] = get_environ_proxies(url)
        return self._proxies[host]


class _Trust:
    """The TLS settings of all connections, with the authorities of each file read once."""

    def __init__(self) -> None:
        self.context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._read: set[str] = set()

    def has_read(self, path: str) -> bool:
        """Whether the context trusts the authorities in the file. False: it cannot be read."""
        with self._lock:
            if path not in self._read and self.context is not None:
                try:
                    self.context.load_verify_locations(path)
                except OSError:  # urllib3 tries again, and botocore reports it
                    return False
                self._read.add(path)
            return path in self._read


class _Pool(URLLib3Session):  # type: ignore[misc]  # botocore is not typed
    """botocore's HTTP session on a shared trust store. Without these methods in botocore, it is as any other."""

    def __init__(self, trust: _Trust, **options: Any) -> None:
        self._trust = trust
        super().__init__(**options)

    def _get_ssl_context(self) -> Any:
        if self._trust.context is None:
            self._trust.context = super()._get_ssl_context()
        return self._trust.context

    def _get_pool_manager_kwargs(self, **others: Any) -> dict[str, Any]:
        return {**super()._get_pool_manager_kwargs(**others), "num_pools": _HOSTS}

    def _setup_ssl_cert(self, conn: Any, url: str, verify: Any) -> None:
        super()._setup_ssl_cert(conn, url, verify)
        if conn.ca_certs and self._trust.has_read(conn.ca_certs):
            conn.ca_certs = None


def _encode_form(*, params: dict[str, Any], **_others: Any) -> None:
    """Encode the parameters of a request once. botocore does it four times: twice for the signature.

    As botocore.awsrequest.AWSRequestPreparer.
    """
    if isinstance(params["body"], dict):
        params["body"] = urlencode(list(params["body"].items()), doseq=True, quote_via=_quoted)  # type: ignore[arg-type]  # overloads


def _quoted(text: str | bytes, safe: str = "", encoding: str | None = None, errors: str | None = None) -> str:
    """As urllib.parse.quote_plus, which looks at each byte of a text with a single one to quote: user data has 20,000."""
    if isinstance(text, bytes):
        return quote_plus(text, safe)
    if safe or not text.isascii():
        return quote_plus(text, safe, encoding, errors)
    return _TO_QUOTE.sub(lambda found: _QUOTED[found[0]], text)


def _socket_options(*, keep_alive: bool) -> list[tuple[int, int, int]]:
    """As botocore.args.ClientArgsCreator."""
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    return [*options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] if keep_alive else options
