"""The files and environment variables that a configuration refers to.

A table has their keys and rules; reading continues after an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bacalhau_spot.config.field_types import MAX_TOKEN, WEBHOOK
from bacalhau_spot.config.file_bytes import read_bytes
from bacalhau_spot.config.key_files import certificate_problem, public_key_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bacalhau_spot.config.locations import KeyPath


def _token_problem(text: str) -> str | None:
    plain = text.strip()
    if not plain:
        return "is empty; it must hold the token"
    if len(plain) > MAX_TOKEN:
        return f"holds {len(plain)} characters; a token has at most {MAX_TOKEN}"
    if not plain.isprintable() or any(letter.isspace() for letter in plain):
        return "must hold the token and nothing else: one line, no spaces"
    return None


def _login_problem(text: str) -> str | None:
    plain = text.strip("\r\n")
    if not plain:
        return "is empty"
    return None if plain.isprintable() else "must be one line of text"


def _webhook_problem(text: str) -> str | None:
    """The address is a secret, and never quoted."""
    if not WEBHOOK.fullmatch(text.strip()):
        return "must hold a webhook's address and nothing else, such as https://hooks.example.com/T0/B0"
    return None


def _any_text(_text: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class _Source:
    """A key that refers to a file or an environment variable; `check` returns the problem of the text."""

    path: KeyPath
    check: Callable[[str], str | None]
    variable: bool = False


_SOURCES: Final = (
    _Source(("public_ssh_key_path",), public_key_problem),
    _Source(("bacalhau", "token_file"), _token_problem),
    _Source(("bacalhau", "token_env"), _token_problem, variable=True),
    _Source(("bacalhau", "ca_file"), certificate_problem),
    _Source(("bacalhau", "api", "key_env"), _token_problem, variable=True),
    _Source(("bacalhau", "api", "user_env"), _login_problem, variable=True),
    _Source(("bacalhau", "api", "password_env"), _login_problem, variable=True),
    _Source(("bacalhau", "api", "ca_file"), certificate_problem),
    _Source(("instance", "additional_commands_file"), _any_text),
)


@dataclass(slots=True)
class LoadedFiles:
    """The texts by the path of their key, and the problems."""

    texts: dict[KeyPath, str] = field(default_factory=dict)
    failures: list[tuple[KeyPath, str]] = field(default_factory=list)


def expand(path: str, *, base: Path, home: Path) -> Path:
    """A path of the configuration: `~` is `home`, and a relative path starts at the file's folder."""
    if path == "~" or path.startswith("~/"):
        return home / path[2:]
    return base / path


def read_all(data: object, *, base: Path, home: Path, environ: Mapping[str, str]) -> LoadedFiles:
    """Reads everything that `data` names. Works on unchecked data, so that all problems come at once."""
    materials = LoadedFiles()
    for source in (*_SOURCES, *_files(data), *_webhooks(data)):
        name = _lookup(data, source.path)
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            continue  # missing, or of the wrong type, which the schema reports
        text, failure = (
            _variable(name, environ) if source.variable else _file(expand(name, base=base, home=home))
        )
        failure = failure or _judge(text, source, name)
        if failure:
            materials.failures.append((source.path, failure))
        else:
            materials.texts[source.path] = text
    return materials


def _judge(text: str, source: _Source, name: str) -> str | None:
    problem = source.check(text)
    shown = f"${name}" if source.variable else name
    return f"{shown} {problem}" if problem else None


def _files(data: object) -> list[_Source]:
    files = _lookup(data, ("instance", "files"))
    count = len(files) if isinstance(files, list) else 0
    return [_Source(("instance", "files", number, "source"), _any_text) for number in range(count)]


def _webhooks(data: object) -> list[_Source]:
    receivers = _lookup(data, ("notify",))
    count = len(receivers) if isinstance(receivers, list) else 0
    return [
        _Source(("notify", number, key), _webhook_problem, variable=key == "url_env")
        for number in range(count)
        for key in ("url_env", "url_file")
    ]


def _lookup(data: object, path: KeyPath) -> object:
    for part in path:
        if isinstance(part, int):
            data = data[part] if isinstance(data, list) and part < len(data) else None
        else:
            data = data.get(part) if isinstance(data, dict) else None
    return data


def _variable(name: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    if name not in environ:
        return "", f"the environment variable {name} is not set"
    return environ[name], None


def _file(path: Path) -> tuple[str, str | None]:
    raw, failure = read_bytes(path)
    if failure:
        return "", failure
    try:
        return raw.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        return "", f"{path} is not text (UTF-8)"
