"""An endpoint that gives recorded answers, so that the sandbox's processor time is not part of what is measured.

The first command goes through to the sandbox, and its answers are kept by region, operation and parameters. Later ones get the
same answers, each after the latency. Parameters that differ from run to run (tokens, times, user data, tags) do not count.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import threading
from collections import Counter, defaultdict
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_VARIES = re.compile(r"ClientToken|Time$|UserData|TagSpecification")
_SCOPE = re.compile(rb"Credential=[^/]+/\d+/([^/]+)/([^/]+)/")
_KEPT_HEADERS = frozenset({"content-type", "x-amzn-requestid"})
Key = tuple[Any, ...]


class Recorded:
    """On a thread of its own. `recording`: requests go to `upstream`. Otherwise they get the recorded answers in their order."""

    def __init__(self, upstream: str, *, latency_s: float) -> None:
        self._upstream = urlsplit(upstream)
        self._latency_s = latency_s
        self._answers: dict[Key, list[bytes]] = defaultdict(list)
        self._asked: Counter[Key] = Counter()
        self.recording = True
        self.unknown: list[Key] = []
        self._loop = asyncio.new_event_loop()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def start_over(self) -> None:
        """Before each command."""
        self._asked.clear()

    @property
    def calls(self) -> int:
        """Since the start of the command."""
        return self._asked.total()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(size[1])) if size else b""
                status, rest = (await self._answer(head, body)).split(b"\r\n", 1)
                # Of this moment: the program compares AWS's clock with times in the answers.
                writer.write(b"%s\r\nDate: %s\r\n%s" % (status, formatdate(usegmt=True).encode(), rest))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, head: bytes, body: bytes) -> bytes:
        key = _key(head, body)
        number, self._asked[key] = self._asked[key], self._asked[key] + 1
        if self.recording:
            answer = await asyncio.to_thread(self._forward, head, body)
            self._answers[key].append(answer)
            return answer
        await asyncio.sleep(self._latency_s)
        known = self._answers.get(key)
        if known is None:
            self.unknown.append(key)
            return b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n"
        return known[min(number, len(known) - 1)]

    def _forward(self, head: bytes, body: bytes) -> bytes:
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines if line)
        connection = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port)
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        content = reply.read()
        kept = [f"{name}: {value}" for name, value in reply.getheaders() if name.lower() in _KEPT_HEADERS]
        lines = [f"HTTP/1.1 {reply.status} {reply.reason}", *kept, f"Content-Length: {len(content)}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + content


def _key(head: bytes, body: bytes) -> Key:
    scope = _SCOPE.search(head)
    where = scope.groups() if scope else ()
    if body.startswith(b"{"):
        return (*where, body)
    return (*where, *sorted(pair for pair in parse_qsl(body.decode()) if not _VARIES.search(pair[0])))
