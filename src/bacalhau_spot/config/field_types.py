"""The types of values in a configuration: each with its allowed values, as text and as a check.

A type states its allowed values once; an error then reads "found …; must be <that>", unless the check has a better
sentence.
"""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args

from annotated_types import Ge, GroupedMetadata, Le
from pydantic import AfterValidator, Field, SecretStr, Strict, ValidationError, WithJsonSchema, WrapValidator
from pydantic_core import PydanticCustomError

from bacalhau_spot.core.lifecycle.durations import DURATION, duration_s
from bacalhau_spot.core.model import MAX_PRICE_USD, MIN_PRICE_USD

if TYPE_CHECKING:
    from collections.abc import Iterator

# The error types that these kinds raise; wording.py turns them into lines.
MUST: Final = "must"  # "found …; must be <allowed>"
SAY: Final = "say"  # the sentence as it stands
TRUE_OR_FALSE: Final = "true or false"

DEFAULT_PORT: Final = 4222
# NATS takes a line of 4 KiB at the beginning of a connection, and SSM's Parameter Store a value of 4 KiB.
MAX_TOKEN: Final = 4096

_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)"
_ORCHESTRATOR = re.compile(rf"(?:(?P<scheme>nats|tls)://)?(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?/?")
_API_HOST = re.compile(rf"(?:https?://)?{_HOST}(?::[0-9]{{1,5}})?/?")
_PLACEHOLDER = re.compile(r"<[^<>]*>")


def must(allowed: str, *, secret: bool = False) -> WrapValidator:
    """An error inside is reported as `must be <allowed>`; a sentence of the program (SAY) passes unchanged."""

    def check(value: object, handler: Any) -> object:
        try:
            return handler(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            if first["type"] == SAY:
                raise PydanticCustomError("say", "{text}", first.get("ctx") or {}) from None
            raise PydanticCustomError("must", "{allowed}", {"allowed": allowed, "secret": secret}) from None

    return WrapValidator(check)


def say(text: str) -> PydanticCustomError:
    """A sentence for one particular mistake."""
    return PydanticCustomError("say", "{text}", {"text": text})


def _not_placeholder(value: str) -> str:
    if _PLACEHOLDER.search(value):
        raise say("is still the example's placeholder; replace it with your own value")
    return value


def matching(pattern: str) -> Any:
    """Text that matches `pattern` as a whole."""
    return Field(strict=True, pattern=f"^(?:{pattern})$")


class Whole(GroupedMetadata):
    """A whole number; both bounds are included."""

    def __init__(self, least: int, most: int, unit: str = "") -> None:
        self._least, self._most, self._unit = least, most, unit

    def __iter__(self) -> Iterator[object]:
        of = f" of {self._unit}" if self._unit else ""
        yield Strict()
        yield Ge(self._least)
        yield Le(self._most)
        yield must(f"a whole number{of} from {self._least} to {self._most}")


def _region(value: str) -> str:
    if re.fullmatch(r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+[a-z]", value):
        raise say(f'"{value}" is an availability zone; name its region, {value[:-1]}')
    if not re.fullmatch(REGION, value):
        raise ValueError(value)
    return value


REGION: Final = r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+"
RegionName = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_region),
    must("a region's name such as us-east-1"),
    WithJsonSchema({"type": "string", "pattern": f"^{REGION}$"}),
]


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value.strip()))
    except ValueError:
        pass
    try:
        around = ipaddress.ip_network(value.strip(), strict=False)
    except ValueError:
        raise ValueError(value) from None
    raise say(f'"{value}" has bits set beyond its prefix; the network around it is {around}')


Cidr = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_cidr),
    must("an address range such as 203.0.113.7/32"),
    WithJsonSchema({"type": "string"}),
]


