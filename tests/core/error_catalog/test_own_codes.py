"""Codes that the program itself gives to failures have a meaning in the catalogue, and not only a default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bacalhau_spot
from bacalhau_spot.core.error_catalog import internal, invalid_requests
from bacalhau_spot.core.error_catalog.classifier import classify

SOURCE = Path(bacalhau_spot.__file__).parent
_RAISED = re.compile(r'\b(?:CloudError|ApiFailure|_error)\(\s*(?:code=)?"([A-Za-z.]+)"')
CODES = sorted(
    {code for path in SOURCE.rglob("*.py") for code in _RAISED.findall(path.read_text(encoding="utf-8"))}
    | set(internal.ROWS)
)


def test_the_source_gives_codes() -> None:
    assert len(CODES) > 10


@pytest.mark.parametrize("code", CODES)
def test_each_has_a_meaning(code: str) -> None:
    """AWS_ENDPOINT_URL=nonsense was reported as an internal error when its row was dropped."""
    assert classify(code) not in (invalid_requests.OUR_CALL, classify("NoSuchCode"))
