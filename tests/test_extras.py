"""The command that adds an extra to this installation."""

from __future__ import annotations

import pytest

from bacalhau_spot import extras


@pytest.mark.parametrize(
    ("modules", "extra", "named"),
    [
        ((), "plot", "plot"),
        (("aws_spot_sandbox",), "plot", "sandbox,plot"),
        (("altair", "awscrt"), "sandbox", "sandbox,plot,login"),
        (("altair",), "plot", "plot"),
    ],
)
def test_an_installation_keeps_its_extras(
    modules: tuple[str, ...], extra: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`uv tool install` replaces the installation: with the new extra alone, the others would be gone."""
    monkeypatch.setattr(extras, "find_spec", lambda name: name if name in modules else None)
    assert extras.install_command(extra) == f"uv tool install '.[{named}]'"
