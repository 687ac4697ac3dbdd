"""Temporary errors: throttling, faults of AWS, the network, resources in use, and eventual consistency."""

from __future__ import annotations

from bacalhau_spot.core.error_catalog.categories import (
    AGAIN_IN_A_MINUTE,
    Category,
    ErrorInfo,
    Recovery,
    rows_for,
)

THROTTLED = ErrorInfo(
    "throttled",
    Category.THROTTLED,
    Recovery.RETRY,
    "AWS throttles this account's calls in {region}",
    "wait a minute and run the same command again; it continues where it stopped",
)
AWS = ErrorInfo(
    "aws-trouble",
    Category.AWS,
    Recovery.RETRY,
    "AWS had an internal error in {region}",
    "run the same command again; see https://health.aws.amazon.com if it lasts",
)


# Of an answer that is there, and wrong: what gives it gives it again. A single one may be a glitch.
_WRONG_ANSWER_S = 10.0


def _between(name: str, sentence: str, hint: str, *, retry_s: float | None = None) -> ErrorInfo:
    return ErrorInfo(name, Category.NETWORK, Recovery.RETRY, sentence, hint, retry_s)


_DNS = _between(
    "dns",
    "cannot resolve AWS's host name in {region}: DNS does not answer, or the region does not exist",
    "check the network with `nslookup sts.us-east-1.amazonaws.com`, and the spelling of AWS_DEFAULT_REGION and AWS_ENDPOINT_URL",
)
_UNREACHABLE = _between(
    "unreachable",
    "AWS could not be reached in {region}",
    "check the network with `curl -I https://sts.us-east-1.amazonaws.com`: without an answer there, too, a firewall, VPN or "
    "proxy is in the way; with one, look at AWS_ENDPOINT_URL",
)
_TIMEOUT = _between(
    "time-out",
    "AWS did not answer in time in {region}",
    "run the same command again; if it lasts, check the network (firewall, VPN, HTTPS_PROXY) with "
    "`curl -I https://sts.us-east-1.amazonaws.com`",
)
_CUT_OFF = _between(
    "cut-off",
    "the connection to AWS in {region} was cut off in the middle of an answer",
    "run the same command again; it continues where it stopped",
)
_PROXY = _between(
    "proxy",
    "the proxy between here and AWS in {region} does not let the call through",
    "check HTTPS_PROXY, or `unset HTTPS_PROXY https_proxy` if none is needed; NO_PROXY lists the hosts that need none",
    retry_s=_WRONG_ANSWER_S,
)
TLS = _between(
    "tls",
    "cannot establish a TLS connection to AWS in {region}",
    "a proxy that inspects TLS connections uses its own certificate: `export AWS_CA_BUNDLE=/path/to/its/certificate.pem` (the "
    "administrator of the network has it); check the clock with `date -u` too",
    retry_s=_WRONG_ANSWER_S,
)
_NOT_AWS = _between(
    "not-aws",
    "the server that answered instead of AWS in {region} is not AWS",
    "sign in to the network if it has a page for that; check HTTPS_PROXY and AWS_ENDPOINT_URL",
    retry_s=_WRONG_ANSWER_S,
)
BUSY = ErrorInfo(
    "busy",
    Category.BUSY,
    Recovery.RETRY,
    "a resource in {region} is still in use, or AWS is still changing it",
    "if the report names a blocking resource, ask its owner, then run the command there; otherwise run the same "
    "command again in a few minutes",
)
LAG = ErrorInfo(
    "lag",
    Category.LAG,
    Recovery.RETRY,
    "AWS does not list a new resource in {region} yet",
    AGAIN_IN_A_MINUTE,
)
EXISTS = ErrorInfo("exists", Category.EXISTS, Recovery.DONE, "already exists in {region}")

ROWS = {
    **rows_for(THROTTLED, "RequestLimitExceeded", "Throttling", "TooManyRequestsException", "SlowDown"),
    **rows_for(THROTTLED, "BandwidthLimitExceeded"),
    **rows_for(AWS, "ServerInternal", "Unavailable", "ServiceUnavailable", "ServiceException", "ServiceFailure"),
    **rows_for(AWS, "RequestTimeout", "RequestAbortedException", "IDPCommunicationError"),
    **rows_for(AWS, "PolicyEvaluation"),  # IAM's simulator
    **rows_for(AWS, "500", "502", "503", "504"),  # botocore's code for an answer without one
    # The network: the codes of cloud.exception_codes
    **rows_for(_DNS, "NameResolutionError"),
    **rows_for(_UNREACHABLE, "EndpointConnectionError"),
    **rows_for(_TIMEOUT, "ConnectTimeoutError", "ReadTimeoutError"),
    **rows_for(_CUT_OFF, "ConnectionClosedError"),
    **rows_for(_PROXY, "ProxyConnectionError", "407"),
    **rows_for(TLS, "SSLError"),
    **rows_for(_NOT_AWS, "ResponseParserError", "301", "302", "307", "400", "403", "404", "405", "511"),
    # In deletion or in creation
    **rows_for(BUSY, "DependencyViolation", "DeleteConflict", "TooManyUpdates", "VolumeInUse"),
    **rows_for(BUSY, "ConcurrentModification", "ConcurrentAccess"),
    **rows_for(BUSY, "ConcurrentTagAccess", "StaleTag", "IncorrectState", "IncorrectInstanceState"),
    **rows_for(BUSY, "ResourceInUse", "ResourceContention", "ScalingActivityInProgress", "ResourceConflict"),
    **rows_for(BUSY, "OperationAborted", "BucketNotEmpty", "InvalidState"),
    **rows_for(BUSY, "ConflictException"),  # the tagging services
    # Not visible yet, or deleted
    **rows_for(LAG, "NoSuchEntity", "NoSuchResourceException", "NoSuchBucket", "NoSuchUpload", "NoSuchKey"),
    **rows_for(LAG, "NoSuchTagSet", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    **rows_for(LAG, "InvalidResourceId", "InvalidSpotFleetRequestId", "InvalidPlacementGroup.Unknown"),
    # Already in the requested state
    **rows_for(EXISTS, "Resource.AlreadyAssociated", "Gateway.NotAttached"),
    **rows_for(EXISTS, "BucketAlreadyOwnedByYou"),
    **rows_for(EXISTS, "InvalidSubnet.Conflict"),  # only this program creates subnets in the VPC
}  # fmt: skip
