"""One region's state: moto's backend, and the resources and attributes that moto lacks."""

from __future__ import annotations

import heapq
import itertools
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.fleets import Fleet
    from aws_spot_sandbox.ec2.images import Image
    from aws_spot_sandbox.ec2.machine import Machine
    from aws_spot_sandbox.ec2.simple_resources import Item
    from aws_spot_sandbox.ec2.spot import SpotRequest
    from aws_spot_sandbox.plugin import Plugin
    from aws_spot_sandbox.state import World

Args = dict[str, Any]  # an action's parameters, with boto3's names
Answer = dict[str, Any]  # and its reply
Action = Callable[["Region", Args], Answer]
Check = Callable[["Region", Args], None]

HEX = "0123456789abcdef"
LOOPBACK = "127.0.0.1"
ELASTIC_IPS = 126  # of one sandbox


class Addresses:
    """Public addresses, all loopback, so that an SSH client never connects to a real host.

    Elastic IPs differ from the addresses of instances. On Linux a program can listen on any of them, so each sandbox of
    this machine has its own, derived from its `port`. Elsewhere only 127.0.0.1 is configured, and is the first one.
    """

    def __init__(self, *, port: int = 0) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._port = port
        self._elastic: set[str] = set()
        self._turns = itertools.count()

    def next(self) -> str:
        # 127.1.0.1 to 127.127.255.254, eight million addresses, except those that end in 0 or 255
        number = next(self._numbers)
        high, last = divmod(number - 1, 254)
        return f"127.{1 + high // 256 % 127}.{high % 256}.{last + 1}"

    def next_elastic(self) -> str | None:
        """An Elastic IP that is not allocated, preferably a new one; None if there is none."""
        with self._lock:
            for address in self._candidates():
                if address not in self._elastic:
                    self._elastic.add(address)
                    return address
        return None

    def give_back(self, address: str) -> None:
        with self._lock:
            self._elastic.discard(address)

    def _candidates(self) -> Iterator[str]:
        # 127.128.0.1 upwards: 126 addresses for each port
        high, low, odd = 128 + (self._port >> 9), self._port >> 1 & 255, self._port & 1
        if not _can_listen(f"127.{high}.{low}.{1 + 127 * odd}"):
            yield LOOPBACK
        for _ in range(ELASTIC_IPS):
            yield f"127.{high}.{low}.{1 + 127 * odd + next(self._turns) % ELASTIC_IPS}"


def _can_listen(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


@dataclass
class Region:
    """A region. Hold `lock` for any access."""

    name: str
    world: World
    backend: Any  # moto's EC2Backend
    addresses: Addresses
    plugins: Plugin
    parameter: Callable[[str, str], str | None]  # (region, name) -> value of an SSM parameter
    find_region: Callable[[str], Region]  # another region, by its name; its images are read without its lock
    machines: dict[str, Machine] = field(default_factory=dict)  # by instance id
    spot_requests: dict[str, SpotRequest] = field(default_factory=dict)
    fleets: dict[str, Fleet] = field(default_factory=dict)
    spot_fleets: dict[str, Fleet] = field(default_factory=dict)
    shelf: dict[str, Item] = field(default_factory=dict)  # resources of kinds that moto lacks, by id
    indexed: dict[str, dict[str, str]] = field(
        default_factory=dict
    )  # ARN -> tags, as last returned by the tagging API
    vanished: dict[str, tuple[float, dict[str, str]]] = field(
        default_factory=dict
    )  # time of deletion, and the last tags
    experiments: Any = None  # of the Fault Injection Service, from its first call on
    scaling: Any = None  # its Auto Scaling groups and their records, from the first call to Auto Scaling on
    on_end: list[Callable[[Region, Machine], None]] = field(
        default_factory=list
    )  # called when an instance begins to shut down
    on_risk: list[Callable[[Region, Machine], None]] = field(
        default_factory=list
    )  # called when AWS recommends to replace a spot instance
    images: dict[str, Image] = field(
        default_factory=dict
    )  # public images that moto lacks, and the account's own
    copies: dict[str, tuple[str, str]] = field(
        default_factory=dict
    )  # client token of CopyImage -> its parameters and the image
    offers: dict[tuple[str, ...], dict[str, set[str]]] = field(
        default_factory=dict
    )  # types per zone, by the switch `not_offered`
    changed: bool = False  # by a call; only time passes in the others
    lock: threading.RLock = field(default_factory=threading.RLock)
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _turns: Iterator[int] = field(default_factory=itertools.count)
    _at: float | None = None  # due time of the action that runs now, if any

    def now(self) -> float:
        """The current time, or in a delayed action its due time, however late the action runs."""
        return self.world.now() if self._at is None else self._at

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC).replace(tzinfo=None)  # moto's times are naive UTC

    def later(self, delay_s: float, action: Callable[[], None]) -> None:
        """Run the action after `delay_s` on the sandbox's clock. Due actions run before the next call is answered."""
        heapq.heappush(self._agenda, (self.now() + delay_s, self.turn(), action))

    def advance(self) -> None:
        now = self.world.now()
        try:
            while self._agenda and self._agenda[0][0] <= now:
                self._at, _, action = heapq.heappop(self._agenda)
                action()
        finally:
            self._at = None

    def turn(self) -> int:
        return next(self._turns)

    def new_id(self, prefix: str) -> str:
        return f"{prefix}-0" + "".join(self.world.random.choices(HEX, k=16))

    def new_fleet_id(self) -> str:
        digits = "".join(self.world.random.choices(HEX, k=32))
        return f"fleet-{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def tags(self, resource_id: str) -> Mapping[str, str]:
        # moto keeps tags in a defaultdict, in which a lookup of an unknown id would create an entry
        tags: Mapping[str, str] = self.backend.tags.get(resource_id) or {}
        return tags

    def set_tags(self, resource_id: str, tags: Mapping[str, str]) -> None:
        if tags:
            self.backend.tags[resource_id].update(tags)

    def forget_tags(self, resource_id: str) -> None:
        self.backend.tags.pop(resource_id, None)

    def tag_set(self, resource_id: str) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in self.tags(resource_id).items()]

    def zones(self) -> list[str]:
        return [zone.name for zone in self.backend.zones.get(self.name, [])]

    def subnet(self, subnet_id: str) -> Any:
        for subnets in self.backend.subnets.values():
            if subnet_id in subnets:
                return subnets[subnet_id]
        raise AwsError("InvalidSubnetID.NotFound", f"The subnet ID '{subnet_id}' does not exist")

    def subnets(self) -> list[Any]:
        return [subnet for subnets in self.backend.subnets.values() for subnet in subnets.values()]

    def groups(self) -> list[Any]:
        return [group for groups in self.backend.groups.values() for group in groups.values()]

    def group(self, group_id: str) -> Any:
        for groups in self.backend.groups.values():
            if group_id in groups:
                return groups[group_id]
        raise AwsError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
