"""For programs that plug-ins run on an instance: what they read and sign with the instance's credentials.

AWS: EC2 User Guide, "IAM roles for Amazon EC2"; S3 User Guide, "Download and upload objects with presigned URLs".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from aws_spot_sandbox.http_types import AwsError, Call, Http
from aws_spot_sandbox.iam import non_ec2_arns, sessions
from aws_spot_sandbox.iam.policy_evaluator import Answer, judge
from aws_spot_sandbox.middleware import error_responses, signature

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.region import Region
    from aws_spot_sandbox.iam.sessions import Session


def read_parameter(region: Region, machine: Machine, name: str) -> str:
    """The value of an SSM parameter, read with the instance's credentials. Raises AwsError as GetParameter does."""
    session = sessions.of_machine(region.world, machine)
    if session is None:
        raise AwsError("NoCredentials", "Unable to locate credentials")
    action = "ssm:GetParameter"
    ask = non_ec2_arns.parameter(region.name, name).ask(action)
    answer = judge(sessions.documents(session.role), ask)
    if answer is not Answer.ALLOWED:
        call = Call(
            "ssm", region.name, "GetParameter", http=Http(headers={"x-amz-target": "AmazonSSM.GetParameter"})
        )
        raise error_responses.denied(
            call, user_arn=session.arn, resource=ask.resource, explicit=answer is Answer.DENIED
        )
    value = region.parameter(region.name, name)
    if value is None:
        raise AwsError("ParameterNotFound", f"Parameter {name} not found.")
    return value


def presigned_url(
    endpoint: str,
    session: Session,
    *,
    method: str,
    bucket: str,
    key: str,
    region: str,
    now: float,
    expires_s: int = 3600,
) -> str:
    """A URL of an object in S3, path style, with the permissions of the session. `region`: of the bucket."""
    moment = datetime.fromtimestamp(now, UTC).strftime(signature.TIME)
    host = endpoint.partition("://")[2]
    path = quote(f"/{bucket}/{key}", safe="/-_.~")
    fields = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{session.access_key_id}/{moment[:8]}/{region}/s3/aws4_request",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-Security-Token": session.token,
        "X-Amz-SignedHeaders": "host",
    }
    query = urlencode(fields, quote_via=quote, safe="-_.~")
    call = Call("s3", region, "", http=Http(method, path, f"{query}&X-Amz-Signature=", {"host": host}))
    signed = signature.signature_of(call, session.secret_access_key, names="host", moment=moment, in_url=True)
    return f"{endpoint}{path}?{query}&X-Amz-Signature={signed}"
