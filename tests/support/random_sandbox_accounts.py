"""Random accounts in the sandbox: clusters whole and half made, ours and others', protected, tangled, in bad weather."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from bacalhau_spot.core.tags import Scope
from support import busy_account
from support.account_snapshot import account_snapshot
from support.foreign_dependencies import ATTACHED_TO_OURS, IN_OUR_NETWORK, REGION, ForeignScene
from support.one_of_each import ResourceFixture

KEY = "bacalhau-cluster"
CREATOR = busy_account.OURS["CreatedBy"]
SECOND = {KEY: "second", "CreatedBy": CREATOR}
STRANGERS = (
    {KEY: "third", "CreatedBy": "somebody-else"},
    {f"{KEY}-2": busy_account.OURS[KEY], "CreatedBy": CREATOR},
    {KEY: busy_account.OURS[KEY].upper()},
    {"Name": "bacalhau-node"},
)
ACCOUNT = Scope(KEY, busy_account.OURS[KEY], creator=CREATOR)
CLUSTER = Scope(KEY, busy_account.OURS[KEY])
DENIABLE = (
    "ec2:DeleteSubnet",
    "ec2:DeleteVpc",
    "ec2:TerminateInstances",
    "ec2:DeleteVolume",
    "sqs:DeleteQueue",
)


@dataclass
class RandomSandboxAccount:
    """How it is to be cleaned, and what it holds.

    `ours`: keys of the survey that are there for us alone; `births`: after how many changes what appears.
    """

    scope: Scope
    lift: bool
    full: dict[str, str] = field(default_factory=dict)
    own_keys: set[str] = field(default_factory=set)
    births: list[int] = field(default_factory=list)
    tangled: bool = False


def random_sandbox_account(seed: int, sandbox: Any) -> RandomSandboxAccount:
    """Built in the sandbox, which is then as bad as AWS can be."""
    dice = random.Random(seed)
    settings = sandbox.settings
    settings.quotas = {"vpcs": 50, "internet_gateways": 50, "elastic_ips": 50}
    account = RandomSandboxAccount(dice.choice([ACCOUNT, CLUSTER]), lift=dice.random() < 0.3)
    _cluster(dice, sandbox, dice.choice(STRANGERS), "strange")
    if account.scope.creator is None:
        _cluster(dice, sandbox, SECOND, "second")
    before = account_snapshot(sandbox.client, [REGION])
    own = _cluster(dice, sandbox, busy_account.OURS, "ours")
    if account.scope.creator is not None and dice.random() < 0.5:
        _cluster(dice, sandbox, SECOND, "second")
    if dice.random() < 0.3:
        own.identities()
    sandbox.clock.advance(30)
    account.own_keys = account_snapshot(sandbox.client, [REGION]).keys() - before.keys()
    account.tangled = _tangle(dice, sandbox, own)
    sandbox.clock.advance(30)
    account.full = account_snapshot(sandbox.client, [REGION])
    account.births = sorted(dice.randint(1, 25) for _ in range(dice.randint(0, 3)))
    _fault_plan(dice, settings)
    return account


def _cluster(dice: random.Random, sandbox: Any, tags: dict[str, str], name: str) -> ResourceFixture:
    fixture = ResourceFixture(sandbox.client, REGION, tags, name)
    if dice.random() < 0.35:
        _half(dice, fixture)
        return fixture
    fixture.network()
    for part in (fixture.attachments, fixture.storage, fixture.launchers, fixture.services):
        if dice.random() < 0.35:
            part()
    for _ in range(dice.randint(0, 2)):
        _instance(dice, fixture)
    return fixture


def _half(dice: random.Random, resource_fixture: ResourceFixture) -> None:
    """A create that was cut short: a gateway that hangs on nothing, groups without a rule, a subnet or none."""
    ec2 = resource_fixture.ec2
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16", TagSpecifications=resource_fixture.spec("vpc"))["Vpc"][
        "VpcId"
    ]
    if dice.random() < 0.6:
        ec2.create_internet_gateway(TagSpecifications=resource_fixture.spec("internet-gateway"))
    if dice.random() < 0.6:
        reply = ec2.create_subnet(
            VpcId=vpc, CidrBlock="10.7.1.0/24", TagSpecifications=resource_fixture.spec("subnet")
        )
        if dice.random() < 0.6:
            ec2.create_network_interface(
                SubnetId=reply["Subnet"]["SubnetId"],
                TagSpecifications=resource_fixture.spec("network-interface"),
            )
    for number in range(dice.randint(0, 2)):
        ec2.create_security_group(
            GroupName=f"g{number}",
            Description="one",
            VpcId=vpc,
            TagSpecifications=resource_fixture.spec("security-group"),
        )


def _instance(dice: random.Random, resource_fixture: ResourceFixture) -> None:
    """Bought or on spot; protected or not; with a disk that dies with it or outlives it; its parts tagged or not."""
    spot = dice.random() < 0.5
    kinds = ["instance", *(kind for kind in ("volume", "network-interface") if dice.random() < 0.6)]
    disk = {"VolumeSize": 8, "DeleteOnTermination": "volume" not in kinds or dice.random() < 0.7}
    more: dict[str, Any] = {}
    if spot:
        more["InstanceMarketOptions"] = {"MarketType": "spot"}
        kinds.append("spot-instances-request")
    else:
        more["DisableApiTermination"] = dice.random() < 0.25
        more["DisableApiStop"] = dice.random() < 0.15
    resource_fixture.ec2.run_instances(
        ImageId=resource_fixture.image_id(),
        InstanceType="t3.small",
        MinCount=1,
        MaxCount=1,
        SubnetId=resource_fixture.subnet,
        SecurityGroupIds=[resource_fixture.group],
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": disk}],
        TagSpecifications=resource_fixture.spec(*kinds),
        **more,
    )


def _tangle(dice: random.Random, sandbox: Any, resource_fixture: ResourceFixture) -> bool:
    if not resource_fixture.subnet or dice.random() < 0.5:
        return False
    scene = ForeignScene(sandbox, resource_fixture)
    for hook in dice.sample((*IN_OUR_NETWORK, *ATTACHED_TO_OURS), dice.randint(1, 3)):
        hook(scene)
    return True


def _fault_plan(dice: random.Random, settings: Any) -> None:
    settings.terminate_s = dice.choice([1.0, 30.0, 150.0])
    settings.read_lag_s = dice.choice([0.0, 0.0, 2.0])
    settings.tagging_stale_s = dice.choice([0.0, 3600.0])
    settings.deny = [dice.choice(DENIABLE)] if dice.random() < 0.15 else []
    # AWS's throttling and an answer that is lost
    settings.faults = [
        {
            "match": "ec2:De*",
            "code": "RequestLimitExceeded",
            "status": 503,
            "after": 5,
            "count": dice.choice([0, 4]),
        },
        {
            "match": "*Delete*",
            "code": "ConnectionReset",
            "when": "after",
            "after": 3,
            "count": dice.choice([0, 2]),
        },
    ]


def clear(settings: Any) -> None:
    """The weather has passed, and we may do everything."""
    settings.read_lag_s = 0.0
    settings.deny, settings.faults = [], []


def late(sandbox: Any, number: int, region: str) -> None:
    """What a create in another terminal makes meanwhile."""
    ec2 = sandbox.client("ec2", region)
    resource_fixture = ResourceFixture(sandbox.client, region, busy_account.OURS, f"late{number}")
    if number % 3 == 0:
        ec2.create_vpc(CidrBlock="10.8.0.0/16", TagSpecifications=resource_fixture.spec("vpc"))
    elif number % 3 == 1:
        ec2.create_volume(
            AvailabilityZone=f"{region}a", Size=1, TagSpecifications=resource_fixture.spec("volume")
        )
    else:
        ec2.create_security_group(
            GroupName=resource_fixture.name,
            Description="late",
            TagSpecifications=resource_fixture.spec("security-group"),
        )
