"""The failed deletions of one region: AWS's refusals and our own, the dependencies, and the resources given up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bacalhau_spot.core.cleanup.deletion_result import Dependency
from bacalhau_spot.core.error_catalog.classifier import Category, classify
from bacalhau_spot.core.kinds import kind_of_id
from bacalhau_spot.core.problem import ApiFailure
from bacalhau_spot.engine.aws_calls.caller import api_failure
from bacalhau_spot.engine.cleanup.region_inventory import local_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bacalhau_spot.cloud.cloud_error import CloudError
    from bacalhau_spot.core.kinds import ResourceKind
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.engine.cleanup.region_inventory import LocalKey

# Refusals that time or another deletion may lift. After any other the same call would be refused again.
_PASSING = frozenset({Category.BUSY, Category.THROTTLED, Category.AWS, Category.NETWORK, Category.LAG})
# Codes of this program's own refusals.
PROTECTED = "Protected"
IN_USE = "HeldByAnother"
RELAUNCHED = "LauncherLives"
_UNREAD = "the list of its users could not be read completely"


class DeletionFailures:
    """By resource: the last refusal, and the dependencies. `stuck`: another attempt would be refused again."""

    def __init__(self, region: str) -> None:
        self._region = region
        self.problems: dict[LocalKey, ApiFailure] = {}
        self.blockers: dict[LocalKey, tuple[Dependency, ...]] = {}
        self.stuck: set[LocalKey] = set()

    def by_aws(self, resource: Resource, error: CloudError) -> None:
        self._note(resource, api_failure(error), stuck=classify(error.code).category not in _PASSING)

    def in_batch(self, resource: Resource, code: str, message: str) -> None:
        """AWS accepted the call, but refused this resource."""
        self._note(resource, self._problem(code, message), stuck=classify(code).category not in _PASSING)

    def by_us(self, resource: Resource, code: str, message: str) -> None:
        self._note(resource, self._problem(code, message), stuck=True)

    def in_use(self, resource: Resource, used_by: Sequence[str], *, reasons: Mapping[str, str]) -> None:
        """A remaining resource uses it; the remedy is queried later. `reasons`: why managed resources remain, by id."""
        self._note(
            resource, self._problem(IN_USE, f"{', '.join(used_by)} uses it and is retained"), stuck=False
        )
        if not self.blockers.get(local_key(resource)):
            self.add_dependencies(
                resource, [Dependency(kind_of_id(holder), holder) for holder in used_by], reasons=reasons
            )

    def add_dependencies(
        self, resource: Resource, dependencies: Iterable[Dependency], *, reasons: Mapping[str, str]
    ) -> None:
        """Managed dependencies get the reason why they remain, and no suggested command that would delete them."""
        self.blockers[local_key(resource)] = tuple(
            _with_reason(dependency, reasons) for dependency in dependencies
        )

    def add_unreadable(self, resource: Resource, hidden: Sequence[CloudError]) -> None:
        """Add to the refusal, once, that AWS refused to list other users."""
        failure = self.problems.get(local_key(resource))
        if failure is None or not hidden or _UNREAD in failure.message:
            return
        lists = ", ".join(sorted({f"{error.operation} ({error.code})" for error in hidden}))
        self.problems[local_key(resource)] = replace(failure, message=f"{failure.message} {_UNREAD}: {lists}")

    def clear(self, resource: Resource) -> None:
        """AWS has now accepted the deletion."""
        self.problems.pop(local_key(resource), None)

    def forget_busy(self) -> None:
        """Refusals because of dependencies, after which the same is tried again."""
        for key in self.busy:
            if key not in self.stuck:
                self.problems.pop(key)

    @property
    def reasons(self) -> dict[str, str]:
        """Why stuck resources remain, by id."""
        return {key[1]: self.problems[key].message for key in self.stuck if key in self.problems}

    def replace_by(self, key: LocalKey, error: CloudError) -> None:
        """Report the failure of a preparatory call instead of the refusal; another attempt may still help."""
        self.problems[key] = api_failure(error)

    def with_code(self, kind: ResourceKind, code: str) -> list[LocalKey]:
        return [key for key, failure in self.problems.items() if key[0] == kind and failure.code == code]

    @property
    def busy(self) -> list[LocalKey]:
        """Resources in use, by AWS's answer or this program's. Their users and the remedy must still be queried."""
        return [
            key for key, failure in self.problems.items() if classify(failure.code).category is Category.BUSY
        ]

    def _problem(self, code: str, message: str) -> ApiFailure:
        return ApiFailure(code=code, message=message, operation="", region=self._region)

    def _note(self, resource: Resource, failure: ApiFailure, *, stuck: bool) -> None:
        self.problems[local_key(resource)] = failure
        if stuck:
            self.stuck.add(local_key(resource))


def _with_reason(dependency: Dependency, reasons: Mapping[str, str]) -> Dependency:
    why = reasons.get(dependency.parent_id) or reasons.get(dependency.id)
    return replace(dependency, owner=f"managed: {why}", fix_command="") if why else dependency
