"""AWS's EC2 on this machine: moto, with what AWS does and moto does not."""

from aws_spot_sandbox.ec2.router import Ec2

__all__ = ["Ec2"]