def _orchestrator(value: str) -> str:
    _not_placeholder(value)
    if "@" in value:
        # Not quoted: the part before the @ is a secret.
        raise say("has a token in the address; the token belongs in bacalhau.token, token_file or token_env")
    match = _ORCHESTRATOR.fullmatch(value)
    if not match or not 1 <= int(match["port"] or DEFAULT_PORT) <= 65535:  # noqa: PLR2004 -- TCP's last port
        raise ValueError(value)
    return f"{match['scheme'] or 'nats'}://{match['host']}:{match['port'] or DEFAULT_PORT}"


Orchestrator = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_orchestrator),
    must("an address such as nats://orchestrator.example.com:4222"),
    WithJsonSchema({"type": "string"}),
]


def _api_host(value: str) -> str:
    _not_placeholder(value)
    if "@" in value:
        # Not quoted: the part before the @ is a secret.
        raise say(
            "has a user or a key in the address; they belong in user_env and password_env, or in key_env"
        )
    if not _API_HOST.fullmatch(value):
        raise ValueError(value)
    return value.rstrip("/")


ApiHost = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_api_host),
    must("a host or an address such as https://orchestrator.example.com:1234"),
    WithJsonSchema({"type": "string"}),
]


def _token(value: SecretStr) -> SecretStr:
    plain = value.get_secret_value()
    _not_placeholder(plain)
    if len(plain) > MAX_TOKEN:
        raise say(f"has {len(plain)} characters; a token has at most {MAX_TOKEN}")
    if not plain or not plain.isprintable() or any(letter.isspace() for letter in plain):
        raise ValueError
    return value


Token = Annotated[
    SecretStr,
    Field(strict=True),
    AfterValidator(_token),
    must("text without spaces", secret=True),
    WithJsonSchema({"type": "string"}),
]


# Slack's and Discord's addresses have about a hundred characters.
WEBHOOK: Final = re.compile(
    rf"(?=.{{1,2048}}\Z)https?://(?:[!-.0-~]*@)?{_HOST}(?::[0-9]{{1,5}})?(?:[/?][!-~]*)?"
)


def _webhook(value: SecretStr) -> SecretStr:
    plain = value.get_secret_value()
    _not_placeholder(plain)
    if not WEBHOOK.fullmatch(plain):
        raise ValueError
    return value


WebhookUrl = Annotated[
    SecretStr,
    Field(strict=True),
    AfterValidator(_webhook),
    must("an address such as https://hooks.example.com/T0/B0", secret=True),
    WithJsonSchema({"type": "string"}),
]


def _not_blank(value: str) -> str:
    if not value.strip() or "\0" in value:
        raise ValueError(value)
    return value


ShellCommand = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_not_blank),
    must("a shell command"),
    WithJsonSchema({"type": "string"}),
]

NoticeKinds = Literal["create-ended", "interruption", "replacement", "budget-reached", "cluster-expired"]
NoticeEvent = Annotated[
    NoticeKinds, must(", ".join(get_args(NoticeKinds)[:-1]) + f" or {get_args(NoticeKinds)[-1]}")
]


def _version(value: str) -> str:
    if not re.fullmatch(VERSION, value):
        raise ValueError(value)
    return value if value.startswith("v") else f"v{value}"


VERSION: Final = r"v?[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?"
Version = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_version),
    must("a release such as v1.9.3"),
    WithJsonSchema({"type": "string", "pattern": f"^{VERSION}$"}),
]


def _url(value: str) -> str:
    _not_placeholder(value)
    if not re.fullmatch(r"https?://[!-~]+", value):
        raise ValueError(value)
    unknown = set(re.findall(r"\{([^{}]*)\}", value)) - {"version", "arch"}
    if unknown:
        raise say(f"may contain {{version}} and {{arch}} only, not {{{min(unknown)}}}")
    return value


DownloadUrl = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_url),
    must("an address beginning with https:// or http://"),
    WithJsonSchema({"type": "string", "pattern": "^https?://"}),
]

_RESERVED_LABELS: Final = {"name", "os_type", "os_arch"}


def _label_key(value: str) -> str:
    if value in _RESERVED_LABELS:
        raise say(f"`{value}` is a label that Bacalhau sets itself; choose another name")
    if not re.fullmatch(LABEL_KEY, value):
        raise ValueError(value)
    return value


