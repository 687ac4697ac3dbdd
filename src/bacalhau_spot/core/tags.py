"""Names and tags of all created resources, and the definition of a managed resource.

Rules:
1. A resource with exactly this value of the cluster tag is managed; case matters, as in EC2.
2. Every resource gets the cluster tag, a creator and a name in the call that creates it.
3. AWS's limits are checked before anything is created: the strictest of all services that get the tag or name (EC2 user
   guide, "Tag restrictions"; IAM and SSM API references, Tag).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bacalhau_spot.core.model import IMAGE_ROLE, ORCHESTRATOR_ROLE, ROLE_KEY
from bacalhau_spot.core.partitions import partition_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.model import Naming

CREATOR_KEY = "CreatedBy"
IAM_ROOT = "/bacalhau-spot/"
NAME_KEY = "Name"
RESULTS_PREFIX = "bacalhau-results-"
# Of nodes: their launch values (core.launch.node_spec), the end of their lifetime, and the end of a drain (both as TIME_FORMAT).
NODE_SPEC_KEY = "BacalhauNodeSpec"
EXPIRES_KEY = "BacalhauExpiresAt"
DRAIN_KEY = "BacalhauDrainUntil"
# Of a node that was launched by `replace`: the ids of the instances in its batch, in place of which it was launched.
REPLACES_KEY = "BacalhauReplaces"
# Of an old node whose replacement has begun (core.lifecycle.superseded).
REPLACED_KEY = "BacalhauReplacedSince"
# Of an image that bacalhau-spot has made: the version of Bacalhau on it.
IMAGE_KEY = "BacalhauImage"
# Of a managed orchestrator's instance, and of one from which an image is made: the version of Bacalhau at its launch.
VERSION_KEY = "BacalhauVersion"
# The value of the cluster tag of all these images: they belong to the account, not to one cluster.
IMAGES_VALUE = "baked-images"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_OWN_KEYS = (
    *(CREATOR_KEY, NAME_KEY, ROLE_KEY, NODE_SPEC_KEY),
    *(EXPIRES_KEY, DRAIN_KEY, REPLACES_KEY, REPLACED_KEY, IMAGE_KEY, VERSION_KEY),
)

# EC2 takes keys of 128 characters, but CreateFleet's tag specifications only 127.
MAX_KEY = 127
# Tags can have 256 characters, but filter values in EC2 only 255, and a longer value could not be found again.
MAX_VALUE = 255
MAX_TAGS = 50
MAX_PREFIX = 32

# EC2 takes a tab too; IAM and SSM do not.
_ALLOWED = re.compile(r"[\w +\-=.:/@]*", re.UNICODE)
# The prefix also begins Bacalhau's node names, which may not hold spaces, dots, `*` or `>`.
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# EC2 user guide, "Work with instance tags in instance metadata": letters, digits and these; not `.`, `..` or `_index`.
_METADATA_KEY = re.compile(r"[A-Za-z0-9+\-=.,_:@]+")
_METADATA_RESERVED = frozenset({".", "..", "_index"})
# A security group's name may not begin with it (EC2 API reference, CreateSecurityGroup).
_GROUP_ID = "sg-"


class TagProblem(NamedTuple):
    """`field`: the configuration key below `cluster:`; `message`: the error and the allowed form."""

    field: str
    message: str


def _length(text: str) -> int:
    """In UTF-16 units: AWS documents characters, and a service may count one beyond the BMP as two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _key_problem(key: str) -> str | None:
    if not key:
        return "a tag key may not be empty"
    if _length(key) > MAX_KEY:
        return f"a tag key may have at most {MAX_KEY} characters, this one has {_length(key)}"
    if key.lower().startswith("aws:"):
        return "tag keys beginning with `aws:` are reserved for AWS"
    if not _ALLOWED.fullmatch(key):
        return "a tag key may hold letters, digits, spaces and + - = . _ : / @ only"
    return None


def _value_problem(value: str, *, required: bool) -> str | None:
    if required and not value.strip():
        return "the value may not be empty"
    if _length(value) > MAX_VALUE:
        return f"a tag value may have at most {MAX_VALUE} characters, this one has {_length(value)}"
    if value.lower().startswith("aws:"):
        return "tag values beginning with `aws:` are reserved for AWS"
    if not _ALLOWED.fullmatch(value):
        return "a tag value may hold letters, digits, spaces and + - = . _ : / @ only"
    return None


def other_value_problem(value: str) -> str | None:
    """Why no tag of EC2 can have this value; None if one can. Tags of other programs may have more characters than ours."""
    if not value.strip():
        return "the value may not be empty"
    if _length(value) > MAX_VALUE:
        return f"a tag value may have at most {MAX_VALUE} characters, this one has {_length(value)}"
    return None if value.isprintable() else "a tag value may hold no control characters"


