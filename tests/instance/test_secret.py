"""The token out of the Parameter Store, as a node fetches it."""

from __future__ import annotations

import datetime as dt
import json
import stat
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from aws_spot_sandbox.state import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from bacalhau_spot.instance.scripts import secret
from bacalhau_spot.instance.scripts.metadata import Metadata
from bacalhau_spot.instance.scripts.shell import CommandFailedError
from support.sandbox import sandbox, sandbox_server

if TYPE_CHECKING:
    from pathlib import Path

    from support.node_fakes import MetadataServer

__all__ = ["sandbox", "sandbox_server"]

PARAMETER = "/bacalhau-spot/c-1/token"
ROLE = {"AccessKeyId": ACCESS_KEY_ID, "SecretAccessKey": SECRET_ACCESS_KEY, "Token": "session+/=token"}


@pytest.fixture
def metadata(metadata_server: MetadataServer) -> Metadata:
    """An instance with a role."""
    metadata_server.values = {
        "iam/security-credentials/": "bacalhau-1\n",
        "iam/security-credentials/bacalhau-1": json.dumps({"Code": "Success", **ROLE}),
        "placement/region": "eu-west-1",
        "services/domain": "amazonaws.com",
    }
    return Metadata(metadata_server.url)


def put(sandbox: Any, value: str) -> None:
    boto3.client(
        "ssm",
        region_name="eu-west-1",
        endpoint_url=sandbox.url,
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
    ).put_parameter(Name=PARAMETER, Value=value, Type="SecureString")


@pytest.mark.parametrize("moment", ["2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z"])
def test_a_request_is_signed_as_botocore_signs_it(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two signers, one signature: the same headers, the same body, the same second."""
    url, body = "https://ssm.eu-west-1.amazonaws.com/", b'{"Name": "/a b/\xc3\xa9"}'
    request = secret.signed(
        url, body, region="eu-west-1", credentials=ROLE, now=dt.datetime.fromisoformat(moment)
    )
    aws_request = AWSRequest(
        "POST",
        url,
        data=body,
        headers={name: request[name] for name in ("content-type", "x-amz-target")},
    )
    credentials = Credentials(ROLE["AccessKeyId"], ROLE["SecretAccessKey"], ROLE["Token"])
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: dt.datetime.fromisoformat(moment))
    SigV4Auth(credentials, "ssm", "eu-west-1").add_auth(aws_request)
    assert request["authorization"] == aws_request.headers["Authorization"]
    assert request["x-amz-date"] == aws_request.headers["X-Amz-Date"]


def test_the_token_comes_into_a_file_that_only_root_may_read(
    sandbox: Any, metadata: Metadata, tmp_path: Path
) -> None:
    """Asked for with the role's credentials, at AWS as the sandbox plays it; quoted as systemd reads it."""
    put(sandbox, 'a"b\\c$d')
    secret.fetch_secret(metadata, PARAMETER, path=str(tmp_path / "token.env"), endpoint=sandbox.url)
    assert (tmp_path / "token.env").read_text() == 'BACALHAU_COMPUTE_AUTH_TOKEN="a\\"b\\\\c\\$d"\n'
    assert stat.S_IMODE((tmp_path / "token.env").stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "token.env"]


def test_a_role_that_is_not_known_yet_is_waited_for(
    sandbox: Any, metadata: Metadata, metadata_server: MetadataServer, tmp_path: Path
) -> None:
    """The profile reaches the instance some seconds after its birth."""
    put(sandbox, "t")
    role = metadata_server.values.pop("iam/security-credentials/")
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            metadata_server.values["iam/security-credentials/"] = role

    secret.fetch_secret(
        metadata, PARAMETER, path=str(tmp_path / "token.env"), endpoint=sandbox.url, sleep=sleep
    )
    assert len(pauses) == 3
    assert "t" in (tmp_path / "token.env").read_text()


def test_why_there_is_no_token_is_said_in_awss_words(
    sandbox: Any, metadata: Metadata, tmp_path: Path
) -> None:
    """After five minutes; and no file is left that a node could start with."""
    pauses: list[float] = []
    with pytest.raises(CommandFailedError, match=f"{PARAMETER} cannot be read: ParameterNotFound"):
        secret.fetch_secret(
            metadata,
            PARAMETER,
            path=str(tmp_path / "token.env"),
            endpoint=sandbox.url,
            sleep=pauses.append,
        )
    assert 240 <= sum(pauses) <= 360
    assert list(tmp_path.iterdir()) == []


def test_no_secret_is_in_what_is_said(metadata: Metadata, tmp_path: Path) -> None:
    """Nobody there: the reason names the network, not the request."""
    with pytest.raises(CommandFailedError) as caught:
        secret.fetch_secret(
            metadata,
            PARAMETER,
            path=str(tmp_path / "t"),
            endpoint="http://127.0.0.1:9/",
            sleep=lambda _seconds: None,
        )
    assert SECRET_ACCESS_KEY not in str(caught.value) and ROLE["Token"] not in str(caught.value)
