"""Rules between keys. They check plain data, so that they also apply where single values are invalid."""

from __future__ import annotations

import re
from typing import Any, Final

from bacalhau_spot import project
from bacalhau_spot.config.locations import KeyPath, dotted, lookup
from bacalhau_spot.core.model import Naming, OrchestratorMode
from bacalhau_spot.core.tags import metadata_key_problems, tag_problems

_LOOPBACK: Final = re.compile(r"http://(?:127(?:\.[0-9]{1,3}){3}|localhost|\[::1\])(?::[0-9]+)?/")

KeyMessages = list[tuple[KeyPath, bool, str]]  # path, whether the key is the problem, message

# Of each group, at most one may be given.
_EITHER: Final[tuple[tuple[KeyPath, ...], ...]] = (
    (("instance_types",), ("requirements",)),
    (("bacalhau", "token"), ("bacalhau", "token_file"), ("bacalhau", "token_env")),
    (("bacalhau", "api", "key_env"), ("bacalhau", "api", "user_env")),
    (("bacalhau", "api", "key_env"), ("bacalhau", "api", "password_env")),
    (("instance", "additional_commands"), ("instance", "additional_commands_file")),
)
# Of each pair, both or neither.
_TOGETHER: Final[tuple[tuple[KeyPath, KeyPath], ...]] = (
    (("bacalhau", "api", "user_env"), ("bacalhau", "api", "password_env")),
)
# Keys that may stand with nothing after their colon: sections whose keys are all commented out, and the reserved ones.
_MAY_BE_EMPTY: Final = {
    "cluster", "cluster.tags", "bacalhau", "bacalhau.sha256", "bacalhau.labels", "bacalhau.api", "instance",
    "instance.files", "interruption", "timeouts", "self_heal", "ttl", "idle_ttl",
}  # fmt: skip


def rule_problems(data: dict[str, Any]) -> KeyMessages:
    """Everything that is wrong between keys."""
    either = _alternatives(data)
    reported = {path for path, _, _ in either}
    pairs = [pair for pair in _pairs(data) if pair[0] not in reported]
    return [
        *either,
        *pairs,
        *_plain_http(data),
        *_orchestrator(data),
        *_file_sources(data),
        *_receivers(data),
        *_empty(data, ()),
        *_numbers(data),
        *_groups(data),
        *_tags(data),
        *_lifetime(data),
    ]


def _alternatives(data: dict[str, Any]) -> KeyMessages:
    messages: KeyMessages = []
    for group in _EITHER:
        given = [path for path in group if lookup(data, path) is not None]
        messages += [
            (path, True, f"cannot be combined with `{dotted(given[0])}`; keep one of them")
            for path in given[1:]
        ]
    return messages


def _pairs(data: dict[str, Any]) -> KeyMessages:
    return [
        (given, True, f"needs `{other[-1]}` as well")
        for pair in _TOGETHER
        for given, other in (pair, pair[::-1])
        if lookup(data, given) is not None and lookup(data, other) is None
    ]


def _groups(data: dict[str, Any]) -> KeyMessages:
    """AWS chooses the pools of an Auto Scaling group, and has no limit for one of them (MixedInstancesPolicy)."""
    if data.get("self_heal") is not True or data.get("max_share_per_pool") is None:
        return []
    text = "cannot be combined with `self_heal: true`: AWS alone chooses the pools of a self-healing cluster; keep one of them"
    return [(("max_share_per_pool",), True, text)]


def _plain_http(data: dict[str, Any]) -> KeyMessages:
    """Without a checksum, an attacker between a node and a plain http address controls what runs there as root."""
    path: KeyPath = ("bacalhau", "download_url")
    url = lookup(data, path)
    if not isinstance(url, str) or not url.startswith("http://") or _LOOPBACK.match(url):
        return []
    if lookup(data, ("bacalhau", "verify_archive")) is False:
        return [
            (
                path,
                False,
                "is plain http, which needs `verify_archive`; use https, or remove `verify_archive: false`",
            )
        ]
    if not lookup(data, ("bacalhau", "sha256")):
        return [(path, False, "is plain http; give the archive's sums in `bacalhau.sha256`, or use https")]
    return []


