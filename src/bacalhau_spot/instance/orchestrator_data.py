"""Renders the user data of a managed orchestrator's instance. Pure, and without secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.orchestrator.managed_state import DATA_DEVICE
from bacalhau_spot.core.tags import orchestrator_parameter, reconcile_parameter
from bacalhau_spot.instance import bacalhau_config, orchestrator_config, template
from bacalhau_spot.instance.json_in_yaml import json_in_yaml
from bacalhau_spot.instance.user_data import DOWNLOAD_URL

if TYPE_CHECKING:
    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.instance.json_in_yaml import Value

_TEMPLATE: Final = "cloud-init/orchestrator-template.yml"


def render_orchestrator(spec: ClusterSpec, *, region: str, bucket: str) -> bytes:
    """The user data as sent to EC2. `region`: the home region; `bucket`: for job results."""
    return template.compressed(orchestrator_cloud_config(spec, region=region, bucket=bucket))


def orchestrator_cloud_config(spec: ClusterSpec, *, region: str, bucket: str) -> str:
    """The user data as cloud-init reads it."""
    config = bacalhau_config.checked(
        orchestrator_config.orchestrator(region=region, bucket=bucket),
        known=orchestrator_config.ORCHESTRATOR_KEYS,
    )
    facts = orchestrator_facts(spec, region=region, bucket=bucket)
    values: dict[str, Value | None] = {
        "username": spec.username,
        "public_keys": [spec.public_key] if spec.public_key else None,
        "orchestrator_json": json.dumps(facts, indent=1, sort_keys=True) + "\n",
        "config_yaml": json_in_yaml(config, indent=2) + "\n",
    }
    return template.filled(_TEMPLATE, values)


def orchestrator_facts(spec: ClusterSpec, *, region: str, bucket: str) -> dict[str, object]:
    """The facts that the machine's programs need. World-readable there: no secrets."""
    bacalhau = spec.bacalhau
    return {
        "parameter": orchestrator_parameter(spec.naming),
        "reconcile_parameter": reconcile_parameter(spec.naming),
        "bucket": bucket,
        "region": region,
        "version": bacalhau.version,
        "download_url": bacalhau.download_url or DOWNLOAD_URL,
        "sha256": {arch.value: digest for arch, digest in bacalhau.sha256},
        "device": DATA_DEVICE,
        "answer_s": spec.timeouts.join_s,
    }
