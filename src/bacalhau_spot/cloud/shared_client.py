"""One client of a service for all regions.

botocore makes a client for one region: for 38 of them, 2 ms each, and each reads the shapes of its calls anew. The
region takes part in two places only, the endpoint and the signature. botocore's event `before-endpoint-resolution` lets
a handler set it for both. Tests compare the requests with those of clients of their own, in all regions of all
partitions. Where the region means more, clients are not shared (`follows_rules`, `may_share`).
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# botocore chooses the endpoint or the region of the signature of these by rules of its own: legacy and global
# endpoints, redirects to a bucket's region.
_ONE_REGION: Final = frozenset({"s3", "sts"})
# Settings for other endpoints, which not every region has.
_VARIANTS: Final = ("use_fips_endpoint", "use_dualstack_endpoint")

_region: Final[ContextVar[str]] = ContextVar("region")  # of the call in this thread


def follows_rules(core: Any) -> bool:
    """Whether botocore finds the endpoints by its rules alone: without the user's own list of them, FIPS or dual stack.

    Raises BotoCoreError.
    """
    loader = core.get_component("data_loader")
    _, path = loader.load_data_with_path("endpoints")
    return loader.is_builtin_path(path) and not any(core.get_config_variable(name) for name in _VARIANTS)


def may_share(service: str, region: str) -> bool:
    """Whether a client of the service, where `follows_rules`, would differ from those of other regions in these alone."""
    return service not in _ONE_REGION and "fips" not in region


@contextlib.contextmanager
def in_region(region: str) -> Iterator[None]:
    """The region of the calls in this block."""
    token = _region.set(region)
    try:
        yield
    finally:
        _region.reset(token)


def make_shared(client: Any) -> None:
    """Make every call of the client go to the region of its block. A call outside of one raises LookupError."""
    client.meta.events.register("before-endpoint-resolution", _set_region)


def _set_region(*, builtins: dict[str, Any], context: dict[str, Any], **_others: Any) -> None:
    region = _region.get()
    builtins["AWS::Region"] = region
    # The rules of the endpoint come later, and may name another region for the signature, as those of IAM do.
    context["signing"] = {"region": region}
    context["client_region"] = region
