"""config.yaml: finding, reading, checking, writing. Pydantic and the YAML library stay inside this package."""

from bacalhau_spot.config.edit import set_values, write
from bacalhau_spot.config.find import NAME, Found, find
from bacalhau_spot.config.kinds import bounds
from bacalhau_spot.config.load import Loaded, defaults, load, load_text, read_text
from bacalhau_spot.config.places import Note
from bacalhau_spot.config.published import schema
from bacalhau_spot.config.put import put, regions_like
from bacalhau_spot.config.show import Shown, show
from bacalhau_spot.config.template import template
from bacalhau_spot.config.upgrade import upgrade, upgrade_notes

__all__ = [
    "NAME",
    "Found",
    "Loaded",
    "Note",
    "Shown",
    "bounds",
    "defaults",
    "find",
    "load",
    "load_text",
    "put",
    "read_text",
    "regions_like",
    "schema",
    "set_values",
    "show",
    "template",
    "upgrade",
    "upgrade_notes",
    "write",
]
