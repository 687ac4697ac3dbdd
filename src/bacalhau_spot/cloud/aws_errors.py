"""botocore's exceptions in our words: an AWS code, the message, the operation.

Where AWS did not answer, the code is that of botocore's exception (`cloud.exception_codes`); exceptions of others, which
botocore lets through, have codes of ours.
"""

from __future__ import annotations

import json
import re
from subprocess import TimeoutExpired

from botocore.exceptions import BotoCoreError, ClientError

from bacalhau_spot.cloud.exception_codes import DNS, code_of
from bacalhau_spot.cloud.port import CloudError
from bacalhau_spot.core.error_catalog.classifier import CLOSED_ZONE

# What the credential chain lets through (a file that is not there, output that is no JSON, a prompt without a terminal).
CHAIN_ERRORS = (BotoCoreError, ClientError, OSError, ValueError, KeyError, EOFError, TimeoutExpired)

# The class of the error, not just its words, depends on the message: (code, message, our code).
_SPLIT = (
    # EC2 user guide, "Troubleshoot instance launch issues"
    ("AuthFailure", r"not authorized for images", "AuthFailure.NotAuthorizedForImages"),
    # karpenter-provider-aws#2243, #6483: offered in the zone, and not sold as spot there
    (
        "InvalidFleetConfiguration",
        r"not supported in your requested Availability Zone",
        "InvalidFleetConfiguration.NotSupportedInZone",
    ),
    # EC2 API reference, ReleaseAddress, DeregisterImage: what is another's, or a service's
    (
        "AuthFailure",
        r"do(es)? not (have permission|belong)|do not own|is not authorized|managed by",
        "AuthFailure.NotYours",
    ),
    # boto#1904, terraform#3434: a zone that AWS offers and opens to no new subnet
    ("InvalidParameterValue", r"subnets can currently only be created in", CLOSED_ZONE),
)
# Codes by which a region refuses credentials that STS accepts: those are not wrong, they are not valid there (IAM user guide,
# "Manage AWS STS in an AWS Region": tokens of the global endpoint are valid in the default regions only).
REFUSED_TOKENS = {
    code: f"{code}.Region"
    for code in ("AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken")
}
# Keeps what would not help anybody out of a sentence; --debug shows it.
_PROOF = re.compile(r"[.,]?\s*Encoded authorization failure message: (?P<proof>[A-Za-z0-9_=-]+)\.?")
_BLANKS = re.compile(r"\s+")


def translate(error: BotoCoreError | ClientError, *, operation: str, region: str) -> CloudError:
    """AWS's code where AWS answered. Raises `error` when it is an error of this program."""
    if isinstance(error, ClientError):
        details = error.response.get("Error", {})
        meta = error.response.get("ResponseMetadata", {})
        message = str(details.get("Message", "")).strip()
        return CloudError(
            # What is not AWS answers without a code: its HTTP status is all there is.
            split(str(details.get("Code") or meta.get("HTTPStatusCode", "Unknown")), message),
            plain_text(message),
            # Credentials are fetched on the way to a call, by calls of their own.
            operation=error.operation_name or _action(operation),
            region=region,
            request_id=str(meta.get("RequestId", "")),
        )
    code = code_of(error)
    if code is None:
        raise error
    message = _BLANKS.sub(" ", str(error))
    return CloudError(code, _with_name(error, code, message), operation=_action(operation), region=region)


def not_aws(*, operation: str, region: str, detail: str = "") -> CloudError:
    """An answer that is none of AWS's: a network's sign-in page, a proxy's, half of one."""
    words = "the response is not in AWS's format" + (f" ({detail})" if detail else "")
    return CloudError("ResponseParserError", words, operation=_action(operation), region=region)


def translate_chain(error: Exception) -> CloudError:
    """What went wrong while credentials were looked for."""
    if isinstance(error, BotoCoreError | ClientError):
        return translate(error, operation="", region="")
    if isinstance(error, EOFError):
        return CloudError("MfaRequired", "the profile has an mfa_serial", operation="", region="")
    if isinstance(error, TimeoutExpired):
        waited = f"it was waited for {error.timeout:.0f} s"
        return CloudError("CredentialProcessTimeout", waited, operation="", region="")
    if isinstance(error, KeyError):  # a container's service that answers something else
        return CloudError("CredentialRetrievalError", f"the answer has no {error}", operation="", region="")
    # A JSON parser's error shows what it could not read, which may be half a secret; only its kind is told.
    if isinstance(error, json.JSONDecodeError):
        return CloudError("CredentialProcessOutput", "its output is not JSON", operation="", region="")
    if isinstance(error, ValueError):  # a number that is none, in a variable or a file
        return CloudError("InvalidSetting", str(error), operation="", region="")
    return CloudError("CredentialFileError", str(error), operation="", region="")


def split(code: str, message: str) -> str:
    """AWS's code, made finer where it stands for errors of different classes."""
    for known, words, finer in _SPLIT:
        if code == known and re.search(words, message, re.IGNORECASE):
            return finer
    return code


def plain_text(message: str) -> str:
    """AWS's message without what nobody can read."""
    return _PROOF.sub("", message)


def _with_name(error: BotoCoreError, code: str, message: str) -> str:
    """The message, with the name that botocore's users look for where several exceptions share a code."""
    name = type(error).__name__
    return message if code in {name, DNS} else f"{name}: {message}"


def proof_of(error: BotoCoreError | ClientError) -> str | None:
    """The encoded message that `sts:DecodeAuthorizationMessage` explains; None when there is none."""
    if not isinstance(error, ClientError):
        return None
    match = _PROOF.search(str(error.response.get("Error", {}).get("Message", "")))
    return match["proof"] if match else None


def _action(operation: str) -> str:
    return operation.replace("_", " ").title().replace(" ", "")
