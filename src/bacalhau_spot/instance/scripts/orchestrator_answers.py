"""Whether the orchestrator answers on this machine: NATS with the nodes' token, and the API, both with the authority."""

from __future__ import annotations

import json
import socket
import ssl
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from .orchestrator_credentials import CONFIG, FOLDER
from .shell import CommandFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

NATS_PORT = 4222
API_PORT = 1234
CHECK_INTERVAL_S = 1.0
_TIMEOUT_S = 5.0


def wait_for_answers(
    *,
    seconds: float,
    say: Callable[[str, str], None],
    check: Callable[[], None] | None = None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Raises CommandFailedError after `seconds`, with the last reason. Each new reason is reported once."""
    until = now() + seconds
    reported = ""
    while True:
        try:
            (check or check_answers)()
        except (OSError, ValueError, KeyError) as error:
            why = str(error) or type(error).__name__
        else:
            return
        if now() > until:
            raise CommandFailedError(f"the orchestrator does not answer after {seconds:.0f} s: {why}")
        if why != reported:
            say("waiting", why)
            reported = why
        sleep(CHECK_INTERVAL_S)


def check_answers(
    *, folder: str = FOLDER, host: str = "127.0.0.1", nats_port: int = NATS_PORT, api_port: int = API_PORT
) -> None:
    """Raises OSError, ValueError or KeyError with the reason if one of them does not answer."""
    config = json.loads(Path(folder, CONFIG).read_text("utf-8"))
    trust = ssl.create_default_context(cafile=str(Path(folder, "ca.pem")))
    _check_nats(host, nats_port, token=config["Orchestrator"]["Auth"]["Token"], trust=trust)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
    )
    opener.open(f"https://{host}:{api_port}/api/v1/agent/alive", timeout=_TIMEOUT_S).close()


def _check_nats(host: str, port: int, *, token: str, trust: ssl.SSLContext) -> None:
    """NATS client protocol: INFO, TLS, CONNECT and PING, then PONG or -ERR. No node is registered."""
    with socket.create_connection((host, port), timeout=_TIMEOUT_S) as plain:
        info = _line(plain)
        if not info.startswith("INFO "):
            raise OSError(f"port {port} is not NATS")
        with trust.wrap_socket(plain, server_hostname=host) as encrypted:
            options = {"verbose": False, "pedantic": False, "name": "bacalhau-spot", "lang": "python"}
            options.update({"version": "1", "protocol": 1, "auth_token": token})
            encrypted.sendall(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
            reply = _line(encrypted)
            while reply.startswith("INFO "):
                reply = _line(encrypted)
            if reply != "PONG":
                raise OSError(f"NATS answers {reply[:100] or 'nothing'}")


def _line(connection: socket.socket) -> str:
    """One line, byte by byte: after INFO, the next bytes belong to TLS."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            break
        line += byte
    return line.decode("utf-8", "replace").strip()
