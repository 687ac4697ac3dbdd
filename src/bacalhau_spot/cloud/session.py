"""The connection to AWS: one botocore session, one client per service, async calls in threads."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.utils import validate_region_name

from bacalhau_spot.cloud.authorization_messages import Denials
from bacalhau_spot.cloud.aws_errors import REFUSED_TOKENS, encoded_proof, non_aws_response, translate
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.credentials import core_session
from bacalhau_spot.cloud.limits import MAX_PAGE_SIZE, page_size, within_filter_limit, without_duplicates
from bacalhau_spot.cloud.replies import MALFORMED, reason, reject_foreign_replies, required
from bacalhau_spot.cloud.shared_client import follows_rules, in_region, make_shared, may_share
from bacalhau_spot.cloud.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from bacalhau_spot.cloud.connection import AwsConnection


T = TypeVar("T")

# A million items, more than any account has. An endpoint that is not AWS may return tokens without end.
MAX_PAGES = 1000

# CreateFleet of type instant returns after trying every pool: up to 41 s (karpenter-provider-aws#3922); botocore's
# limit is 60.
SLOW_OPERATIONS = {"CreateFleet": 300.0}
# The read timeout. It is short for STS, which answers at once, so that an unresponsive endpoint fails soon.
CONNECT_S, READ_S, WHO_AM_I_S = 5.0, 45.0, 7.0
# In place of a page size: the largest that the operation allows, which its model has.
_LARGEST: Final = object()
# A look asks two things of each of AWS's regions at once. asyncio's own pool would have six threads on two cores.
_THREADS = 80


class Session:
    """Makes AWS calls in threads and translates their errors. Safe to use from one event loop."""

    def __init__(self, connection: AwsConnection) -> None:
        self._access = connection
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="aws")
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, bool], Any] = {}  # by service, region (empty: all), whole model
        self._session: Any = None  # botocore's
        self._transport: Transport | None = None
        self._may_share: bool | None = None  # unknown until the first call
        self._denials = Denials()
        self._ended = False  # no call may begin any more
        self._identified = False  # STS has accepted these credentials
        self.account_id = ""  # as returned by STS; empty before
        # By region, from the last list of its VPCs: an existing VPC never becomes the default one.
        self.default_vpcs: dict[str, asyncio.Future[frozenset[str]]] = {}

    async def call(self, service: str, region: str | None, operation: str, **kwargs: Any) -> dict[str, Any]:
        """One API call. `region` None: the default region. Raises CloudError."""
        return await self._run(self._call, service, region, operation, kwargs)

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    async def pages(
        self, service: str, region: str | None, operation: str, key: str, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """All items below `key` of a paginated call, within EC2's limits. Raises CloudError.

        AWS may return an empty page before further ones; the list itself is in every reply.
        """
        parts = [
            await self._pages_of(service, region, operation, key, part)
            for part in (within_filter_limit(kwargs) if service == "ec2" else [kwargs])
        ]
        return parts[0] if len(parts) == 1 else without_duplicates(row for part in parts for row in part)

    async def _pages_of(
        self, service: str, region: str | None, operation: str, key: str, parameters: dict[str, Any]
    ) -> list[dict[str, Any]]:
        parameters = {"MaxResults": _LARGEST, **parameters}
        items: list[dict[str, Any]] = []
        tokens: set[str] = set()
        next_page: dict[str, Any] = {}
        while True:
            reply = await self.call(service, region, operation, **parameters, **next_page)
            items.extend(required(reply, key, operation=operation, region=region or ""))
            token = reply.get("NextToken")
            if not token:
                return items
            if token in tokens or len(tokens) >= MAX_PAGES:
                raise non_aws_response(
                    operation=operation, region=region or "", detail="its pages do not end"
                )
            tokens.add(token)
            next_page = {"NextToken": token}

    async def all_pages(
        self, service: str, region: str | None, operation: str, **kwargs: Any
    ) -> dict[str, Any]:
        """All pages of a call in one reply, for services with their own pagination. Raises CloudError."""
        return await self._run(self._all_pages, service, region, operation, kwargs)

    async def credentials_origin(self) -> str:
        """How botocore found the credentials; empty if it found none. Raises CloudError."""
        return await self._run(self._origin)

    def _origin(self) -> str:
        try:
            self._client("sts", None)
            found = self._session.get_credentials() if self._session else None
        except BotoCoreError as error:
            raise translate(error, operation="get_credentials", region="") from error
        return str(found.method) if found else ""

    def close(self) -> None:
        """Wait for calls in flight: an aborted launch with a lost reply would leave orphaned instances."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def abandon(self) -> None:
        """After an error: no call begins any more, and nobody waits for those in flight."""
        with self._lock:  # a client in the making has read the settings of its own command
            self._ended = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(
        self, service: str, region: str | None, operation: str, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        client = self._client(service, region, operation)
        if kwargs.get("MaxResults") is _LARGEST:
            kwargs = _with_page_size(client, operation, kwargs)
        return self._invoke(client, operation, region, lambda: getattr(client, operation)(**kwargs))

    def _all_pages(
        self, service: str, region: str | None, operation: str, kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        client = self._client(service, region, operation)
        if not client.can_paginate(operation):
            return self._call(service, region, operation, kwargs)
        limit = {"MaxItems": MAX_PAGES * MAX_PAGE_SIZE}
        pages = client.get_paginator(operation).paginate(**kwargs, PaginationConfig=limit)
        reply = self._invoke(client, operation, region, pages.build_full_result)
        if "NextToken" in reply:  # botocore adds it if it stopped at the limit
            raise non_aws_response(operation=operation, region=region or "", detail="its pages do not end")
        # Only S3 omits empty lists (Amazon S3 API reference, ListObjectVersions).
        if service != "s3" and all(key.search(reply) is None for key in pages.result_keys):
            listed = pages.result_keys[0].expression
            raise non_aws_response(operation=operation, region=region or "", detail=f"{listed} is missing")
        return reply

    def _invoke(
        self, client: Any, operation: str, region: str | None, call: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """One call, reported to `on_call`. Raises CloudError."""
        start_s, outcome = time.monotonic(), "failed"
        asked = self._asked_region(region)
        try:
            with in_region(asked):
                reply = call()
            outcome = "ok"
            if operation == "get_caller_identity":
                self._identified, self.account_id = True, str(reply.get("Account", ""))
        except (BotoCoreError, ClientError) as error:
            outcome = str(error)
            raise self._translate(error, operation, region, asked) from error
        except (*MALFORMED, RuntimeError) as error:  # botocore raises RuntimeError for an invalid time
            outcome = "no response from AWS"
            raise non_aws_response(operation=operation, region=region or "", detail=reason(error)) from error
        finally:
            if self._access.on_call is not None:
                spent_ms = (time.monotonic() - start_s) * 1000
                name = (
                    f"{client.meta.service_model.service_name}:{client.meta.method_to_api_mapping[operation]}"
                )
                self._access.on_call(f"{name} {asked} {spent_ms:.0f} ms: {outcome}")
        return reply

    def _translate(
        self, error: BotoCoreError | ClientError, operation: str, region: str | None, asked: str
    ) -> CloudError:
        """The translated error, with AWS's decoded reason for a denial. `asked`: the region of the call."""
        translated = translate(error, operation=operation, region=region or "")
        if self._identified and translated.code in REFUSED_TOKENS:
            translated.code, translated.region = REFUSED_TOKENS[translated.code], region or asked
        proof = encoded_proof(error)
        if proof is not None:
            translated.message += self._denials.reason(proof, lambda: self._client("sts", None))
        return translated

    def _asked_region(self, region: str | None) -> str:
        """The region, or that of the settings. After the first client."""
        return str(region or self._session.get_config_variable("region") or self._access.home_region)

    def _client(self, service: str, region: str | None, operation: str = "") -> Any:
        """The client of a service. With a model of all operations, if the cut one lacks `operation`."""
        # A session is not thread safe, and a new client takes 3 ms; clients can be used from any thread.
        with self._lock:
            if self._ended:
                raise RuntimeError("the command has ended")  # nobody waits for the answer
            if self._session is None:
                self._session = core_session(self._access)
            try:
                client = self._known_client(service, self._asked_region(region), whole=False)
                if operation and operation not in client.meta.method_to_api_mapping:
                    client = self._known_client(service, self._asked_region(region), whole=True)
            except (BotoCoreError, ClientError) as error:
                raise translate(error, operation="", region="") from error
            except ValueError as error:  # botocore's error for an invalid address
                raise CloudError("InvalidSetting", str(error), operation="", region="") from error
            return client

    def _known_client(self, service: str, region: str, *, whole: bool) -> Any:
        """The client of all regions, where they can share one."""
        validate_region_name(region)
        if self._may_share is None:
            self._may_share = follows_rules(self._session)
        shared = self._may_share and may_share(service, region)
        key = (service, "" if shared else region, whole)
        if key not in self._clients:
            self._clients[key] = self._new_client(service, region, whole=whole)
            if shared:
                make_shared(self._clients[key])
        return self._clients[key]

    def _new_client(self, service: str, region: str, *, whole: bool) -> Any:
        models = self._session.get_component("data_loader")
        client = self._session.create_client(
            service,
            region_name=region,
            api_version=models.latest_version(service) if whole else None,
            endpoint_url=self._access.endpoint_url,
            config=_config(
                self._access,
                user_agent=_user_agent(self._session),
                read_timeout_s=WHO_AM_I_S if service == "sts" else READ_S,
            ),
        )
        if self._transport is None:
            self._transport = Transport(self._session, connections=_THREADS)
        self._transport.take_over(client, slow_operations=SLOW_OPERATIONS)
        reject_foreign_replies(client)
        return client


def _with_page_size(client: Any, operation: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    kwargs = {name: value for name, value in kwargs.items() if name != "MaxResults"}
    name = client.meta.method_to_api_mapping[operation]
    size = page_size(client.meta.service_model.operation_model(name), kwargs)
    return {**kwargs, "MaxResults": size} if size else kwargs


def _user_agent(session: Any) -> str:
    """botocore's, once a client. botocore would build it twice a request, letter by letter: a twentieth of the CPU of `list`."""
    application = session.get_config_variable("user_agent_appid")
    return f"{session.user_agent()} app/{application}" if application else str(session.user_agent())


def _config(connection: AwsConnection, *, user_agent: str, read_timeout_s: float) -> Config:
    return Config(
        # An explicit endpoint does not use the environment's proxy, which is for access to AWS.
        proxies={} if connection.endpoint_url else None,
        connect_timeout=CONNECT_S,
        read_timeout=read_timeout_s,
        # Only the engine retries: it reports to the user, observes the deadline, and searches for the resource before
        # it repeats a create call without client token.
        retries={"mode": "standard", "total_max_attempts": 1},
        user_agent=user_agent,
        user_agent_extra="bacalhau-spot",
    )
