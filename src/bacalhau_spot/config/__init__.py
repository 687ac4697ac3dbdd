"""config.yaml: finding, reading, checking, writing. Pydantic and the YAML library stay inside this package."""

from bacalhau_spot.config.load import Loaded, defaults, load
from bacalhau_spot.config.places import Note

__all__ = ["Loaded", "Note", "defaults", "load"]
