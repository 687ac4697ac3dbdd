"""Times are parsed as botocore parses them, quickly in AWS's usual form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import utils
from hypothesis import given
from hypothesis import strategies as st

from bacalhau_spot.cloud import timestamps
from bacalhau_spot.cloud.connection import AwsConnection
from bacalhau_spot.cloud.credentials import core_session
from bacalhau_spot.cloud.timestamps import timestamp


def outcome(parse: Any, value: Any) -> Any:
    try:
        return parse(value)
    except (ValueError, RuntimeError) as error:
        return type(error)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "2026-11-29T00:36:24Z",
            "2026-11-29T00:36:24.000Z",
            "2026-11-29T00:36:24.123456Z",
            "2024-02-29T23:59:59.9Z",
        ),
        *("2026-11-29T00:36:24+02:00", "2026-11-29", "Sun, 29 Nov 2026 00:36:24 GMT", "20261129T003624Z"),
        *("1795860000", 1795860000, 1795860000.25, "0", "99999999999"),
        *("2026-13-29T00:36:24Z", "2026-02-30T00:36:24Z", "2026-11-29T25:00:00Z", "0000-01-01T00:00:00Z"),
        *(
            "2026-11-29T00:36:24.1234567Z",
            "\uff12\uff10\uff12\uff16-11-29T00:36:24Z",
            "9999-12-31T23:59:60Z",
            "nonsense",
            "",
        ),
    ],
)
def test_every_form_is_as_botocores(value: Any) -> None:
    found, expected = outcome(timestamp, value), outcome(utils.parse_timestamp, value)
    assert found == expected
    if isinstance(found, datetime):
        assert found.utcoffset() == expected.utcoffset()


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)), st.integers(0, 6))  # noqa: DTZ001 - a bound without zone
def test_every_time_is_as_botocores(moment: datetime, digits: int) -> None:
    fraction = f".{moment.microsecond:06d}"[: digits + 1] if digits else ""
    text = f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
    assert timestamp(text) == utils.parse_timestamp(text)


def test_the_usual_form_does_not_wait_for_dateutil(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(value: Any) -> datetime:
        raise AssertionError(value)

    monkeypatch.setattr(timestamps, "parse_timestamp", refuse)
    assert timestamp("2026-11-29T00:36:24.000Z") == datetime(2026, 11, 29, 0, 36, 24, tzinfo=UTC)


def test_replies_are_parsed_with_it() -> None:
    core = core_session(AwsConnection(access_key_id="a", secret_access_key="b"))
    for protocol in ("ec2", "query", "json", "rest-xml"):
        parser = core.get_component("response_parser_factory").create_parser(protocol)
        assert parser._timestamp_parser is timestamp
