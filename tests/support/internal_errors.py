"""The words of a fault of the program itself, which no input and no answer may end in."""

from __future__ import annotations

import re

from bacalhau_spot.core.error_catalog.internal import INTERNAL_ERROR

_WORDS = re.compile(rf"\binternal error\b(?! of AWS)|Traceback|\b{INTERNAL_ERROR}\b")


def check_no_internal_error(text: str, what: object = "") -> None:
    """`text`: everything that a command printed. `what`: its command line, or the input."""
    # A narrow window folds a sentence.
    found = _WORDS.search(" ".join(text.split()))
    assert found is None, f"{what}: {text[-2000:]}"
