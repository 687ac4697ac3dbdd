"""EC2 and related services: the actions implemented here, and the checks before moto's."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import ServiceException

from aws_spot_sandbox import fault_injection
from aws_spot_sandbox.autoscaling import health
from aws_spot_sandbox.autoscaling.api import AutoScaling
from aws_spot_sandbox.ec2 import (
    account_images,
    catalog,
    console,
    dhcp,
    elastic_ips,
    fleets,
    gateways,
    image_copies,
    images,
    instances,
    interfaces,
    keys,
    moto_patches,
    network,
    paging,
    placement,
    prices,
    quotas,
    request_spot_instances,
    sharing,
    simple_resources,
    spot,
    spot_fleets,
    status,
    storage,
    tags,
    templates,
    volumes,
    ways_out,
)
from aws_spot_sandbox.ec2 import regions as places
from aws_spot_sandbox.ec2.codec import Codec
from aws_spot_sandbox.ec2.machine import RUNNING
from aws_spot_sandbox.ec2.region import Addresses, Region
from aws_spot_sandbox.http_types import AwsError, Call, Handler, Reply
from aws_spot_sandbox.services import iam, logs, pricing, s3, ssm, tagging
from aws_spot_sandbox.services import quotas as account_quotas

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aws_spot_sandbox.ec2.region import Action, Args, Check
    from aws_spot_sandbox.plugin import Plugin
    from aws_spot_sandbox.state import World

OK = 200
ANSWERS: Mapping[str, Action] = {
    "AllocateAddress": elastic_ips.allocate,
    "AssociateAddress": elastic_ips.associate,
    "AttachVolume": volumes.attach,
    "CancelCapacityReservation": simple_resources.cancel_reservation,
    "CancelSpotFleetRequests": spot_fleets.cancel,
    "CancelSpotInstanceRequests": spot.cancel_requests,
    "CopyImage": image_copies.copy_image,
    "CreateCapacityReservation": simple_resources.create_reservation,
    "CreateDhcpOptions": dhcp.create_options,
    "CreateFleet": fleets.create_fleet,
    "CreateImage": image_copies.create_image,
    "CreateInstanceConnectEndpoint": simple_resources.create_connect_endpoint,
    "CreateLaunchTemplate": templates.create_template,
    "CreatePlacementGroup": simple_resources.create_placement_group,
    "CreateTags": tags.create_tags,
    "CreateVolume": volumes.create,
    "CreateVpcBlockPublicAccessExclusion": ways_out.create_exclusion,
    "DeleteFleets": fleets.delete_fleets,
    "DeleteFlowLogs": storage.delete_flow_logs,
    "DeleteInstanceConnectEndpoint": simple_resources.delete_connect_endpoint,
    "DeleteKeyPair": keys.delete_pair,
    "DeleteLaunchTemplate": templates.delete_template,
    "DeleteNatGateway": gateways.delete_nat,
    "DeletePlacementGroup": simple_resources.delete_placement_group,
    "DeleteTags": tags.delete_tags,
    "DeleteVpcEndpoints": gateways.delete_endpoints,
    "DeleteVpcBlockPublicAccessExclusion": ways_out.delete_exclusion,
    "DeregisterImage": account_images.deregister_image,
    "DescribeAddresses": elastic_ips.describe,
    "DescribeCapacityReservations": simple_resources.describe_reservations,
    "DescribeDhcpOptions": dhcp.describe_options,
    "DescribeFleetInstances": fleets.describe_fleet_instances,
    "DescribeFleets": fleets.describe_fleets,
    "DescribeImages": images.describe_images,
    "DescribeInstanceConnectEndpoints": simple_resources.describe_connect_endpoints,
    "DescribeInstanceCreditSpecifications": instances.describe_credits,
    "DescribeInstanceStatus": status.describe_status,
    "DescribeInstanceTypeOfferings": catalog.describe_offerings,
    "DescribeInstanceTypes": catalog.describe_types,
    "DescribeInstances": instances.describe_instances,
    "DescribeLaunchTemplates": templates.describe_templates,
    "DescribeNetworkInterfaces": interfaces.describe_interfaces,
    "DescribePlacementGroups": simple_resources.describe_placement_groups,
    "DescribeRegions": places.describe_regions,
    "DescribeSpotFleetRequests": spot_fleets.describe,
    "DescribeSpotInstanceRequests": spot.describe_requests,
    "DescribeSpotPriceHistory": prices.describe_history,
    "DescribeTags": tags.describe_tags,
    "DescribeVolumes": volumes.describe,
    "DetachVolume": volumes.detach,
    "DescribeVpcBlockPublicAccessExclusions": ways_out.describe_exclusions,
    "DescribeVpcBlockPublicAccessOptions": ways_out.describe_options,
    "DisassociateAddress": elastic_ips.disassociate,
    "DisableImageDeregistrationProtection": account_images.unprotect_image,
    "EnableImageDeregistrationProtection": account_images.protect_image,
    "GetConsoleOutput": console.get_output,
    "GetEbsDefaultKmsKeyId": storage.default_key,
    "GetInstanceTypesFromInstanceRequirements": catalog.types_from_requirements,
    "GetSpotPlacementScores": placement.scores,
    "ModifyInstanceMetadataOptions": instances.modify_metadata_options,
    "ReleaseAddress": elastic_ips.release,
    "RegisterImage": account_images.register_image,
    "RequestSpotFleet": spot_fleets.request,
    "RequestSpotInstances": request_spot_instances.request_spot_instances,
    "RunInstances": instances.run_instances,
    "StartInstances": instances.start_instances,
    "TerminateInstances": instances.terminate_instances,
}
# Run before moto: they raise AWS's errors, or correct moto's state
CHECKS: Mapping[str, Check] = {
    "CreateInternetGateway": quotas.guard("internet_gateways"),
    "CreateLaunchTemplateVersion": templates.check_data,
    "CreateSecurityGroup": network.check_new_group,
    "CreateSubnet": quotas.check_subnets,
    "CreateVpc": quotas.guard("vpcs"),
    "DeleteDhcpOptions": dhcp.check_delete,
    "DeleteInternetGateway": network.check_gateway,
    "DeleteNetworkAcl": storage.check_acl,
    "DeleteNetworkInterface": interfaces.check_delete,
    "DeleteRouteTable": network.check_route_table,
    "DeleteSecurityGroup": network.check_group,
    "DeleteSnapshot": account_images.check_snapshot,
    "DeleteSubnet": network.check_subnet,
    "DeleteVolume": volumes.check_delete,
    "DeleteVpc": network.check_vpc,
    "DetachInternetGateway": network.check_detach_gateway,
    "DetachNetworkInterface": interfaces.check_detach,
    "StopInstances": instances.check_stop,
}
# Run after a successful call to moto
AFTERWARDS: Mapping[str, Check] = {
    "CreateLaunchTemplateVersion": templates.complete_version,
    "CreateNatGateway": gateways.settle_new,
    "CreateVpcEndpoint": gateways.settle_new,
    "DeleteNetworkInterface": interfaces.release_addresses,
    "DeleteSubnet": network.forget_subnet,
    "DeleteVolume": volumes.forget,
    "StopInstances": instances.stopped,
}

# Services that list, launch or write for EC2 resources, or that lack AWS's checks in moto; by signing name
BESIDE: Mapping[str, Callable[[Region, Call, Handler], Reply]] = {
    "autoscaling": AutoScaling(),
    "fis": fault_injection.answer,
    "iam": iam.answer,
    "logs": logs.answer,
    "tagging": tagging.answer,
}
# Services that do not depend on a region's resources
ELSEWHERE: Mapping[str, Callable[[World, Call], Reply]] = {
    "pricing": pricing.answer,
    "servicequotas": account_quotas.answer,
}


class Ec2:
    """The last stage: handles every call that passed the others, or passes it to moto."""

    def __init__(self, world: World, moto: Handler, plugins: Plugin, *, port: int = 0) -> None:
        """`port`: of the sandbox, unique on this machine."""
        self._world = world
        self._moto = moto
        self._codec = Codec()
        self._regions: dict[str, Region] = {}
        self._lock = threading.Lock()
        self._port = port
        self._addresses = Addresses(port=port)
        self._requests = 0
        self._plugins = plugins

    def __call__(self, call: Call) -> Reply:
        if call.service == "ssm" and call.action in ("GetParameter", "GetParameters"):
            return images.answer_parameters(call, self._moto)
        if call.service == "ssm":
            ssm.check(call)
        if call.service == "s3":
            return s3.answer(self._world, call, self._moto)
        if call.service in ELSEWHERE:
            return ELSEWHERE[call.service](self._world, call)
        if call.service != "ec2" and call.service not in BESIDE:
            return self._moto(call)
        region = self._region(call.region)
        with region.lock:
            region.advance()
            region.changed = region.changed or call.mutates
            if call.service in BESIDE:
                return BESIDE[call.service](region, call, self._moto)
            return self._answer(region, call)

    def reset(self) -> None:
        """Delete all regions. Moto's backend of a region is reset at its next use."""
        with self._lock:
            self._regions.clear()
            self._addresses = Addresses(port=self._port)

    def changed_regions(self) -> list[str]:
        """The regions with a call that was more than a read. The others have nothing but a new account's resources."""
        with self._lock:
            return sorted(name for name, region in self._regions.items() if region.changed)

    def settle(self) -> None:
        """Run all due actions in every region used so far, and update the plug-ins."""
        with self._lock:
            regions = list(self._regions.values())
        for region in regions:
            with region.lock:
                region.advance()
                self._plugins.settle(region)

    def interrupt(
        self, region: str, instance_id: str, *, notice_s: float = 120, reason: str = "capacity"
    ) -> None:
        """Interrupt a spot instance: a notice now, the shutdown after `notice_s`."""
        place = self._region(region)
        with place.lock:
            place.advance()
            spot.interrupt(place, instance_id, notice_s=notice_s, reason=reason)

    def interrupt_some(
        self, count: int, *, regions: Sequence[str] | None, notice_s: float, reason: str
    ) -> list[tuple[str, str]]:
        """Interrupt running spot instances, chosen at random: at most `count`. Returns the region and the id of each."""
        self.settle()
        with self._lock:
            places = [
                self._regions[name] for name in sorted(self._regions) if regions is None or name in regions
            ]
        candidates = [
            (place.name, instance.id)
            for place in places
            for instance in list(place.machines.values())
            if instance.spot and instance.state == RUNNING and instance.notice_at is None
        ]
        chosen = sorted(self._world.random.sample(candidates, min(count, len(candidates))))
        for name, instance_id in chosen:
            self.interrupt(name, instance_id, notice_s=notice_s, reason=reason)
        return chosen

    def recommend_rebalance(self, region: str, instance_id: str) -> None:
        """Recommend to replace a spot instance."""
        place = self._region(region)
        with place.lock:
            place.advance()
            spot.recommend(place, instance_id)

    def _answer(self, region: Region, call: Call) -> Reply:
        if not self._codec.knows(call.action):
            return self._moto(call)
        try:
            args = self._codec.parse(call.action, call.params)
            tags.check_all(args)
            sharing.check(region, call.action, args)
            answer = self._own(region, call.action, args)
            if answer is not None:
                return Reply(self._codec.render(call.action, answer, request_id=self._request_id()))
            if call.action in CHECKS:
                CHECKS[call.action](region, args)
        except ServiceException as refusal:  # moto's exception for AWS errors
            raise AwsError(refusal.code, str(refusal.message)) from refusal
        reply = paging.paged(moto_patches.plain_filters(call), self._moto)
        if reply.status == OK and call.action in AFTERWARDS:
            AFTERWARDS[call.action](region, args)
        if reply.status == OK and call.action in sharing.LISTS:
            return sharing.with_owners(region, ways_out.with_states(region, call.action, reply))
        return reply

    def _own(self, region: Region, action: str, args: Args) -> dict[str, Any] | None:
        if action == "DescribeInstanceAttribute":
            return instances.describe_attribute(region, args)
        own = ANSWERS.get(action)
        return own(region, args) if own else None

    def _region(self, name: str) -> Region:
        with self._lock:
            known = self._regions.get(name)
            if known is None:
                backend = moto_patches.fresh_backend(name)
                known = self._regions[name] = Region(
                    name=name,
                    world=self._world,
                    backend=backend,
                    addresses=self._addresses,
                    parameter=self._parameter,
                    find_region=self._region,
                    images=images.published(name),
                    plugins=self._plugins,
                    on_end=[
                        self._plugins.ended,
                        fleets.refill_later,
                        fleets.forget_later,
                        request_spot_instances.relaunch_later,
                    ],
                    on_risk=[health.notice_risk],
                )
            return known

    def _parameter(self, region: str, name: str) -> str | None:
        members = {"Name": name, "WithDecryption": True}
        call = Call("ssm", region, "GetParameter", {"Name": name}, json.dumps(members).encode())
        try:
            reply = images.answer_parameters(call, self._moto)
        except AwsError:
            return None
        if reply.status != OK:
            return None
        return str(json.loads(reply.body)["Parameter"]["Value"])

    def _request_id(self) -> str:
        self._requests += 1
        return f"5a9d0000-0000-4000-8000-{self._requests:012x}"
