"""Reads a parameter from SSM's Parameter Store, with the credentials of the instance's role.

Signed by hand, because only Python's standard library is available. AWS: "Signature Version 4 signing process" (IAM
user guide), GetParameter (Systems Manager API reference).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import re
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from . import whole_file
from .shell import CommandFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .metadata import Metadata

VARIABLE = "BACALHAU_COMPUTE_AUTH_TOKEN"
# A new role is not visible everywhere at once (IAM user guide, "Eventual consistency"): retry for five minutes.
TRIES = 30
_PAUSE_S = 10.0
_ROLES = "iam/security-credentials/"


def fetch_secret(
    metadata: Metadata,
    parameter: str,
    *,
    path: str,
    endpoint: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Write the token for systemd, readable by root only. Raises CommandFailedError with the reason."""
    _keep(path, read_parameter(metadata, parameter, endpoint=endpoint, sleep=sleep))


def read_parameter(
    metadata: Metadata,
    parameter: str,
    *,
    endpoint: str = "",
    tries: int = TRIES,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """The parameter's value, decrypted. Raises CommandFailedError with the reason of the last try."""
    why = ""
    for attempt in range(tries):
        if attempt:
            sleep(_PAUSE_S)
        try:
            return _ask(metadata, parameter, endpoint=endpoint)
        except urllib.error.HTTPError as error:
            why = _reason(error)
        except (OSError, ValueError, KeyError) as error:
            why = str(error) or type(error).__name__
    raise CommandFailedError(f"the parameter {parameter} cannot be read: {why}")


def _ask(metadata: Metadata, parameter: str, *, endpoint: str) -> str:
    role = (metadata.get(_ROLES) or "").strip().partition("\n")[0]
    if not role:
        raise OSError("the instance has no role")
    credentials = json.loads(metadata.get(_ROLES + role) or "{}")
    region = (metadata.get("placement/region") or "").strip()
    domain = (metadata.get("services/domain") or "amazonaws.com").strip()
    url = endpoint or f"https://ssm.{region}.{domain}/"
    body = json.dumps({"Name": parameter, "WithDecryption": True}).encode()
    headers = signed(
        url, body, region=region, credentials=credentials, now=dt.datetime.now(tz=dt.timezone.utc)
    )
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return str(json.load(answer)["Parameter"]["Value"])


def signed(
    url: str, body: bytes, *, region: str, credentials: dict[str, Any], now: dt.datetime
) -> dict[str, str]:
    """The headers of a GetParameter request, including its signature."""
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": urlsplit(url).netloc,
        "x-amz-date": moment,
        "x-amz-security-token": credentials["Token"],
        "x-amz-target": "AmazonSSM.GetParameter",
    }
    names = ";".join(headers)  # already in alphabetical order
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical_request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{moment[:8]}/{region}/ssm/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical_request.encode()).hexdigest()}"
    key = f"AWS4{credentials['SecretAccessKey']}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    proof = f"Credential={credentials['AccessKeyId']}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {proof}"}


def _reason(error: urllib.error.HTTPError) -> str:
    """AWS's code and message; never the request, which has credentials."""
    try:
        reply = json.loads(error.read())
        kind = str(reply.get("__type", "")).rpartition("#")[2]
        return f"{kind}: {reply.get('message') or reply.get('Message') or ''}"
    except (OSError, ValueError, AttributeError):
        return f"HTTP {error.code}"


def _keep(path: str, value: str) -> None:
    """Write one line of an EnvironmentFile, at no moment readable by others."""
    quoted = re.sub(r'(["\\`$])', r"\\\1", value)
    whole_file.write_whole(path, f'{VARIABLE}="{quoted}"\n', mode=0o600)
