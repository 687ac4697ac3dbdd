"""A small harness: the EC2 part alone, over HTTP on loopback, with a clock that only tests move."""

from __future__ import annotations

import os
import threading
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import boto3
import pytest
from botocore.config import Config
from werkzeug.serving import make_server
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from bacalhau_spot.sandbox.wire import AwsError, Call, Reply
from bacalhau_spot.sandbox.world import ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY, Settings, World

if TYPE_CHECKING:
    from collections.abc import Iterator

os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT_ID


class Sandbox:
    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        from bacalhau_spot.sandbox.ec2 import Ec2

        self.clock = 1_795_000_000.0
        self.world = World(settings=Settings(), now=lambda: self.clock, sleep=self._sleep)
        self._moto = Client(DomainDispatcherApplication(create_backend_app))
        self.ec2 = Ec2(self.world, self.moto)
        self.headers: Any = {}
        self.server = make_server("127.0.0.1", 0, self.app, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _sleep(self, seconds: float) -> None:
        self.clock += seconds

    def moto(self, call: Call) -> Reply:
        headers = {**self.headers, "Host": f"{call.service}.{call.region}.amazonaws.com"}
        headers.pop("Content-Length", None)
        if "Authorization" not in headers:
            headers["Authorization"] = (
                f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20260101/{call.region}/{call.service}/aws4_request, SignedHeaders=host, Signature=00"
            )
        if call.service == "ssm":
            headers |= {
                "X-Amz-Target": f"AmazonSSM.{call.action}",
                "Content-Type": "application/x-amz-json-1.1",
            }
        answer = self._moto.post("/", data=call.body, headers=headers)
        return Reply(answer.get_data(), answer.status_code, answer.content_type or "")

    def app(self, environ: Any, start: Any) -> Any:
        request = Request(environ)
        body = request.get_data()
        scope = request.headers["Authorization"].split("Credential=")[1].split(",")[0].split("/")
        self.headers = dict(request.headers)
        target = request.headers.get("X-Amz-Target", "")
        params = dict(parse_qsl(body.decode(), keep_blank_values=True)) if not target else {}
        action = params.get("Action") or target.partition(".")[2]
        try:
            reply = self.ec2(Call(scope[3], scope[2], action, params, body))
        except AwsError as error:
            text = f"<Response><Errors><Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error></Errors><RequestID>x</RequestID></Response>"
            reply = Reply(text.encode(), error.status)
        except BaseException:
            traceback.print_exc()
            raise
        return Response(reply.body, reply.status, content_type=reply.content_type)(environ, start)

    def client(self, service: str = "ec2", region: str = "us-east-1") -> Any:
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=f"http://127.0.0.1:{self.server.server_port}",
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=Config(retries={"total_max_attempts": 1}),
        )


@pytest.fixture(scope="session")
def _one_sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
def sandbox(_one_sandbox: Sandbox) -> Iterator[Sandbox]:
    yield _one_sandbox
    _one_sandbox.world.settings.__init__()  # type: ignore[misc]
    _one_sandbox.ec2.reset()
