"""The implementation of the port: translation only, no decisions, no waiting. The parts are in the sibling files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cloud.account import AwsAccount
from bacalhau_spot.cloud.account_images import AwsImages
from bacalhau_spot.cloud.auto_scaling import AwsScalingGroups
from bacalhau_spot.cloud.cleanup import AwsCleanup
from bacalhau_spot.cloud.compute import AwsCompute
from bacalhau_spot.cloud.diagnostics import AwsDiagnostics
from bacalhau_spot.cloud.instance_status import AwsInstanceStatus
from bacalhau_spot.cloud.market import AwsMarketPlace
from bacalhau_spot.cloud.networking import AwsNetworking
from bacalhau_spot.cloud.orchestrator_resources import AwsOrchestratorResources
from bacalhau_spot.cloud.placement_scores import AwsPlacementScoring
from bacalhau_spot.cloud.prices import AwsPrices
from bacalhau_spot.cloud.replies import refuses_malformed_replies
from bacalhau_spot.cloud.secret_store import AwsSecretStore
from bacalhau_spot.cloud.session import Session

if TYPE_CHECKING:
    from bacalhau_spot.cloud.connection import AwsConnection


@refuses_malformed_replies
class Aws(
    AwsAccount,
    AwsMarketPlace,
    AwsPrices,
    AwsPlacementScoring,
    AwsNetworking,
    AwsCompute,
    AwsScalingGroups,
    AwsInstanceStatus,
    AwsOrchestratorResources,
    AwsImages,
    AwsSecretStore,
    AwsCleanup,
    AwsDiagnostics,
):
    """`port.Cloud` over botocore. `close()` when done."""

    def __init__(self, connection: AwsConnection) -> None:
        self._session = Session(connection)

    def close(self) -> None:
        self._session.close()

    def abandon(self) -> None:
        """In place of `close()`, after an error."""
        self._session.abandon()
