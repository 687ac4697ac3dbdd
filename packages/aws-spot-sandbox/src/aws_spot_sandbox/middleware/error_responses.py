"""Authentication and authorization errors, with different codes for EC2, the other query services and the JSON
services.

AWS: EC2 API Reference, "Error codes"; STS API Reference, "Common Error Types"; Systems Manager API Reference, "Common
Errors".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_spot_sandbox import protocol
from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.middleware import encoded_denials

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call


def unknown_key(call: Call) -> AwsError:
    """The key id is unknown, or not valid in that region."""
    if call.service == "ec2":
        return _not_validated()
    if call.service == "s3":
        message = "The AWS Access Key Id you provided does not exist in our records."
        return AwsError("InvalidAccessKeyId", message, status=403)
    if protocol.is_json(call):
        return AwsError(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    return AwsError(
        "InvalidClientTokenId", "The security token included in the request is invalid.", status=403
    )


def wrong_signature(call: Call) -> AwsError:
    """The key id is known, but the secret does not match."""
    if call.service == "ec2":
        return _not_validated()
    message = (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
        "and signing method. Consult the service documentation for details."
    )
    if protocol.is_json(call):
        return AwsError("InvalidSignatureException", message)
    return AwsError("SignatureDoesNotMatch", message, status=403)


def expired(call: Call) -> AwsError:
    if call.service == "ec2":
        return AwsError("RequestExpired", "Request has expired.")
    if call.service == "s3":
        return AwsError("ExpiredToken", "The provided token has expired.")
    message = "The security token included in the request is expired"
    if protocol.is_json(call):
        return AwsError("ExpiredTokenException", message)
    return AwsError("ExpiredToken", message, status=403)


def denied(call: Call, *, user_arn: str, resource: str, action: str = "", explicit: bool = False) -> AwsError:
    """EC2 names the resource and adds an encoded message only for mutating calls; errors of read calls have neither.

    `action`: the denied action, if it is not the call itself. `explicit`: a policy denies it, rather than none allowing
    it.
    """
    operation = action or call.name
    bare = call.service == "ec2" and not call.mutates
    where = "" if bare else f" on resource: {resource}"
    reason = (
        "with an explicit deny in an identity-based policy"
        if explicit
        else f"because no identity-based policy allows the {operation} action"
    )
    why = f"User: {user_arn} is not authorized to perform: {operation}{where} {reason}"
    if call.service == "ec2":
        message = f"You are not authorized to perform this operation. {why}"
        if not bare:
            encoded = encoded_denials.encoded(call, action=operation, resource=resource, explicit=explicit)
            message += f". Encoded authorization failure message: {encoded}"
        return AwsError("UnauthorizedOperation", message, status=403)
    if protocol.is_json(call):
        return AwsError("AccessDeniedException", why)
    return AwsError("AccessDenied", why, status=403)


def no_service_role(service: str = "ec2") -> AwsError:
    """AWS: EC2 User Guide, "Service-linked role for EC2 Spot Instances"; Auto Scaling API Reference, "Common Errors"."""
    message = "The provided credentials do not have permission to create the service-linked role for "
    if service == "autoscaling":
        return AwsError("ServiceLinkedRoleFailure", f"{message}Amazon EC2 Auto Scaling.", status=500)
    code = "AuthFailure.ServiceLinkedRoleCreationNotPermitted"
    return AwsError(code, f"{message}EC2 Spot Instances.", status=403)


def name_taken(role: str) -> AwsError:
    return AwsError(
        "InvalidInput",
        f"Service role name {role} has been taken in this account, please try a different suffix.",
        status=400,
    )


def _not_validated() -> AwsError:
    return AwsError("AuthFailure", "AWS was not able to validate the provided access credentials", status=401)
