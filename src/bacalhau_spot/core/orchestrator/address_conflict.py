"""Why the orchestrator's address cannot be associated: AWS would take an address from a resource of others, unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bacalhau_spot.core.orchestrator.managed_state import ElasticAddress, OrchestratorState


class AddressConflict(NamedTuple):
    """What is in the way, and how the user removes it."""

    what: str
    hint: str


def address_conflict(state: OrchestratorState) -> AddressConflict | None:
    """None while the association changes only resources of the cluster."""
    if state.associated:
        return None
    address, other = state.address, state.other_address
    if address is not None and address.association_id and address.instance_id not in _machines(state):
        holder = address.instance_id or f"the network interface {address.interface_id}"
        return AddressConflict(
            f"the orchestrator's Elastic IP address {address.address} is associated with {holder}, which is not the "
            "orchestrator's instance",
            _release(address, state.region),
        )
    if other is not None:
        return AddressConflict(
            f"the Elastic IP address {other.address} on the orchestrator's instance {other.instance_id} does not have the "
            "cluster's tag, and the orchestrator's own address would displace it",
            _release(other, state.region),
        )
    return None


def _machines(state: OrchestratorState) -> set[str]:
    """The orchestrator's present and former instances: its address moves from one to the next."""
    return {*state.ended, *([state.instance.id] if state.instance else [])}


def _release(address: ElasticAddress, region: str) -> str:
    return (
        f"`aws ec2 disassociate-address --association-id {address.association_id} --region {region}` releases the address, "
        "which stays in the account; then run `bacalhau-spot create` again"
    )
