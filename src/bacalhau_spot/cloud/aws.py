"""AWS as the port describes it: translation only, no decisions, no waiting. The parts are in the sibling files."""

from __future__ import annotations

from bacalhau_spot.cloud.account import AwsAccount
from bacalhau_spot.cloud.cleaning import AwsCleanup
from bacalhau_spot.cloud.compute import AwsCompute
from bacalhau_spot.cloud.examining import AwsDiagnostics
from bacalhau_spot.cloud.market import AwsMarketPlace
from bacalhau_spot.cloud.networking import AwsNetworking
from bacalhau_spot.cloud.prices import AwsPrices
from bacalhau_spot.cloud.ranking import AwsPlacementScoring
from bacalhau_spot.cloud.replies import refuses_malformed_replies
from bacalhau_spot.cloud.secret_store import AwsSecretStore
from bacalhau_spot.cloud.session import AwsConnection, Session
from bacalhau_spot.cloud.watching import AwsInstanceStatus


@refuses_malformed_replies
class Aws(
    AwsAccount,
    AwsMarketPlace,
    AwsPrices,
    AwsPlacementScoring,
    AwsNetworking,
    AwsCompute,
    AwsInstanceStatus,
    AwsSecretStore,
    AwsCleanup,
    AwsDiagnostics,
):
    """`port.Cloud` over boto3. `close()` when done."""

    def __init__(self, connection: AwsConnection) -> None:
        self._session = Session(connection)

    def close(self) -> None:
        self._session.close()
