"""moto in this process, as the last handler."""

from __future__ import annotations

import io
import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlencode

from aws_spot_sandbox.http_types import AwsError, Reply
from aws_spot_sandbox.state import ACCESS_KEY_ID, ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aws_spot_sandbox.http_types import Call

    Wsgi = Callable[[dict[str, Any], Callable[..., None]], Iterable[bytes]]

_SERVER_ERROR = 500
# Services whose signing name differs from the model's name
_SIGNED_AS = {"tagging": "resourcegroupstaggingapi", "monitoring": "cloudwatch"}
_NOT_FOUND = 404
_FORM = "application/x-www-form-urlencoded"
_SET_BY_THE_SERVER = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "date",
        "server",
        "transfer-encoding",
        "x-amz-request-id",
    }
)


class Moto:
    """A Handler. There can be only one at a time, because moto's state is per process."""

    def __init__(self) -> None:
        os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT_ID  # moto reads it with every call
        os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = (
            "false"  # the sandbox has its own images; loading moto's takes a second
        )
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - two seconds, after the environment is set
            DomainDispatcherApplication,
            create_backend_app,
        )

        self._dispatcher = DomainDispatcherApplication(create_backend_app)
        self._apps: dict[str, Wsgi] = {}  # by service; moto's lookup takes a quarter of a call
        _quick_method_names()
        self._lock = (
            threading.Lock()
        )  # moto is not thread safe; with the interpreter lock a lock costs no throughput

    def __call__(self, call: Call) -> Reply:
        # An unknown action, an exception in moto, and all else that moto reports as a server error
        try:
            with self._lock:
                reply = self._ask(call)
        except NotImplementedError as gap:
            raise _gap(call) from gap
        except Exception as mistake:
            raise _gap(call, f" as it was called: {type(mistake).__name__}: {mistake}") from mistake
        unknown_path = (
            reply.status == _NOT_FOUND and call.http.method != "HEAD"
        )  # whose errors have no content
        if "html" in reply.content_type and (unknown_path or reply.status == _SERVER_ERROR):
            raise _gap(call)
        if reply.status >= _SERVER_ERROR and call.action:
            raise _gap(call, f" as it was called: {reply.body[:200].decode(errors='replace')}")
        return reply

    def _ask(self, call: Call) -> Reply:
        outcome: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _exc: Any = None) -> None:
            outcome["status"] = int(status.split(" ", 1)[0])
            outcome["type"] = next((value for name, value in headers if name.lower() == "content-type"), "")
            outcome["headers"] = tuple(headers) if call.service == "s3" else ()

        environ = _environ(call)
        body = b"".join(self._application(call, environ)(environ, start_response))
        kept = tuple(
            (name, value) for name, value in outcome["headers"] if name.lower() not in _SET_BY_THE_SERVER
        )
        if call.http.method == "HEAD" and call.service == "s3":
            size = next(
                (value for name, value in outcome["headers"] if name.lower() == "content-length"), "0"
            )
            kept = (*kept, ("Content-Length", size))
        return Reply(body, outcome["status"], outcome["type"], headers=kept)

    def _application(self, call: Call, environ: dict[str, Any]) -> Wsgi:
        if not call.action:  # one REST service name may have several applications, by path
            return cast("Wsgi", self._dispatcher)
        if call.service not in self._apps:
            host = self._dispatcher.infer_service_region_host(environ, call.http.path)
            if not any(
                pattern.match(f"http://{host}") for _, pattern in self._dispatcher.backend_url_patterns
            ):
                raise NotImplementedError
            self._apps[call.service] = self._dispatcher.get_application(environ)
        return self._apps[call.service]

    def reset(self, seed: int) -> None:
        """Delete all resources of all regions and services. Moto creates the backends again at their next use."""
        from moto.core.base_backend import BackendDict, backend_lock  # noqa: PLC0415 - as above
        from moto.core.model_instances import reset_model_data  # noqa: PLC0415 - as above
        from moto.moto_api._internal import mock_random  # noqa: PLC0415 - as above

        with self._lock, backend_lock:
            for services in BackendDict._instances:  # noqa: SLF001 - its public reset() first recreates every region
                services.clear()
                # S3 also keeps the owners of bucket names, which are unique worldwide.
                getattr(services, "bucket_accounts", {}).clear()
            BackendDict._instances.clear()  # noqa: SLF001 - as above
            reset_model_data()
            mock_random.seed(seed)

    def regions(self) -> list[str]:
        """The regions with calls to EC2; the others have a new account's resources."""
        from moto.backends import get_backend  # noqa: PLC0415 - as above

        with self._lock:
            return sorted(get_backend("ec2")[ACCOUNT_ID])


def _quick_method_names() -> None:
    """Moto inspects all methods of a service in every call: a fifth of its time."""
    from moto.core import responses  # noqa: PLC0415 - as above

    responses.method_names_from_class = cache(responses.method_names_from_class)


def _gap(call: Call, detail: str = "") -> AwsError:
    """Status 501, because clients retry 500."""
    operation = call.name if call.action else f"{call.service} {call.http.method} {call.http.path}"
    return AwsError("NotImplemented", f"the sandbox does not implement {operation}{detail}", status=501)


def _environ(call: Call) -> dict[str, Any]:
    body = call.body or (urlencode({"Action": call.action, **call.params}).encode() if call.action else b"")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": call.http.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(call.http.path, "latin-1"),
        "QUERY_STRING": call.http.query,
        "RAW_URI": call.http.path + (f"?{call.http.query}" if call.http.query else ""),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in _headers(call).items():
        key = name.upper().replace("-", "_")
        environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    if call.service == "s3" and environ.get("CONTENT_TYPE", "").startswith(_FORM):
        environ["CONTENT_TYPE"] = (
            "binary/octet-stream"  # moto would read an object as a form, and store nothing
        )
    # moto parses the region from the host name, and the sandbox's port would break that
    environ["HTTP_HOST"] = f"{call.service}.{call.region}.amazonaws.com"
    return environ


def _headers(call: Call) -> dict[str, str]:
    if call.http.headers:
        return {name: value for name, value in call.http.headers.items() if name != "content-length"}
    scope = (
        f"Credential={call.access_key_id or ACCESS_KEY_ID}/20260101/{call.region}/{call.service}/aws4_request"
    )
    headers = {
        "authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
    }
    prefix = _target_prefix(call.service)
    if prefix:
        headers |= {"x-amz-target": f"{prefix}.{call.action}", "content-type": "application/x-amz-json-1.1"}
    return headers


def _target_prefix(service: str) -> str:
    from moto.core.utils import get_service_model  # noqa: PLC0415 - as above

    return str(get_service_model(_SIGNED_AS.get(service, service)).metadata.get("targetPrefix", ""))