LABEL_KEY: Final = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
# Bacalhau lower-cases keys and breaks on dots; beyond that, job constraints match by Kubernetes' rules for labels.
LabelKey = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_label_key),
    must("lower-case letters, digits, - and _ (no dots), at most 63"),
    WithJsonSchema({"type": "string", "pattern": f"^{LABEL_KEY}$"}),
]
LabelValue = Annotated[
    str,
    matching(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"),
    must("letters, digits, - _ and ., at most 63, beginning and ending with a letter or digit"),
]


def _amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_PRICE_USD:
        raise ValueError  # `not`: every comparison with NaN is false
    return Decimal(str(value))


def _price(value: object) -> Decimal:
    price = _amount(value)
    if price <= MIN_PRICE_USD:
        raise ValueError
    return price


Amount = Annotated[
    Any,
    AfterValidator(_amount),
    must(f"a price in US dollars an hour, above 0 and up to {MAX_PRICE_USD}, such as 0.05"),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": int(MAX_PRICE_USD)}),
]
Price = Annotated[
    Any,
    AfterValidator(_price),
    must(f"a price in US dollars an hour, above {MIN_PRICE_USD} and up to {MAX_PRICE_USD}, such as 0.05"),
    WithJsonSchema(
        {"type": "number", "exclusiveMinimum": float(MIN_PRICE_USD), "maximum": int(MAX_PRICE_USD)}
    ),
]

RANGE: Final = r"(?P<least>[0-9]{1,5}(?:\.[0-9]{1,3})?)(?P<to>\.\.(?P<most>[0-9]{1,5}(?:\.[0-9]{1,3})?)?)?"


def bounds(value: float | str) -> tuple[Decimal, Decimal | None]:
    """`2` -> exactly two, `"2.."` -> two or more, `"2..4"` -> from two to four. Raises ValueError for anything else."""
    match = re.fullmatch(RANGE, str(value))
    if isinstance(value, bool) or not match:
        raise ValueError(value)
    least = Decimal(match["least"])
    most = Decimal(match["most"]) if match["most"] else None
    return least, most if match["to"] else least


def _span(value: object) -> object:
    if not isinstance(value, int | float | str):
        raise ValueError(value)  # noqa: TRY004 -- pydantic collects ValueError only
    least, most = bounds(value)
    if most is not None and most < least:
        raise say(f"{value} ends before it begins; the smaller number comes first")
    if not most and not least:
        raise ValueError(value)
    return value


def _whole_span(value: object) -> object:
    if "." in str(value).replace("..", ""):
        raise ValueError(value)
    return value


_SPAN_SCHEMA: Final = {
    "oneOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^[0-9]{1,5}(\.[0-9]{1,3})?(\.\.([0-9]{1,5}(\.[0-9]{1,3})?)?)?$"},
    ]
}
_SPAN_WORDS: Final = 'a number (exactly), "2.." (at least) or "2..4" (from, to)'
Vcpus = Annotated[
    Any,
    AfterValidator(_span),
    AfterValidator(_whole_span),
    must(f"a whole-numbered range: {_SPAN_WORDS}"),
    WithJsonSchema(_SPAN_SCHEMA),
]
MemoryGib = Annotated[
    Any, AfterValidator(_span), must(f"a range in GiB: {_SPAN_WORDS}"), WithJsonSchema(_SPAN_SCHEMA)
]


def _gpu_span(value: object) -> object:
    """As `_span`, but none at all is something to ask for."""
    return value if str(value) == "0" and not isinstance(value, bool) else _span(value)


Gpus = Annotated[
    Any,
    AfterValidator(_gpu_span),
    AfterValidator(_whole_span),
    must(f"a whole-numbered range: {_SPAN_WORDS}"),
    WithJsonSchema(_SPAN_SCHEMA),
]