def _prefix_problem(prefix: str) -> str | None:
    if len(prefix) > MAX_PREFIX or not _PREFIX.fullmatch(prefix):
        return f"must begin with a letter or digit, then letters, digits, - and _ only, at most {MAX_PREFIX} characters"
    if prefix.lower().startswith(_GROUP_ID):
        return f"may not begin with `{_GROUP_ID}`: AWS reserves it for the ids of security groups"
    return None


def tag_problems(naming: Naming) -> tuple[TagProblem, ...]:
    """Everything in the names and tags that AWS would refuse; empty when all is well."""
    problems: list[TagProblem] = []

    def note(field: str, message: str | None) -> None:
        if message is not None:
            problems.append(TagProblem(field, message))

    note("tag_key", _key_problem(naming.tag_key))
    if naming.tag_key.lower() in {key.lower() for key in _OWN_KEYS}:
        note("tag_key", f"`{naming.tag_key}` is a tag that bacalhau-spot sets itself; choose another key")
    note("tag_value", _value_problem(naming.tag_value, required=True))
    if naming.tag_value == IMAGES_VALUE:
        note("tag_value", f"`{IMAGES_VALUE}` is the value for images; choose another one")
    note("creator", _value_problem(naming.creator, required=True))
    note("vpc_name", _value_problem(naming.vpc_name, required=True))
    note("resource_prefix", _prefix_problem(naming.resource_prefix))
    # IAM's keys do not differ by case alone (IAM API reference, Tag), and the role carries every tag.
    taken = {key.lower(): key for key in (*_OWN_KEYS, naming.tag_key)}
    own = len(taken)
    for key, value in naming.extra_tags:
        field = f"tags.{key}"
        note(field, _key_problem(key))
        note(field, _value_problem(value, required=False))
        other = taken.setdefault(key.lower(), key)
        if other in {*_OWN_KEYS, naming.tag_key}:
            note(field, f"`{other}` is a tag that bacalhau-spot sets itself, and IAM ignores case")
        elif other != key:
            note(field, f"differs from `{other}` only by case, which IAM ignores")
    if len(naming.extra_tags) + own > MAX_TAGS:
        note(
            "tags",
            f"a resource can have {MAX_TAGS} tags; {MAX_TAGS - own} are free besides the tags of bacalhau-spot",
        )
    return tuple(problems)


def tags_for(naming: Naming, name: str) -> dict[str, str]:
    """The tags of one created resource."""
    return {
        **dict(naming.extra_tags),
        naming.tag_key: naming.tag_value,
        CREATOR_KEY: naming.creator,
        NAME_KEY: name,
    }


def metadata_key_problems(naming: Naming) -> tuple[str, ...]:
    """The configured tag keys that prevent tags in the metadata of an instance. EC2 refuses to launch it with both."""
    keys = (naming.tag_key, *(key for key, _ in naming.extra_tags))
    return tuple(key for key in keys if not _METADATA_KEY.fullmatch(key) or key in _METADATA_RESERVED)


def node_tags(naming: Naming, *, region: str, node_spec: str, expiry: str = "") -> dict[str, str]:
    """The tags of a node's instance, volume and network interface. `node_spec`: its launch values; `expiry`: empty for none."""
    own = {NODE_SPEC_KEY: node_spec, **expiry_tags(expiry)}
    return {**tags_for(naming, node_name(naming, region)), **own}


def expiry_tags(expiry: str) -> dict[str, str]:
    """The tag with the end of the lifetime (core.lifecycle.expiry); none for an empty value."""
    return {EXPIRES_KEY: expiry} if expiry else {}


def tag_time(moment: datetime) -> str:
    """A time as the value of a tag, to the second."""
    return moment.astimezone(UTC).strftime(TIME_FORMAT)


def time_in_tag(text: str) -> datetime | None:
    """The time in a tag's value; None for an empty value, and for that of another program."""
    try:
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def has_tag(tags: Mapping[str, str], *, key: str, value: str) -> bool:
    return tags.get(key) == value


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of a deletion: resources with exactly this `value` of `key`.

    With `creator` also resources with any other value of the key and that CreatedBy tag: other clusters of this
    program. `any_creator`: all resources with the key, whoever created them; only for commands that read.
    """

    key: str
    value: str
    creator: str | None = None
    any_creator: bool = False

    @property
    def one_cluster(self) -> bool:
        """Whether `value` is the only one."""
        return self.creator is None and not self.any_creator

    def matches(self, tags: Mapping[str, str]) -> bool:
        if has_tag(tags, key=self.key, value=self.value) or (self.any_creator and self.key in tags):
            return True
        return self.creator is not None and self.key in tags and tags.get(CREATOR_KEY) == self.creator


def cluster_scope(naming: Naming) -> Scope:
    return Scope(naming.tag_key, naming.tag_value)


def account_scope(naming: Naming) -> Scope:
    """Every cluster of this program under the tag's key, whatever its value."""
    return Scope(naming.tag_key, naming.tag_value, creator=naming.creator)


