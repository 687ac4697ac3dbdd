"""Flow logs, network ACLs and the default EBS key, without the parameters that moto requires and AWS does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.http_types import AwsError
from aws_spot_sandbox.state import ACCOUNT_ID

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Answer, Args, Region


def delete_flow_logs(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, DeleteFlowLogs: the call succeeds even if some deletions fail."""
    refused: list[dict[str, Any]] = []
    for flow_log_id in args.get("FlowLogIds") or ():
        if region.backend.flow_logs.pop(flow_log_id, None) is None:
            message = f"These flow log ids in the input list are not found: [TotalCount: 1] {flow_log_id}"
            refused.append(
                {
                    "ResourceId": flow_log_id,
                    "Error": {"Code": "InvalidFlowLogId.NotFound", "Message": message},
                }
            )
        region.forget_tags(flow_log_id)
    return {"Unsuccessful": refused}


def check_acl(region: Region, args: Args) -> None:
    """AWS: EC2 API Reference, DeleteNetworkAcl: the default ACL is refused."""
    acl = region.backend.network_acls.get(args.get("NetworkAclId"))
    if acl is not None and acl.default in (True, "true"):
        raise AwsError("InvalidParameterValue", f"You cannot delete the default network ACL: {acl.id}")


def default_key(region: Region, args: Args) -> Answer:
    """EC2 API reference, GetEbsDefaultKmsKeyId: the alias of AWS's key, unless the account has chosen another."""
    del args
    chosen = region.world.settings.default_key_without_spot
    own = f"arn:aws:kms:{region.name}:{ACCOUNT_ID}:key/5a9d0000-0000-4000-8000-000000000001"
    return {"KmsKeyId": own if chosen else "alias/aws/ebs"}
