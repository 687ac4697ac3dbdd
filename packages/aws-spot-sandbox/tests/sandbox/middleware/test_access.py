"""Authentication and access: known keys, expiry, opt-in regions, policy. Each service family has its own error codes."""

from __future__ import annotations

import pytest

from sandbox.middleware.harness import Harness, sample

UNKNOWN = {
    "ec2": ("AuthFailure", 401),
    "sts": ("InvalidClientTokenId", 403),
    "iam": ("InvalidClientTokenId", 403),
    "ssm": ("UnrecognizedClientException", 400),
}
EXPIRED = {
    "ec2": ("RequestExpired", 400),
    "sts": ("ExpiredToken", 403),
    "iam": ("ExpiredToken", 403),
    "ssm": ("ExpiredTokenException", 400),
}
DENIED = {
    "ec2": ("UnauthorizedOperation", 403),
    "sts": ("AccessDenied", 403),
    "iam": ("AccessDenied", 403),
    "ssm": ("AccessDeniedException", 400),
}
SERVICES = list(UNKNOWN)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("key", ["", "AKIAIOSFODNN7EXAMPLE"])
def test_only_the_sandboxs_key_is_known(harness: Harness, service: str, key: str) -> None:
    """EC2 API Reference, "Error codes": AuthFailure; STS API Reference, "Common Error Types"; SSM, "Common Errors"."""
    assert harness.spelling(service, key=key) == UNKNOWN[service]


@pytest.mark.parametrize("service", SERVICES)
def test_credentials_expire_after_so_many_calls(harness: Harness, service: str) -> None:
    """EC2 API Reference, "Error codes": RequestExpired; STS API Reference, "Common Error Types": ExpiredToken."""
    harness.settings.credentials_expire_after_calls = 2
    harness.call(sample(service))
    harness.call(sample(service))
    assert [harness.spelling(service) for _ in range(2)] == [EXPIRED[service]] * 2
    assert harness.settings.credentials_expire_after_calls == 0
    harness.settings.credentials_expire_after_calls = None
    harness.call(sample(service))


@pytest.mark.parametrize("service", SERVICES)
def test_credentials_expire_at_a_moment(harness: Harness, service: str) -> None:
    """IAM User Guide, "Temporary security credentials": AWS no longer recognises expired ones."""
    harness.settings.credentials_expire_at = harness.clock.now() + 60
    harness.call(sample(service))
    harness.clock.advance(60)
    assert harness.spelling(service) == EXPIRED[service]


@pytest.mark.parametrize("service", SERVICES)
def test_a_region_that_is_not_opted_in_knows_nobody(harness: Harness, service: str) -> None:
    """Account Management Reference Guide, "Enable or disable AWS Regions": credentials are not valid there."""
    assert harness.spelling(service, region="ap-east-1") == UNKNOWN[service]
    harness.settings.opted_in = ["ap-east-1"]
    harness.call(sample(service, region="ap-east-1"))
    assert harness.spelling(service, region="me-south-1") == UNKNOWN[service]


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_denied_is_refused_in_the_services_words(harness: Harness, service: str) -> None:
    """EC2 API Reference, "Error codes": UnauthorizedOperation; IAM API Reference, "Common Errors": AccessDenied."""
    harness.settings.deny = [f"{service}:*"]
    assert harness.spelling(service) == DENIED[service]


def test_a_denied_change_names_caller_action_resource_and_proof(harness: Harness) -> None:
    """EC2 API Reference, "Error codes": UnauthorizedOperation; STS API Reference, DecodeAuthorizationMessage."""
    harness.settings.deny = ["ec2:CreateVpc"]
    message = harness.refusal("CreateVpc").message
    assert message.startswith(
        "You are not authorized to perform this operation. User: arn:aws:iam::000000000000:user/sandbox is not "
        "authorized to perform: ec2:CreateVpc on resource: arn:aws:ec2:us-east-1:000000000000:"
    )
    assert (
        " because no identity-based policy allows the ec2:CreateVpc action. Encoded authorization failure message: "
        in message
    )
    harness.ask("CreateSubnet")


def test_a_denied_read_names_neither_resource_nor_proof(harness: Harness) -> None:
    """The reply of AWS to DescribeVpcs in terraform-provider-aws issue 34234; EC2 API Reference, "Error codes"."""
    harness.settings.deny = ["ec2:Describe*"]
    assert harness.refusal("DescribeVpcs").message == (
        "You are not authorized to perform this operation. User: arn:aws:iam::000000000000:user/sandbox is not "
        "authorized to perform: ec2:DescribeVpcs because no identity-based policy allows the ec2:DescribeVpcs action"
    )


def test_nobody_can_be_denied_to_ask_who_they_are(harness: Harness) -> None:
    """STS API Reference, GetCallerIdentity: no permissions are required, and a policy cannot deny it."""
    harness.settings.deny = ["*"]
    call = sample("sts")
    who = type(call)("sts", "us-east-1", "GetCallerIdentity", access_key_id=call.access_key_id)
    assert b"<Account>000000000000</Account>" in harness.call(who).body
