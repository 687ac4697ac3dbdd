"""The schema of config.yaml: every key, its type, its default and its description.

The published JSON Schema, the reference in docs/configuration.md and the template's completeness test come from here.
Pydantic models stay in this package: to_spec.py converts them into core's values.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from bacalhau_spot.config import field_types
from bacalhau_spot.core.model import (
    BacalhauSpec,
    CpuCredits,
    InstanceSpec,
    InterruptionSpec,
    Naming,
    OrchestratorSpec,
    Timeouts,
)

DEFAULT_NODES: Final = 12
DEFAULT_REGIONS: Final = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")
DEFAULT_TYPES: Final = ("t3.medium", "t3a.medium", "c6a.large", "m6a.large")

_NAMING = Naming()
_BACALHAU = BacalhauSpec()
_INSTANCE = InstanceSpec()
_ORCHESTRATOR = OrchestratorSpec()
_INTERRUPTION = InterruptionSpec()
_TIMEOUTS = Timeouts()

# Marks of a union's branches. They appear in pydantic's error paths, are no keys of the file, and are removed there.
AS_LIST: Final = "<list>"
AS_MAPPING: Final = "<mapping>"
AS_AUTO: Final = "<auto>"
AS_WORD: Final = "<word>"
AS_CLUSTER: Final = "<cluster>"
MARKS: Final = frozenset({AS_LIST, AS_MAPPING, AS_AUTO, AS_WORD, AS_CLUSTER})


# Far above any real cluster, so that the input is bounded. AWS accepts 300 overrides in a launch request and 400
# patterns of allowed types, and a launch template has room for a few kilobytes of files.
_MOST_TYPES: Final = 300
_MOST_FAMILIES: Final = 400
_MOST_REGIONS: Final = 100
_MOST_OTHERS: Final = 200
_MOST_RECEIVERS: Final = 20


class _Section(BaseModel):
    """A mapping of known keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClusterSection(_Section):
    """The names and tags of all created resources. Later commands find a cluster by `tag_key` and `tag_value`."""

    name: field_types.NameText | None = Field(
        default=None, description="The cluster's name. Without it: the tag's value."
    )
    tag_key: field_types.AnyText = Field(
        default=_NAMING.tag_key, description="Key of the tag that every resource carries."
    )
    tag_value: field_types.AnyText | None = Field(
        default=None,
        description=f"Value of that tag; different for each cluster. Without it: `name`, or {_NAMING.tag_value}.",
    )
    creator: field_types.AnyText = Field(default=_NAMING.creator, description="Value of the `CreatedBy` tag.")
    resource_prefix: field_types.AnyText = Field(
        default=_NAMING.resource_prefix, description="Prefix of all resource names."
    )
    vpc_name: field_types.AnyText = Field(
        default=_NAMING.vpc_name, description="Name of the VPC that is created in each region."
    )
    tags: dict[str, field_types.AnyText] | None = Field(
        default=None, max_length=_MOST_OTHERS, description="Further tags for every resource, key: value."
    )


class RequirementsSection(_Section):
    """Requirements on instance types. AWS chooses the cheapest matching ones."""

    vcpus: field_types.Vcpus = Field(
        description='Virtual CPUs: 2 (exactly), "2.." (at least) or "2..4" (from, to).'
    )
    memory_gib: field_types.MemoryGib = Field(
        description='Memory in GiB: 4 (exactly), "4.." (at least) or "4..16" (from, to).'
    )
    arch: field_types.Arch | None = Field(
        default=None, description="Architecture, x86_64 or arm64. Without it: either."
    )
    gpus: field_types.Gpus | None = Field(
        default=None,
        description='GPUs: 1 (exactly), "1.." (at least), "1..4" (from, to), 0 (none). Without it: any number.',
    )
    families: list[field_types.Family] | None = Field(
        default=None,
        min_length=1,
        max_length=_MOST_FAMILIES,
        description="Only types of these families, such as [t3, m6a]; m6* matches all with that prefix. Without it: any family.",
    )


