"""YAML for programs: block style, keys in their order, every string in double quotes.

Readers of YAML 1.1 read `no` as false and `1.10` as a number: quotes leave no doubt. Imported for `-o yaml` only: ruamel takes
longer to import than all of the text output.
"""

from __future__ import annotations

import json
import sys
from io import StringIO
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from bacalhau_spot.core.sanitize import escaped

if TYPE_CHECKING:
    from ruamel.yaml.nodes import ScalarNode


class _Representer(SafeRepresenter):
    def ignore_aliases(self, data: Any) -> bool:
        """A value that occurs twice is written twice."""
        del data
        return True

    def represent_quoted(self, text: str) -> ScalarNode:
        node: ScalarNode = self.represent_scalar("tag:yaml.org,2002:str", text, style='"')
        return node


_Representer.add_representer(str, _Representer.represent_quoted)


def yaml_text(value: Any) -> str:
    """Of a value that JSON can hold."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel types it as None
    yaml.width = sys.maxsize
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = StringIO()
    yaml.dump(json.loads(json.dumps(value)), stream)  # plain types, without enumerations
    return escaped(stream.getvalue(), yaml=True)
