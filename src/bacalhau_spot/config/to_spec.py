"""Converts the validated schema into core's values. Pure and total: every error was found before."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.config import field_types, schema
from bacalhau_spot.config.published import published
from bacalhau_spot.core.lifecycle.durations import duration_s
from bacalhau_spot.core.model import (
    CALLER,
    Arch,
    BacalhauSpec,
    ClusterSpec,
    InstanceSpec,
    InterruptionSpec,
    NodeFile,
    OrchestratorMode,
    OrchestratorSpec,
    RegionSpec,
    Requirements,
    Secret,
    Secrets,
    Spread,
    Timeouts,
    TlsMode,
)
from bacalhau_spot.core.notices import NoticeKind, NotifyTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bacalhau_spot.config.locations import KeyPath
    from bacalhau_spot.core.model import Naming

    Texts = Mapping[KeyPath, str]


def to_spec(
    config: schema.Config, texts: Texts, *, naming: Naming, expand: Callable[[str], str]
) -> ClusterSpec:
    """The complete spec. `texts` are the files and variables that were read, by the key that named them."""
    cluster = config.cluster or schema.ClusterSection()
    regions = _regions(config.regions)
    return ClusterSpec(
        name=cluster.name or naming.tag_value,
        naming=naming,
        regions=regions,
        nodes=_nodes(config.nodes, regions),
        instance_types=() if config.requirements else tuple(config.instance_types or schema.DEFAULT_TYPES),
        requirements=_requirements(config.requirements),
        auto_regions=_auto_count(config.regions),
        max_price_usd_per_hour=config.max_price_usd_per_hour,
        budget_usd_per_hour=config.budget_usd_per_hour,
        spread=Spread(config.spread),
        max_share_per_pool=_share(config.max_share_per_pool),
        ttl_s=_seconds(config.ttl),
        idle_ttl_s=_seconds(config.idle_ttl),
        self_heal=bool(config.self_heal),
        image=config.image,
        username=config.username,
        public_key=_line(texts.get(("public_ssh_key_path",))),
        private_ssh_key_path=expand(config.private_ssh_key_path) if config.private_ssh_key_path else None,
        ssh_cidrs=_ssh(config.ssh_cidrs),
        orchestrator=_orchestrator(config, texts),
        bacalhau=_bacalhau(config.bacalhau or schema.BacalhauSection(), texts),
        instance=_instance(config.instance or schema.InstanceSection(), texts),
        interruption=InterruptionSpec(**(config.interruption or schema.InterruptionSection()).model_dump()),
        timeouts=Timeouts(**(config.timeouts or schema.TimeoutsSection()).model_dump()),
        notify=_receivers(config.notify, texts),
    )


def _receivers(sections: Sequence[schema.NotifySection] | None, texts: Texts) -> tuple[NotifyTarget, ...]:
    """Without receivers whose address could not be read, which a note has reported."""
    receivers = [
        NotifyTarget(
            url=_webhook(section, texts, number),
            command=section.command,
            events=tuple(dict.fromkeys(map(NoticeKind, section.events or ()))),
        )
        for number, section in enumerate(sections or ())
    ]
    return tuple(target for target in receivers if target.url or target.command)


def _webhook(section: schema.NotifySection, texts: Texts, number: int) -> Secret | None:
    if section.url is not None:
        return Secret(section.url.get_secret_value())
    return _secret(texts.get(("notify", number, "url_env")) or texts.get(("notify", number, "url_file")))


def _line(text: str | None) -> str | None:
    """The one line of a key file that is no comment."""
    lines = [line.strip() for line in (text or "").splitlines()]
    return next((line for line in lines if line and not line.startswith("#")), None)


def _auto_count(regions: schema.Regions | None) -> int | None:
    return regions.auto.count if isinstance(regions, schema.AutoRegions) else None


def _share(share: str | float | None) -> Decimal | None:
    return None if share is None else field_types.share(share)


def _seconds(duration: object) -> int | None:
    return duration_s(duration) if isinstance(duration, str) else None


def _nodes(nodes: int | None, regions: tuple[RegionSpec, ...]) -> int:
    if nodes is not None:
        return nodes
    fixed = [region.nodes for region in regions if region.nodes is not None]
    return sum(fixed) if fixed else schema.DEFAULT_NODES


def _regions(regions: schema.Regions | None) -> tuple[RegionSpec, ...]:
    if isinstance(regions, schema.AutoRegions):
        return ()
    if isinstance(regions, dict):
        return tuple(_region(name, inside or schema.RegionSection()) for name, inside in regions.items())
    return tuple(RegionSpec(name) for name in dict.fromkeys(regions or schema.DEFAULT_REGIONS))


def _region(name: str, inside: schema.RegionSection) -> RegionSpec:
    return RegionSpec(
        name,
        nodes=inside.nodes,
        instance_types=tuple(inside.instance_types or ()),
        image=inside.image,
        vpc_id=inside.vpc_id,
    )


def _requirements(requirements: schema.RequirementsSection | None) -> Requirements | None:
    if requirements is None:
        return None
    vcpus_min, vcpus_max = field_types.bounds(requirements.vcpus)
    memory_min, memory_max = field_types.bounds(requirements.memory_gib)
    gpus_min, gpus_max = (None, None) if requirements.gpus is None else field_types.bounds(requirements.gpus)
    return Requirements(
        vcpus_min=int(vcpus_min),
        vcpus_max=None if vcpus_max is None else int(vcpus_max),
        memory_gib_min=Decimal(memory_min),
        memory_gib_max=memory_max,
        arch=Arch(requirements.arch) if requirements.arch else None,
        gpus_min=None if gpus_min is None else int(gpus_min),
        gpus_max=None if gpus_max is None else int(gpus_max),
        families=tuple(dict.fromkeys(requirements.families or ())),
    )


def _ssh(value: list[str] | str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (CALLER,) if value == "caller" else ()
    return tuple(dict.fromkeys(value))


def _orchestrator(config: schema.Config, texts: Texts) -> OrchestratorSpec:
    value = config.orchestrator
    if isinstance(value, schema.SharedOrchestrator):
        return OrchestratorSpec(OrchestratorMode.SHARED, cluster=value.cluster)
    if isinstance(value, schema.ManagedOrchestrator):
        return OrchestratorSpec(
            OrchestratorMode.MANAGED,
            region=value.region,
            instance_type=value.instance_type,
            volume_gib=value.volume_gib,
            reconcile=published(config, texts),
        )
    if value is not None:
        return OrchestratorSpec(OrchestratorMode(value))
    has_addresses = config.bacalhau is not None and config.bacalhau.orchestrators
    return OrchestratorSpec(OrchestratorMode.OWN if has_addresses else OrchestratorMode.UNSET)


def _bacalhau(section: schema.BacalhauSection, texts: Texts) -> BacalhauSpec:
    sums = section.sha256 or schema.Checksums()
    api = section.api or schema.Api()
    return BacalhauSpec(
        orchestrators=tuple(dict.fromkeys(section.orchestrators or ())),
        token=_token(section, texts),
        secrets=Secrets(section.secrets),
        tls=TlsMode(section.tls),
        ca_pem=texts.get(("bacalhau", "ca_file")),
        version=section.version,
        download_url=section.download_url,
        sha256=tuple(
            (arch, value.lower())
            for arch, value in ((Arch.X86_64, sums.x86_64), (Arch.ARM64, sums.arm64))
            if value
        ),
        verify_archive=section.verify_archive,
        labels=tuple((section.labels or {}).items()),
        api_host=api.host,
        api_key=_secret(texts.get(("bacalhau", "api", "key_env"))),
        api_user=_login(texts.get(("bacalhau", "api", "user_env"))),
        api_password=Secret(password)
        if (password := _login(texts.get(("bacalhau", "api", "password_env"))))
        else None,
        api_ca_pem=texts.get(("bacalhau", "api", "ca_file")),
    )


def _secret(text: str | None) -> Secret | None:
    return Secret(text.strip()) if text else None


def _login(text: str | None) -> str | None:
    """A user's name or password, which may begin or end with a space, but not with a line's end."""
    return text.strip("\r\n") if text else None


def _token(section: schema.BacalhauSection, texts: Texts) -> Secret | None:
    if section.token is not None:
        return Secret(section.token.get_secret_value())
    return _secret(texts.get(("bacalhau", "token_file")) or texts.get(("bacalhau", "token_env")))


def _instance(section: schema.InstanceSection, texts: Texts) -> InstanceSpec:
    commands = section.additional_commands or texts.get(("instance", "additional_commands_file")) or ""
    return InstanceSpec(
        root_volume_gib=section.root_volume_gib,
        public_ip=section.public_ip,
        cpu_credits=section.cpu_credits,
        additional_commands=commands,
        files=tuple(_node_file(number, file, texts) for number, file in enumerate(section.files or ())),
    )


def _node_file(number: int, file: schema.File, texts: Texts) -> NodeFile:
    content = (
        file.content if file.content is not None else texts.get(("instance", "files", number, "source"), "")
    )
    return NodeFile(file.path, content, mode=file.mode.zfill(4))
