"""A Bacalhau compute cluster on AWS spot instances. The names below are the supported Python API: docs/python.md."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bacalhau_spot.lazy_package import import_when_used

if TYPE_CHECKING:
    from bacalhau_spot import sync
    from bacalhau_spot.api.asynchronous import create, destroy, nuke_resources, plan, status
    from bacalhau_spot.api.errors import (
        AccessError,
        ApiError,
        ConfigurationError,
        ConfirmationError,
        IncompleteError,
    )
    from bacalhau_spot.api.models import (
        CleanupReport,
        ClusterHealth,
        ClusterNode,
        ClusterPlan,
        CostRange,
        FailedCall,
        LaunchReceipt,
        NodeHealth,
        OrchestratorHealth,
        PlannedPool,
        PlannedRegion,
        ProgressEvent,
        TaggedResource,
    )

__all__ = [
    "AccessError",
    "ApiError",
    "CleanupReport",
    "ClusterHealth",
    "ClusterNode",
    "ClusterPlan",
    "ConfigurationError",
    "ConfirmationError",
    "CostRange",
    "FailedCall",
    "IncompleteError",
    "LaunchReceipt",
    "NodeHealth",
    "OrchestratorHealth",
    "PlannedPool",
    "PlannedRegion",
    "ProgressEvent",
    "TaggedResource",
    "__version__",
    "create",
    "destroy",
    "nuke_resources",
    "plan",
    "status",
    "sync",
]

try:  # a file that the build writes: a search for the package's metadata would cost every command 20 ms
    from bacalhau_spot._version import __version__
except ModuleNotFoundError:  # a folder that was never built
    __version__ = "0.0"

_of_the_api = import_when_used(
    __name__,
    {
        ".api.asynchronous": ("create", "destroy", "nuke_resources", "plan", "status"),
        ".api.errors": (
            "AccessError",
            "ApiError",
            "ConfigurationError",
            "ConfirmationError",
            "IncompleteError",
        ),
        ".api.models": (
            "ClusterHealth",
            "ClusterNode",
            "ClusterPlan",
            "CostRange",
            "CleanupReport",
            "FailedCall",
            "LaunchReceipt",
            "NodeHealth",
            "OrchestratorHealth",
            "PlannedPool",
            "PlannedRegion",
            "ProgressEvent",
            "TaggedResource",
        ),
    },
)

if not TYPE_CHECKING:  # type checkers then find misspelt names

    def __getattr__(name: str) -> Any:
        return import_module(f"{__name__}.sync") if name == "sync" else _of_the_api(name)
