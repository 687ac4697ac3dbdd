"""An instance: moto's object, which moto's other actions use, with the attributes that moto lacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Region

PENDING, RUNNING, SHUTTING_DOWN, TERMINATED, STOPPING, STOPPED = 0, 16, 32, 48, 64, 80
STATES = {0: "pending", 16: "running", 32: "shutting-down", 48: "terminated", 64: "stopping", 80: "stopped"}
USER_SHUTDOWN = "Client.UserInitiatedShutdown"
INSTANCE_SHUTDOWN = "Client.InstanceInitiatedShutdown"
SPOT_SHUTDOWN = "Server.SpotInstanceTermination"


@dataclass
class Machine:
    """The attributes of an instance that moto's object lacks. moto's has its state, interfaces and volumes."""

    moto: Any
    reservation_id: str
    launched_at: float
    order: int  # instances are listed in launch order
    spot: bool = False
    spot_request_id: str = ""
    fleet_id: str = ""
    client_token: str = ""
    profile: dict[str, str] = field(default_factory=dict)
    placement_group: str = ""
    disk_locked: bool = False  # the spot role has no access to the key of its disk
    cpu_credits: str = ""  # only for burstable types
    auto_recovery: str = "default"  # or "disabled"
    boot_mode: str = "uefi-preferred"
    notice_at: float | None = None  # time of the interruption notice
    notice_s: float = 0.0  # seconds from the notice to the interruption
    rebalance_at: float | None = None  # time of the rebalance recommendation
    scaling_group: str = ""  # the Auto Scaling group that it belongs to
    started_at: float | None = None  # when it became running
    ending_at: float | None = None  # when it began to shut down
    installed: str = ""  # what a plug-in has installed on it, for its images
    token: str | None = None  # the secret that its node read from the Parameter Store

    @property
    def id(self) -> str:
        return str(self.moto.id)

    @property
    def type(self) -> str:
        return str(self.moto.instance_type)

    @property
    def zone(self) -> str:
        return str(self.moto.placement.zone)

    @property
    def state(self) -> int:
        return int(self.moto._state.code)  # noqa: SLF001 - moto's own accessor returns the same object

    def set_state(self, code: int) -> None:
        self.moto._state.code = code  # noqa: SLF001 - as above; moto has no other way to set shutting-down
        self.moto._state.name = STATES[code]  # noqa: SLF001 - as above

    def forget_reason(self) -> None:
        """A started instance has none."""
        self.moto._reason = ""  # noqa: SLF001 - moto returns it as StateTransitionReason
        self.moto.state_reason.code = self.moto.state_reason.message = ""

    @property
    def ended_in_order(self) -> bool:
        """Whether its operating system is shut down, which AWS does not guarantee after an interruption."""
        return str(self.moto.state_reason.code) in {USER_SHUTDOWN, INSTANCE_SHUTDOWN}

    @property
    def tags_in_metadata(self) -> bool:
        """Whether its metadata service has its tags, which is off by default."""
        return str(self.moto.metadata_options.instance_metadata_tags) == "enabled"

    @property
    def terminates_itself(self) -> bool:
        """Whether a shutdown of its operating system terminates it, instead of stopping it, which is the default."""
        return str(self.moto.instance_initiated_shutdown_behavior) == "terminate"

    @property
    def alive(self) -> bool:
        """Whether it uses capacity, quota and an interface, which it does until terminated."""
        return self.state != TERMINATED


def shut_down(region: Region, machine: Machine, *, code: str, by_user: bool) -> None:
    """Begin the shutdown. A second call changes nothing."""
    if machine.state in (SHUTTING_DOWN, TERMINATED):
        return
    machine.set_state(SHUTTING_DOWN)
    machine.ending_at = region.now()
    explain(machine, code, by_user=by_user, moment=region.now())
    for listener in region.on_end:
        listener(region, machine)
    region.later(region.world.settings.terminate_s, lambda: _finish(region, machine))


def explain(machine: Machine, code: str, *, by_user: bool, moment: float) -> None:
    """The reason and the time of its last change of state, as EC2 returns them."""
    when = f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} GMT"
    who = "User initiated" if by_user else "Service initiated"
    texts = {
        USER_SHUTDOWN: "User initiated shutdown",
        INSTANCE_SHUTDOWN: "Instance initiated shutdown",
        SPOT_SHUTDOWN: "Spot instance termination",
    }
    # EC2 user guide, "Troubleshoot EC2 instance termination": of a shutdown from inside, AWS has no transition reason
    text = "" if code == INSTANCE_SHUTDOWN else f"{who} ({when})"
    machine.moto._reason = text  # noqa: SLF001 - moto returns it as StateTransitionReason
    machine.moto.state_reason.code = code
    machine.moto.state_reason.message = f"{code}: {texts.get(code, 'Instance ended')}"


def _finish(region: Region, machine: Machine) -> None:
    """Terminate the instance and delete its interface and volumes. It stays listed for `forget_s`."""
    machine.set_state(TERMINATED)
    backend, instance = region.backend, machine.moto
    for eni in list(instance.nics.values()):
        _release(region, instance, eni)
    for device, mapping in list(instance.block_device_mapping.items()):
        backend.detach_volume(mapping.volume_id, instance.id, device)
        if mapping.delete_on_termination:
            backend.volumes.pop(mapping.volume_id, None)
            region.forget_tags(mapping.volume_id)
    instance.block_device_mapping.clear()
    backend.iam_instance_profile_associations.pop(instance.id, None)
    region.later(region.world.settings.forget_s, lambda: _forget(region, machine))


def _release(region: Region, instance: Any, eni: Any) -> None:
    deletes = str(eni.delete_on_termination).lower() == "true"
    for address in eni.private_ip_addresses:
        eni.subnet.del_subnet_ip(address.get("PrivateIpAddress"))
    eni.public_ip = None
    for address in region.backend.addresses:  # the Elastic IP stays allocated, but is disassociated
        if address.eni is eni or address.instance is instance:
            address.eni = address.instance = address.association_id = None
    instance.detach_eni(eni)
    instance.nics.clear()
    if deletes:
        region.backend.enis.pop(eni.id, None)
        region.forget_tags(eni.id)


def _forget(region: Region, machine: Machine) -> None:
    region.machines.pop(machine.id, None)
    reservation = region.backend.reservations.get(machine.reservation_id)
    if reservation is not None:
        reservation.instances = [instance for instance in reservation.instances if instance.id != machine.id]
        if not reservation.instances:
            region.backend.reservations.pop(machine.reservation_id)
    region.spot_requests.pop(machine.spot_request_id, None)
    region.forget_tags(machine.spot_request_id)
    region.forget_tags(machine.id)


def discard(region: Region, machine: Machine) -> None:
    """Undo a launch that AWS would not have begun, without a trace."""
    machine.set_state(SHUTTING_DOWN)
    _finish(region, machine)
    _forget(region, machine)