def share(value: float | str) -> Decimal:
    """`0.25` or `"25%"` as a fraction. Raises ValueError unless above 0 and up to 1."""
    text = str(value)
    percent = isinstance(value, str) and text.endswith("%")
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,6})?", text.removesuffix("%")):
        raise ValueError(value)
    if isinstance(value, str) and not percent:
        raise ValueError(value)
    part = Decimal(text.removesuffix("%")) / (100 if percent else 1)
    if not 0 < part <= 1:
        raise ValueError(value)
    return part


def _share(value: object) -> object:
    if not isinstance(value, int | float | str):
        raise ValueError(value)  # noqa: TRY004 -- pydantic collects ValueError only
    share(value)
    return value


Share = Annotated[
    Any,
    AfterValidator(_share),
    must(
        "a share of the nodes: a number above 0 and up to 1, without quotes, such as 0.25; or a percentage such as 25%"
    ),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,6})?%$"},
            ]
        }
    ),
]


def _not_built(value: object) -> object:
    if value is None or value is False:
        return value
    raise say("is not built yet; leave the key out, or set it to false")


def _lifetime(least: str, most: str, *, why: str) -> Any:
    """A duration between two others, both included, or false."""
    allowed = f"days, hours and minutes from {least} to {most} such as 90m, 8h, 2d or 1h30m, or false"

    def check(value: object) -> object:
        if value is False:
            return value
        seconds = duration_s(value) if isinstance(value, str) else None
        if seconds is None:
            raise ValueError(value)
        if seconds < (duration_s(least) or 0):
            raise say(f'"{value}" is too short; {why}')
        if seconds > (duration_s(most) or 0):
            raise ValueError(value)
        return value

    return Annotated[
        Any,
        AfterValidator(check),
        must(allowed),
        WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^{DURATION}$"}, {"enum": [False, None]}]}),
    ]


def _interval(value: object) -> object:
    match = re.fullmatch(INTERVAL, value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(value)
    seconds = int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
    if not SHORTEST_INTERVAL_S <= seconds <= LONGEST_INTERVAL_S:
        raise ValueError(value)
    return value


INTERVAL: Final = r"([0-9]{1,5})([smh])"
SHORTEST_INTERVAL_S: Final = 10
LONGEST_INTERVAL_S: Final = 86400
Interval = Annotated[
    Any,
    AfterValidator(_interval),
    must("seconds, minutes or hours from 10s to 24h, such as 30s, 5m or 1h"),
    WithJsonSchema({"type": "string", "pattern": f"^{INTERVAL}$"}),
]


def _package(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(PACKAGE, value):
        raise ValueError(value)
    return value


# A program that runs with the rights of the cluster: a fixed release, or a file with its sum.
PACKAGE: Final = (
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}==[0-9][0-9A-Za-z.!+]{0,49}"
    r"|https://[!-~]{1,500}\.whl#sha256=[0-9a-fA-F]{64}"
)
Package = Annotated[
    Any,
    AfterValidator(_package),
    must(
        "a fixed release such as bacalhau-spot==1.0.0, or the https address of a wheel with its sum: "
        "https://example.com/bacalhau_spot-1.0.0-py3-none-any.whl#sha256=…"
    ),
    WithJsonSchema({"type": "string", "pattern": f"^(?:{PACKAGE})$"}),
]

# A year is more than any spot cluster lasts: a longer time is a mistake.
LONGEST_TTL: Final = "366d"
Ttl = _lifetime("15m", LONGEST_TTL, why="a node boots and joins in minutes, so a cluster lives at least 15m")
IdleTtl = _lifetime("10m", "30d", why="a job may wait for minutes between its parts, so the least is 10m")
NotBuilt = Annotated[Any, AfterValidator(_not_built), WithJsonSchema({"enum": [False, None]})]


def _username(value: str) -> str:
    if value == "root":
        raise say("may not be root; choose another name, the user gets sudo")
    if not re.fullmatch(USERNAME, value):
        raise ValueError(value)
    return value


USERNAME: Final = r"[a-z_][a-z0-9_-]{0,31}"
Username = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_username),
    must("a user name: lower-case letters, digits, - and _, beginning with a letter, at most 32"),
    WithJsonSchema({"type": "string", "pattern": f"^{USERNAME}$"}),
]