class RegionSection(_Section):
    """The settings of one region."""

    nodes: field_types.NodeCount | None = Field(
        default=None,
        description="Number of nodes in this region. Without it: a share of the nodes that are not assigned to another region.",
    )
    instance_types: list[field_types.InstanceType] | None = Field(
        default=None,
        min_length=1,
        max_length=_MOST_TYPES,
        description="This region's own instance types. Without it: the cluster's.",
    )
    image: field_types.Image | None = Field(
        default=None, description="This region's own image. Without it: the cluster's."
    )
    vpc_id: field_types.VpcId | None = Field(
        default=None,
        description="An existing VPC to use. Without it: a VPC is created, and deleted with the cluster.",
    )


class AutoChoice(_Section):
    """How many regions to choose."""

    count: field_types.RegionCount = Field(
        description="Number of regions: the cheapest ones with quota and capacity."
    )


class AutoRegions(_Section):
    """Regions chosen by price, quota and capacity."""

    auto: AutoChoice = Field(description="Choose regions by price, quota and capacity.")


def _region_form(value: Any) -> str | None:
    if isinstance(value, list):
        return AS_LIST
    if isinstance(value, dict):
        return AS_AUTO if "auto" in value else AS_MAPPING
    return None


Regions = Annotated[
    Annotated[list[field_types.RegionName], Field(min_length=1, max_length=_MOST_REGIONS), Tag(AS_LIST)]
    | Annotated[AutoRegions, Tag(AS_AUTO)]
    | Annotated[
        dict[field_types.RegionName, RegionSection | None],
        Field(min_length=1, max_length=_MOST_REGIONS),
        Tag(AS_MAPPING),
    ],
    Discriminator(
        _region_form,
        custom_error_type=field_types.MUST,
        custom_error_message="a list of regions, a mapping with settings per region, or `auto` with a count",
    ),
]


def _ssh_form(value: Any) -> str | None:
    if isinstance(value, list):
        return AS_LIST
    return AS_WORD if value in ("caller", "none") else None


SshCidrs = Annotated[
    Annotated[list[field_types.Cidr], Field(max_length=_MOST_OTHERS), Tag(AS_LIST)]
    | Annotated[Literal["caller", "none"], Tag(AS_WORD)],
    Discriminator(
        _ssh_form,
        custom_error_type=field_types.MUST,
        custom_error_message="caller, none, or a list of address ranges such as [203.0.113.7/32]",
    ),
]


class ReconcileSection(_Section):
    """`reconcile` on the machine of the managed orchestrator."""

    every: field_types.Interval = Field(
        default="60s", description="Time between two passes, such as 30s, 5m or 1h (10s to 24h)."
    )
    package: field_types.Package | None = Field(
        default=None,
        description="The program that the machine installs with pip: a release, such as bacalhau-spot==1.0.0, or the https "
        "address of a wheel with its sum, such as https://example.com/bacalhau_spot-1.0.0-py3-none-any.whl#sha256=…. "
        "Without it: the release of the program that runs `create`.",
    )


class ManagedOrchestrator(_Section):
    """The settings of a managed orchestrator."""

    region: field_types.RegionName | None = Field(
        default=None,
        description="The home region: the region of the managed orchestrator. Without it: the region of the existing one, or "
        "the cluster's first region. An existing one is not moved.",
    )
    instance_type: field_types.OrchestratorType = Field(
        default=_ORCHESTRATOR.instance_type,
        description="Instance type of the managed orchestrator, on demand. An existing instance keeps its type until it is "
        "replaced.",
    )
    volume_gib: field_types.VolumeGib = Field(
        default=_ORCHESTRATOR.volume_gib,
        description="Size of the managed orchestrator's data volume, in GiB. `create` does not resize an existing one.",
    )
    reconcile: ReconcileSection | None = Field(
        default=None,
        description="Makes the managed orchestrator's machine run `reconcile`, so that the cluster keeps itself; `{}` for the "
        "defaults. Without it: `reconcile` runs where you run it.",
    )


class SharedOrchestrator(_Section):
    """The managed orchestrator of another cluster."""

    cluster: field_types.NameText = Field(
        description="Tag value of another cluster of this account, whose managed orchestrator the nodes join."
    )


