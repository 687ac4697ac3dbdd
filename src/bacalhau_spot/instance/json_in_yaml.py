"""Values -> JSON that every YAML reader takes for the same values: the 1.1 of cloud-init and the 1.2 of Bacalhau."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Value = str | int | bool | Sequence["Value"] | Mapping[str, "Value"]

# JSON leaves these as they are, YAML breaks lines at some and refuses others. Above them, YAML 1.1 knows no pair of halves.
_ESCAPED: Final = re.compile("[\x7f-\uffff]")


def json_in_yaml(value: Value, *, indent: int | None = None) -> str:
    """On one line, or with `indent` columns a level."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return _ESCAPED.sub(lambda letter: f"\\u{ord(letter[0]):04x}", text)
