"""The effective configuration, key by key, with the source of each value. Secrets are never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bacalhau_spot.core.addresses import shown_address
from bacalhau_spot.core.model import OrchestratorMode
from bacalhau_spot.text_marks import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from bacalhau_spot.config.load import Loaded
    from bacalhau_spot.core.model import (
        BacalhauSpec,
        ClusterSpec,
        OrchestratorSpec,
        RegionSpec,
        Requirements,
        Secret,
    )
    from bacalhau_spot.core.notices import NotifyTarget
    from bacalhau_spot.core.orchestrator.published_configuration import PublishedConfiguration

DEFAULT: Final = "default"


class EffectiveValue(NamedTuple):
    """`source` is `config.yaml:5`, `default`, `$VARIABLE` or `token file …`."""

    key: str
    value: str
    source: str


def shown_values(loaded: Loaded) -> tuple[EffectiveValue, ...]:
    """Every key of the configuration with its value as text, in the file's order of sections."""
    spec = loaded.spec
    rows = [
        *_cluster(spec),
        *_orchestrator(spec.orchestrator),
        *_top(spec),
        *_bacalhau(spec.bacalhau),
        *_rest(spec),
    ]
    return tuple(EffectiveValue(key, value, _source(key, loaded.sources)) for key, value in rows)


_Rows = list[tuple[str, str]]


def _source(key: str, sources: Mapping[str, str]) -> str:
    if key in sources:
        return sources[key]
    # A value that another key provides: `name` gives the tag's value, a file gives the commands, and so on.
    for other in _PROVIDERS.get(key, ()):
        if other in sources:
            return sources[other]
    return DEFAULT


_PROVIDERS: Final = {
    "cluster.name": ("cluster.tag_value",),
    "cluster.tag_value": ("cluster.name",),
    "instance.additional_commands": ("instance.additional_commands_file",),
    "nodes": ("regions",),
    "orchestrator": ("bacalhau.orchestrators",),
}


def _cluster(spec: ClusterSpec) -> _Rows:
    naming = spec.naming
    return [
        ("cluster.name", spec.name),
        ("cluster.tag_key", naming.tag_key),
        ("cluster.tag_value", naming.tag_value),
        ("cluster.creator", naming.creator),
        ("cluster.resource_prefix", naming.resource_prefix),
        ("cluster.vpc_name", naming.vpc_name),
        *((f"cluster.tags.{key}", value) for key, value in naming.extra_tags),
    ]


def _orchestrator(spec: OrchestratorSpec) -> _Rows:
    if spec.mode is OrchestratorMode.SHARED:
        return [
            ("orchestrator", "the managed one of another cluster"),
            ("orchestrator.cluster", spec.cluster or ""),
        ]
    if spec.mode is not OrchestratorMode.MANAGED:
        return [("orchestrator", "not chosen" if spec.mode is OrchestratorMode.UNSET else spec.mode.value)]
    return [
        ("orchestrator", spec.mode.value),
        ("orchestrator.region", spec.region or "of the existing one, or the cluster's first"),
        ("orchestrator.instance_type", spec.instance_type),
        ("orchestrator.volume_gib", str(spec.volume_gib)),
        *_reconcile(spec.reconcile),
    ]


def _reconcile(published: PublishedConfiguration | None) -> _Rows:
    if published is None:
        return [("orchestrator.reconcile", "none")]
    return [
        ("orchestrator.reconcile.every", f"{published.every_s}s"),
        ("orchestrator.reconcile.package", shown_address(published.package)),
    ]


def _top(spec: ClusterSpec) -> _Rows:
    places = (
        f"the {spec.auto_regions} cheapest with quota and capacity"
        if spec.auto_regions
        else _list(region.name for region in spec.regions)
    )
    rows = [("nodes", str(spec.nodes)), ("regions", places)]
    for region in spec.regions:
        rows += _region(region)
    rows += (
        _requirements(spec.requirements)
        if spec.requirements
        else [("instance_types", _list(spec.instance_types))]
    )
    return [
        *rows,
        ("max_price_usd_per_hour", _amount(spec.max_price_usd_per_hour)),
        ("budget_usd_per_hour", _amount(spec.budget_usd_per_hour)),
        ("spread", spec.spread.value),
        (
            "max_share_per_pool",
            "none"
            if spec.max_share_per_pool is None
            else f"{(spec.max_share_per_pool * 100).normalize():f}%",
        ),
        ("self_heal", "true" if spec.self_heal else "false"),
        ("image", spec.image),
        ("username", spec.username),
        ("public_ssh_key_path", _key_name(spec.public_key)),
        ("private_ssh_key_path", spec.private_ssh_key_path or "none"),
        ("ssh_cidrs", _list(spec.ssh_cidrs)),
    ]


