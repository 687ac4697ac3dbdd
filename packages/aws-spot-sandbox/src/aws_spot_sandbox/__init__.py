"""A local emulation of AWS's EC2 API: moto, behind a layer that adds the behaviours it lacks."""

__version__ = "0.1.0"
