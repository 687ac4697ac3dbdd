"""Removes secrets from all output to stdout and stderr, and from logs. No other module does.

A result with `unredacted` is the only exception, and only on stdout: among commands, `env` prints the orchestrator's API key or
password, because Bacalhau's client needs it.
"""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from bacalhau_spot.core.addresses import address_secrets
from bacalhau_spot.core.orchestrator.token_placeholder import is_placeholder
from bacalhau_spot.text_marks import CUT, HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bacalhau_spot.cli.runtime.environment import Runtime
    from bacalhau_spot.core.model import ClusterSpec

# A shorter value may be a common word.
_SHORTEST = 6
_SHORTEST_PATH = 16
# A login without a password: a shorter one is a name.
_SHORTEST_TOKEN = 16
_VARIABLES = re.compile(r"SECRET|TOKEN|PASSWORD|API_?KEY", re.IGNORECASE)
# Suffixes of variables that contain a path or a type instead of a secret.
_NO_SECRETS = ("_FILE", "_DIR", "_PATH", "_TYPE")
_PROXY = "_proxy"
_NO_PROXY = "no_proxy"  # hosts
# Before these characters, unencoded in a password, libraries see the end of the host.
_HOST_ENDS = re.compile(r"[#/?@]")
# Fewer letters of a secret may be shown before the mark: other words begin so, too.
_FEW = 4
# Unknown secrets are recognized by their label: "SecretAccessKey": "…", token=…, Authorization: Bearer …
_LABELLED = re.compile(
    r"((?:secret_?access_?key|session_?token|security_?token|access_?token|auth_?token|api_?key|password)"
    r"""["']?\s*[:=]\s*["']?|bearer\s+"""
    # A login in base64, in contrast to a word after "basic": it has capitals or digits within.
    r"""|basic\s+(?=[a-z0-9+/]{6,}={0,2}(?![\w.:-]))(?=(?-i:.[a-z]*[A-Z0-9+/=])))[^\s"',}\x1b]{8,}""",
    re.IGNORECASE,
)
# One of these words is in each label. The search for them takes a twentieth of the expression's time, and most text has none.
_LABELS = ("key", "token", "password", "bearer", "basic")
# The password in an address, which may be of any program: //user:password@host
_IN_ADDRESS = re.compile(r"""(//[^\s/:@"']*:)[^\s/@"']+(?=@)""")


def redacted(text: str, runtime: Runtime) -> str:
    """`text` without the secrets of the environment and of the configuration."""
    known = _known(runtime.environment_secrets, frozenset(runtime.secrets))
    for secret, wrapped in known:
        text = text.replace(secret, HIDDEN) if wrapped is None else wrapped.sub(HIDDEN, text)
    if CUT in text:
        text = _without_cut_secrets(text, [secret for secret, _ in known])
    if "@" in text:
        text = _IN_ADDRESS.sub(rf"\1{HIDDEN}", text)
    lower = text.lower()
    return _LABELLED.sub(rf"\1{HIDDEN}", text) if any(label in lower for label in _LABELS) else text


# A run learns few secrets after its first output.
@lru_cache(maxsize=8)
def _known(
    environment: tuple[str, ...], learned: frozenset[str]
) -> tuple[tuple[str, re.Pattern[str] | None], ...]:
    """The secrets, the longest first, each with the expression that finds it if it contains a space."""
    secrets = {*environment, *(secret for secret in learned if not is_placeholder(secret))}
    secrets = {form for secret in secrets if len(secret) >= _SHORTEST for form in _spellings(secret)}
    return tuple((secret, _wrapped(secret)) for secret in sorted(secrets, key=len, reverse=True))


def _spellings(secret: str) -> tuple[str, ...]:
    """Itself, within JSON, within a message of Python, and in an address. Most secrets have one spelling."""
    escaped = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1])
    in_address = (quote(secret, safe=safe, errors="surrogatepass") for safe in ("", "/"))
    return (secret, *escaped, *in_address)


def _login(user: str, password: str) -> str:
    """As HTTP sends it: Basic …"""
    pair = f"{user}:{password}".encode(errors="surrogatepass")
    return base64.b64encode(pair).decode()


def _wrapped(secret: str) -> re.Pattern[str] | None:
    """The text may be wrapped at a space within the secret."""
    words = secret.split()
    if len(words) < 2:  # noqa: PLR2004 - it contains no space
        return None
    return re.compile(r"\s+".join(map(re.escape, words)))


def _without_cut_secrets(text: str, secrets: Sequence[str]) -> str:
    """Text is shortened in many places that do not know the secrets, and all of them leave the same mark."""
    *cut, rest = text.split(CUT)
    for number, before in enumerate(cut):
        whole = before.rstrip()
        start = min(_start_of_cut(whole, " ".join(secret.split())) for secret in ("", *secrets))
        if start < len(whole):
            cut[number] = f"{whole[:start]}{HIDDEN}{before[len(whole) :]}"
    return CUT.join([*cut, rest])


def _start_of_cut(text: str, secret: str) -> int:
    """The offset at which `text` ends with the beginning of the secret, the longest one; else its length."""
    # The beginning of an address is no secret.
    fewest = secret.find("//") + 2 + _FEW if "//" in secret else _FEW
    if len(secret) < fewest:
        return len(text)
    start = text.find(secret[:fewest], max(0, len(text) - len(secret)))
    while start >= 0:
        if secret.startswith(text[start:]):
            return start
        start = text.find(secret[:fewest], start + 1)
    return len(text)


def environment_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """The secrets in variables, by the names of these."""
    for name, value in environ.items():
        if _VARIABLES.search(name) and not name.endswith(_NO_SECRETS):
            yield value
        if name.lower().endswith(_PROXY) and name.lower() != _NO_PROXY:
            yield from _secrets_of_proxy(value)


def _secrets_of_proxy(address: str) -> Iterator[str]:
    """`//user:password@host`. Errors about it quote all of the password, the part that is taken for the host, or the rest."""
    login = address[address.find("//") + 2 if "//" in address else 0 :].rpartition("@")[0]
    user, colon, password = login.partition(":")
    if not colon:
        if len(user) >= _SHORTEST_TOKEN:
            yield user
        return
    mark = _HOST_ENDS.search(password)
    begin, rest = (password[: mark.start()], password[mark.end() :]) if mark else ("", "")
    for part in filter(None, (password, begin, rest)):
        yield from (part, unquote(part))
    # A short password is found with its user.
    yield from (f"{user}:{part}" for part in (password, begin) if part)
    yield from (_login(user, password), _login(unquote(user), unquote(password)))


def secrets_of(spec: ClusterSpec) -> Iterator[str]:
    """The secrets in the configuration."""
    bacalhau = spec.bacalhau
    for secret in (bacalhau.token, bacalhau.api_key, bacalhau.api_password):
        if secret is not None:
            yield secret.reveal()
    if bacalhau.api_password is not None:
        yield _login(bacalhau.api_user or "", bacalhau.api_password.reveal())
    published = spec.orchestrator.reconcile
    for address in (bacalhau.download_url, published.package if published else None):
        yield from address_secrets(address or "")
    for target in spec.notify:
        if target.url is not None:
            yield from _secrets_of_webhook(target.url.reveal())


def _secrets_of_webhook(url: str) -> Iterator[str]:
    yield url
    yield from address_secrets(url)
    # The path is the secret of a webhook, and errors may name it alone. A short one is a word.
    path = url.partition("://")[2].partition("/")[2]
    if len(path) >= _SHORTEST_PATH:
        yield path
