"""Whose an interface of a service's is: read from the description that the service writes."""

from __future__ import annotations

import pytest

from bacalhau_spot.cloud.cleanup.dependencies import _dependency, service_of
from bacalhau_spot.cloud.cleanup.dependency_queries import interfaces
from bacalhau_spot.core.cleanup.deletion_result import AWS_SERVICE_OWNER

ELB = "arn:aws-cn:elasticloadbalancing:cn-north-1:1234"
UUID = "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"


@pytest.mark.parametrize(
    ("description", "owner", "command"),
    [
        ("Interface for NAT Gateway nat-1", "nat-1", "ec2 delete-nat-gateway --nat-gateway-id nat-1"),
        ("VPC Endpoint Interface vpce-1", "vpce-1", "ec2 delete-vpc-endpoints --vpc-endpoint-ids vpce-1"),
        (
            "ELB app/web/50dc6c49",
            "",
            f"elbv2 delete-load-balancer --load-balancer-arn {ELB}:loadbalancer/app/web/50dc6c49",
        ),
        ("ELB web", "", "elb delete-load-balancer --load-balancer-name web"),
        (
            "EFS mount target for fs-1 (fsmt-1)",
            "",
            "efs delete-mount-target --mount-target-id fsmt-1",
        ),
        (
            f"AWS Lambda VPC ENI-resize-images-{UUID}",
            "",
            "lambda delete-function --function-name resize-images",
        ),
        # F22: descriptions recorded by cloud-custodian
        (
            "Network Interface for Transit Gateway Attachment tgw-attach-1",
            "tgw-attach-1",
            "ec2 delete-transit-gateway-vpc-attachment --transit-gateway-attachment-id tgw-attach-1",
        ),
        (
            "AWS created network interface for directory d-1",
            "",
            "ds delete-directory --directory-id d-1",
        ),
        ("RDSNetworkInterface", "", ""),
        ("", "", ""),
    ],
)
def test_a_services_interface_tells_whose_it_is(description: str, owner: str, command: str) -> None:
    """What it belongs to, where that is EC2's own, and the command that deletes that; nothing where it does not say."""
    row = {"Description": description, "OwnerId": "1234", "RequesterManaged": True}
    assert service_of(row, "cn-north-1") == (owner, command)


@pytest.mark.parametrize(
    ("description", "service"),
    [
        ("RDSNetworkInterface", "RDS"),
        ("arn:aws:ecs:us-east-1:1234:attachment/0a1b2c3d-0a1b", "ECS"),
        ("aws-k8s-branch-eni", "EKS"),
        (f"AWS Lambda VPC ENI: {UUID}", "Lambda"),
    ],
)
def test_a_description_without_a_name_tells_the_service(description: str, service: str) -> None:
    """F22: recorded by cloud-custodian; the interface itself cannot be deleted by hand, so no command is offered."""
    row = {"NetworkInterfaceId": "eni-1", "Description": description, "InterfaceType": "interface"}
    dependency = _dependency(interfaces("vpc-id"), row, "us-east-1", "vpc-1")
    assert dependency.owner.startswith(f"{AWS_SERVICE_OWNER} ({service}: ")
    assert dependency.fix_command == ""
