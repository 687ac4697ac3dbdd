"""Reasons for the end of an instance and for a failed connection to the orchestrator: codes and messages, as tables.

Sources: EC2 user guide, "Spot request status codes"; EC2 API reference, StateReason; Bacalhau 1.9 and NATS, whose
messages the node passes on.
"""

from __future__ import annotations

from dataclasses import dataclass

# EC2 has given notice.
INTERRUPTION_NOTICE = frozenset({"marked-for-termination", "marked-for-stop"})
# Why AWS took an instance back, by the spot request's status.
INTERRUPTED = {
    "instance-terminated-by-price": "the spot price rose above the limit",
    "instance-stopped-by-price": "the spot price rose above the limit",
    "instance-terminated-no-capacity": "no capacity",
    "instance-stopped-no-capacity": "no capacity",
    "instance-terminated-capacity-oversubscribed": "no capacity",
    "instance-stopped-capacity-oversubscribed": "no capacity",
    "instance-terminated-by-service": "AWS ended it",
    "instance-terminated-by-experiment": "an experiment of AWS FIS",
    "marked-for-termination": "",
    "marked-for-stop": "",
}
SPOT_REASONS = frozenset({"Server.SpotInstanceTermination", "Server.SpotInstanceShutdown"})
# Prefix of terminations by AWS (EC2 API reference, StateReason).
ENDED_BY_AWS = "Server."
# Other causes of a termination, by state reason.
ENDED_BY = {
    "": "for a reason that AWS does not give",
    "Client.UserInitiatedShutdown": "by a user",
    "Client.InstanceInitiatedShutdown": "from inside: its system was shut down",
    "Client.VolumeLimitExceeded": "by AWS: the account's limit for volumes is used up",
    "Client.InvalidSnapshot.NotFound": "by AWS: the image's snapshot was deleted",
    "Client.InternalError": "by AWS: its disk could not be decrypted, or an error of the client's",
}


# EC2's state reason where the spot role may not use a disk's key (runs-on#151, karpenter-provider-aws#1407).
LOCKED_DISK = "Client.InternalError"
LOCKED_DISK_HINT = (
    "where an organization, the account or the image encrypts disks with a key of its own, AWSServiceRoleForEC2Spot, AWS's role "
    "for spot instances, needs a grant to it: `bacalhau-spot explain permissions` has the command for the key's administrator; "
    "`aws ec2 get-ebs-default-kms-key-id --region {region}` shows the account's key"
)


@dataclass(frozen=True, slots=True)
class JoinFailure:
    """Why a node does not join. `category`: a part of the node's message; `words`: our sentence; `transient`: whether
    waiting can help; `hint`: the fix. `by_orchestrator`: only its operator can help, whoever runs it.
    """

    category: str
    words: str
    transient: bool
    hint: str
    by_orchestrator: bool = False


_RETRY_HINT = "a change applies to new nodes only: `bacalhau-spot replace --drifted` replaces the others"
_APPROVE_HINT = (
    "on the orchestrator's machine, `bacalhau node list --filter-approval rejected` lists it, and `bacalhau node approve` with "
    "its name lets it in"
)
_PORT = "start the orchestrator, or correct its port in `bacalhau.orchestrators`"
_OPEN = "open port 4222 of the orchestrator to the nodes, in its firewall"
JOIN_FAILURES = (
    JoinFailure("Authorization Violation", "token refused", False, f"correct the token under `bacalhau`; {_RETRY_HINT}"),
    JoinFailure("first record does not look like", "no TLS there", False, f"set `bacalhau.tls` to native or none; {_RETRY_HINT}"),
    JoinFailure("x509", "certificate not accepted", False, f"set `bacalhau.ca_file` to its authority's; {_RETRY_HINT}"),
    JoinFailure("rejected", "the orchestrator rejects it", False, _APPROVE_HINT, by_orchestrator=True),
    JoinFailure("no such host", "orchestrator's name not found", True, "check `bacalhau.orchestrators` and the name's DNS"),
    JoinFailure("connection refused", "nothing listens there", True, _PORT),
    JoinFailure("no servers available", "orchestrator not reachable", True, _OPEN),
    JoinFailure("timeout", "orchestrator does not answer", True, _OPEN),
)  # fmt: skip


def join_failure(words: str) -> JoinFailure | None:
    """The meaning of a reason; None for an unknown one."""
    return next((failure for failure in JOIN_FAILURES if failure.category in words), None)
