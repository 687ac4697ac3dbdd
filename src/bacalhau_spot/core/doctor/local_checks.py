"""The findings of `doctor` on keys, token, orchestrator and this machine."""

from __future__ import annotations

import base64
import binascii
import re
import shlex
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.core.doctor.account_checks import AccountCheck, CheckStatus, Finding, aws_message
from bacalhau_spot.core.error_catalog.classifier import classify
from bacalhau_spot.core.orchestrator.nats_check import NatsStatus
from bacalhau_spot.core.orchestrator.token_placeholder import is_placeholder, resembles_placeholder
from bacalhau_spot.core.ssh.ssh_command import INSTALL_OPENSSH

if TYPE_CHECKING:
    from bacalhau_spot.core.model import Secret
    from bacalhau_spot.core.orchestrator.nats_check import NatsCheck
    from bacalhau_spot.core.problem import ApiFailure

# --- SSH keys

_OPENSSH = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----(.*?)-----END OPENSSH PRIVATE KEY-----", re.DOTALL)
_MAGIC = b"openssh-key-v1\0"


def public_part(private_text: str) -> str | None:
    """The public key inside an OpenSSH private key, as in a .pub file; it is readable even where a passphrase hides the rest.

    None for other forms. Source: OpenSSH, PROTOCOL.key.
    """
    match = _OPENSSH.search(private_text)
    if match is None:
        return None
    try:
        raw = base64.b64decode("".join(match[1].split()), validate=True)
        if not raw.startswith(_MAGIC):
            return None
        rest = raw[len(_MAGIC) :]
        for _ in range(3):  # cipher, key derivation, its options
            _, rest = _field(rest)
        blob, _ = _field(rest[4:])  # after the number of keys
        kind, _ = _field(blob)
    except (binascii.Error, struct.error, ValueError):
        return None
    return f"{kind.decode('ascii', 'replace')} {base64.b64encode(blob).decode()}"


