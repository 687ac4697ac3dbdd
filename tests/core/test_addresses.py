"""Addresses that hold secrets, as they are shown."""

from __future__ import annotations

import pytest

from bacalhau_spot.core.addresses import address_secrets, shown_address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://m/{version}/x_{arch}.tar.gz", "https://m/{version}/x_{arch}.tar.gz"),
        ("https://m:8443/a@b", "https://m:8443/a@b"),
        ("https://me:secret@m/x", "https://***@m/x"),
        ("https://me:se@cret@m/x", "https://***@m/x"),
        ("https://token@m/x", "https://***@m/x"),
        ("https://m/x?X-Amz-Signature=0123&a=b", "https://m/x?***"),
        ("HTTPS://m?a", "HTTPS://m?***"),
        ("https://m/x.whl?a=b#sha256=0123", "https://m/x.whl?***#sha256=0123"),
        ("bacalhau-spot==1.2.3", "bacalhau-spot==1.2.3"),
    ],
)
def test_an_address_is_shown_without_its_login_and_query(url: str, shown: str) -> None:
    assert shown_address(url) == shown


def test_the_secrets_of_an_address_are_its_password_and_long_values() -> None:
    """A short value of the query is the name of a system, for example."""
    url = "https://me:sec%20ret@m/x?os=x86_64&sig=0123456789abcdef%2B"
    query = "os=x86_64&sig=0123456789abcdef"
    assert set(address_secrets(url)) == {
        "sec%20ret", "sec ret", f"{query}%2B", f"{query}+", "0123456789abcdef%2B", "0123456789abcdef+",
    }  # fmt: skip
    assert set(address_secrets("https://0123456789abcdef@m")) == {"0123456789abcdef"}
    assert not set(address_secrets("https://me@m/x")) | set(address_secrets("x==1"))
