"""What an AWS error means and what to do about it: a table.

Rules:
1. One row per error code, or per prefix or suffix where AWS makes families of codes. No row is decided anywhere else.
2. A verdict says whose fault it is (`fault`), what the engine does (`action`), and what the user reads (`sentence`, `hint`).
3. When one answer holds several errors, the first in the order of `Fault` wins: credentials and permission before
   configuration, configuration before quota, quota before price, and only then capacity. So it is a capacity problem only
   if all of them are; quota and capacity have opposite remedies and are never confused.
4. A code without a row is AWS's own word, shown as it is, and not retried.

Sources: EC2 API reference, "Error codes for the Amazon EC2 API"; EC2 user guide, "Troubleshoot instance launch issues".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable


class Fault(IntEnum):
    """Whose fault an error is, worst first: the order in which several errors of one answer are told."""

    CREDENTIALS = 0
    PERMISSION = 1
    CONFIG = 2
    QUOTA = 3
    PRICE = 4
    CAPACITY = 5
    UNKNOWN = 6
    AWS = 7  # AWS's own trouble
    NETWORK = 8  # between here and AWS
    THROTTLED = 9
    BUSY = 10  # something is still going away, or still being made
    LAG = 11  # a fresh id that reads do not show yet, or something that has gone
    EXISTS = 12  # what we wanted is already so


class Action(StrEnum):
    """What the engine does."""

    RETRY = "retry"  # the same call again, within its deadline
    OTHER_REGION = "other region"  # AWS has tried the region's pools; others may have room
    STOP_REGION = "stop region"
    STOP = "stop"  # nothing else can succeed either
    DONE = "done"  # as good as success


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row. `sentence` and `hint` may hold {region}."""

    fault: Fault
    action: Action
    sentence: str
    hint: str = ""

    @property
    def exit_code(self) -> ExitCode:
        if self.fault in {Fault.CREDENTIALS, Fault.PERMISSION}:
            return ExitCode.DENIED
        return ExitCode.USAGE if self.fault is Fault.CONFIG else ExitCode.FAILED


_SERVICE_QUOTAS = "https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas"

