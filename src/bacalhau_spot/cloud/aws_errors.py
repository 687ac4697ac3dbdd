"""Translates botocore's exceptions into CloudError: an AWS code, the message, the operation.

Without an answer from AWS, the code is that of botocore's exception (`cloud.exception_codes`). A few codes are this
program's own, because botocore passes on exceptions of other libraries.
"""

from __future__ import annotations

import json
import re
from subprocess import TimeoutExpired

from botocore.exceptions import BotoCoreError, ClientError

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.exception_codes import DNS, code_of
from bacalhau_spot.core.error_catalog.classifier import CLOSED_ZONE

# Exceptions of the credential chain (a missing file, output that is not JSON, a prompt without a terminal).
CHAIN_ERRORS = (BotoCoreError, ClientError, OSError, ValueError, KeyError, EOFError, TimeoutExpired)

# AWS codes whose category depends on the message: (code, message pattern, our code).
_SPLIT = (
    # EC2 user guide, "Troubleshoot instance launch issues"
    ("AuthFailure", r"not authorized for images", "AuthFailure.NotAuthorizedForImages"),
    # karpenter-provider-aws#2243, #6483: the zone offers the type, but not as spot
    (
        "InvalidFleetConfiguration",
        r"not supported in your requested Availability Zone",
        "InvalidFleetConfiguration.NotSupportedInZone",
    ),
    # EC2 API reference, ReleaseAddress, DeregisterImage: owned by another account or an AWS service
    (
        "AuthFailure",
        r"do(es)? not (have permission|belong)|do not own|is not authorized|managed by",
        "AuthFailure.NotYours",
    ),
    # IAM has the same code
    ("LimitExceeded", r"AutoScalingGroup", "ScalingGroupLimitExceeded"),
    # boto#1904, terraform#3434: a listed zone in which no subnet can be created
    ("InvalidParameterValue", r"subnets can currently only be created in", CLOSED_ZONE),
)
# Codes by which a region refuses credentials that STS accepts: they are correct, but not valid there (IAM user guide,
# "Manage AWS STS in an AWS Region": tokens of the global endpoint are valid in the default regions only).
REFUSED_TOKENS = {
    code: f"{code}.Region"
    for code in ("AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken")
}
# The encoded part is omitted from messages; --debug shows it.
_PROOF = re.compile(r"[.,]?\s*Encoded authorization failure message: (?P<proof>[A-Za-z0-9_=-]+)\.?")
_BLANKS = re.compile(r"\s+")


def translate(error: BotoCoreError | ClientError, *, operation: str, region: str) -> CloudError:
    """AWS's code if AWS answered. Raises `error` if it is an error of this program."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        meta = error.response.get("ResponseMetadata", {})
        message = str(details.get("Message", "")).strip()
        return CloudError(
            # A server other than AWS sends no code, only an HTTP status.
            split(str(details.get("Code") or meta.get("HTTPStatusCode", "Unknown")), message),
            plain_text(message),
            # A call may first fetch credentials, with calls of their own.
            operation=error.operation_name or _action(operation),
            region=region,
            request_id=str(meta.get("RequestId", "")),
        )
    code = code_of(error)
    if code is None:
        raise error
    message = _BLANKS.sub(" ", str(error))
    return CloudError(code, _with_name(error, code, message), operation=_action(operation), region=region)


def non_aws_response(*, operation: str, region: str, detail: str = "") -> CloudError:
    """A response not from AWS: a network's sign-in page, a proxy's, a truncated one."""
    words = "the response is not in AWS's format" + (f" ({detail})" if detail else "")
    return CloudError("ResponseParserError", words, operation=_action(operation), region=region)


def translate_chain(error: Exception) -> CloudError:
    """An error of the credential chain."""
    if isinstance(error, BotoCoreError | ClientError):
        return translate(error, operation="", region="")
    if isinstance(error, EOFError):
        return CloudError("MfaRequired", "the profile has an mfa_serial", operation="", region="")
    if isinstance(error, TimeoutExpired):
        waited = f"it was waited for {error.timeout:.0f} s"
        return CloudError("CredentialProcessTimeout", waited, operation="", region="")
    if isinstance(error, KeyError):  # an unexpected reply of a container's credential service
        return CloudError("CredentialRetrievalError", f"the answer has no {error}", operation="", region="")
    # The text of a JSON parser's error may contain part of a secret, so only its kind is reported.
    if isinstance(error, json.JSONDecodeError):
        return CloudError("CredentialProcessOutput", "its output is not JSON", operation="", region="")
    if isinstance(error, ValueError):  # an invalid number in a variable or a file
        return CloudError("InvalidSetting", str(error), operation="", region="")
    return CloudError("CredentialFileError", str(error), operation="", region="")


def split(code: str, message: str) -> str:
    """AWS's code, made specific if it stands for errors of different categories."""
    for known, words, finer in _SPLIT:
        if code == known and re.search(words, message, re.IGNORECASE):
            return finer
    return code


def plain_text(message: str) -> str:
    """AWS's message without the encoded part."""
    return _PROOF.sub("", message)


def _with_name(error: BotoCoreError, code: str, message: str) -> str:
    """The message, preceded by the exception's name if several exceptions share the code."""
    name = type(error).__name__
    return message if code in {name, DNS} else f"{name}: {message}"


def encoded_proof(error: BotoCoreError | ClientError) -> str | None:
    """The encoded message for `sts:DecodeAuthorizationMessage`; None if there is none."""
    if not isinstance(error, ClientError):
        return None
    match = _PROOF.search(str(error.response.get("Error", {}).get("Message", "")))
    return match["proof"] if match else None


def _action(operation: str) -> str:
    return operation.replace("_", " ").title().replace(" ", "")
