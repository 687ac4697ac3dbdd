"""The extras of this installation: optional dependencies, by a module of each."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

_MODULES: Final = {"sandbox": "aws_spot_sandbox", "plot": "altair", "login": "awscrt"}


def install_command(extra: str) -> str:
    """The command that adds an extra. It names the present ones, too: an installation without them would remove them."""
    present = [name for name, module in _MODULES.items() if name == extra or find_spec(module) is not None]
    return f"uv tool install '.[{','.join(present)}]'"
