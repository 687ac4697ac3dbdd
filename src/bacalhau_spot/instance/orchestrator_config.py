"""The configuration of a managed orchestrator for Bacalhau 1.9, without its secrets.

The token and the API keys are in a second file, which the machine writes at every start (scripts/orchestrator_credentials.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bacalhau_spot.instance.bacalhau_config import DATA_DIR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.instance.json_in_yaml import Value

# On a RAM disk that systemd creates for the service and deletes with it.
CREDENTIALS_FOLDER: Final = "/run/bacalhau-orchestrator"
NATS_PORT: Final = 4222
API_PORT_PUBLIC: Final = 1234
RESULTS_KEY: Final = "jobs"

# Key -> type of its value, as bacalhau_config.KNOWN; those of the second file, too.
ORCHESTRATOR_KEYS: Final[Mapping[str, type]] = {
    "API.Auth.Users": list,
    "API.Host": str,
    "API.Port": int,
    "API.TLS.CertFile": str,
    "API.TLS.KeyFile": str,
    "DataDir": str,
    "DisableAnalytics": bool,
    "JobDefaults.Batch.Task.Publisher.Type": str,
    "JobDefaults.Ops.Task.Publisher.Type": str,
    "Logging.Level": str,
    "Logging.Mode": str,
    "NameProvider": str,
    "Orchestrator.Auth.Token": str,
    "Orchestrator.Enabled": bool,
    "Orchestrator.Host": str,
    "Orchestrator.Port": int,
    "Orchestrator.Scheduler.QueueBackoff": str,
    "Orchestrator.TLS.CACert": str,
    "Orchestrator.TLS.ServerCert": str,
    "Orchestrator.TLS.ServerKey": str,
    "Publishers.Types.S3Managed.Bucket": str,
    "Publishers.Types.S3Managed.Key": str,
    "Publishers.Types.S3Managed.PreSignedURLExpiration": str,
    "Publishers.Types.S3Managed.Region": str,
    "UpdateConfig.Interval": str,
    "WebUI.Enabled": bool,
}


def orchestrator(*, region: str, bucket: str) -> dict[str, Value]:
    """The content of the configuration file. `region`: of the bucket, the orchestrator's own."""
    certificate, key, ca = (f"{CREDENTIALS_FOLDER}/{name}" for name in ("server.pem", "server.key", "ca.pem"))
    published: Value = {"Task": {"Publisher": {"Type": "s3managed"}}}
    return {
        "DataDir": DATA_DIR,
        # Only for the first start on a volume: Bacalhau keeps the name in its data.
        "NameProvider": "hostname",
        "DisableAnalytics": True,
        "UpdateConfig": {"Interval": "0s"},
        "API": {
            "Host": "0.0.0.0",  # noqa: S104 - the security group admits `ssh_cidrs` only
            "Port": API_PORT_PUBLIC,
            "TLS": {"CertFile": certificate, "KeyFile": key},
        },
        "Orchestrator": {
            "Enabled": True,
            "Host": "0.0.0.0",  # noqa: S104 - nodes connect from changing addresses, with the token
            "Port": NATS_PORT,
            # The authority, too: Bacalhau connects to its own NATS.
            "TLS": {"ServerCert": certificate, "ServerKey": key, "CACert": ca},
            # The longest time until a queued job runs on a new node; Bacalhau's default is a minute.
            "Scheduler": {"QueueBackoff": "15s"},
        },
        "Publishers": {
            "Types": {
                "S3Managed": {
                    "Bucket": bucket,
                    "Key": RESULTS_KEY,
                    "Region": region,
                    "PreSignedURLExpiration": "1h",
                }
            }
        },
        "JobDefaults": {"Batch": published, "Ops": published},
        "WebUI": {"Enabled": False},
        "Logging": {"Level": "info", "Mode": "json"},
    }