def _orchestrator_form(value: Any) -> str | None:
    if isinstance(value, dict):
        return AS_CLUSTER if "cluster" in value else AS_MAPPING
    return AS_WORD if isinstance(value, str) else None


Orchestrator = Annotated[
    Annotated[field_types.OrchestratorWord, Tag(AS_WORD)]
    | Annotated[SharedOrchestrator, Tag(AS_CLUSTER)]
    | Annotated[ManagedOrchestrator, Tag(AS_MAPPING)],
    Discriminator(
        _orchestrator_form,
        custom_error_type=field_types.MUST,
        custom_error_message=field_types.ORCHESTRATOR_FORMS,
    ),
]


class Checksums(_Section):
    """SHA-256 sums of the release archive, per architecture."""

    x86_64: field_types.Sha256 | None = Field(
        default=None, description="SHA-256 sum of the archive for x86_64 (Bacalhau's amd64)."
    )
    arm64: field_types.Sha256 | None = Field(
        default=None, description="SHA-256 sum of the archive for arm64."
    )


class Api(_Section):
    """The orchestrator's HTTP API. With it, commands show which nodes have joined, and remove terminated ones."""

    host: field_types.ApiHost | None = Field(
        default=None,
        description="Host or address, such as https://orchestrator.example.com:1234; the port is 1234 unless given. "
        "Without a scheme: https, and http on this machine itself.",
    )
    key_env: field_types.EnvName | None = Field(
        default=None, description="Environment variable that holds the API key."
    )
    user_env: field_types.EnvName | None = Field(
        default=None,
        description="Environment variable that holds the user's name; with `password_env`, in place of `key_env`.",
    )
    password_env: field_types.EnvName | None = Field(
        default=None, description="Environment variable that holds the user's password."
    )
    ca_file: field_types.LocalPath | None = Field(
        default=None,
        description="CA certificate (PEM), if a private CA signed the API's certificate and the host is https://.",
    )


class BacalhauSection(_Section):
    """Bacalhau's version and settings, and the orchestrator."""

    orchestrators: list[field_types.Orchestrator] | None = Field(
        default=None,
        min_length=1,
        max_length=_MOST_OTHERS,
        description="Addresses of the orchestrators: nats://host:port, tls://… or host:port; the port is 4222 unless given.",
    )
    token: field_types.Token | None = Field(
        default=None, description="The orchestrator's token. Better: `token_file` or `token_env`."
    )
    token_file: field_types.LocalPath | None = Field(default=None, description="File that holds the token.")
    token_env: field_types.EnvName | None = Field(
        default=None, description="Environment variable that holds the token."
    )
    secrets: field_types.Secrets = Field(
        default=_BACALHAU.secrets.value,
        description=(
            "How the token reaches the nodes: `user_data`; or `ssm`, an encrypted parameter per region that only the "
            "cluster's own role may read (needs iam:CreateRole and ssm:PutParameter)."
        ),
    )
    tls: field_types.Tls = Field(
        default=_BACALHAU.tls.value,
        description=(
            "How nodes connect to the orchestrator: `none`; `native`, TLS with the orchestrator's own certificate; "
            "`proxy`, a proxy in front of it terminates TLS (hosted orchestrators too)."
        ),
    )
    ca_file: field_types.LocalPath | None = Field(
        default=None,
        description="CA certificate (PEM), if a private CA signed the orchestrator's certificate.",
    )
    version: field_types.Version = Field(default=_BACALHAU.version, description="Bacalhau's release.")
    download_url: field_types.DownloadUrl | None = Field(
        default=None,
        description="Where nodes fetch the release archive; may hold {version} and {arch}. Without it: Bacalhau's own address.",
    )
    sha256: Checksums | None = Field(
        default=None,
        description="SHA-256 sums of the archive, per architecture. Without one: `create` fetches the archive once and "
        "keeps its sum.",
    )
    verify_archive: field_types.YesNo = Field(
        default=_BACALHAU.verify_archive,
        description="Whether nodes refuse an archive with another sum. False: nodes run an unverified archive.",
    )
    labels: dict[field_types.LabelKey, field_types.LabelValue] | None = Field(
        default=None,
        max_length=_MOST_OTHERS,
        description="Further labels of every node, for job constraints. Lower-case keys without dots.",
    )
    api: Api | None = Field(default=None, description="The orchestrator's HTTP API.")


