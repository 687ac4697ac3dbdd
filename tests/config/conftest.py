"""A home with keys, and a way to load text as if it were a file."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest

from bacalhau_spot.config import Loaded, load
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_RAW = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + bytes(32)
PUBLIC_KEY = f"ssh-ed25519 {base64.b64encode(_RAW).decode()} me@here"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

Load = Callable[..., Loaded]
Refusal = Callable[..., UserError]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with an SSH key pair, a token and a certificate."""
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True)
    (folder / ".config/bacalhau").mkdir(parents=True)
    for name in ("id_ed25519", "id_rsa"):
        (folder / f".ssh/{name}.pub").write_text(PUBLIC_KEY + "\n")
        (folder / f".ssh/{name}").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n")
    (folder / ".config/bacalhau/token").write_text("s3cret-token\n")
    (folder / ".config/bacalhau/ca.pem").write_text(CERTIFICATE)
    return folder


@pytest.fixture
def loading(tmp_path: Path, home: Path) -> Load:
    """`loading(text)` loads the text as config.yaml."""

    def run(text: str | bytes, *, environ: Mapping[str, str] | None = None, lenient: bool = False) -> Loaded:
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path, environ=environ or {}, home=home, lenient=lenient)

    return run


@pytest.fixture
def refused(loading: Load) -> Refusal:
    """`refused(text)` is the error that loading the text ends in."""

    def run(text: str | bytes, *, environ: Mapping[str, str] | None = None) -> UserError:
        with pytest.raises(UserError) as caught:
            loading(text, environ=environ)
        return caught.value

    return run
