"""Which AWS, as whom, and through what: a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.advisor import ADVISOR_URL
from bacalhau_spot.cloud.public_ip import CHECKIP_URL
from bacalhau_spot.core.partitions import COMMERCIAL

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class AwsConnection:
    """How to reach AWS. All None: what the AWS CLI on this machine would use.

    With explicit keys nothing of the machine's AWS configuration is read, so that a broken profile cannot get in the way.
    `prompt`: asks for an MFA code, where somebody is there to be asked. `on_call`: is told every call, a line each.
    `learned`: is told every secret that the credentials hold, so that none is shown.
    """

    profile: str | None = None
    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    checkip_url: str = CHECKIP_URL
    advisor_url: str = ADVISOR_URL  # empty: not asked
    home_region: str = (
        COMMERCIAL.home
    )  # asked for what is the same in all regions, where the AWS settings name none
    archive_url: str | None = None  # where Bacalhau's archive is looked at. None: where the nodes fetch it
    # The orchestrator that goes with it. None: the one in the configuration.
    orchestrator_url: str | None = None
    orchestrator_key: str | None = None
    prompt: Callable[[str], str] | None = None
    learned: Callable[[str], None] | None = None
    on_call: Callable[[str], None] | None = None