def tag_key_scope(naming: Naming) -> Scope:
    """All resources with the tag's key, those of other programs included."""
    return Scope(naming.tag_key, naming.tag_value, any_creator=True)


def _plain_name(naming: Naming) -> str:
    """The cluster's name in the letters that every kind of AWS name takes; empty if it has none of them."""
    return re.sub(r"[^a-z0-9]+", "-", naming.tag_value.lower()).strip("-")[:40]


def slug(naming: Naming) -> str:
    """The cluster's name in the letters that every kind of AWS name takes, distinct for distinct clusters."""
    plain = _plain_name(naming)
    mark = hashlib.sha256(f"{naming.tag_key}={naming.tag_value}".encode()).hexdigest()[:8]
    return f"{plain}-{mark}" if plain else mark


def node_name(naming: Naming, region: str) -> str:
    """The Name tag of a region's nodes, as lists of all regions show it: `bacalhau-blue-us-east-1`.

    Without a number: AWS gives all instances of a fleet or group the same tags, and a tag of its own is a call for each node
    (EC2 API reference, CreateTags: one set of tags for all resources of a request).
    """
    cluster = _plain_name(naming)
    prefix = naming.resource_prefix
    name = cluster if cluster.startswith(prefix) else f"{prefix}{cluster or 'node'}"
    return f"{name}-{region}"


def group_name(naming: Naming) -> str:
    """A security group's name, which is unique per VPC."""
    return f"{naming.resource_prefix}{slug(naming)}"


def token_parameter(naming: Naming) -> str:
    """The SSM parameter with the token, of the same name in every region."""
    return f"{iam_path(naming)}token"


def iam_path(naming: Naming) -> str:
    """The path of the cluster's role and profile. IAM lists by path and not by tag, so a cleanup lists below IAM_ROOT."""
    return f"{IAM_ROOT}{slug(naming)}/"


def role_name(naming: Naming) -> str:
    """The nodes' role and instance profile. A role's name is unique per account and has at most 64 characters."""
    return f"{naming.resource_prefix}{slug(naming).rpartition('-')[2]}"


def template_name(naming: Naming) -> str:
    """The launch template's name, unique in a region: concurrent creates of one cluster collide on it."""
    return f"{naming.resource_prefix}{slug(naming)}"


def images_naming(naming: Naming) -> Naming:
    """The names and tags of the account's images: with the tag key of the cluster, and a value of their own."""
    return replace(naming, tag_value=IMAGES_VALUE)


def image_tags(naming: Naming, *, name: str, version: str) -> dict[str, str]:
    """The tags of an image and its snapshot."""
    return {**tags_for(images_naming(naming), name), IMAGE_KEY: version}


def image_builder_tags(naming: Naming, *, version: str) -> dict[str, str]:
    """The tags of an instance of the cluster from which an image is made."""
    own = {ROLE_KEY: IMAGE_ROLE, VERSION_KEY: version}
    return {**tags_for(naming, f"{naming.resource_prefix}image"), **own}


def orchestrator_tags(naming: Naming, name: str) -> dict[str, str]:
    """The tags of one resource of the managed orchestrator."""
    return {**tags_for(naming, name), ROLE_KEY: ORCHESTRATOR_ROLE}


def orchestrator_name(naming: Naming) -> str:
    """The Name tag of the managed orchestrator's resources, and the name of its security group."""
    return f"{naming.resource_prefix}{slug(naming)}-orchestrator"


def orchestrator_role_name(naming: Naming) -> str:
    """The orchestrator's role and instance profile."""
    return f"{role_name(naming)}-orchestrator"


def orchestrator_parameter(naming: Naming) -> str:
    """The SSM parameter with the orchestrator's credentials (core.orchestrator.credentials), in the home region only."""
    return f"{iam_path(naming)}orchestrator"


def reconcile_parameter(naming: Naming) -> str:
    """The SSM parameter with the configuration for the orchestrator's machine (core.orchestrator.published_configuration)."""
    return f"{iam_path(naming)}reconcile"


def results_bucket(naming: Naming, *, account_id: str, region: str) -> str:
    """The bucket for job results. Bucket names are global: at most 63 lower-case letters, digits and hyphens."""
    mark = slug(naming).rpartition("-")[2]
    return f"{RESULTS_PREFIX}{mark}-{account_id}-{region}"


def bucket_arn(name: str, *, region: str) -> str:
    """A bucket's ARN has neither region nor account, but the region's partition."""
    return f"arn:{partition_of(region).id}:s3:::{name}"
