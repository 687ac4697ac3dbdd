"""The state of a sandbox: its clock, its switches, its random numbers. The rest of the package reads it.

Every behaviour of AWS that moto lacks is a switch here, so that new users get a quick AWS, tests an exact one and
benchmarks a slow one. Times are seconds.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aws_spot_sandbox.iam.sessions import Session

T = TypeVar("T")

ACCOUNT_ID = "000000000000"  # not a valid AWS account, so that the sandbox is never mistaken for AWS
ACCESS_KEY_ID = "AKIASANDBOXSANDBOXSB"
SECRET_ACCESS_KEY = "sandbox-secret-access-key"  # noqa: S105 - valid in the sandbox only


@dataclass
class Settings:
    """The switches. `sandbox set name=value` changes them at run time; docs/sandbox.md lists them."""

    # Time
    latency_s: float = 0.0  # delay of every call, from any process
    pending_s: float = 1.0  # an instance is `pending` this long
    terminate_s: float = 1.0  # and `shutting-down` this long
    forget_s: float = 3600.0  # a terminated instance stays listed this long
    read_lag_s: float = 0.0  # reads lag behind writes: new resources are not found, deleted ones still listed
    # The lag of single lists: {"DescribeInstances": 5}; others use `read_lag_s` (AWS defines no order)
    list_lag_s: dict[str, float] = field(default_factory=dict)
    refill_s: float = 5.0  # delay after which fleets replace a terminated instance
    health_check_s: float = 60.0  # interval of the health checks of an Auto Scaling group, and of its retries
    scaling_s: float = 0.0  # delay from a change of an Auto Scaling group to its launches and terminations
    schedule_delay_s: float = 0.0  # delay of scheduled actions; with AWS up to two minutes
    tagging_stale_s: float = 0.0  # the tagging API lists deleted resources this long
    fleet_deletion_s: float = (
        0.0  # a deleted fleet with terminated instances stays `deleted_terminating` this long
    )
    fleet_s: float = 0.0  # additional delay of CreateFleet
    image_s: float = 5.0  # a new image, or a copy of one, is `pending` this long
    iam_lag_s: float = 0.0  # delay until an instance profile is visible to EC2
    checks_s: float = 30.0  # from running until the status checks pass
    boot_s: float = 20.0  # from running until the node joins the orchestrator
    # Capacity: the number of instances that can run; absent: no limit. The keys are "region", "zone" or "zone/type"
    # (us-east-1, us-east-1a, us-east-1a/t3.medium); the narrowest applies.
    capacity: dict[str, int] = field(default_factory=dict)
    # Times without free capacity: {"pool": "us-east-1a/t3.medium", "from": seconds since 1970, "until": seconds since
    # 1970}. The pool may also be a zone, a type, a region or "*". Running instances are not interrupted.
    outages: list[dict[str, Any]] = field(default_factory=list)
    not_offered: list[str] = field(default_factory=list)  # "zone/type" pools that the zone does not offer
    no_spot: list[str] = field(default_factory=list)  # "zone/type" or "type": offered, but not as spot
    hidden_in_tags: list[str] = field(
        default_factory=list
    )  # resource types that DescribeTags and GetResources do not list yet
    blank_fleets: int = 0  # number of next fleets that return neither instances nor errors; counts down
    zones_without_subnets: list[str] = field(default_factory=list)  # offered, but without new subnets
    # Limits
    # vCPUs of spot instances, per group of families; absent: no limit. The keys are "region/family", "region",
    # "*/family" or "*"; the narrowest applies. The names of the families are in ec2/spot_quotas.py.
    spot_vcpu_quota: dict[str, int] = field(default_factory=dict)
    on_demand_vcpu_quota: dict[str, int] = field(default_factory=dict)  # of on-demand instances, likewise
    quotas: dict[str, int] = field(default_factory=dict)  # {"vpcs": 5}: per region; absent: AWS's defaults
    placement_configurations: int = 50  # new placement score requests in 24 hours
    throttle: bool = False  # AWS's request-token buckets, per region
    # The account
    opted_in: list[str] = field(default_factory=list)  # enabled regions besides the default ones
    tokens_not_valid: list[str] = field(default_factory=list)  # regions that refuse the caller's credentials
    credentials_expire_after_calls: int | None = None  # number of further calls that succeed
    credentials_expire_at: float | None = None  # by the sandbox's clock
    deny: list[str] = field(default_factory=list)  # actions ("ec2:CreateVpc") denied to the caller
    policies: list[dict[str, Any]] = field(
        default_factory=list
    )  # the caller's IAM policies; without any, every action is allowed
    # Services whose service-linked role exists: each after the first use of spot instances, and of Auto Scaling
    service_roles: list[str] = field(
        default_factory=lambda: ["spot.amazonaws.com", "autoscaling.amazonaws.com"]
    )
    taken_buckets: list[str] = field(default_factory=list)  # bucket names of other accounts
    shared_vpcs: list[str] = field(default_factory=list)  # ids of VPCs owned and shared by another account
    # VPC Block Public Access by region, or "*": "block-bidirectional" or "block-ingress"; absent: off
    block_public_access: dict[str, str] = field(default_factory=dict)
    default_key_without_spot: bool = (
        False  # the default EBS key is the account's own, without a grant for the spot role
    )
    # Faults. Each has a `match` ("CreateSubnet", "ec2:*") and a `code`, and may have `region`, `message`, `status`
    # (400), `count` (how often; absent: always), `after` (number of calls to pass first), `when` ("after": the call is
    # executed, then the fault is returned). The code ConnectionReset closes the connection without a reply. Both
    # numbers are counted down here.
    faults: list[dict[str, Any]] = field(default_factory=list)
    vpc_prices: bool = False  # Linux prices are listed as "Linux/UNIX (Amazon VPC)", as in older accounts
    price_factor: float = 1.0  # factor for all spot prices
    # Spot prices (Linux) at exact times: {"pool": "us-east-1a/t3.medium", "at": seconds since 1970, "usd": 0.0125}. The
    # pool may also be a zone, a type, a region or "*"; the narrowest applies. They replace the generated ones from the
    # first step on.
    prices: list[dict[str, Any]] = field(default_factory=list)
    # The names are instances, "zone/type" pools, zones, types, regions, or "*"; the narrowest applies.
    impaired: list[str] = field(default_factory=list)  # instances that fail the instance status check


@dataclass
class World:
    """One sandbox. `now` and `sleep` are injected so that tests need no real time."""

    settings: Settings = field(default_factory=Settings)
    plugin_settings: dict[type, Any] = field(default_factory=dict)  # switches of the plug-ins, by their class
    profiles: dict[str, float] = field(default_factory=dict)  # when EC2 sees an instance profile
    sessions: dict[str, Session] = field(default_factory=dict)  # credentials of instances, by access key id
    # Ids that a fleet does not find yet, by region: younger than half the read lag
    unseen_by_fleets: dict[str, frozenset[str]] = field(default_factory=dict)
    placement_questions: dict[str, float] = field(default_factory=dict)  # time of each first request
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    seed: int = 7
    url: str = ""  # of the sandbox, while it listens
    folder: Path | None = None  # for the files of plug-ins; None: a temporary one
    # (region, service:Action, outcome) of every call, in the order of the replies
    calls: list[tuple[str, str, str]] = field(default_factory=list)

    # (region, service:Action of the call, service:Action that was authorized), if there are policies
    evaluated: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - repeatable, not cryptographic

    def settings_of(self, kind: type[T]) -> T:
        """The switches of a plug-in: a dataclass, with default values at first."""
        return cast("T", self.plugin_settings.setdefault(kind, kind()))

    def all_settings(self) -> list[Any]:
        return [self.settings, *self.plugin_settings.values()]
