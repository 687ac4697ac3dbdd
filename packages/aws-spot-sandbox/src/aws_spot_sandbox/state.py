"""What a sandbox is right now: its clock, its switches, its random numbers. Everything else in this package reads it.

Every behaviour that AWS has and moto lacks is a switch here, so that a newcomer gets a pleasant AWS, a test a precise one
and a benchmark a slow one. Times are seconds.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT_ID = "000000000000"  # no AWS account has this number: the sandbox is never taken for AWS
ACCESS_KEY_ID = "AKIASANDBOXSANDBOXSB"
SECRET_ACCESS_KEY = "sandbox-secret-access-key"  # noqa: S105 - opens nothing but the sandbox


@dataclass
class Settings:
    """The switches. `sandbox set name=value` changes them while it runs; see docs/sandbox.md for the list."""

    # Time
    latency_s: float = 0.0  # every call takes this long, whichever process makes it
    pending_s: float = 1.0  # an instance is `pending` this long
    terminate_s: float = 1.0  # and `shutting-down` this long
    forget_s: float = 3600.0  # a terminated instance stays listed this long
    read_lag_s: float = 0.0  # reads lag writes: what was made is not found, what was deleted still listed
    # Lists lag by themselves: {"DescribeInstances": 5}; those that are not named by `read_lag_s` (AWS promises no order)
    list_lag_s: dict[str, float] = field(default_factory=dict)
    refill_s: float = 5.0  # what keeps a number of instances replaces one that ends so much later
    tagging_stale_s: float = 0.0  # the tagging API shows what was deleted for so long
    fleet_deletion_s: float = (
        0.0  # a deleted fleet, its instances ended, stays `deleted_terminating` this long
    )
    fleet_s: float = 0.0  # CreateFleet answers so much later than other calls
    iam_lag_s: float = 0.0  # EC2 learns of an instance profile so much later
    checks_s: float = 30.0  # from running until the status checks are passed
    boot_s: float = 20.0  # from running until the node joins the orchestrator
    # Capacity: how many instances a place has room for; absent: no limit. The keys are "region", "zone" or "zone/type"
    # (us-east-1, us-east-1a, us-east-1a/t3.medium); the narrowest wins.
    capacity: dict[str, int] = field(default_factory=dict)
    not_offered: list[str] = field(default_factory=list)  # "zone/type" pools that do not exist there
    no_spot: list[str] = field(default_factory=list)  # "zone/type" or "type": offered, and not sold as spot
    hidden_in_tags: list[str] = field(
        default_factory=list
    )  # types of resources that DescribeTags does not show yet
    blank_fleets: int = 0  # so many more fleets answer with neither instances nor errors; counts down
    zones_without_subnets: list[str] = field(default_factory=list)  # they are offered and take no new subnet
    # Limits
    # vCPUs of spot instances, each group of families by itself; absent: no limit. The keys are "region/family", "region",
    # "*/family" or "*"; the narrowest wins. The families' words are in ec2/spot_quotas.py.
    spot_vcpu_quota: dict[str, int] = field(default_factory=dict)
    quotas: dict[str, int] = field(default_factory=dict)  # {"vpcs": 5}: per region; absent: AWS's defaults
    placement_configurations: int = 50  # new questions for placement scores in 24 hours
    throttle: bool = False  # AWS's request-token buckets, per region
    # The account
    opted_in: list[str] = field(default_factory=list)  # opt-in regions enabled beside the default ones
    tokens_not_valid: list[str] = field(default_factory=list)  # regions that refuse the caller's credentials
    credentials_expire_after_calls: int | None = None  # so many more calls are answered
    credentials_expire_at: float | None = None  # by the sandbox's clock
    deny: list[str] = field(default_factory=list)  # actions ("ec2:CreateVpc") that the caller may not do
    policies: list[dict[str, Any]] = field(
        default_factory=list
    )  # the caller's IAM policies; none: all is allowed
    # Services of AWS's whose role the account has: `spot.amazonaws.com` from the first use of spot instances on
    service_roles: list[str] = field(default_factory=lambda: ["spot.amazonaws.com"])
    shared_vpcs: list[str] = field(default_factory=list)  # ids of VPCs that another account owns and shares
    # VPC Block Public Access by region, or "*": "block-bidirectional" or "block-ingress"; absent: off
    block_public_access: dict[str, str] = field(default_factory=dict)
    default_key_without_spot: bool = (
        False  # the default EBS key is the account's own; spot's role may not use it
    )
    # Faults. Each has a `match` ("CreateSubnet", "ec2:*") and a `code`, and may have `region`, `message`, `status` (400),
    # `count` (how often; absent: always), `after` (let so many pass first), `when` ("after": it is done, and then the answer
    # is the fault). The code ConnectionReset answers nothing. Both numbers are counted down here.
    faults: list[dict[str, Any]] = field(default_factory=list)
    vpc_prices: bool = False  # Linux prices stand under "Linux/UNIX (Amazon VPC)", as in older accounts
    price_factor: float = 1.0  # all spot prices times this
    # Spot prices (Linux) at exact times: {"pool": "us-east-1a/t3.medium", "at": seconds since 1970, "usd": 0.0125}. The pool
    # may also be a zone, a type, a region or "*"; the narrowest wins. They replace the generated ones from the first step on.
    prices: list[dict[str, Any]] = field(default_factory=list)
    # Nodes. Their names are instances, "zone/type" pools, zones, types, regions, or "*"; the narrowest wins.
    stuck: dict[str, str] = field(default_factory=dict)  # how far their boot gets: nodes.boot.STUCK
    without_docker: list[str] = field(default_factory=list)  # they join, and offer wasm only
    impaired: list[str] = field(default_factory=list)  # they fail their instance status check
    executions: dict[str, int] = field(default_factory=dict)  # how many executions run on each
    # The orchestrator
    orchestrator_token: str | None = None  # the nodes' token must be this one; null: any will do
    orchestrator_api_key: str | None = None  # its API wants this key, or "user:password"; null: it is open
    orchestrator_read_only: bool = False  # that key may look and not change
    assume_orchestrator: bool = False  # nodes that were told of none find this one nevertheless
    manual_approval: bool = False  # new nodes are PENDING until somebody approves them

    @classmethod
    def names(cls) -> list[str]:
        return [item.name for item in fields(cls)]


@dataclass
class World:
    """One sandbox. `now` is injected so that tests need no real time; `sleep` likewise."""

    settings: Settings = field(default_factory=Settings)
    profiles: dict[str, float] = field(default_factory=dict)  # when EC2 learns of an instance profile
    # What a fleet does not find yet, by region: ids that are younger than the read lag
    unseen_by_fleets: dict[str, frozenset[str]] = field(default_factory=dict)
    placement_questions: dict[str, float] = field(default_factory=dict)  # when each was first asked
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    seed: int = 7
    # (region, service:Action, outcome) of every call, in the order of their answers
    calls: list[tuple[str, str, str]] = field(default_factory=list)

    # (region, service:Action of the call, service:Action that IAM was asked for), while there are policies
    evaluated: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a repeatable world is wanted, not an unpredictable one
