"""What must not be in a report: secrets, and what tells whose account it was."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterator
from typing import Any

_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b")
_ARN = re.compile(r"arn:aws[\w-]*:(?:iam|sts)::\d*:(?:user|assumed-role|federated-user|root)[^\s\"',)]*")
_ACCOUNT = re.compile(r"(?<![\d.])\d{12}(?!\d)")
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
# An encoded authorization message has the caller, the account and the policy in it.
_ENCODED = re.compile(r"[A-Za-z0-9+/_=-]{100,}")
# A shorter text would also be found in words that are nobody's.
_SHORTEST = 6


class Secrets:
    """Texts that were met on the way and are hidden by their value, and others by their form."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self.learn(os.uname().nodename, "HOST")
        self.learn(os.path.expanduser("~"), "~")  # noqa: PTH111 - Path.home() raises if it is unknown

    def learn(self, value: str, name: str = "SECRET") -> None:
        if len(value) >= _SHORTEST:
            self._known[value] = name

    def learn_answer(self, service: str, answer: Any) -> None:
        """The values of secret parameters, and the credentials, that AWS returns."""
        if service in ("ssm", "sts", "secretsmanager", "iam"):
            for value in _secret_values(answer):
                self.learn(value)

    def hide(self, text: str) -> str:
        for value in sorted(self._known, key=len, reverse=True):
            text = text.replace(value, self._known[value])
        text = _KEY_ID.sub("KEY", _ACCOUNT.sub("ACCOUNT", _ARN.sub("IDENTITY", text)))
        return _ENCODED.sub("ENCODED", _ADDRESS.sub(_hidden_address, text))

    def hide_all(self, value: Any) -> Any:
        """The same value with all its texts hidden."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, dict):
            return {self.hide(str(key)): self.hide_all(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide_all(inner) for inner in value]
        return value


def _hidden_address(found: re.Match[str]) -> str:
    try:
        return "ADDRESS" if ipaddress.ip_address(found[0]).is_global else found[0]
    except ValueError:  # a version number
        return found[0]


def _secret_values(answer: Any) -> Iterator[str]:
    if isinstance(answer, list | tuple):
        for inner in answer:
            yield from _secret_values(inner)
    if not isinstance(answer, dict):
        return
    # Other parameters are public: the ids of images.
    secret = {"SecretString", "SecretAccessKey", "SessionToken"}
    secret |= {"Value"} if answer.get("Type") == "SecureString" else set()
    for key, inner in answer.items():
        if key in secret and isinstance(inner, str):
            yield inner
            yield from _values_in(inner)
        else:
            yield from _secret_values(inner)


def _values_in(text: str) -> Iterator[str]:
    """A parameter may be a JSON document of secrets."""
    try:
        document = json.loads(text)
    except ValueError:
        return
    if isinstance(document, dict):
        yield from (value for value in document.values() if isinstance(value, str))