def orchestrator_mode(data: dict[str, Any]) -> OrchestratorMode | None:
    """The mode of a configuration; None for an invalid value of `orchestrator`."""
    value = data.get("orchestrator")
    if value is None:
        addresses = lookup(data, ("bacalhau", "orchestrators"))
        return OrchestratorMode.UNSET if addresses is None else OrchestratorMode.OWN
    if isinstance(value, dict):
        return OrchestratorMode.SHARED if "cluster" in value else OrchestratorMode.MANAGED
    return _MODES.get(value) if isinstance(value, str) else None


_MODES: Final = {
    mode.value: mode for mode in (OrchestratorMode.MANAGED, OrchestratorMode.OWN, OrchestratorMode.NONE)
}
# The keys that describe an orchestrator of the user's own.
OWN_ORCHESTRATOR_KEYS: Final = ("orchestrators", "token", "token_file", "token_env", "tls", "ca_file", "api")


def _orchestrator(data: dict[str, Any]) -> KeyMessages:
    mode = orchestrator_mode(data)
    if data.get("orchestrator") is None or mode is None:
        return []
    addresses = lookup(data, ("bacalhau", "orchestrators"))
    if mode is OrchestratorMode.OWN:
        return [] if addresses is not None else [(("orchestrator",), False, _NEEDS_ADDRESSES)]
    excluded = OWN_ORCHESTRATOR_KEYS[:1] if mode is OrchestratorMode.NONE else OWN_ORCHESTRATOR_KEYS
    form = _FORMS[mode]
    messages: KeyMessages = [
        (
            path,
            True,
            f"belongs to an orchestrator of your own, and `orchestrator` is {form}; remove this key, or set `orchestrator: own`",
        )
        for path in ((("bacalhau", key)) for key in excluded)
        if lookup(data, path) not in (None, {})
    ]
    return [*messages, *_shared_cluster(data), *_reconcile(data)]


def _reconcile(data: dict[str, Any]) -> KeyMessages:
    path: KeyPath = ("orchestrator", "reconcile")
    section = lookup(data, path)
    if not isinstance(section, dict):
        return []
    messages: KeyMessages = []
    if not section.get("package") and not project.PACKAGE:
        text = (
            "needs `package`, the address of a wheel with its sum: this version of bacalhau-spot is in no package index "
            "(docs/reconcile.md)"
        )
        messages.append((path, False, text))
    if data.get("self_heal") is True and isinstance(data.get("idle_ttl"), str):
        text = (
            "cannot be combined with `self_heal: true` and `idle_ttl`: the machine ends nodes, which AWS would replace; remove "
            "one of the three"
        )
        messages.append((path, True, text))
    return messages


_NEEDS_ADDRESSES: Final = 'found "own"; needs the addresses of the orchestrator, in `bacalhau.orchestrators`'
_FORMS: Final = {
    OrchestratorMode.MANAGED: "managed",
    OrchestratorMode.SHARED: "another cluster's",
    OrchestratorMode.NONE: "none",
}


def _shared_cluster(data: dict[str, Any]) -> KeyMessages:
    path: KeyPath = ("orchestrator", "cluster")
    name = lookup(data, path)
    if not isinstance(name, str) or not name:
        return []
    if name == naming(data.get("cluster")).tag_value:
        return [
            (
                path,
                False,
                f'"{name}" is this cluster itself; name another one, or write `orchestrator: managed`',
            )
        ]
    problems = tag_problems(Naming(tag_value=name))
    return [(path, False, problem.message) for problem in problems if problem.field == "tag_value"]


def _file_sources(data: dict[str, Any]) -> KeyMessages:
    files = lookup(data, ("instance", "files"))
    messages: KeyMessages = []
    for number, file in enumerate(files if isinstance(files, list) else ()):
        if isinstance(file, dict):
            given = [key for key in ("content", "source") if file.get(key) is not None]
            here: KeyPath = ("instance", "files", number)
            if not given:
                messages.append((here, False, "needs `content` or `source`"))
            elif len(given) > 1:
                messages.append(
                    ((*here, "source"), True, "cannot be combined with `content`; keep one of them")
                )
    return messages


_RECEIVER_KEYS: Final = ("url", "url_env", "url_file", "command")


