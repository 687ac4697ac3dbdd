"""Removes secrets from all output to stdout and stderr, and from logs. No other module does.

A result with `unredacted` is the only exception, and only on stdout: among commands, `env` prints the orchestrator's API key or
password, because Bacalhau's client needs it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bacalhau_spot.core.orchestrator.token_placeholder import is_placeholder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bacalhau_spot.cli.runtime.environment import Runtime
    from bacalhau_spot.core.model import ClusterSpec

HIDDEN = "***"
# A shorter value may be a common word.
_SHORTEST = 6
_SHORTEST_PATH = 16
_VARIABLES = re.compile(r"SECRET|TOKEN|PASSWORD|API_?KEY", re.IGNORECASE)
# Suffixes of variables that contain a path or a type instead of a secret.
_NO_SECRETS = ("_FILE", "_DIR", "_PATH", "_TYPE")
# Unknown secrets are recognized by their label: "SecretAccessKey": "…", token=…, Authorization: Bearer …
_LABELLED = re.compile(
    r"((?:secret_?access_?key|session_?token|security_?token|access_?token|auth_?token|api_?key|password)"
    r"""["']?\s*[:=]\s*["']?|bearer\s+)[^\s"',}\x1b]{8,}""",
    re.IGNORECASE,
)


def redacted(text: str, runtime: Runtime) -> str:
    """`text` without the secrets of the environment and of the configuration."""
    for secret in sorted(_known(runtime), key=len, reverse=True):
        text = _without(text, secret)
    return _LABELLED.sub(rf"\1{HIDDEN}", text)


def _without(text: str, secret: str) -> str:
    """The text may be wrapped at a space within the secret."""
    words = secret.split()
    if len(words) < 2:  # noqa: PLR2004 - it contains no space
        return text.replace(secret, HIDDEN)
    return re.sub(r"\s+".join(map(re.escape, words)), HIDDEN, text)


def environment_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """The secrets in variables, by the names of these."""
    for name, value in environ.items():
        if len(value) >= _SHORTEST and _VARIABLES.search(name) and not name.endswith(_NO_SECRETS):
            yield value


def _known(runtime: Runtime) -> Iterator[str]:
    yield from runtime.environment_secrets
    yield from (
        secret for secret in runtime.secrets if len(secret) >= _SHORTEST and not is_placeholder(secret)
    )


def secrets_of(spec: ClusterSpec) -> Iterator[str]:
    """The secrets in the configuration."""
    for secret in (spec.bacalhau.token, spec.bacalhau.api_key, spec.bacalhau.api_password):
        if secret is not None:
            yield secret.reveal()
    for target in spec.notify:
        if target.url is not None:
            url = target.url.reveal()
            yield url
            # The path is the secret of a webhook, and errors may name it alone. A short one is a word.
            path = url.partition("://")[2].partition("/")[2]
            if len(path) >= _SHORTEST_PATH:
                yield path
