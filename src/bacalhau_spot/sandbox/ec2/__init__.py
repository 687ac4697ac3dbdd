"""AWS's EC2 on this machine: moto, with what AWS does and moto does not."""

from bacalhau_spot.sandbox.ec2.router import Ec2

__all__ = ["Ec2"]
