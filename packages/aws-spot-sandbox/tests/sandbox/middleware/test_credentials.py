"""Authentication. Codes: EC2 API Reference, "Error codes"; STS and Systems Manager API References, "Common errors"."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.middleware.errors import refusal

STRANGER = {"key_id": "AKIASTRANGERSTRANGER"}
FORGETFUL = {"secret": "not the secret"}


def whoami(sandbox: Any, **who: str) -> Any:
    return sandbox.client("sts", **who).get_caller_identity


def parameter(sandbox: Any, **who: str) -> Any:
    return lambda: sandbox.client("ssm", **who).get_parameter(Name="/nothing")


def vpcs(sandbox: Any, **who: str) -> Any:
    return sandbox.client("ec2", **who).describe_vpcs


def test_the_account_is_nobodys(sandbox: Any) -> None:
    """The account id is not a valid AWS account's; the caller is a user. AWS: STS, GetCallerIdentity."""
    identity = sandbox.client("sts").get_caller_identity()
    assert identity["Account"] == "000000000000"
    assert identity["Arn"] == "arn:aws:iam::000000000000:user/sandbox"
    assert sandbox.client("ec2").describe_vpcs()["Vpcs"][0]["OwnerId"] == "000000000000"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (vpcs, ("AuthFailure", 401)),
        (whoami, ("InvalidClientTokenId", 403)),
        (parameter, ("UnrecognizedClientException", 400)),
    ],
)
def test_an_unknown_key(sandbox: Any, call: Any, expected: tuple[str, int]) -> None:
    """Each service has its own code for an unknown key."""
    assert refusal(call(sandbox, **STRANGER)) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (vpcs, ("AuthFailure", 401)),
        (whoami, ("SignatureDoesNotMatch", 403)),
        (parameter, ("InvalidSignatureException", 400)),
    ],
)
def test_a_wrong_secret(sandbox: Any, call: Any, expected: tuple[str, int]) -> None:
    """The signature is recomputed. AWS: IAM User Guide, "Troubleshoot Signature Version 4 requests"."""
    assert refusal(call(sandbox, **FORGETFUL)) == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (vpcs, ("RequestExpired", 400)),
        (whoami, ("ExpiredToken", 403)),
        (parameter, ("ExpiredTokenException", 400)),
    ],
)
def test_expired_by_the_clock(sandbox: Any, call: Any, expected: tuple[str, int]) -> None:
    """Temporary credentials expire at a set time, for every service."""
    sandbox.settings.credentials_expire_at = sandbox.clock.now() + 60
    sandbox.client("ec2").describe_vpcs()
    sandbox.clock.advance(60)
    assert refusal(call(sandbox)) == expected


def test_expired_after_some_calls(sandbox: Any) -> None:
    """A long command can outlive its credentials at any call: a number of calls succeed, the next one fails."""
    ec2 = sandbox.client()
    sandbox.settings.credentials_expire_after_calls = 2
    ec2.describe_vpcs()
    ec2.describe_subnets()
    assert refusal(ec2.describe_vpcs) == ("RequestExpired", 400)
    assert refusal(ec2.describe_vpcs) == ("RequestExpired", 400)
    sandbox.settings.credentials_expire_after_calls = None
    ec2.describe_vpcs()
