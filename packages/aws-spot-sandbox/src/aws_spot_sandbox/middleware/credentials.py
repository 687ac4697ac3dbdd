"""Authentication: whether the access key, the signature and the session are valid."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.middleware import error_responses, signature
from aws_spot_sandbox.protocol import presigned
from aws_spot_sandbox.state import ACCESS_KEY_ID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.http_types import Call, Handler, Reply
    from aws_spot_sandbox.iam.sessions import Session
    from aws_spot_sandbox.state import World

_SKEW_S = 900.0  # a request may be from this far in the future


class Credentials:
    def __init__(self, world: World, inner: Handler) -> None:
        self._world = world
        self._inner = inner
        self._lock = threading.Lock()

    def __call__(self, call: Call) -> Reply:
        query = presigned(call.http)
        _check_mechanism(call, query)
        session = self._world.sessions.get(call.access_key_id)
        if session is not None:
            self._check_session(call, session, query)
        else:
            self._check_user(call)
        if query:
            self._check_time(query)
        if call.service == "s3" and signature.has_other_content(call):
            raise AwsError(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
        return self._inner(call)

    def _check_user(self, call: Call) -> None:
        if call.access_key_id != ACCESS_KEY_ID:
            raise error_responses.unknown_key(call)
        # Internal calls have no HTTP headers, so there is no signature to check
        if call.http.headers and not signature.is_ours(call):
            raise error_responses.wrong_signature(call)
        if self._expired():
            raise error_responses.expired(call)

    def _check_session(self, call: Call, session: Session, query: Mapping[str, str]) -> None:
        if call.http.headers:
            token = query.get("X-Amz-Security-Token") or call.http.headers.get("x-amz-security-token")
            if token != session.token:
                raise error_responses.unknown_key(call)
            if not signature.is_signed(call, session.secret_access_key):
                raise error_responses.wrong_signature(call)
        if self._world.now() >= session.expires_at:
            raise error_responses.expired(call)

    def _check_time(self, query: Mapping[str, str]) -> None:
        """S3 API Reference, "Authenticating Requests: Using Query Parameters"."""
        signed_at, lasts = signature.signed_at(query), query.get("X-Amz-Expires", "")
        if signed_at is None or not lasts.isdigit():
            raise AwsError(
                "AuthorizationQueryParametersError",
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
                "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            )
        if int(lasts) > signature.LONGEST_S:
            message = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be "
            raise AwsError("AuthorizationQueryParametersError", f"{message}less than 604800 seconds")
        if self._world.now() > signed_at + int(lasts):
            raise AwsError("AccessDenied", "Request has expired", status=403)
        if signed_at > self._world.now() + _SKEW_S:
            raise AwsError("AccessDenied", "Request is not valid yet", status=403)

    def _expired(self) -> bool:
        settings = self._world.settings
        if settings.credentials_expire_at is not None and self._world.now() >= settings.credentials_expire_at:
            return True
        with self._lock:
            left = settings.credentials_expire_after_calls
            if left is None:
                return False
            settings.credentials_expire_after_calls = max(0, left - 1)
            return left <= 0


def _check_mechanism(call: Call, query: Mapping[str, str]) -> None:
    """S3 User Guide, "AWS Signature Version 2 turned off": buckets created after 24 June 2020 do not support it."""
    if call.service == "s3" and not query and {"AWSAccessKeyId", "Signature"} <= call.params.keys():
        raise AwsError(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        )
