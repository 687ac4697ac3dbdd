"""AWS's EC2 API on this machine: moto's emulation behind a layer that adds the behaviours it lacks."""

__version__ = "0.1.0"
