"""A compute node's configuration for Bacalhau 1.9.

Bacalhau silently ignores unknown keys, so that a misspelt key has no effect. All rendered keys are therefore checked
against KNOWN, which is taken from Bacalhau's own list (`bacalhau config list`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.model import TlsMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bacalhau_spot.core.model import ClusterSpec
    from bacalhau_spot.instance.json_in_yaml import Value

DATA_DIR: Final = "/var/lib/bacalhau"
CA_PATH: Final = "/etc/bacalhau/ca.pem"
DRAINING: Final = "/run/bacalhau-spot/draining"
API_PORT: Final = 1234

# Key -> type of its value. Only the keys that the product sets or uses; labels are free.
KNOWN: Final[Mapping[str, type]] = {
    "API.Host": str,
    "API.Port": int,
    "Compute.AllocatedCapacity.CPU": str,
    "Compute.AllocatedCapacity.Disk": str,
    "Compute.AllocatedCapacity.GPU": str,
    "Compute.AllocatedCapacity.Memory": str,
    "Compute.AllowListedLocalPaths": list,
    "Compute.Enabled": bool,
    "Compute.Orchestrators": list,
    "Compute.TLS.CACert": str,
    "Compute.TLS.RequireTLS": bool,
    "DataDir": str,
    "DisableAnalytics": bool,
    "JobAdmissionControl.ProbeExec": str,
    "Labels": dict,
    "Logging.Level": str,
    "Logging.Mode": str,
    "NameProvider": str,
    "Publishers.Disabled": list,
    "UpdateConfig.Interval": str,
}


def compute(spec: ClusterSpec, *, region: str) -> dict[str, Value]:
    """The content of the configuration file, without the labels that are read on the instance (scripts/first_boot.py)."""
    bacalhau = spec.bacalhau
    tls: dict[str, Value] = {}
    if bacalhau.tls is TlsMode.PROXY:
        # "TLS handshake first". Bacalhau's own listener does not support it, so it must not be set for TlsMode.NATIVE.
        tls["RequireTLS"] = True
    if bacalhau.ca_pem and bacalhau.tls is not TlsMode.NONE:
        tls["CACert"] = CA_PATH
    return {
        "DataDir": DATA_DIR,
        # The default if the command line had no name. Not `aws`, which uses IMDSv1, and the instances require IMDSv2.
        "NameProvider": "puuid",
        "DisableAnalytics": True,
        "UpdateConfig": {"Interval": "0s"},
        "API": {"Host": "127.0.0.1", "Port": API_PORT},
        "Labels": node_labels(spec, region=region),
        "Compute": {
            "Enabled": True,
            "Orchestrators": bacalhau.orchestrators,
            **({"TLS": tls} if tls else {}),
            "AllocatedCapacity": {"CPU": "80%", "Memory": "80%", "Disk": "80%", "GPU": "100%"},
            "AllowListedLocalPaths": ["/bacalhau_data:rw", "/bacalhau_data/**:rw"],
        },
        "JobAdmissionControl": {"ProbeExec": f"test ! -e {DRAINING}"},
        # Its server would listen on port 6001 of all addresses, without authentication, whether a job uses it or not.
        "Publishers": {"Disabled": ["local"]},
        "Logging": {"Level": "info", "Mode": "json"},
    }


def node_labels(spec: ClusterSpec, *, region: str) -> dict[str, str]:
    """The labels common to all nodes of a region. They override the user's, and the instance's override both later."""
    return {
        **dict(spec.bacalhau.labels),
        "provider": "aws",
        "region": region,
        "cluster": label_value(spec.name),
    }


def label_value(text: str) -> str:
    """The nearest valid label for job constraints: at most 63 of letters, digits, - _ and ., no symbol at an end."""
    kept = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in text
    )
    return kept[:63].strip("-_.") or "unnamed"


def checked(config: dict[str, Value], *, known: Mapping[str, type] = KNOWN) -> dict[str, Value]:
    """Return the configuration. Raises ValueError for a key unknown to Bacalhau, which would be an internal error."""
    unknown = unknown_keys(config, known=known)
    if unknown:
        raise ValueError(f"not in Bacalhau's configuration: {', '.join(unknown)}")
    return config


def unknown_keys(config: Mapping[str, Value], *, known: Mapping[str, type] = KNOWN) -> list[str]:
    """Keys that are unknown to Bacalhau or have values of the wrong type."""
    return [
        key for key, value in _leaves(config, known) if key not in known or not isinstance(value, known[key])
    ]


def _leaves(
    config: Mapping[str, Value], known: Mapping[str, type], above: str = ""
) -> Iterator[tuple[str, Value]]:
    for key, value in config.items():
        here = f"{above}{key}"
        if isinstance(value, dict) and known.get(here) is not dict:
            yield from _leaves(value, known, f"{here}.")
        else:
            yield here, list(value) if isinstance(value, tuple) else value
