"""config.yaml: finding, reading, validating, writing. Pydantic and the YAML library are used only in this package.

Neither is imported before a file is read: refusals need none of them.
"""

from typing import TYPE_CHECKING

from bacalhau_spot.config.find import NAME, ConfigLocation, find_config
from bacalhau_spot.lazy_package import import_when_used

if TYPE_CHECKING:
    from bacalhau_spot.config.answers import answer_problem, default_orchestrator, names_a_file
    from bacalhau_spot.config.config_file import load, read_config_text
    from bacalhau_spot.config.edit import schema_file, set_values, write_config
    from bacalhau_spot.config.field_types import bounds
    from bacalhau_spot.config.json_schema import config_schema
    from bacalhau_spot.config.load import Loaded, defaults, load_text
    from bacalhau_spot.config.locations import MigrationNote
    from bacalhau_spot.config.migrate import upgrade_notes, upgrade_text
    from bacalhau_spot.config.set_blocks import has_key, regions_like, set_block
    from bacalhau_spot.config.show import EffectiveValue, shown_values
    from bacalhau_spot.config.template import template

__all__ = [
    "NAME",
    "ConfigLocation",
    "EffectiveValue",
    "Loaded",
    "MigrationNote",
    "answer_problem",
    "bounds",
    "config_schema",
    "default_orchestrator",
    "defaults",
    "find_config",
    "has_key",
    "load",
    "load_text",
    "names_a_file",
    "read_config_text",
    "regions_like",
    "schema_file",
    "set_block",
    "set_values",
    "shown_values",
    "template",
    "upgrade_notes",
    "upgrade_text",
    "write_config",
]

__getattr__ = import_when_used(
    __name__,
    {
        ".answers": ("answer_problem", "default_orchestrator", "names_a_file"),
        ".config_file": ("load", "read_config_text"),
        ".edit": ("schema_file", "set_values", "write_config"),
        ".field_types": ("bounds",),
        ".json_schema": ("config_schema",),
        ".load": ("Loaded", "defaults", "load_text"),
        ".locations": ("MigrationNote",),
        ".migrate": ("upgrade_notes", "upgrade_text"),
        ".set_blocks": ("has_key", "regions_like", "set_block"),
        ".show": ("EffectiveValue", "shown_values"),
        ".template": ("template",),
    },
)