def _receivers(data: dict[str, Any]) -> KeyMessages:
    """Each receiver of notices is one webhook or one command."""
    receivers = lookup(data, ("notify",))
    messages: KeyMessages = []
    for number, receiver in enumerate(receivers if isinstance(receivers, list) else ()):
        if not isinstance(receiver, dict):
            continue  # the schema reports it
        given = [key for key in _RECEIVER_KEYS if receiver.get(key) is not None]
        here: KeyPath = ("notify", number)
        if not given:
            messages.append((here, False, "needs `url_env`, `url_file`, `url` or `command`"))
        messages += [
            ((*here, key), True, f"cannot be combined with `{given[0]}`; keep one of them")
            for key in given[1:]
        ]
    return messages


def _empty(data: object, path: KeyPath) -> KeyMessages:
    messages: KeyMessages = []
    if isinstance(data, dict):
        for key, value in data.items():
            here = (*path, key)
            if value is not None:
                messages += _empty(value, here)
            elif dotted(here) not in _MAY_BE_EMPTY and path != ("regions",):
                messages.append((here, True, "has no value; give it one, or leave the key out"))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            messages += _empty(value, (*path, number))
    return messages


def region_node_counts(data: dict[str, Any]) -> list[int | None]:
    """Each region's own number of nodes; None for one that shares. Empty when regions are not a mapping."""
    regions = data.get("regions")
    if not isinstance(regions, dict) or "auto" in regions:
        return []
    own = [region.get("nodes") if isinstance(region, dict) else None for region in regions.values()]
    return [number if type(number) is int else None for number in own]


def _numbers(data: dict[str, Any]) -> KeyMessages:
    """`nodes` is the total; the regions' own numbers are part of it."""
    own = region_node_counts(data)
    fixed = [number for number in own if number is not None]
    nodes = data.get("nodes")
    if min(fixed, default=-1) < 0:  # none, or one that another rule reports
        return []
    complete = len(fixed) == len(own)
    if nodes is None:
        return [] if complete else [_NODES_MISSING]
    if type(nodes) is not int or nodes < 0:
        return []
    return _sum_problem(nodes, sum(fixed), complete=complete)


def _sum_problem(nodes: int, total: int, *, complete: bool) -> KeyMessages:
    """`complete`: every region has its own number."""
    if total > nodes:
        return [(("nodes",), False, f"found {nodes}; the regions' own numbers add up to {total}")]
    if complete and total != nodes:
        message = f"found {nodes}; every region has its own number, and they add up to {total}"
        return [(("nodes",), False, message)]
    return []


_NODES_MISSING: Final = (
    ("nodes",),
    True,
    "is missing: some regions have their own number, and the others share the rest of `nodes`",
)


def naming(cluster: object) -> Naming:
    """The names and tags of a `cluster` section; values that are not text count as missing."""
    section = cluster if isinstance(cluster, dict) else {}
    given = {
        key: section[key]
        for key in ("tag_key", "tag_value", "creator", "resource_prefix", "vpc_name")
        if isinstance(section.get(key), str)
    }
    name = section.get("name")
    if "tag_value" not in given and isinstance(name, str) and name:
        given["tag_value"] = name
    tags = section.get("tags")
    extra = tags.items() if isinstance(tags, dict) else ()
    return Naming(**given, extra_tags=tuple((key, value) for key, value in extra if isinstance(value, str)))


def _lifetime(data: dict[str, Any]) -> KeyMessages:
    """A node reads its expiry from a tag through EC2's metadata service, which refuses some keys that a tag may have."""
    if not data.get("ttl"):
        return []
    messages: KeyMessages = []
    for key in metadata_key_problems(naming(data.get("cluster"))):
        section = lookup(data, ("cluster", "tags"))
        is_extra = isinstance(section, dict) and key in section
        path: KeyPath = ("cluster", "tags", key) if is_extra else ("cluster", "tag_key")
        messages.append((path, is_extra, _NO_METADATA_KEY))
    return messages


_NO_METADATA_KEY: Final = (
    "with `ttl`, nodes read a tag from EC2's metadata service, which accepts no tag keys with spaces or slashes; "
    "rename this key, or remove `ttl`"
)


def _tags(data: dict[str, Any]) -> KeyMessages:
    """AWS's rules for tags, with the place of the key that breaks them."""
    section = data.get("cluster")
    messages: KeyMessages = []
    for problem in tag_problems(naming(section)):
        head, _, key = problem.field.partition(".")
        path: KeyPath = ("cluster", head, key) if key else ("cluster", head)
        if head == "tag_value" and not (isinstance(section, dict) and "tag_value" in section):
            path = ("cluster", "name")
        messages.append((path, False, problem.message))
    return messages