_RENEW = Verdict(
    Fault.CREDENTIALS,
    Action.STOP,
    "your AWS credentials have expired",
    "renew them (with SSO: `aws sso login`), then run the same command again",
)
_WRONG_KEY = Verdict(
    Fault.CREDENTIALS,
    Action.STOP,
    "AWS does not accept these credentials",
    "check which ones are in use with `aws sts get-caller-identity`; set AWS_PROFILE or run `aws configure`",
)
_NO_KEY = Verdict(
    Fault.CREDENTIALS,
    Action.STOP,
    "no AWS credentials were found",
    "sign in with `aws sso login` or `aws configure`, or set AWS_PROFILE; to try without an account, add --sandbox",
)
_HALF_KEY = Verdict(
    Fault.CREDENTIALS,
    Action.STOP,
    "the AWS credentials are incomplete",
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY both, or neither and AWS_PROFILE",
)
_NO_PROFILE = Verdict(
    Fault.CREDENTIALS,
    Action.STOP,
    "there is no AWS profile of that name",
    "`aws configure list-profiles` lists them; correct --profile or AWS_PROFILE",
)
_SIGN_IN = Verdict(
    Fault.CREDENTIALS,
    Action.STOP,
    "you are not signed in to AWS, or no longer",
    "run `aws sso login`, with --profile NAME if you use one, then the same command again",
)
_BAD_AWS_CONFIG = Verdict(
    Fault.CREDENTIALS,
    Action.STOP,
    "the AWS configuration of this machine cannot be read",
    "correct ~/.aws/config or ~/.aws/credentials; `aws configure list` reads the same files",
)
_CLOCK = Verdict(
    Fault.CREDENTIALS,
    Action.STOP,
    "AWS refuses the request's signature; most often this machine's clock is wrong",
    "compare `date -u` with the real time, set the clock, and try again",
)
_NOT_ALLOWED = Verdict(
    Fault.PERMISSION,
    Action.STOP_REGION,  # service control policies forbid single regions
    "your AWS identity is not allowed to do this",
    "ask your administrator for the action that AWS names, or use another profile with --profile",
)
_OPT_IN = Verdict(
    Fault.CONFIG,
    Action.STOP_REGION,
    "region {region} is not enabled in this account",
    "enable it with `aws account enable-region --region-name {region}`, or take it out of `regions`",
)
_NO_CAPACITY = Verdict(
    Fault.CAPACITY,
    Action.OTHER_REGION,
    "no spot capacity in {region}",
    "add instance types or regions to the configuration, or try again later",
)
_SPOT_QUOTA = Verdict(
    Fault.QUOTA,
    Action.OTHER_REGION,
    "the account's quota for spot instances in {region} is used up",
    f"ask for more at {_SERVICE_QUOTAS}/L-34B43A08 (All Standard Spot Instance Requests, in vCPUs)",
)
_QUOTA = Verdict(
    Fault.QUOTA,
    Action.OTHER_REGION,
    "a quota of the account in {region} is used up",
    f"remove what is no longer needed, or ask for more at {_SERVICE_QUOTAS}",
)
_VPC_QUOTA = Verdict(
    Fault.QUOTA,
    Action.OTHER_REGION,
    "the account has no room for another VPC in {region}",
    "name an existing one (`regions: {{{region}: {{vpc_id: vpc-…}}}}`), or ask for more at "
    "https://{region}.console.aws.amazon.com/servicequotas/home/services/vpc/quotas/L-F678F1CE",
)
_PRICE = Verdict(
    Fault.PRICE,
    Action.OTHER_REGION,
    "the spot price in {region} is above `max_price_usd_per_hour`",
    "raise or remove `max_price_usd_per_hour`, or allow cheaper instance types",
)
_BAD_REQUEST = Verdict(
    Fault.CONFIG,
    Action.STOP_REGION,
    "AWS does not accept the request for {region}",
    "correct the value that AWS names in the configuration",
)
_IMAGE = Verdict(
    Fault.CONFIG,
    Action.STOP_REGION,
    "the image does not exist in {region}; image ids differ from region to region",
    "set `image: auto`, or an image of this region under `regions: {{{region}: {{image: ami-…}}}}`",
)
_SERVICE_ROLE = Verdict(
    Fault.PERMISSION,
    Action.STOP,
    "the account has never used spot instances, and you may not create the role that AWS needs for them",
    "have an administrator run once: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
)
_THROTTLED = Verdict(
    Fault.THROTTLED,
    Action.RETRY,
    "AWS is limiting how often this account may call it in {region}",
    "wait a minute and run the same command again; it continues where it stopped",
)
_AWS_TROUBLE = Verdict(
    Fault.AWS,
    Action.RETRY,
    "AWS had trouble of its own in {region}",
    "run the same command again; see https://health.aws.amazon.com if it lasts",
)
_NETWORK = Verdict(
    Fault.NETWORK,
    Action.RETRY,
    "AWS could not be reached in {region}",
    "check the network (DNS, proxy, AWS_ENDPOINT_URL), then run the same command again",
)
_BUSY = Verdict(
    Fault.BUSY,
    Action.RETRY,
    "something in {region} still depends on it",
    "free it where the report names what keeps it; otherwise run the same command again in a few minutes",
)
_LAG = Verdict(
    Fault.LAG,
    Action.RETRY,
    "AWS does not show in {region} what was just made there",
    "run the same command again",
)
_EXISTS = Verdict(Fault.EXISTS, Action.DONE, "it is already so in {region}")
_VERIFY = Verdict(
    Fault.QUOTA,
    Action.OTHER_REGION,
    "AWS is still verifying the account for {region}",
    "wait for AWS's e-mail (usually minutes, at most four hours), then run the same command again",
)
_OTHER_CREATE = Verdict(
    Fault.CONFIG,
    Action.STOP_REGION,
    "another create of this cluster is at work in {region}, or was a moment ago",
    "wait a minute, then run the same command again; it adds only what is missing",
)
_UNKNOWN = Verdict(
    Fault.UNKNOWN,
    Action.STOP_REGION,
    "AWS refused a call in {region}",
    "AWS's own words are above; if they do not help, run the command again with --debug",
)

# Not AWS's: the code under which a mistake of this program is told.
MISTAKE = "InternalMistake"

