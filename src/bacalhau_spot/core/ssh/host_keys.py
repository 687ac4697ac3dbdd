"""Reads the host keys of a node from its console output, and writes them for ssh.

cloud-init prints the public keys between two marks when it has run everything else (its module keys_to_console and the
helper write-ssh-key-fingerprints); a node prints the same block before its first boot (instance/cloud-init).
Only root writes to a machine's console, and only AWS's credentials read it: a key from there is the node's.

Rules:
1. A mark and a key fill their lines, except for the prefix of a log. A mark or a key within another line is not one, because
   other programs print text from elsewhere.
2. A block counts when it is complete; other lines within it are ignored, because the kernel writes on the same console.
3. A key counts when its data is of its type and whole: a serial console loses characters.
4. Different keys of one type are a conflict, and no key of the output counts.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bacalhau_spot.core.model import Instance
    from bacalhau_spot.core.problem import ApiFailure

BEGIN: Final = "-----BEGIN SSH HOST KEY KEYS-----"
END: Final = "-----END SSH HOST KEY KEYS-----"
# The kernel's time, cloud-init's output in the journal, and logger's line with `-t ec2` (until 2021) or `-t cloud-init`.
_PREFIX: Final = re.compile(
    r"(?:\[ *\d+\.\d+\] )?(?:cloud-init\[\d+\]: )?"
    r"(?:(?:<\d+>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d )?(?:ec2|cloud-init): )?"
)
_KEY: Final = re.compile(
    r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) ([A-Za-z0-9+/]+={0,2})(?: .*)?"
)
# The beginning of a node's result without a connection.
HOST_KEYS_UNKNOWN: Final = "not connected, because the node's host keys are not known"
_LENGTH_BYTES: Final = 4
_TYPE: Final = 1  # the place of the type in a line of a known-hosts file


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public key in OpenSSH's form. `data`: base64."""

    type: str
    data: str


@dataclass(frozen=True, slots=True)
class ConsoleHostKeys:
    """The keys that a console output shows. `conflicting`: it shows different keys of one type, so none counts."""

    keys: tuple[HostKey, ...] = ()
    conflicting: bool = False


def console_host_keys(text: str) -> ConsoleHostKeys:
    """Of a console output, in the order of their types."""
    found: dict[str, HostKey] = {}
    # Only a new line ends a line: other programs print text with Unicode's other line ends.
    for key in _keys(text.split("\n")):
        if found.setdefault(key.type, key) != key:
            return ConsoleHostKeys(conflicting=True)
    return ConsoleHostKeys(tuple(found[name] for name in sorted(found)))


def known_hosts_text(instance: Instance, keys: Iterable[HostKey]) -> str:
    """The lines of a known-hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), under the instance's id."""
    return "".join(f"{instance.id} {key.type} {key.data}\n" for key in keys)


def unknown_reason(answer: ConsoleHostKeys | ApiFailure) -> str:
    """Why a console output has given no host keys."""
    if not isinstance(answer, ConsoleHostKeys):
        return f"its console output cannot be read: {answer.operation}: {answer.code}"
    if answer.conflicting:
        return "its console output has different host keys of one type"
    return "its console output does not have them: the node prints them in its first minute, and the output has the last 64 KiB"


def lists_key_of(instance: Instance, text: str) -> bool:
    """Whether a known-hosts file has a whole key under the instance's id."""
    lines = (line.split() for line in text.splitlines())
    return any(
        len(words) > _TYPE + 1 and words[0] == instance.id and _is_whole(words[_TYPE], words[_TYPE + 1])
        for words in lines
    )


def _keys(lines: Iterable[str]) -> Iterator[HostKey]:
    """Those of complete blocks."""
    block: list[HostKey] | None = None
    for line in lines:
        content = _PREFIX.sub("", line, count=1).rstrip("\r")
        if content == BEGIN:
            block = []
        elif block is not None and content == END:
            yield from block
            block = None
        elif block is not None and (match := _KEY.fullmatch(content)) and _is_whole(match[1], match[2]):
            block.append(HostKey(match[1], match[2]))


def _is_whole(name: str, data: str) -> bool:
    """Whether the data begins with the type, and its fields end where it ends (RFC 4253, section 6.6)."""
    try:
        blob = base64.b64decode(data, validate=True)
    except binascii.Error:
        return False
    fields, at = [], 0
    while at + _LENGTH_BYTES <= len(blob):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(blob[at:begin])
        fields.append(blob[begin:at])
    return at == len(blob) and len(fields) > 1 and fields[0] == name.encode()
