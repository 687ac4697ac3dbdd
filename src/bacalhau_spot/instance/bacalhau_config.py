"""A compute node's configuration for Bacalhau 1.9.

Bacalhau ignores keys that it does not know, without a word: a misspelt key is a setting that is not there. So everything
that we render is checked against KNOWN, which is taken from Bacalhau's own list of keys (`bacalhau config list`).
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

# Key -> what it holds. Only the keys that we set or have a use for; labels are free.
KNOWN: Final = {
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
    "UpdateConfig.Interval": str,
}


def compute(spec: ClusterSpec, *, region: str) -> dict[str, Value]:
    """The configuration file's content, except for the labels that only the machine knows (scripts/first_boot.py)."""
    bacalhau = spec.bacalhau
    tls: dict[str, Value] = {}
    if bacalhau.tls is TlsMode.PROXY:
        # "TLS handshake first". Bacalhau's own listener does not speak it, so it is wrong for TlsMode.NATIVE.
        tls["RequireTLS"] = True
    if bacalhau.ca_pem and bacalhau.tls is not TlsMode.NONE:
        tls["CACert"] = CA_PATH
    return {
        "DataDir": DATA_DIR,
        # The name is given on the command line; this is what would be taken without it.
        # Never `aws`: it speaks to the metadata service in a form that our instances refuse.
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
        "Logging": {"Level": "info", "Mode": "json"},
    }


def node_labels(spec: ClusterSpec, *, region: str) -> dict[str, str]:
    """What all nodes of a region have in common. Ours win over the user's, as the machine's do later."""
    return {
        **dict(spec.bacalhau.labels),
        "provider": "aws",
        "region": region,
        "cluster": label_value(spec.name),
    }


def label_value(text: str) -> str:
    """The nearest that job constraints can select: letters, digits, - _ and ., at most 63, a letter or digit at both ends."""
    kept = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in text
    )
    return kept[:63].strip("-_.") or "unnamed"


def checked(config: dict[str, Value]) -> dict[str, Value]:
    """The configuration itself. A key that Bacalhau would not understand is a mistake of ours and never leaves here."""
    unknown = unknown_keys(config)
    if unknown:
        raise ValueError(f"not in Bacalhau's configuration: {', '.join(unknown)}")
    return config


def unknown_keys(config: Mapping[str, Value]) -> list[str]:
    """Keys, or types of values, that Bacalhau would not understand."""
    return [key for key, value in _leaves(config) if key not in KNOWN or not isinstance(value, KNOWN[key])]


def _leaves(config: Mapping[str, Value], above: str = "") -> Iterator[tuple[str, Value]]:
    for key, value in config.items():
        here = f"{above}{key}"
        if isinstance(value, dict) and KNOWN.get(here) is not dict:
            yield from _leaves(value, f"{here}.")
        else:
            yield here, list(value) if isinstance(value, tuple) else value