def _amount(price: Decimal | None) -> str:
    return "none" if price is None else str(price)


def _region(region: RegionSpec) -> _Rows:
    given = (
        ("nodes", None if region.nodes is None else str(region.nodes)),
        ("instance_types", _list(region.instance_types) if region.instance_types else None),
        ("image", region.image),
        ("vpc_id", region.vpc_id),
    )
    return [(f"regions.{region.name}.{key}", value) for key, value in given if value is not None]


def _requirements(needs: Requirements) -> _Rows:
    return [
        ("requirements.vcpus", _span(needs.vcpus_min, needs.vcpus_max)),
        ("requirements.memory_gib", _span(needs.memory_gib_min, needs.memory_gib_max)),
        ("requirements.arch", needs.arch.value if needs.arch else "any"),
        ("requirements.gpus", "any" if needs.gpus_min is None else _span(needs.gpus_min, needs.gpus_max)),
        ("requirements.families", _list(needs.families) if needs.families else "any"),
    ]


def _bacalhau(spec: BacalhauSpec) -> _Rows:
    return [
        ("bacalhau.orchestrators", _list(spec.orchestrators)),
        ("bacalhau.token", _hidden(spec.token)),
        ("bacalhau.secrets", spec.secrets.value),
        ("bacalhau.tls", spec.tls.value),
        ("bacalhau.ca_file", "a certificate" if spec.ca_pem else "none"),
        ("bacalhau.version", spec.version),
        ("bacalhau.download_url", shown_address(spec.download_url or "Bacalhau's own")),
        *((f"bacalhau.sha256.{arch.value}", value) for arch, value in spec.sha256),
        ("bacalhau.verify_archive", "yes" if spec.verify_archive else "no"),
        *((f"bacalhau.labels.{key}", value) for key, value in spec.labels),
        ("bacalhau.api.host", spec.api_host or "none"),
        ("bacalhau.api.key", _hidden(spec.api_key)),
        ("bacalhau.api.user", spec.api_user or "none"),
        ("bacalhau.api.password", _hidden(spec.api_password)),
        ("bacalhau.api.ca_file", "a certificate" if spec.api_ca_pem else "none"),
    ]


def _rest(spec: ClusterSpec) -> _Rows:
    commands = spec.instance.additional_commands
    waits = spec.timeouts
    return [
        ("instance.root_volume_gib", str(spec.instance.root_volume_gib)),
        ("instance.public_ip", "yes" if spec.instance.public_ip else "no"),
        ("instance.cpu_credits", spec.instance.cpu_credits),
        # The text may contain the user's secrets; its size is enough.
        ("instance.additional_commands", f"{len(commands.splitlines())} lines" if commands else "none"),
        ("instance.files", _list(file.path for file in spec.instance.files)),
        ("interruption.grace_s", str(spec.interruption.grace_s)),
        ("timeouts.api_s", str(waits.api_s)),
        ("timeouts.fulfilment_s", str(waits.fulfilment_s)),
        ("timeouts.join_s", str(waits.join_s)),
        ("timeouts.terminate_s", str(waits.terminate_s)),
        ("notify", "; ".join(map(_receiver, spec.notify)) or "none"),
    ]


def _receiver(target: NotifyTarget) -> str:
    """`webhook at hooks.slack.com (interruption)`. A webhook's path and a command's arguments may be secrets."""
    return f"{target.label} ({', '.join(target.events) or 'all events'})"


def _list(items: Iterable[str]) -> str:
    return ", ".join(items) or "none"


def _hidden(secret: Secret | None) -> str:
    return HIDDEN if secret else "none"


def _key_name(key: str | None) -> str:
    """A public key by its type and comment."""
    if not key:
        return "none"
    kind, _, rest = key.partition(" ")
    return f"{kind} {rest.partition(' ')[2]}".strip()


def _span(least: int | Decimal, most: int | Decimal | None) -> str:
    if most is None:
        return f"{least}.."
    return str(least) if least == most else f"{least}..{most}"
