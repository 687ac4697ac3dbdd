"""Associates the orchestrator's address with its instance, without taking an address from resources of others."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.orchestrator.address_conflict import address_conflict
from bacalhau_spot.engine.aws_calls.consistency import LAG_S
from bacalhau_spot.engine.network.network_builder import known
from bacalhau_spot.engine.orchestrator.managed_facts import address_of_others
from bacalhau_spot.errors import UserError

if TYPE_CHECKING:
    from bacalhau_spot.core.model import Naming
    from bacalhau_spot.core.orchestrator.managed_state import OrchestratorState
    from bacalhau_spot.engine.aws_calls.caller import AwsCalls

_ATTEMPTS: Final = 5
_TAKEN: Final = "Resource.AlreadyAssociated"


async def associate_orchestrator(calls: AwsCalls, naming: Naming, state: OrchestratorState) -> None:
    """The addresses are read again: minutes may have passed since the plan. Raises CloudError, Cancelled, UserError."""
    for attempt in range(1, _ATTEMPTS + 1):
        present = await _with_present_addresses(calls, naming, state)
        refuse_address_conflict(present)
        if present.associated:
            return
        address = known(present.address)
        associate = partial(
            calls.cloud.associate_address,
            state.region,
            address.id,
            instance_id=known(state.instance).id,
            moves=address.association_id is not None,  # from a former instance of the orchestrator
        )
        try:
            await calls.write(state.region, associate)
        except CloudError as error:
            if attempt == _ATTEMPTS or error.code != _TAKEN:
                raise
            await calls.pause(
                LAG_S
            )  # the next read lists the association, which may be that of a lost answer
        else:
            return


async def _with_present_addresses(
    calls: AwsCalls, naming: Naming, state: OrchestratorState
) -> OrchestratorState:
    """AWS may not list a new address yet."""
    listed = await calls.read(state.region, partial(calls.cloud.addresses, state.region))
    address = known(state.address)
    return replace(
        state,
        address=next((found for found in listed if found.id == address.id), address),
        other_address=address_of_others(listed, naming, state.instance),
    )


def refuse_address_conflict(state: OrchestratorState) -> None:
    """Raises UserError if the association would change a resource of others."""
    conflict = address_conflict(state)
    if conflict is not None:
        raise UserError(conflict.what, hint=conflict.hint, docs="docs/orchestrator.md")
