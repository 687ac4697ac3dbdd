"""Finding a managed orchestrator: by its credentials, in one call where its region is known, in all regions otherwise."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.model import (
    BacalhauSpec,
    ClusterSpec,
    Naming,
    OrchestratorMode,
    OrchestratorSpec,
    RegionSpec,
    Secret,
    TlsMode,
)
from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials
from bacalhau_spot.core.tags import orchestrator_parameter, orchestrator_tags
from bacalhau_spot.engine.aws_calls.caller import AwsCalls
from bacalhau_spot.engine.orchestrator.resolve import resolve_orchestrator
from bacalhau_spot.errors import ExitCode, UserError
from support.engine_clock import EngineClock

SPEC = ClusterSpec(
    name="c",
    naming=Naming(),
    regions=(RegionSpec("us-west-1"), RegionSpec("eu-west-1")),
    nodes=4,
    orchestrator=OrchestratorSpec(OrchestratorMode.MANAGED),
    bacalhau=BacalhauSpec(labels=(("team", "a"),), api_user="somebody", api_password=Secret("x")),
)
CREDENTIALS = OrchestratorCredentials(
    host="198.51.100.7",
    token=Secret("node token"),
    operator_key=Secret("operator"),
    tool_key=Secret("tool"),
    ca_pem="CA",
    ca_key=Secret("CA key"),
    server_pem="server",
    server_key=Secret("server key"),
)


class Counted:
    """Calls to AWS, counted by their API operation."""

    def __init__(self, cloud: Aws, sandbox: Any) -> None:
        self.operations: list[tuple[str, str | None]] = []
        self._session = cloud._session
        self._call = cloud._session.call
        self._cloud, self._sandbox = cloud, sandbox

    def __enter__(self) -> AwsCalls:
        async def counted(service: str, region: str | None, operation: str, **kwargs: Any) -> dict[str, Any]:
            self.operations.append((operation, region))
            return await self._call(service, region, operation, **kwargs)

        self._session.call = counted  # type: ignore[method-assign]  # the one way in and out
        return AwsCalls(
            self._cloud,
            clock=EngineClock(self._sandbox.clock),
            emit=lambda _: None,
            api_s=60,
            jitter=lambda: 0.5,
            run_id="run",
        )

    def __exit__(self, *_: object) -> None:
        self._session.call = self._call  # type: ignore[method-assign]  # as before


def store(cloud: Aws, region: str, *, naming: Naming = SPEC.naming, value: Secret | None = None) -> None:
    name = orchestrator_parameter(naming)
    asyncio.run(
        cloud.put_parameter(
            region,
            name,
            value=value or CREDENTIALS.to_json(),
            tags=orchestrator_tags(naming, name),
            replace=False,
        )
    )


def test_the_configured_home_region_takes_one_call(cloud: Aws, sandbox: Any) -> None:
    store(cloud, "us-west-1")
    with (counted := Counted(cloud, sandbox)) as calls:
        spec = asyncio.run(resolve_orchestrator(calls, SPEC))
    assert counted.operations == [("get_parameter", "us-west-1")]
    assert spec.bacalhau.orchestrators == ("tls://198.51.100.7:4222",)
    assert spec.bacalhau.tls is TlsMode.NATIVE
    assert spec.bacalhau.token == CREDENTIALS.token
    assert spec.bacalhau.ca_pem == spec.bacalhau.api_ca_pem == "CA"
    assert spec.bacalhau.api_host == "https://198.51.100.7:1234"
    assert spec.bacalhau.api_key == CREDENTIALS.tool_key
    assert (spec.bacalhau.api_user, spec.bacalhau.api_password) == (None, None)
    assert spec.bacalhau.labels == SPEC.bacalhau.labels
    assert replace(spec, bacalhau=SPEC.bacalhau) == SPEC


def test_the_operator_gets_the_key_that_submits_jobs(cloud: Aws, sandbox: Any) -> None:
    store(cloud, "us-west-1")
    with Counted(cloud, sandbox) as calls:
        spec = asyncio.run(resolve_orchestrator(calls, SPEC, operator=True))
    assert spec.bacalhau.api_key == CREDENTIALS.operator_key


def test_an_orchestrator_elsewhere_is_found_in_each_enabled_region_once(cloud: Aws, sandbox: Any) -> None:
    """The configuration names another region than the one in which the orchestrator was created."""
    store(cloud, "eu-north-1")
    with (counted := Counted(cloud, sandbox)) as calls:
        spec = asyncio.run(resolve_orchestrator(calls, SPEC))
    assert spec.bacalhau.orchestrators == ("tls://198.51.100.7:4222",)
    looked = [region for operation, region in counted.operations if operation == "get_parameter"]
    enabled = [region.name for region in asyncio.run(cloud.regions()) if region.enabled]
    assert sorted(map(str, looked)) == sorted(enabled)


def test_a_shared_orchestrator_is_the_other_clusters(cloud: Aws, sandbox: Any) -> None:
    other = replace(SPEC.naming, tag_value="other")
    store(cloud, "eu-west-1", naming=other)
    shared = replace(SPEC, orchestrator=OrchestratorSpec(OrchestratorMode.SHARED, cluster="other"))
    with Counted(cloud, sandbox) as calls:
        spec = asyncio.run(resolve_orchestrator(calls, shared))
        assert spec.bacalhau.token == CREDENTIALS.token
        with pytest.raises(UserError) as missing:
            asyncio.run(resolve_orchestrator(calls, SPEC))
    assert missing.value.exit_code is ExitCode.FAILED and "create" in missing.value.hint


@pytest.mark.parametrize("mode", [OrchestratorMode.OWN, OrchestratorMode.NONE])
def test_the_users_own_orchestrator_takes_no_call(cloud: Aws, sandbox: Any, mode: OrchestratorMode) -> None:
    own = replace(SPEC, orchestrator=OrchestratorSpec(mode))
    with (counted := Counted(cloud, sandbox)) as calls:
        assert asyncio.run(resolve_orchestrator(calls, own)) is own
    assert counted.operations == []


def test_no_other_cluster_of_that_name_is_an_error_of_the_configuration(cloud: Aws, sandbox: Any) -> None:
    shared = replace(SPEC, orchestrator=OrchestratorSpec(OrchestratorMode.SHARED, cluster="other"))
    with Counted(cloud, sandbox) as calls, pytest.raises(UserError, match="cluster other") as missing:
        asyncio.run(resolve_orchestrator(calls, shared))
    assert missing.value.exit_code is ExitCode.USAGE


def test_a_region_that_refuses_may_have_the_orchestrator(cloud: Aws, sandbox: Any) -> None:
    """No answer is not "there is none": a second orchestrator would be created."""
    with (counted := Counted(cloud, sandbox)) as calls:
        inner = cloud._session.call

        async def refusing(service: str, region: str | None, operation: str, **kwargs: Any) -> dict[str, Any]:
            if operation == "get_parameter" and region == "eu-west-3":
                raise CloudError("AccessDeniedException", "no", operation="GetParameter", region="eu-west-3")
            return await inner(service, region, operation, **kwargs)

        cloud._session.call = refusing  # type: ignore[method-assign]  # restored by `counted`
        with pytest.raises(CloudError, match="AccessDeniedException"):
            asyncio.run(resolve_orchestrator(calls, SPEC))
    assert ("get_parameter", "us-west-1") in counted.operations


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"host": "198.51.100.7"}'])
def test_a_parameter_in_another_format_is_named(cloud: Aws, sandbox: Any, text: str) -> None:
    store(cloud, "us-west-1", value=Secret(text))
    with Counted(cloud, sandbox) as calls, pytest.raises(UserError) as error:
        asyncio.run(resolve_orchestrator(calls, SPEC))
    assert orchestrator_parameter(SPEC.naming) in error.value.what and text not in str(error.value)
