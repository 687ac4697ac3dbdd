"""A local emulation of AWS's EC2 API: moto, behind a layer that adds the behaviours it lacks."""

try:  # the build writes it
    from aws_spot_sandbox._version import __version__ as __version__
except ModuleNotFoundError:  # a folder that was never built
    __version__ = "0.0"
