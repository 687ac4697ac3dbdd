"""The way to AWS: one boto3 session, one client per region and service, threads behind an async face."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader
from botocore.parsers import ResponseParserError

from bacalhau_spot.cloud.address import CHECKIP_URL
from bacalhau_spot.cloud.advisor import ADVISOR_URL
from bacalhau_spot.cloud.aws_errors import not_aws, proof_of, translate
from bacalhau_spot.cloud.credentials import core_session
from bacalhau_spot.cloud.denials import Denials
from bacalhau_spot.cloud.port import CloudError

if TYPE_CHECKING:
    from collections.abc import Callable

# Where we ask what is the same everywhere, when neither the profile nor the environment names a region.
FALLBACK_REGION = "us-east-1"

CONNECT_S, READ_S, WHO_AM_I_S = 5.0, 45.0, 10.0
_THREADS = 32  # asyncio's own pool would have six on two cores


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach AWS. All None: what the AWS CLI on this machine would use.

    With explicit keys nothing of the machine's AWS configuration is read, so that a broken profile cannot get in the way.
    `ask`: asks for an MFA code, where somebody is there to be asked. `trace`: is told every call, a line each.
    """

    profile: str | None = None
    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    checkip_url: str = CHECKIP_URL
    advisor_url: str = ADVISOR_URL  # empty: not asked
    archive_url: str | None = None  # where Bacalhau's archive is looked at. None: where the nodes fetch it
    # The orchestrator that goes with it. None: the one in the configuration.
    orchestrator_url: str | None = None
    orchestrator_key: str | None = None
    ask: Callable[[str], str] | None = None
    trace: Callable[[str], None] | None = None


class Session:
    """Makes AWS calls in threads and translates their errors. Safe to use from one event loop."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="aws")
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._session: boto3.Session | None = None
        self._denials = Denials()

    async def call(self, service: str, region: str | None, operation: str, **kwargs: Any) -> dict[str, Any]:
        """One API call. `region` None: wherever the user is at home. Raises CloudError."""
        work = functools.partial(self._call, service, region, operation, kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def pages(
        self, service: str, region: str | None, operation: str, key: str, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """All items below `key` of a paginated call. AWS may answer an empty page with a further one behind it."""
        items: list[dict[str, Any]] = []
        token: str | None = None
        while True:
            more = {"NextToken": token} if token else {}
            reply = await self.call(service, region, operation, **kwargs, **more)
            items.extend(reply.get(key, ()))
            token = reply.get("NextToken") or None
            if token is None:
                return items

    async def everything(
        self, service: str, region: str | None, operation: str, **kwargs: Any
    ) -> dict[str, Any]:
        """All pages of a call in one answer, for services that page each in a way of their own. Raises CloudError."""
        work = functools.partial(self._everything, service, region, operation, kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def credentials_origin(self) -> str:
        """How botocore found the credentials; empty when it found none. Raises CloudError."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._origin)

    def _origin(self) -> str:
        try:
            self._client("sts", None)
            found = self._session.get_credentials() if self._session else None
        except BotoCoreError as error:
            raise translate(error, operation="get_credentials", region="") from error
        return str(found.method) if found else ""

    def close(self) -> None:
        """Wait for calls in flight; an aborted launch whose answer is lost would be an orphan."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _call(
        self, service: str, region: str | None, operation: str, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        client = self._client(service, region)
        return self._made(client, operation, region, lambda: getattr(client, operation)(**kwargs))

    def _everything(
        self, service: str, region: str | None, operation: str, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        client = self._client(service, region)
        if not client.can_paginate(operation):
            return self._call(service, region, operation, kwargs)
        pages = client.get_paginator(operation).paginate(**kwargs)
        return self._made(client, operation, region, pages.build_full_result)

    def _made(
        self, client: Any, operation: str, region: str | None, call: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """One call, told to whoever traces. Raises CloudError."""
        start_s, outcome = time.monotonic(), "failed"
        try:
            reply = call()
            outcome = "ok"
        except (BotoCoreError, ClientError) as error:
            outcome = str(error)
            raise self._told(error, operation, region) from error
        except (
            ResponseParserError,
            KeyError,
        ) as error:  # both are botocore's way to say that the answer is not AWS's
            outcome = "no answer of AWS"
            raise not_aws(operation=operation, region=region or "") from error
        finally:
            if self._access.trace is not None:
                spent_ms = (time.monotonic() - start_s) * 1000
                name = (
                    f"{client.meta.service_model.service_name}:{client.meta.method_to_api_mapping[operation]}"
                )
                self._access.trace(f"{name} {client.meta.region_name} {spent_ms:.0f} ms: {outcome}")
        return reply

    def _told(self, error: BotoCoreError | ClientError, operation: str, region: str | None) -> CloudError:
        """The error in our words, with AWS's reason for a denial where it gives one."""
        told = translate(error, operation=operation, region=region or "")
        proof = proof_of(error)
        if proof is not None:
            told.message += self._denials.reason(proof, lambda: self._client("sts", None))
        return told

    def _client(self, service: str, region: str | None) -> Any:
        # A session is not thread safe and making a client takes 10 ms; clients may be used from any thread.
        with self._lock:
            if self._session is None:
                self._session = boto3.Session(botocore_session=core_session(self._access, models=_models()))
            where = region or self._session.region_name or FALLBACK_REGION
            client = self._clients.get((service, where))
            if client is None:
                client = self._new_client(self._session, service, where)
                self._clients[service, where] = client
            return client

    def _new_client(self, session: boto3.Session, service: str, region: str) -> Any:
        try:
            return session.client(
                service,
                region_name=region,
                endpoint_url=self._access.endpoint_url,
                config=_config(self._access, service),
            )
        except (BotoCoreError, ClientError) as error:
            raise translate(error, operation="", region="") from error
        except ValueError as error:  # botocore's for an address that is none
            raise CloudError("InvalidEndpoint", str(error), operation="", region="") from error


def _config(access: Access, service: str) -> Config:
    return Config(
        # An address that was given explicitly is meant as it is; a proxy of the environment is for the way to AWS.
        proxies={} if access.endpoint_url else None,
        connect_timeout=CONNECT_S,
        # An instant fleet answers only when every instance is granted or refused. A repeat carries the same client token.
        # Who we are is known at once: an address that hangs must not keep anybody waiting.
        read_timeout=WHO_AM_I_S if service == "sts" else READ_S,
        max_pool_connections=16,
        # The engine retries, and nothing below it: it tells the user, keeps the deadline, and looks before it makes again
        # what has no client token.
        retries={"mode": "standard", "total_max_attempts": 1},
        user_agent_extra="bacalhau-spot",
    )


@functools.cache
def _models() -> Loader:
    """The services as botocore describes them. EC2's takes a fifth of a second to read: once a process is enough."""
    return Loader()
