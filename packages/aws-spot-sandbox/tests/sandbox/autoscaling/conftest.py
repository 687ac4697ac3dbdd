from __future__ import annotations

from typing import Any

import pytest

from sandbox.autoscaling.scaling_groups import Setting


@pytest.fixture
def setting(sandbox: Any) -> Setting:
    return Setting(sandbox)
