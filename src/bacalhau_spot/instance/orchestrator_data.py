"""TEMP."""

from __future__ import annotations

from bacalhau_spot.core.model import ClusterSpec


def render_orchestrator(spec: ClusterSpec, *, region: str, bucket: str) -> bytes:
    return f"#cloud-config {region} {bucket} {spec.name}".encode()
