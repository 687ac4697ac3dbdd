"""AWS's file of interruption rates, whose form nobody promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bacalhau_spot.cloud.advisor import interruption_rates, parse_rates


def test_the_bands_of_linux_are_read() -> None:
    """Another system's, and what is no band, are left out."""
    data = {
        "ranges": [{"index": 0, "label": "<5%", "dots": 0, "max": 5}],
        "spot_advisor": {
            "us-east-1": {
                "Linux": {"t3.medium": {"s": 60, "r": 0}, "m5.large": {"s": 1, "r": 7}, "c5.large": {"s": 1}},
                "Windows": {"t3.large": {"s": 60, "r": 3}},
            },
            "eu-west-1": {"Linux": {"t3.medium": {"s": 60, "r": 4}}},
        },
    }
    assert parse_rates(data) == {"us-east-1": {"t3.medium": 0}, "eu-west-1": {"t3.medium": 4}}


@pytest.mark.parametrize("data", [None, [], {}, {"spot_advisor": 3}])
def test_another_form_is_nothing_known(data: Any) -> None:
    assert parse_rates(data) is None


def test_broken_parts_do_not_spoil_the_rest() -> None:
    assert parse_rates(
        {"spot_advisor": {"a": 1, "b": {"Linux": None}, "c": {"Linux": {"t": {"r": True}}}}}
    ) == {
        "a": {},
        "b": {},
        "c": {},
    }


def test_without_an_address_nobody_is_asked() -> None:
    assert asyncio.run(interruption_rates("")) is None
    assert asyncio.run(interruption_rates("http://127.0.0.1:9/nobody")) is None
