"""The whole life of a cluster in a real AWS account: `make live`, never with the other tests. docs/live.md says how."""

from __future__ import annotations

import pytest

from support.live.life import STEPS, Life, Skipped

pytestmark = pytest.mark.live


@pytest.mark.parametrize("name", STEPS)
def test_live(life: Life, name: str) -> None:
    try:
        with life.step(name):
            STEPS[name](life)
    except Skipped as reason:
        pytest.skip(str(reason))
