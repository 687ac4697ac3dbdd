"""The few options that are needed when the command line itself could not be understood."""

from __future__ import annotations

_OUTPUT = ("-o", "--output", "--format")
_FORMS = ("table", "wide", "json", "yaml", "ndjson")


def chosen_output(argv: list[str]) -> str:
    """The form of output that the command line asks for, the last one winning."""
    form = "table"
    for index, word in enumerate(argv):
        name, sign, value = word.partition("=")
        if name not in _OUTPUT:
            continue
        if not sign:
            value = argv[index + 1] if index + 1 < len(argv) else ""
        if value in _FORMS:
            form = value
    return form


def wants(argv: list[str], flag: str) -> bool:
    return flag in argv