class File(_Section):
    """One file on the node."""

    path: field_types.NodePath = Field(description="Absolute path on the node.")
    content: field_types.FileContent | None = Field(
        default=None, description="The file's text. Either this or `source`."
    )
    source: field_types.LocalPath | None = Field(
        default=None, description="A local file to copy (text). Either this or `content`."
    )
    mode: field_types.Mode = Field(default="0644", description='Permissions, octal, in quotes: "0644".')


class InstanceSection(_Section):
    """A node's properties other than its type."""

    root_volume_gib: field_types.VolumeGib = Field(
        default=_INSTANCE.root_volume_gib, description="Size of the encrypted root volume, in GiB."
    )
    public_ip: field_types.YesNo = Field(
        default=_INSTANCE.public_ip,
        description="Whether nodes have a public address. `false`: in private subnets of your own VPC (`vpc_id`), with a "
        "default route to a NAT or transit gateway; `ssh` then works only from inside that network.",
    )
    cpu_credits: CpuCredits = Field(
        default=_INSTANCE.cpu_credits,
        description="Burstable types (t3, t4g …) without CPU credits: `standard`, they slow down; "
        "`unlimited`, they keep their speed and AWS bills a surplus, which no estimate contains.",
    )
    additional_commands: field_types.AnyText | None = Field(
        default=None, description="Shell commands that run as root at the end of first boot."
    )
    additional_commands_file: field_types.LocalPath | None = Field(
        default=None, description="The same from a file. Either this or `additional_commands`."
    )
    files: list[File] | None = Field(
        default=None, max_length=_MOST_OTHERS, description="Files put on every node at first boot."
    )


class InterruptionSection(_Section):
    """A node's behaviour after EC2's interruption notice, which comes two minutes before the interruption."""

    grace_s: field_types.GraceSeconds = Field(
        default=_INTERRUPTION.grace_s,
        description="Time for running jobs to finish, in seconds, and at most until 20 seconds before the interruption. "
        "0: they restart on other nodes at once. Jobs that wait on the node never delay it.",
    )


class TimeoutsSection(_Section):
    """Timeouts. Nothing waits for ever."""

    api_s: field_types.CallSeconds = Field(
        default=_TIMEOUTS.api_s, description="One AWS call with its retries, in seconds."
    )
    fulfilment_s: field_types.WaitSeconds = Field(
        default=_TIMEOUTS.fulfilment_s,
        description="From the launch request until the instance runs, in seconds.",
    )
    join_s: field_types.WaitSeconds = Field(
        default=_TIMEOUTS.join_s,
        description="From running until the orchestrator lists the node, in seconds.",
    )
    terminate_s: field_types.WaitSeconds = Field(
        default=_TIMEOUTS.terminate_s,
        description="From the termination request until the instance is terminated, in seconds.",
    )


class NotifySection(_Section):
    """A receiver of notices: a webhook, or a shell command."""

    url: field_types.WebhookUrl | None = Field(
        default=None,
        description="Address of a webhook, which gets the notice as JSON in a POST request. Better: `url_env` or `url_file`.",
    )
    url_env: field_types.EnvName | None = Field(
        default=None, description="Environment variable that holds the webhook's address."
    )
    url_file: field_types.LocalPath | None = Field(
        default=None, description="File that holds the webhook's address."
    )
    command: field_types.ShellCommand | None = Field(
        default=None,
        description="Shell command, which gets the notice as JSON on its standard input. Either this or a webhook.",
    )
    events: list[field_types.NoticeEvent] | None = Field(
        default=None,
        min_length=1,
        max_length=_MOST_OTHERS,
        description="Kinds of notices: create-ended, interruption, replacement, budget-reached, cluster-expired. Without it: "
        "all.",
    )