TABLE: dict[str, Verdict] = {
    MISTAKE: Verdict(
        Fault.UNKNOWN,
        Action.STOP_REGION,
        "this program made a mistake in {region}, sorry",
        "run the same command again; if it happens again, please report it with what --debug prints",
    ),
    # Credentials
    "RequestExpired": _RENEW,
    "ExpiredToken": _RENEW,
    "ExpiredTokenException": _RENEW,
    "AuthFailure": _WRONG_KEY,
    "InvalidClientTokenId": _WRONG_KEY,
    "UnrecognizedClientException": _WRONG_KEY,
    "InvalidAccessKeyId": _WRONG_KEY,
    "MissingAuthenticationToken": _WRONG_KEY,
    "IncompleteSignature": _CLOCK,
    "SignatureDoesNotMatch": _CLOCK,
    "InvalidSignatureException": _CLOCK,
    "RequestTimeTooSkewed": _CLOCK,
    # Credentials that never reached AWS (our adapter's codes: the names of botocore's exceptions)
    "NoCredentialsError": _NO_KEY,
    "PartialCredentialsError": _HALF_KEY,
    "ProfileNotFound": _NO_PROFILE,
    "SSOError": _SIGN_IN,
    "SSOTokenLoadError": _SIGN_IN,
    "UnauthorizedSSOTokenError": _SIGN_IN,
    "TokenRetrievalError": _SIGN_IN,
    "NoAuthTokenError": _SIGN_IN,
    "PendingAuthorizationExpiredError": _SIGN_IN,
    "CredentialRetrievalError": _SIGN_IN,
    "RefreshWithMFAUnsupportedError": _SIGN_IN,
    "ConfigParseError": _BAD_AWS_CONFIG,
    "InvalidConfigError": _BAD_AWS_CONFIG,
    "ConfigNotFound": _BAD_AWS_CONFIG,
    # Permission
    "UnauthorizedOperation": _NOT_ALLOWED,
    "AccessDenied": _NOT_ALLOWED,
    "AccessDeniedException": _NOT_ALLOWED,
    "OperationNotPermitted": _NOT_ALLOWED,
    "AuthorizationError": _NOT_ALLOWED,
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted": _SERVICE_ROLE,
    # Configuration
    "OptInRequired": _OPT_IN,
    "Configuration": Verdict(  # ours: what a region shows does not go with what the configuration says
        Fault.CONFIG,
        Action.STOP_REGION,
        "the configuration does not go with what is in {region}",
        "correct what is named above in the configuration, then run the same command again",
    ),
    "InvalidAMIID.NotFound": _IMAGE,
    "InvalidAMIID.Malformed": _IMAGE,
    "InvalidAMIID.Unavailable": _IMAGE,
    "InvalidParameterValue": _BAD_REQUEST,
    "InvalidParameterCombination": _BAD_REQUEST,
    "InvalidParameter": _BAD_REQUEST,
    "MissingParameter": _BAD_REQUEST,
    "InvalidInstanceType": _BAD_REQUEST,
    "InvalidUserData.Malformed": _BAD_REQUEST,
    "InvalidKeyPair.NotFound": _BAD_REQUEST,
    "InvalidVpcId.Malformed": _BAD_REQUEST,
    "InvalidSubnet.Range": _BAD_REQUEST,
    "InvalidTagKey.Malformed": _BAD_REQUEST,
    "IdempotentParameterMismatch": _OTHER_CREATE,
    "InvalidLaunchTemplateName.AlreadyExistsException": _OTHER_CREATE,
    # Quota
    "MaxSpotInstanceCountExceeded": _SPOT_QUOTA,
    "VcpuLimitExceeded": _SPOT_QUOTA,
    "MaxFleetCountExceeded": _QUOTA,
    "InstanceLimitExceeded": _QUOTA,
    "VpcLimitExceeded": _VPC_QUOTA,
    "InternetGatewayLimitExceeded": _VPC_QUOTA,  # AWS ties this quota to that of VPCs
    "SecurityGroupLimitExceeded": _QUOTA,
    "SubnetLimitExceeded": _QUOTA,
    "RouteTableLimitExceeded": _QUOTA,
    "LaunchTemplateLimitExceeded": _QUOTA,
    "AddressLimitExceeded": _QUOTA,
    "TagLimitExceeded": _BAD_REQUEST,
    "VolumeLimitExceeded": _QUOTA,
    "PendingVerification": _VERIFY,
    # Price
    "SpotMaxPriceTooLow": _PRICE,
    # Capacity
    "InsufficientInstanceCapacity": _NO_CAPACITY,
    "InsufficientCapacity": _NO_CAPACITY,
    "InsufficientHostCapacity": _NO_CAPACITY,
    "UnfulfillableCapacity": _NO_CAPACITY,
    "InsufficientFreeAddressesInSubnet": _NO_CAPACITY,
    "InsufficientVolumeCapacity": _NO_CAPACITY,
    "Unsupported": _NO_CAPACITY,  # this type not in this zone: another pool's turn
    "UnsupportedOperation": _BAD_REQUEST,
    # Throttling
    "RequestLimitExceeded": _THROTTLED,
    "Throttling": _THROTTLED,
    "ThrottlingException": _THROTTLED,
    "TooManyRequestsException": _THROTTLED,
    "Client.RequestLimitExceeded": _THROTTLED,
    "RequestThrottled": _THROTTLED,
    "Throttled": _THROTTLED,
    "ThrottledException": _THROTTLED,
    "SlowDown": _THROTTLED,
    # AWS's own trouble
    "InternalError": _AWS_TROUBLE,
    "InternalFailure": _AWS_TROUBLE,
    "ServiceUnavailable": _AWS_TROUBLE,
    "Unavailable": _AWS_TROUBLE,
    "ServerInternal": _AWS_TROUBLE,
    "ServiceFailure": _AWS_TROUBLE,
    "InternalServerError": _AWS_TROUBLE,
    "InternalServiceError": _AWS_TROUBLE,
    "InternalException": _AWS_TROUBLE,
    "ServiceUnavailableException": _AWS_TROUBLE,
    # The network between (our adapter's codes: botocore raises these without one)
    "EndpointConnectionError": _NETWORK,
    "ConnectTimeoutError": _NETWORK,
    "ReadTimeoutError": _NETWORK,
    "ConnectionClosedError": _NETWORK,
    "ConnectionError": _NETWORK,
    "SSLError": _NETWORK,
    "ProxyConnectionError": _NETWORK,
    "ResponseParserError": _AWS_TROUBLE,
    # Still going away, or still being made
    "DependencyViolation": _BUSY,
    "DeleteConflict": _BUSY,
    "ConcurrentModification": _BUSY,
    "TooManyUpdates": _BUSY,
    "InvalidNetworkInterface.InUse": _BUSY,
    "VolumeInUse": _BUSY,
    "InvalidIPAddress.InUse": _BUSY,
    "InvalidPlacementGroup.InUse": _BUSY,
    "InvalidSnapshot.InUse": _BUSY,
    "InvalidGroup.InUse": _BUSY,
    "ResourceInUse": _BUSY,
    "ResourceContention": _BUSY,
    "ScalingActivityInProgress": _BUSY,
    "OperationAborted": _BUSY,  # S3: another change of the same bucket
    "BucketNotEmpty": _BUSY,
    "OperationAbortedException": _BUSY,
    "ConcurrentModificationException": _BUSY,
    "ConcurrentAccess": _BUSY,
    "ResourceConflict": _BUSY,
    "ConflictException": _BUSY,
    "IncorrectState": _BUSY,
    "IncorrectInstanceState": _BUSY,
    # Refused by ourselves, while cleaning up
    "Protected": Verdict(
        Fault.CONFIG,
        Action.DONE,
        "something is protected against deletion",
        "look at what the report names; `--disable-protection` lifts it",
    ),
    "HeldByAnother": Verdict(
        Fault.BUSY,
        Action.DONE,
        "something of ours is used by what is not ours",
        "the report names what uses it and the command that frees it",
    ),
    "LauncherLives": Verdict(
        Fault.CONFIG,
        Action.DONE,
        "an instance's launcher is left and would start another",
        "remove what keeps the launcher first; the report names it",
    ),
    # Already so
    "InvalidPermission.Duplicate": _EXISTS,
    "EntityAlreadyExists": _EXISTS,
    "ParameterAlreadyExists": _EXISTS,
    "Resource.AlreadyAssociated": _EXISTS,
    "RouteAlreadyExists": _EXISTS,
    "InvalidSubnet.Conflict": _EXISTS,  # nobody but us makes subnets in our VPC
    "InvalidGroup.Duplicate": _EXISTS,
    "Gateway.NotAttached": _EXISTS,
}


def judge(code: str) -> Verdict:
    """The verdict on one error code of AWS."""
    if code in TABLE:
        return TABLE[code]
    if code.endswith((".NotFound", ".NotFoundException")):
        return _LAG
    if code.endswith("LimitExceeded"):
        return _QUOTA
    return _UNKNOWN


def worst(codes: Iterable[str]) -> str | None:
    """The code of several that the user is told, by the order of `Fault`; None when there is none."""
    return min(codes, key=lambda code: (judge(code).fault, code), default=None)
