"""AWS error codes with several meanings, which only the message distinguishes.

A rule changes the text for the user, the category and thus the exit code. The engine's reaction stays that of the code.
Source: IAM user guide, "Troubleshoot access denied error messages"; STS's and IAM's own messages.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from bacalhau_spot.core.error_catalog.categories import WAIT_FOR_OTHERS, Category, ErrorInfo, Recovery
from bacalhau_spot.core.error_catalog.credentials_and_permissions import CLOCK, METADATA, NOT_ALLOWED, PROCESS
from bacalhau_spot.core.error_catalog.invalid_requests import OPT_IN
from bacalhau_spot.core.error_catalog.transient import TLS


class MessageRule(NamedTuple):
    """Codes that mean `info` if their message matches the pattern `words`; case does not matter."""

    codes: frozenset[str]
    words: str
    info: ErrorInfo


_DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "AuthorizationError"})
_SIGNED = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"})


def _denied_by(name: str, sentence: str, hint: str) -> ErrorInfo:
    return replace(NOT_ALLOWED, name=name, sentence=sentence, hint=hint)


# The first match applies.
MESSAGE_RULES = (
    MessageRule(
        _DENIED,
        r"MultiFactorAuthentication failed",
        _denied_by(
            "wrong-mfa",
            "AWS does not accept the MFA code",
            "run the same command again and enter the code that the device shows now; each one works once",
        ),
    ),
    MessageRule(
        _DENIED,
        r"perform: sts:AssumeRole",
        _denied_by(
            "assume-role",
            "you are not allowed to assume the role of your AWS profile",
            "check role_arn and source_profile of the profile in ~/.aws/config; if they are right, ask your administrator for "
            "two things: that the role's trust policy names you, and that you are allowed sts:AssumeRole on the role",
        ),
    ),
    MessageRule(
        _DENIED,
        r"service control policy",
        _denied_by(
            "denied-by-organization",
            "your organization (the company's accounts together) forbids this in {region} by a service control policy, whatever "
            "your own permissions are",
            "take {regions} out of `regions`, or ask the administrator of the AWS organization to allow {action} there",
        ),
    ),
    MessageRule(
        _DENIED,
        r"resource control policy|VPC endpoint policy",
        _denied_by(
            "denied-by-network",
            "a policy on the resource or on the way to AWS forbids this in {region}, regardless of your own permissions",
            "ask your administrator to allow {action} in the policy that AWS names above (a resource control policy or VPC "
            "endpoint policy)",
        ),
    ),
    MessageRule(
        _DENIED,
        r"permissions boundary",
        _denied_by(
            "denied-by-boundary",
            "the permissions boundary of your AWS identity (its maximum permissions) does not allow this in {region}",
            "ask your administrator to add {action} to the boundary; adding it to your permissions is not enough",
        ),
    ),
    MessageRule(
        _DENIED,
        r"session policy",
        _denied_by(
            "denied-by-session",
            "the policy of your AWS session does not allow this in {region}",
            "sign in with another role (with single sign-on: another permission set) that allows {action}, and name its "
            "profile with --profile",
        ),
    ),
    MessageRule(
        _DENIED,
        r"explicit deny|explicitly denied",
        _denied_by(
            "explicitly-denied",
            "a policy forbids this to your AWS identity in {region}",
            "ask your administrator to take {action} out of the statement that denies it; another statement that "
            "allows it does not help",
        ),
    ),
    MessageRule(_SIGNED, r"signature expired|not yet current|expired: \d{8}T", CLOCK),
    MessageRule(
        frozenset({"OptInRequired"}),
        r"marketplace|accept (the )?terms",
        replace(
            OPT_IN,
            name="marketplace",
            sentence="the image needs a subscription in the AWS Marketplace, which the account does not have",
            hint="set `image: auto`, or subscribe at the address that AWS names above",
        ),
    ),
    MessageRule(
        frozenset({"OptInRequired"}),
        r"not subscribed|not signed up",
        replace(
            OPT_IN,
            name="not-activated",
            sentence="the account is not activated for this service of AWS",
            hint="finish signing up at https://portal.aws.amazon.com/billing/signup (with a means of payment), or wait for it",
        ),
    ),
    MessageRule(
        # EC2 learns of a new role some seconds later (IAM user guide, "Troubleshoot IAM roles").
        frozenset({"InvalidParameterValue"}),
        r"iam instance profile",
        ErrorInfo(
            "new-profile",
            Category.LAG,
            Recovery.STOP_REGION,
            "the nodes' new role (instance profile) is not available to EC2 in {region} after a minute",
            WAIT_FOR_OTHERS,
        ),
    ),
    MessageRule(frozenset({"CredentialRetrievalError"}), r"custom-process", PROCESS),
    MessageRule(frozenset({"CredentialRetrievalError"}), r"container-role|iam-role|metadata", METADATA),
    MessageRule(
        frozenset({"SSLError"}),
        r"certificate verify failed|CERTIFICATE_VERIFY_FAILED",
        replace(
            TLS,
            name="certificate",
            sentence="the certificate of the server that answers instead of AWS in {region} is not trusted here",
            hint="behind a proxy that inspects TLS connections: `export AWS_CA_BUNDLE=/path/to/its/certificate.pem`; "
            "else compare `date -u` with the real time",
        ),
    ),
)  # fmt: skip

_ACTION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z0-9*]+)")


def denied_action(message: str) -> str:
    """The denied action as AWS names it, such as `ec2:CreateVpc`; empty if it does not."""
    match = _ACTION.search(message)
    return match[1] if match else ""


def by_message(code: str, message: str) -> ErrorInfo | None:
    """The entry of the first rule that matches the message; None without a match."""
    for rule in MESSAGE_RULES:
        if code in rule.codes and re.search(rule.words, message, re.IGNORECASE):
            return rule.info
    return None
