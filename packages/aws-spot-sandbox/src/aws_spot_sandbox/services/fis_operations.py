"""The operations of the Fault Injection Service, which is a REST service: by method and path.

AWS: FIS API Reference (botocore's model of it).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_spot_sandbox.http_types import Http

_PATHS = (
    ("POST", r"/experimentTemplates", "CreateExperimentTemplate"),
    ("GET", r"/experimentTemplates", "ListExperimentTemplates"),
    ("DELETE", r"/experimentTemplates/([^/]+)", "DeleteExperimentTemplate"),
    ("POST", r"/experiments", "StartExperiment"),
    ("GET", r"/experiments/([^/]+)", "GetExperiment"),
)


def operation(http: Http) -> str:
    """The operation of a request; empty for an unknown one."""
    return next((name for method, path, name in _PATHS if _is(http, method, path)), "")


def _is(http: Http, method: str, path: str) -> bool:
    return http.method == method and re.fullmatch(path, http.path) is not None
