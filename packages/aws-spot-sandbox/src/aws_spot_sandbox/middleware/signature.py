"""Whether a request was signed with the right secret, in its headers or in its URL.

AWS: IAM User Guide, "Create a signed AWS API request"; S3 API Reference, "Authenticating Requests: Using Query Parameters".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aws_spot_sandbox.protocol import presigned
from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_spot_sandbox.http_types import Call

UNSIGNED = "UNSIGNED-PAYLOAD"
LONGEST_S = 7 * 86_400  # of a presigned URL
_SIGNED = re.compile(r"SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]+)")
TIME = "%Y%m%dT%H%M%SZ"


def is_ours(call: Call) -> bool:
    """Whether the sandbox's user signed it."""
    return is_signed(call, SECRET_ACCESS_KEY)


def is_signed(call: Call, secret: str) -> bool:
    """Recompute the signature, as AWS does, from the signed headers."""
    query = presigned(call.http)
    if query:
        names, claimed = query.get("X-Amz-SignedHeaders", ""), query["X-Amz-Signature"]
        moment = query.get("X-Amz-Date", "")
    else:
        match = _SIGNED.search(call.http.headers.get("authorization", ""))
        if match is None:
            return False
        names, claimed = match.groups()
        moment = call.http.headers.get("x-amz-date", "")
    expected = signature_of(call, secret, names=names, moment=moment, in_url=bool(query))
    return hmac.compare_digest(expected, claimed)


def signature_of(call: Call, secret: str, *, names: str, moment: str, in_url: bool) -> str:
    headers = call.http.headers
    signed = {name: headers.get(name, "") for name in names.split(";")}
    if in_url:
        # botocore takes the payload's hash from this header without signing the header itself
        payload = headers.get("x-amz-content-sha256", UNSIGNED)
        query = "&".join(
            part for part in call.http.query.split("&") if not part.startswith("X-Amz-Signature=")
        )
    else:
        payload, query = headers.get("x-amz-content-sha256", ""), call.http.query
    url = f"http://{headers.get('host', '')}{call.http.path}{f'?{query}' if query else ''}"
    request = AWSRequest(method=call.http.method, url=url, data=call.body, headers=signed)
    request.context["timestamp"] = moment
    auth = _auth(call.service, call.region, Credentials(ACCESS_KEY_ID, secret))
    canonical = auth.canonical_request(request)
    if in_url:
        canonical = canonical.rpartition("\n")[0] + "\n" + payload
    return str(auth.signature(auth.string_to_sign(request, canonical), request))


def _auth(service: str, region: str, credentials: Credentials) -> SigV4Auth:
    # S3 takes the path as it was sent; the other services encode it once more
    return (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, region)


def has_other_content(call: Call) -> bool:
    """Whether the content differs from the hash that was signed for it."""
    claimed = call.http.headers.get("x-amz-content-sha256", "")
    return bool(re.fullmatch(r"[0-9a-f]{64}", claimed)) and claimed != hashlib.sha256(call.body).hexdigest()


def signed_at(query: Mapping[str, str]) -> float | None:
    """The time of a presigned URL; None if it is invalid."""
    try:
        return datetime.strptime(query.get("X-Amz-Date", ""), TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
