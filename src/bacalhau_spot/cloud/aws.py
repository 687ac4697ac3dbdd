"""AWS as the port describes it: translation only, no decisions, no waiting. The parts are in the sibling files."""

from __future__ import annotations

from bacalhau_spot.cloud.account import AwsAccount
from bacalhau_spot.cloud.cleaning import AwsCleaning
from bacalhau_spot.cloud.compute import AwsCompute
from bacalhau_spot.cloud.examining import AwsExamining
from bacalhau_spot.cloud.market import AwsMarketPlace
from bacalhau_spot.cloud.networking import AwsNetworking
from bacalhau_spot.cloud.prices import AwsPrices
from bacalhau_spot.cloud.ranking import AwsRanking
from bacalhau_spot.cloud.replies import refuses_malformed_replies
from bacalhau_spot.cloud.secret_store import AwsSecretStore
from bacalhau_spot.cloud.session import Access, Session
from bacalhau_spot.cloud.watching import AwsWatching


@refuses_malformed_replies
class Aws(
    AwsAccount,
    AwsMarketPlace,
    AwsPrices,
    AwsRanking,
    AwsNetworking,
    AwsCompute,
    AwsWatching,
    AwsSecretStore,
    AwsCleaning,
    AwsExamining,
):
    """`port.Cloud` over boto3. `close()` when done."""

    def __init__(self, access: Access) -> None:
        self._session = Session(access)

    def close(self) -> None:
        self._session.close()
