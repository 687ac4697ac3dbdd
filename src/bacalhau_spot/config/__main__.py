"""Writes the files generated from the schema: `uv run python -m bacalhau_spot.config docs/configuration.md`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bacalhau_spot.config.docs_table import fill
from bacalhau_spot.config.json_schema import config_schema


def main(page: Path) -> None:
    """The checked-in schema, and the table in `page`."""
    text = json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"
    Path(__file__).with_name("schema.json").write_text(text, encoding="utf-8")
    page.write_text(fill(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