def _node_path(value: str) -> str:
    parts = value.split("/")
    if not value.startswith("/") or value.endswith("/") or ".." in parts or not value.isprintable():
        raise ValueError(value)
    return value


NodePath = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_node_path),
    must("an absolute path of a file on the node, without `..`"),
    WithJsonSchema({"type": "string", "pattern": "^/.*[^/]$"}),
]


LocalPath = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_not_blank),
    must("the path of a file"),
    WithJsonSchema({"type": "string", "minLength": 1}),
]

YesNo = Annotated[bool, Field(strict=True), must(TRUE_OR_FALSE)]
AnyText = Annotated[str, Field(strict=True), must("text")]
FileContent = Annotated[str, Field(strict=True), must("text", secret=True)]
NameText = Annotated[str, Field(strict=True, min_length=1), must("text, not empty")]
InstanceType = Annotated[
    str, matching(r"[a-z][a-z0-9-]*\.[a-z0-9-]+"), must("an instance type such as t3.medium")
]


def _orchestrator_type(value: str) -> str:
    # EC2 user guide, "Amazon EC2 Mac instances": their architectures are x86_64_mac and arm64_mac, for macOS images only.
    if value.startswith("mac"):
        raise say(f'"{value}" runs macOS only; the orchestrator needs a type for Ubuntu, x86_64 or arm64')
    return value


OrchestratorType = Annotated[InstanceType, AfterValidator(_orchestrator_type)]


def _orchestrator_word(value: str) -> str:
    if value in ORCHESTRATOR_WORDS:
        return value
    if ":" in value or "." in value:
        raise say("takes no address; write it in `bacalhau.orchestrators`, and `own` here")
    raise ValueError(value)


ORCHESTRATOR_WORDS: Final = ("managed", "own", "none")
ORCHESTRATOR_FORMS: Final = (
    "managed, own, none, {cluster: NAME}, or the settings of a managed one: region, instance_type, volume_gib"
)
OrchestratorWord = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_orchestrator_word),
    must(ORCHESTRATOR_FORMS),
    WithJsonSchema({"enum": list(ORCHESTRATOR_WORDS)}),
]
Family = Annotated[
    str,
    matching(r"[a-z][a-z0-9-]*[0-9][a-z0-9-]*\*?"),
    must("a family of instance types such as m6a, or m6* for all with that prefix"),
]
Image = Annotated[
    str,
    matching(r"auto|baked|ami-[0-9a-f]{8,17}|ssm:/[A-Za-z0-9_./-]+"),
    must("auto, baked, an image's id (ami-…), or ssm:/ and a parameter's name"),
]
VpcId = Annotated[str, matching(r"vpc-[0-9a-f]{8,17}"), must("a VPC's id (vpc-…)")]
EnvName = Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_]*"), must("the name of an environment variable")]
Sha256 = Annotated[str, matching(r"[0-9a-fA-F]{64}"), must("a SHA-256 sum: 64 hexadecimal digits")]
Mode = Annotated[str, matching(r"0?[0-7]{3}"), must('permissions as octal text in quotes, such as "0644"')]
Arch = Annotated[Literal["x86_64", "arm64"], must("x86_64 or arm64")]
Secrets = Annotated[Literal["user_data", "ssm"], must("user_data or ssm")]
Tls = Annotated[Literal["none", "native", "proxy"], must("none, native or proxy")]
Spread = Annotated[Literal["failover", "strict"], must("failover or strict")]
NodeCount = Annotated[int, Whole(0, 10_000)]
RegionCount = Annotated[int, Whole(1, 40)]
VolumeGib = Annotated[int, Whole(8, 16384, "GiB")]
GraceSeconds = Annotated[int, Whole(0, 100, "seconds")]
CallSeconds = Annotated[int, Whole(5, 3600, "seconds")]
WaitSeconds = Annotated[int, Whole(10, 86400, "seconds")]
