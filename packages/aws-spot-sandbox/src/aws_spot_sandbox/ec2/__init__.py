"""AWS's EC2 on this machine: what AWS does and moto does not."""
