"""Which launchers replace an instance that ends."""

from __future__ import annotations

from typing import Any

import pytest

from bacalhau_spot.cloud.cleanup import fleets
from bacalhau_spot.cloud.cleanup.handler import Ec2Listing

FLEET, SPOT_FLEET, REQUEST = fleets._FLEETS, fleets._SPOT_FLEETS, fleets._REQUESTS


@pytest.mark.parametrize(
    ("listing", "row", "relaunches"),
    [
        (FLEET, {"FleetId": "fleet-1", "Type": "maintain"}, True),
        (FLEET, {"FleetId": "fleet-1", "Type": "instant"}, False),
        (FLEET, {"FleetId": "fleet-1", "Type": "request"}, False),
        (FLEET, {"FleetId": "fleet-1"}, True),  # CreateFleet's default
        (SPOT_FLEET, {"SpotFleetRequestId": "sfr-1", "SpotFleetRequestConfig": {"Type": "maintain"}}, True),
        (SPOT_FLEET, {"SpotFleetRequestId": "sfr-1", "SpotFleetRequestConfig": {"Type": "request"}}, False),
        (SPOT_FLEET, {"SpotFleetRequestId": "sfr-1", "SpotFleetRequestConfig": {}}, True),
        (REQUEST, {"SpotInstanceRequestId": "sir-1", "Type": "persistent"}, True),
        (REQUEST, {"SpotInstanceRequestId": "sir-1", "Type": "one-time"}, False),
    ],
)
def test_only_some_types_relaunch(listing: Ec2Listing, row: dict[str, Any], relaunches: bool) -> None:
    """F3: EC2 user guide, "EC2 Fleet request types", "Spot Instance request types"; the defaults in the API reference."""
    assert listing.resource(row, "us-east-1").relaunches is relaunches
