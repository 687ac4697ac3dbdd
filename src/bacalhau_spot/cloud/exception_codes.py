"""Maps the exceptions that botocore raises without an answer from AWS to codes of `core.error_catalog`, by class.

A class has the code of its nearest base class in the table. Classes with one meaning share a code; their messages
distinguish them. `BotoCoreError` itself has none: an exception without another base in the table is an internal error
(an argument that botocore rejects), whose traceback should be seen.

Source: botocore.exceptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore import exceptions as aws

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGN_IN = (aws.SSOError, aws.TokenRetrievalError, aws.NoAuthTokenError)
_SETTINGS = (
    *(aws.ConfigNotFound, aws.ConfigParseError, aws.InvalidConfigError, aws.InvalidDefaultsMode),
    *(aws.InvalidChecksumConfigError, aws.InvalidEndpointConfigurationError, aws.InvalidProxiesConfigError),
    *(aws.InvalidEndpointDiscoveryConfigurationError, aws.InvalidRetryConfigurationError),
    *(aws.InvalidIMDSEndpointError, aws.InvalidIMDSEndpointModeError, aws.InvalidS3AddressingStyleError),
    *(aws.InvalidS3UsEast1RegionalEndpointConfigError, aws.InvalidSTSRegionalEndpointsConfigError),
    *(aws.UnknownCredentialError, aws.UnknownTokenProviderError),
)
_REGION = (
    *(aws.InvalidRegionError, aws.UnknownRegionError, aws.ServiceNotInRegionError, aws.UnknownEndpointError),
    *(aws.EndpointProviderError, aws.EndpointVariantError, aws.UnknownFIPSEndpointError),
)
_CUT_OFF = (aws.ConnectionClosedError, aws.IncompleteReadError, aws.ResponseStreamingError)

EXCEPTION_CODES: dict[type[aws.BotoCoreError], str] = {
    # Credentials
    aws.NoCredentialsError: "NoCredentialsError",
    aws.PartialCredentialsError: "PartialCredentialsError",
    aws.ProfileNotFound: "ProfileNotFound",
    aws.LoginError: "LoginError",
    aws.LoginInsufficientPermissions: "LoginInsufficientPermissions",
    aws.MissingDependencyException: "MissingDependencyException",
    aws.CredentialRetrievalError: "CredentialRetrievalError",
    aws.MetadataRetrievalError: "MetadataRetrievalError",
    aws.RefreshWithMFAUnsupportedError: "RefreshWithMFAUnsupportedError",
    aws.NoRegionError: "NoRegionError",
    **dict.fromkeys(_SIGN_IN, "SSOError"),
    **dict.fromkeys(_SETTINGS, "InvalidSetting"),
    **dict.fromkeys(_REGION, "UnknownRegionError"),
    # The network
    aws.ConnectionError: "EndpointConnectionError",
    aws.HTTPClientError: "EndpointConnectionError",
    aws.ConnectTimeoutError: "ConnectTimeoutError",
    aws.ReadTimeoutError: "ReadTimeoutError",
    aws.ProxyConnectionError: "ProxyConnectionError",
    aws.SSLError: "SSLError",
    **dict.fromkeys(_CUT_OFF, "ConnectionClosedError"),
}
# urllib3's class, which botocore reports as a connection error.
DNS = "NameResolutionError"


def code_of(error: aws.BotoCoreError) -> str | None:
    """The code; None for an error of this program."""
    if any(type(cause).__name__ == DNS for cause in _causes(error)):
        return DNS
    return code_of_class(type(error))


def code_of_class(kind: type[aws.BotoCoreError]) -> str | None:
    """The code of the nearest base class in the table."""
    return next((EXCEPTION_CODES[base] for base in kind.__mro__ if base in EXCEPTION_CODES), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        cause = todo.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        todo += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        todo.append(getattr(cause, "kwargs", {}).get("error"))
