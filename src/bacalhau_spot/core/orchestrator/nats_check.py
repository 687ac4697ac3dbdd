"""Findings of one connection to the orchestrator's NATS port, made the way a compute node makes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class NatsStatus(StrEnum):
    """The result of a connection with the nodes' token, TLS mode and CA certificate."""

    ACCEPTED = "accepted"
    OPEN = "open"  # accepted, and the orchestrator requires no token
    TOKEN_REFUSED = "token refused"  # noqa: S105 - a status
    TOKEN_MISSING = "token missing"  # noqa: S105 - the orchestrator requires one, none is configured
    TLS_REQUIRED = "TLS required"  # the orchestrator requires TLS, `tls: none` is configured
    NO_TLS = "no TLS"  # `tls: native` or `proxy` is configured, the server does not use TLS
    UNTRUSTED = "untrusted certificate"
    NOT_NATS = "not NATS"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class NatsCheck:
    """`address` as configured. `detail`: the server's or the system's own words."""

    address: str
    status: NatsStatus
    detail: str = ""

    @property
    def refuses_nodes(self) -> bool:
        """Whether every node would be refused as well. An address that is unreachable from here may be reachable for nodes."""
        return self.status not in {NatsStatus.ACCEPTED, NatsStatus.OPEN, NatsStatus.UNREACHABLE}

    @property
    def message(self) -> str:
        """One sentence with the address."""
        text = _MESSAGES[self.status].format(address=self.address)
        return f"{text} ({self.detail})" if self.detail and self.status in _WITH_DETAIL else text

    @property
    def hint(self) -> str:
        """What to do; empty where nothing is wrong."""
        return _HINTS.get(self.status, "")


_MESSAGES = {
    NatsStatus.ACCEPTED: "{address} accepts the nodes' token",
    NatsStatus.OPEN: "{address} accepts nodes without a token",
    NatsStatus.TOKEN_REFUSED: "{address} refuses the token",
    NatsStatus.TOKEN_MISSING: "{address} requires a token, and none is configured",
    NatsStatus.TLS_REQUIRED: "{address} requires TLS, and `bacalhau.tls` is none",
    NatsStatus.NO_TLS: "{address} does not use TLS, and `bacalhau.tls` requires it",
    NatsStatus.UNTRUSTED: "the certificate of {address} is not trusted",
    NatsStatus.NOT_NATS: "{address} is not the NATS port of an orchestrator",
    NatsStatus.UNREACHABLE: "{address} is unreachable from this machine",
}
_WITH_DETAIL = frozenset(
    {NatsStatus.NO_TLS, NatsStatus.UNTRUSTED, NatsStatus.NOT_NATS, NatsStatus.UNREACHABLE}
)
_ASK_ADMINISTRATOR = (
    "ask the orchestrator's administrator for the token (BACALHAU_ORCHESTRATOR_AUTH_TOKEN), write it to a file, and set "
    "`bacalhau-spot configure --set bacalhau.token_file=PATH`"
)
_HINTS = {
    NatsStatus.OPEN: "set a token on the orchestrator (BACALHAU_ORCHESTRATOR_AUTH_TOKEN) and in `bacalhau.token_file`: anybody "
    "who reaches the port can add nodes",
    NatsStatus.TOKEN_REFUSED: _ASK_ADMINISTRATOR,
    NatsStatus.TOKEN_MISSING: _ASK_ADMINISTRATOR,
    NatsStatus.TLS_REQUIRED: "`bacalhau-spot configure --set bacalhau.tls=native`, and `bacalhau.ca_file` for a private CA",
    NatsStatus.NO_TLS: "`bacalhau-spot configure --set bacalhau.tls=none`, or set up TLS on the orchestrator",
    NatsStatus.UNTRUSTED: "set `bacalhau.ca_file` to the certificate of the CA that signed it, and name the orchestrator as "
    "its certificate does",
    NatsStatus.NOT_NATS: "correct the port in `bacalhau.orchestrators` (Bacalhau's NATS listens on 4222, its API on 1234); "
    "for a proxy that terminates TLS set `bacalhau.tls: proxy`",
    NatsStatus.UNREACHABLE: "check `bacalhau.orchestrators`, that the orchestrator runs, and that its firewall admits AWS's "
    "addresses",
}
