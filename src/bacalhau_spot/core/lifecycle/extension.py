"""The result of moving a cluster's expiry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.errors import ExitCode

if TYPE_CHECKING:
    from bacalhau_spot.core.lifecycle.expiry import ExpiryPlan
    from bacalhau_spot.core.problem import ApiFailure


@dataclass(frozen=True, slots=True)
class ExpiryChange:
    """`failed`: regions that keep their expiry, in whole or in part; `failed_regions`: those that could not be scanned.

    `interrupted`: some regions may be unchanged.
    """

    planned: ExpiryPlan
    failed: tuple[ApiFailure, ...] = ()
    failed_regions: tuple[ApiFailure, ...] = ()
    interrupted: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        """Ids of the instances with the new expiry."""
        if self.interrupted:
            return ()
        failed = {failure.region for failure in self.failed}
        return tuple(instance.id for instance in self.planned.retag if instance.region not in failed)

    @property
    def changed_groups(self) -> tuple[str, ...]:
        """The regions of the Auto Scaling groups with the new expiry."""
        failed = {failure.region for failure in self.failed}
        return tuple(
            group.region
            for group in self.planned.groups
            if group.region not in failed and not self.interrupted
        )

    @property
    def exit_code(self) -> ExitCode:
        if self.interrupted:
            return ExitCode.INTERRUPTED
        if self.failed:
            return ExitCode.FAILED
        return ExitCode.INCOMPLETE if self.failed_regions else ExitCode.DONE