class Config(_Section):
    """A Bacalhau cluster on AWS spot instances."""

    cluster: ClusterSection | None = Field(default=None, description="Names and tags.")
    orchestrator: Orchestrator | None = Field(
        default=None,
        description="The orchestrator that the nodes join: `managed`, bacalhau-spot runs one in the home region; a mapping, the "
        "same with settings; `own`, yours, with its addresses in `bacalhau.orchestrators`; `{cluster: NAME}`, another "
        "cluster's managed one; `none`. Without it: `own`, if there are addresses.",
    )
    nodes: field_types.NodeCount | None = Field(
        default=None, description=f"Number of nodes, over all regions. Without it: {DEFAULT_NODES}."
    )
    regions: Regions | None = Field(
        default=None,
        description=f"Regions: a list, a mapping with settings per region, or `auto: {{count: 3}}`. "
        f"Without it: {', '.join(DEFAULT_REGIONS)}.",
    )
    instance_types: list[field_types.InstanceType] | None = Field(
        default=None,
        min_length=1,
        max_length=_MOST_TYPES,
        description="Acceptable instance types. More types make launches likelier and cheaper. "
        f"Without it: {', '.join(DEFAULT_TYPES)}.",
    )
    requirements: RequirementsSection | None = Field(
        default=None, description="Required properties of instance types. Either this or `instance_types`."
    )
    max_price_usd_per_hour: field_types.Price | None = Field(
        default=None,
        description="Maximum price of one instance, in US dollars an hour. Without it: up to the on-demand price.",
    )
    budget_usd_per_hour: field_types.Amount | None = Field(
        default=None,
        description="Maximum cost of the cluster, in US dollars an hour, with volumes and addresses: `create` refuses more.",
    )
    spread: field_types.Spread = Field(
        default="failover",
        description="When a region has no capacity: `failover`, other regions launch its nodes; `strict`, they stay missing.",
    )
    max_share_per_pool: field_types.Share | None = Field(
        default=None,
        description="Maximum share of the cluster's nodes in one capacity pool (an instance type in a zone), which AWS often "
        'interrupts as a whole: 0.25 or "25%". Without it: AWS decides.',
    )
    self_heal: field_types.YesNo | None = Field(
        default=None,
        description="Makes each region an Auto Scaling group, with which AWS replaces interrupted and unhealthy nodes.",
    )
    ttl: field_types.Ttl | None = Field(
        default=None,
        description="Lifetime of the cluster from its first launch, such as 90m, 8h, 2d or 1h30m (15m to 366d); then its nodes "
        "end themselves. Without it, or with `false`: no end.",
    )
    idle_ttl: field_types.IdleTtl | None = Field(
        default=None,
        description="Longest time without a job on the whole cluster, such as 30m (10m to 30d); then `reconcile`, which must "
        "be running, ends the cluster. Without it, or with `false`: any time.",
    )
    image: field_types.Image = Field(
        default="auto",
        description="Machine image: `auto` (current Ubuntu LTS), `baked` (made by `image bake`), an id (ami-…), or ssm:/ and a "
        "public parameter's name.",
    )
    username: field_types.Username = Field(default="bacalhau", description="User name for SSH.")
    public_ssh_key_path: field_types.LocalPath | None = Field(
        default=None, description="Public key for SSH, put on every node."
    )
    private_ssh_key_path: field_types.LocalPath | None = Field(
        default=None, description="Private key that `ssh` uses; it stays on this machine."
    )
    ssh_cidrs: SshCidrs = Field(
        default="caller",
        description="Who may reach port 22: `caller` (your address only), `none`, or a list of address ranges.",
    )
    bacalhau: BacalhauSection | None = Field(
        default=None, description="Bacalhau's version and settings, and the orchestrator."
    )
    instance: InstanceSection | None = Field(
        default=None, description="A node's properties other than its type."
    )
    interruption: InterruptionSection | None = Field(
        default=None, description="A node's behaviour after EC2's interruption notice."
    )
    timeouts: TimeoutsSection | None = Field(default=None, description="Timeouts.")
    notify: list[NotifySection] | None = Field(
        default=None,
        max_length=_MOST_RECEIVERS,
        description="Receivers of notices. A failed delivery is a warning.",
    )
