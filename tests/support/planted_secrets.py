"""Secrets that are planted in every test's surroundings: none may come out on a stream, or stay in a file of the program's."""

from __future__ import annotations

from pathlib import Path

from aws_spot_sandbox.state import SECRET_ACCESS_KEY

SESSION_TOKEN = "planted-session-token-0123456789"
BACALHAU_TOKEN = "planted-bacalhau-token-0123456789"
API_KEY = "planted-api-key-0123456789"
PLANTED = (SECRET_ACCESS_KEY, SESSION_TOKEN, BACALHAU_TOKEN, API_KEY)

# What the user writes, secrets and all.
_THEIRS = ("config.yaml", "config.yaml.old", "home")


def check(text: str, *, where: str, allowed: tuple[str, ...] = ()) -> None:
    """`allowed`: secrets that the text is for."""
    for secret in PLANTED:
        assert secret in allowed or secret not in text, f"{where} shows {secret}"


def check_files(folder: Path) -> None:
    """Every file below `folder` that the program wrote: logs, audit, plans, state."""
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).parts[0] not in _THEIRS:
            check(path.read_bytes().decode(errors="replace"), where=str(path))
