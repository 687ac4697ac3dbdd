"""Whether a request was signed with the sandbox's secret (AWS: IAM User Guide, "Create a signed AWS API request")."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Call

_SIGNED = re.compile(r"SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]+)")
_OURS = Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)


def is_ours(call: Call) -> bool:
    """Recompute the signature, as AWS does, from the headers in SignedHeaders."""
    headers = call.http.headers
    match = _SIGNED.search(headers.get("authorization", ""))
    if match is None:
        return False
    names, claimed = match.groups()
    query = f"?{call.http.query}" if call.http.query else ""
    url = f"http://{headers.get('host', '')}{call.http.path}{query}"
    signed = {name: headers.get(name, "") for name in names.split(";")}
    request = AWSRequest(method=call.http.method, url=url, data=call.body, headers=signed)
    request.context["timestamp"] = headers.get("x-amz-date", "")
    auth = SigV4Auth(_OURS, call.service, call.region)
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    return hmac.compare_digest(auth.signature(to_sign, request), claimed)
