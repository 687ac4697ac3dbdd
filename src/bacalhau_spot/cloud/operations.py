"""The operations of AWS that this program calls, from its table of permissions, by service in botocore's names.

Tests compare that table with the calls in cloud/. A call that is missing in it still works: it takes the whole model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bacalhau_spot.core.iam.permissions import PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

# The names of botocore, where policies have others.
_SERVICES: Final = {"servicequotas": "service-quotas"}
# botocore itself calls more operations of these services: AssumeRole for credentials, HeadBucket after a redirect
# (botocore.credentials, botocore.utils.S3RegionRedirectorv2).
ALL_OPERATIONS: Final = frozenset({"s3", "sts"})


def _by_service() -> Mapping[str, frozenset[str]]:
    names: dict[str, set[str]] = {service: set() for service in ALL_OPERATIONS}
    for row in PERMISSIONS:
        for call in row.api_calls:
            service, _, operation = call.partition(":")
            names.setdefault(_SERVICES.get(service, service), set()).add(operation)
    return {service: frozenset(operations) for service, operations in names.items()}


OPERATIONS: Final = _by_service()  # {"ec2": {"DescribeInstances", …}, …}
