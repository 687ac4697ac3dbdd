"""The connection parameters for AWS, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bacalhau_spot.cloud.advisor import ADVISOR_URL
from bacalhau_spot.cloud.public_ip import CHECKIP_URL
from bacalhau_spot.core.partitions import COMMERCIAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class AwsConnection:
    """How to reach AWS. Without any value: as the AWS CLI on this machine.

    With explicit keys, no local AWS configuration is read, so that a broken profile has no effect. `prompt`: asks for
    an MFA code, if a terminal is available. `on_call`: receives a line per call. `learned`: receives every secret in
    the credentials, to redact them.
    """

    profile: str | None = None
    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    checkip_url: str = CHECKIP_URL
    advisor_url: str = ADVISOR_URL  # empty: disabled
    home_region: str = COMMERCIAL.home  # for global services, if the AWS settings name no region
    archive_url: str | None = None  # source of Bacalhau's archive for its checksum. None: the nodes' URL
    # The orchestrator of this endpoint. None: the configured one.
    orchestrator_url: str | None = None
    orchestrator_key: str | None = None
    prompt: Callable[[str], str] | None = None
    learned: Callable[[str], None] | None = None
    on_call: Callable[[str], None] | None = None
    models_folder: Path | None = None  # for the cut service models; None: they are not kept