def _field(raw: bytes) -> tuple[bytes, bytes]:
    (length,) = struct.unpack(">I", raw[:4])
    if len(raw) < 4 + length:
        raise ValueError("cut short")
    return raw[4 : 4 + length], raw[4 + length :]


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The private key as it lies there. `text` None: it cannot be read, and `reason`."""

    path: str
    text: str | None
    mode: int = 0o600
    reason: str = ""


_READABLE_BY_OTHERS = 0o077
_BOTH_KEYS = (
    "bacalhau-spot configure --set public_ssh_key_path=~/.ssh/id_ed25519.pub "
    "--set private_ssh_key_path=~/.ssh/id_ed25519"
)


def ssh_keys(*, public: str | None, private: KeyFile | None, open_to: bool) -> Finding:
    """`open_to`: whether port 22 is opened to anybody."""
    if public is None and private is None:
        if not open_to:
            return Finding(AccountCheck.SSH_KEYS, CheckStatus.PASS, "none configured, and port 22 is closed")
        return Finding(
            AccountCheck.SSH_KEYS,
            CheckStatus.WARN,
            "port 22 is open, but no SSH key is configured: login is impossible",
            f"`ssh-keygen -t ed25519` creates a key pair, if you have none; then `{_BOTH_KEYS}`; or, without SSH, "
            "`bacalhau-spot configure --set ssh_cidrs=none`",
        )
    if private is None:
        return Finding(
            AccountCheck.SSH_KEYS,
            CheckStatus.WARN,
            "only the public key is configured: `ssh` needs the private one",
            "bacalhau-spot configure --set private_ssh_key_path=~/.ssh/id_ed25519",
        )
    return _private(private, public=public)


def _private(private: KeyFile, *, public: str | None) -> Finding:
    path = shlex.quote(private.path)
    if private.text is None:
        return Finding(
            AccountCheck.SSH_KEYS,
            CheckStatus.FAIL,
            f"{private.path}: {private.reason}",
            f"correct `private_ssh_key_path`; to create a new pair: `ssh-keygen -t ed25519 -f {path}`",
        )
    if private.mode & _READABLE_BY_OTHERS:
        return Finding(
            AccountCheck.SSH_KEYS,
            CheckStatus.FAIL,
            f"{private.path} is readable by other users ({private.mode:04o}); ssh refuses it",
            f"chmod 600 {path}",
        )
    if public is None:
        return Finding(
            AccountCheck.SSH_KEYS,
            CheckStatus.FAIL,
            "only the private key is configured: nodes will refuse it",
            f"bacalhau-spot configure --set public_ssh_key_path={path}.pub",
        )
    inside = public_part(private.text)
    if inside is None:
        return Finding(
            AccountCheck.SSH_KEYS,
            CheckStatus.PASS,
            f"{private.path} exists; cannot verify that it matches the public key (unsupported key format)",
        )
    if inside.split()[:2] != public.split()[:2]:
        return Finding(
            AccountCheck.SSH_KEYS,
            CheckStatus.FAIL,
            f"{private.path} and the public key are not a pair",
            f"set `private_ssh_key_path` to the private key of that public key; or create the public half of this one with "
            f"`ssh-keygen -y -f {path} > {path}.pub`, and name that as `public_ssh_key_path`",
        )
    return Finding(AccountCheck.SSH_KEYS, CheckStatus.PASS, f"{private.path} and the public key are a pair")


# --- The orchestrator


def token(secret: Secret | None) -> Finding:
    if secret is None:
        return Finding(
            AccountCheck.TOKEN,
            CheckStatus.WARN,
            "no token is configured; an orchestrator that requires one refuses the nodes",
            "ask the orchestrator's administrator for the token, write it to a file, and set "
            "`bacalhau-spot configure --set bacalhau.token_file=PATH`",
        )
    fix = (
        "ask the orchestrator's administrator for the right token; `bacalhau-spot config show --sources` shows the file "
        "or variable of this one (`token_file`, `token_env`)"
    )
    text = secret.reveal()
    if not text.strip():
        return Finding(AccountCheck.TOKEN, CheckStatus.FAIL, "it is empty", fix)
    if len(text.split()) != 1 or text != text.strip():
        return Finding(AccountCheck.TOKEN, CheckStatus.FAIL, "it contains spaces or line ends", fix)
    if is_placeholder(text):
        return Finding(AccountCheck.TOKEN, CheckStatus.FAIL, "it is a placeholder from an example", fix)
    if resembles_placeholder(text):
        return Finding(AccountCheck.TOKEN, CheckStatus.WARN, "it looks like a placeholder", fix)
    return Finding(
        AccountCheck.TOKEN,
        CheckStatus.PASS,
        "configured; the orchestrator check verifies it",
    )


def orchestrator_address(check: NatsCheck) -> Finding:
    """One address that the nodes connect to. A node may reach one that this machine does not reach."""
    if check.refuses_nodes:
        status = CheckStatus.FAIL
    elif check.status is NatsStatus.ACCEPTED:
        status = CheckStatus.PASS
    else:
        status = CheckStatus.WARN
    message = check.message
    if check.status is NatsStatus.UNREACHABLE:
        message += "; nodes may still reach it"
    return Finding(AccountCheck.ORCHESTRATOR, status, message, check.hint)


def orchestrator_api(where: str | None, *, version: str = "", failure: ApiFailure | None = None) -> Finding:
    if where is None:
        return Finding(
            AccountCheck.ORCHESTRATOR,
            CheckStatus.WARN,
            "its API is not configured: `status` cannot show whether nodes have joined",
            "`bacalhau-spot configure --set bacalhau.api.host=HOST`; HOST is the machine that runs the orchestrator",
        )
    if failure is not None:
        info = classify(failure.code)
        return Finding(
            AccountCheck.ORCHESTRATOR,
            CheckStatus.FAIL,
            f"its API at {where} failed",
            info.hint_for(failure.region, host=where),
            (aws_message(failure),),
        )
    return Finding(
        AccountCheck.ORCHESTRATOR,
        CheckStatus.PASS,
        f"its API at {where} answers{f', {version}' if version else ''}",
    )


# --- This machine


def unpublished(mine: str) -> Finding:
    """The program is on no package index, so there is no newer version."""
    return Finding(AccountCheck.VERSION, CheckStatus.PASS, mine)


def newest_version_check(mine: str, *, package: str, newest: str | None, why: str = "") -> Finding:
    if newest is None:
        return Finding(
            AccountCheck.VERSION,
            CheckStatus.WARN,
            f"{mine}; cannot check for a newer version ({why})",
            f"not a blocker for `create`; `pip index versions {package}` checks again",
        )
    if _numbers(newest) > _numbers(mine):
        return Finding(
            AccountCheck.VERSION,
            CheckStatus.WARN,
            f"{mine}; the newest is {newest}",
            f"pip install --upgrade {package}",
        )
    return Finding(AccountCheck.VERSION, CheckStatus.PASS, f"{mine} is the newest")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3])


def local_tools(*, ssh: bool) -> Finding:
    if not ssh:
        return Finding(
            AccountCheck.TOOLS,
            CheckStatus.WARN,
            "ssh is not on the PATH: `bacalhau-spot ssh` cannot log in",
            INSTALL_OPENSSH,
        )
    return Finding(AccountCheck.TOOLS, CheckStatus.PASS, "ssh is installed")
