"""A terminal's last line, after the escape sequences that the line of a look uses."""

from __future__ import annotations

import re


def shown_at_last(written: str) -> str:
    """The content of the line with the cursor. Raises ValueError for a sequence that moves the cursor elsewhere."""
    line = ""
    column = 0
    for text, sequence, control in re.findall(r"([^\x1b\r\n]+)|\x1b\[([0-9;?]*[A-Za-z])|([\r\n])", written):
        if text:
            line = line[:column] + text + line[column + len(text) :]
            column += len(text)
        elif sequence == "K":
            line = line[:column]
        elif control:
            line, column = (line, 0) if control == "\r" else ("", 0)
        elif not sequence.endswith("m"):
            raise ValueError(f"an unexpected escape sequence: {sequence}")
    return line


def every_line(written: str) -> list[str]:
    """The lines that remain on the screen, without colours."""
    return [shown_at_last(line) for line in written.split("\n")]
