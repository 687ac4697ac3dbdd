"""The sandbox's own API, on the same port under /_sandbox/. For local programs, not for browsers."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from aws_spot_sandbox import __version__, advisor, settings_update
from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.regions import ENABLED_BY_DEFAULT, OPT_IN
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_spot_sandbox.http_types import Http
    from aws_spot_sandbox.server import Sandbox

PREFIX = "/_sandbox/"
_HOSTS = ("127.0.0.1", "localhost")
_LONGEST_S = 86_400
_REASONS = ("capacity", "price")
# AWS's checkip service returns a public address. This one is in a range that AWS publishes as its own (ip-ranges.json),
# so that a security group rule for it cannot admit a third party.
CALLER_ADDRESS = b"52.94.76.1"


class _NotThereError(Exception):
    """The requested region or instance is not in the sandbox; the text names it."""


class Admin:
    def __init__(self, sandbox: Sandbox, on_stop: Callable[[], None]) -> None:
        self._sandbox = sandbox
        self._on_stop = on_stop
        self._started = time.monotonic()
        self._verbs: Mapping[tuple[str, str], Callable[[Http, Any], Any]] = {
            ("GET", "ping"): self._ping,
            ("GET", "status"): self._status,
            ("GET", "endpoint"): self._endpoint,
            ("GET", "calls"): self._calls,
            ("GET", "advisor"): self._advisor,
            ("GET", "leftovers"): self._leftovers,
            ("POST", "set"): self._set,
            ("POST", "reset"): self._reset,
            ("POST", "interrupt"): self._interrupt,
            ("POST", "rebalance"): self._rebalance,
            ("POST", "stop"): self._stop,
        }

    def __call__(self, http: Http, body: bytes) -> Reply:
        # A web page can make a browser send requests here, with an Origin header or a Host other than this machine.
        host = http.headers.get("host", "").partition(":")[0]
        if "origin" in http.headers or host not in _HOSTS:
            return _error(HTTPStatus.FORBIDDEN, "the sandbox does not talk to web pages")
        verb = http.path.removeprefix(PREFIX)
        if (http.method, verb) == ("GET", "address"):
            return Reply(CALLER_ADDRESS + b"\n", content_type="text/plain")
        reply = self._sandbox.plugins.respond(replace(http, path=verb), body)
        if reply is not None:
            return reply
        answer = self._verbs.get((http.method, verb))
        if answer is None:
            known = ", ".join(f"{method} {name}" for method, name in self._verbs)
            return _error(HTTPStatus.NOT_FOUND, f"there is no {http.method} {verb}; there are {known}")
        try:
            return _reply(answer(http, json.loads(body) if body else {}))
        except json.JSONDecodeError as wrong:
            return _error(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {wrong}")
        except (TypeError, ValueError, AwsError) as wrong:
            return _error(HTTPStatus.BAD_REQUEST, str(wrong))
        except _NotThereError as wrong:
            return _error(HTTPStatus.NOT_FOUND, str(wrong))

    def _ping(self, _http: Http, _body: Any) -> dict[str, Any]:
        return {"pid": os.getpid(), "version": __version__, "account_id": ACCOUNT_ID}

    def _endpoint(self, _http: Http, _body: Any) -> dict[str, Any]:
        """The data that a client needs to connect."""
        return {
            "url": self._sandbox.url,
            **self._plugged_in(),
        }

    def _plugged_in(self) -> dict[str, str | None]:
        return self._sandbox.plugins.endpoint(f"{self._sandbox.url}{PREFIX}")

    def _settings(self) -> dict[str, Any]:
        """All switches, with secrets masked although they open only the sandbox: users share this output."""
        shown: dict[str, Any] = {}
        for settings in self._sandbox.world.all_settings():
            values = asdict(settings)
            secrets = getattr(settings, "secrets", ())
            shown |= values | {name: "***" for name in secrets if values[name] is not None}
        return shown

    def _status(self, http: Http, body: Any) -> dict[str, Any]:
        sandbox = self._sandbox
        calls = list(sandbox.world.calls)
        instances = [
            (thing.region, thing.state)
            for thing in sandbox.things(defaults=False)
            if thing.kind == "instance"
        ]
        return {
            **self._ping(http, body),
            "url": sandbox.url,
            **{name: url for name, url in self._plugged_in().items() if name.endswith("_url")},
            "uptime_s": round(time.monotonic() - self._started, 1),
            **sandbox.plugins.status(),
            "settings": self._settings(),
            "instances": _nested(instances),
            "calls": _nested((region, name) for region, name, _ in calls),
            "refusals": _count(outcome for _, _, outcome in calls if outcome != "ok"),
        }

    def _calls(self, _http: Http, _body: Any) -> list[list[str]]:
        return [list(call) for call in self._sandbox.world.calls]

    def _advisor(self, _http: Http, _body: Any) -> dict[str, Any]:
        return advisor.file()

    def _leftovers(self, http: Http, _body: Any) -> list[str]:
        return self._sandbox.leftovers(defaults=parse_qs(http.query).get("defaults") == ["1"])

    def _set(self, _http: Http, body: Any) -> dict[str, Any]:
        if not isinstance(body, dict):
            raise TypeError("a mapping from switches to values is expected")
        settings_update.apply(self._sandbox.world, body)
        return self._settings()

    def _reset(self, _http: Http, _body: Any) -> dict[str, Any]:
        self._sandbox.reset()
        return {}

    def _interrupt(self, _http: Http, body: Any) -> dict[str, Any]:
        """One instance, or a `count` of them."""
        if isinstance(body, dict) and "count" in body and "instance_id" not in body:
            return self._interrupt_some(body)
        instance_id = _instance_id(body)
        notice_s, reason = _seconds(body.get("notice_s", 120)), _reason(body)
        region = _known_region(body.get("region") or self._region_of(instance_id))
        self._sandbox.interrupt(region, instance_id, notice_s=notice_s, reason=reason)
        return {"region": region, "instance_id": instance_id, "notice_s": notice_s, "reason": reason}

    def _interrupt_some(self, body: dict[str, Any]) -> dict[str, Any]:
        count, region = body["count"], body.get("region")
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ValueError(f"count is a number of instances, not {count!r}")
        regions = [_known_region(region)] if region else None
        notice_s, reason = _seconds(body.get("notice_s", 120)), _reason(body)
        pairs = self._sandbox.interrupt_some(count, regions=regions, notice_s=notice_s, reason=reason)
        rows = [{"region": where, "instance_id": instance_id} for where, instance_id in pairs]
        return {"instances": rows, "notice_s": notice_s, "reason": reason}

    def _rebalance(self, _http: Http, body: Any) -> dict[str, Any]:
        instance_id = _instance_id(body)
        region = _known_region(body.get("region") or self._region_of(instance_id))
        self._sandbox.recommend_rebalance(region, instance_id)
        return {"region": region, "instance_id": instance_id}

    def _region_of(self, instance_id: str) -> str:
        for thing in self._sandbox.things(defaults=False):
            if thing.kind == "instance" and thing.id == instance_id:
                return thing.region
        raise _NotThereError(f"no instance {instance_id} is in the sandbox")

    def _stop(self, _http: Http, _body: Any) -> dict[str, Any]:
        # In another thread and after the reply is sent, because stopping closes all connections, this one included.
        threading.Timer(0.1, self._on_stop).start()
        return {}


def _instance_id(body: Any) -> str:
    if not isinstance(body, dict) or not isinstance(body.get("instance_id"), str):
        raise TypeError("a mapping with an instance_id, a text, is expected")
    return str(body["instance_id"])


def _known_region(region: Any) -> str:
    if region not in ENABLED_BY_DEFAULT + OPT_IN:
        raise _NotThereError(f"no region {region} is in the sandbox")
    return str(region)


def _reason(body: dict[str, Any]) -> str:
    reason = body.get("reason", _REASONS[0])
    if reason not in _REASONS:
        raise ValueError(f"reason is one of {', '.join(_REASONS)}, not {reason!r}")
    return str(reason)


def _seconds(value: object) -> float:
    # In Python booleans are integers, and comparisons with NaN are false
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LONGEST_S:
        return float(value)
    raise ValueError(f"notice_s is a number of seconds, from 0 to {_LONGEST_S}, not {value!r}")


def _reply(answer: object, status: int = HTTPStatus.OK) -> Reply:
    return Reply(json.dumps(answer).encode(), status, "application/json")


def _error(status: int, message: str) -> Reply:
    return _reply({"error": message}, status)


def _count(words: Any) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _nested(pairs: Any) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (outer, inner), count in sorted(Counter(pairs).items()):
        nested.setdefault(outer, {})[inner] = count
    return nested
