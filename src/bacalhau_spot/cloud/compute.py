"""Instances, and the templates and fleets that launch them."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.aws_errors import plain_text, split
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.ec2_params import escape, specification, tag_filter, tag_list, tags_of
from bacalhau_spot.cloud.port import FleetResult, FoundFleet, FoundTemplate, LaunchedInstance, PoolError
from bacalhau_spot.cloud.replies import answered_at, required
from bacalhau_spot.core.model import Instance, SpotRequest, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.cloud.port import FleetPool, FleetRequest, TemplateContent
    from bacalhau_spot.cloud.session import Session

# Resources created with an instance. An instant fleet's call tags all but the spot request, which needs a template (EC2
# API reference, CreateFleet and LaunchTemplateTagSpecificationRequest). Each type is tagged in one place: whether AWS
# accepts the same key in both for an instant fleet is not documented.
_TAGGED_BY_CALL = ("instance", "volume", "network-interface")
_TAGGED_BY_TEMPLATE = ("spot-instances-request",)

_TRANSITION = re.compile(r"\((\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:GMT|UTC)\)")

# AWS's own key for disks. Otherwise EC2 uses the account's default key, which the spot role may lack a grant for: the
# instance then terminates within seconds with Client.InternalError (runs-on#151, karpenter-provider-aws#1407).
AWS_KEY = "alias/aws/ebs"

# IMDSv2 only, and not through a container's bridge.
METADATA = {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"}


class AwsCompute:
    """`port.Compute` over botocore."""

    _session: Session

    async def instances(self, region: str, *, key: str, value: str) -> tuple[Instance, ...]:
        return await self._instances(region, tag_filter(key, value))

    async def instances_with_key(self, region: str, key: str) -> tuple[Instance, ...]:
        return await self._instances(region, [{"Name": "tag-key", "Values": [escape(key)]}])

    async def instances_by_id(self, region: str, ids: Sequence[str]) -> tuple[Instance, ...]:
        # As a filter, because one unknown id in InstanceIds fails the whole call.
        return await self._instances(region, [{"Name": "instance-id", "Values": list(ids)}])

    async def _instances(self, region: str, filters: list[dict[str, Any]]) -> tuple[Instance, ...]:
        reservations = await self._session.pages(
            "ec2", region, "describe_instances", "Reservations", Filters=filters
        )
        rows = [row for reservation in reservations for row in reservation["Instances"]]
        return tuple(sorted((_instance(row, region) for row in rows), key=lambda instance: instance.id))

    async def spot_requests(self, region: str, *, key: str, value: str) -> tuple[SpotRequest, ...]:
        rows = await self._session.pages(
            "ec2",
            region,
            "describe_spot_instance_requests",
            "SpotInstanceRequests",
            Filters=tag_filter(key, value),
        )
        return tuple(sorted((_request(row, region) for row in rows), key=lambda request: request.id))

    async def create_template(
        self, region: str, *, name: str, client_token: str, tags: Mapping[str, str]
    ) -> str:
        reply = await self._session.call(
            "ec2",
            region,
            "create_launch_template",
            LaunchTemplateName=name,
            ClientToken=client_token,
            LaunchTemplateData={"MetadataOptions": METADATA},  # must not be empty
            TagSpecifications=specification("launch-template", tags),
        )
        return str(reply["LaunchTemplate"]["LaunchTemplateId"])

    async def claim_template(self, region: str, template_id: str, *, owner: str, client_token: str) -> None:
        await self._session.call(
            "ec2",
            region,
            "create_launch_template_version",
            LaunchTemplateId=template_id,
            ClientToken=client_token,
            VersionDescription=owner,
            LaunchTemplateData={"MetadataOptions": METADATA},
        )

    async def create_template_version(
        self, region: str, template_id: str, *, content: TemplateContent, client_token: str
    ) -> int:
        reply = await self._session.call(
            "ec2",
            region,
            "create_launch_template_version",
            LaunchTemplateId=template_id,
            ClientToken=client_token,
            LaunchTemplateData=_template_data(content),
        )
        return int(reply["LaunchTemplateVersion"]["VersionNumber"])

    async def template(self, region: str, name: str) -> FoundTemplate | None:
        try:
            reply = await self._session.call(
                "ec2", region, "describe_launch_templates", LaunchTemplateNames=[name]
            )
        except CloudError as error:
            if error.code.startswith("InvalidLaunchTemplateName.NotFound"):
                return None
            raise
        rows = required(reply, "LaunchTemplates", operation="describe_launch_templates", region=region)
        if not rows:
            return None
        row = rows[0]
        return FoundTemplate(
            str(row["LaunchTemplateId"]),
            answered_at(reply) - row["CreateTime"],
            version=int(row["LatestVersionNumber"]),
            tags=tags_of(row),
        )

    async def delete_template(self, region: str, template_id: str) -> None:
        await self._session.call("ec2", region, "delete_launch_template", LaunchTemplateId=template_id)

    async def version_age(self, region: str, template_id: str, version: int) -> timedelta:
        try:
            reply = await self._session.call(
                "ec2",
                region,
                "describe_launch_template_versions",
                LaunchTemplateId=template_id,
                Versions=[str(version)],
            )
        except CloudError as error:
            if not error.code.startswith("InvalidLaunchTemplateId"):
                raise
            return timedelta(0)
        rows = reply.get("LaunchTemplateVersions", ())
        return max((answered_at(reply) - row["CreateTime"] for row in rows), default=timedelta(0))

    async def launch(self, region: str, request: FleetRequest) -> FleetResult:
        reply = await self._session.call("ec2", region, "create_fleet", **_fleet(request))
        zones = {pool.subnet_id: pool.zone for pool in request.pools}
        return FleetResult(
            fleet_id=str(reply["FleetId"]),
            answered_at=answered_at(reply),
            launched=tuple(
                LaunchedInstance(id=instance_id, type=row["InstanceType"], zone=_zone(row, zones))
                for row in reply.get("Instances", ())
                for instance_id in row["InstanceIds"]
            ),
            pool_errors=tuple(
                PoolError(
                    type=_override(row).get("InstanceType", ""),
                    zone=_zone(row, zones),
                    code=split(row.get("ErrorCode", "Unknown"), row.get("ErrorMessage", "")),
                    message=plain_text(row.get("ErrorMessage", "")),
                )
                for row in reply.get("Errors", ())
            ),
        )

    async def fleet_instances(self, region: str, fleet_id: str) -> tuple[Instance, ...]:
        return await self._instances(region, tag_filter("aws:ec2:fleet-id", fleet_id))

    async def fleet(self, region: str, fleet_id: str) -> FoundFleet | None:
        try:
            reply = await self._session.call("ec2", region, "describe_fleets", FleetIds=[fleet_id])
        except CloudError as error:
            if error.code.startswith("InvalidFleetId"):
                return None
            raise
        rows = required(reply, "Fleets", operation="describe_fleets", region=region)
        if not rows or "CreateTime" not in rows[0]:  # optional in botocore's model
            return None
        created_at = rows[0]["CreateTime"]
        ids = (name for launched in rows[0].get("Instances", ()) for name in launched.get("InstanceIds", ()))
        return FoundFleet(fleet_id, created_at, answered_at(reply) - created_at, frozenset(ids))

    async def tag(self, region: str, ids: Sequence[str], *, tags: Mapping[str, str]) -> None:
        await self._session.call("ec2", region, "create_tags", Resources=list(ids), Tags=tag_list(tags))

    async def terminate(self, region: str, ids: Sequence[str]) -> None:
        await self._session.call("ec2", region, "terminate_instances", InstanceIds=list(ids))


def _instance(row: dict[str, Any], region: str) -> Instance:
    return Instance(
        id=row["InstanceId"],
        region=region,
        zone=row.get("Placement", {}).get("AvailabilityZone", ""),
        type=row["InstanceType"],
        state=State(row["State"]["Name"]),
        launched_at=row["LaunchTime"],
        lifecycle=row.get("InstanceLifecycle", "on-demand"),
        public_ip=row.get("PublicIpAddress") or None,
        private_ip=row.get("PrivateIpAddress") or None,
        spot_request_id=row.get("SpotInstanceRequestId") or None,
        subnet_id=row.get("SubnetId") or None,
        vpc_id=row.get("VpcId") or None,
        image_id=row.get("ImageId") or None,
        devices=frozenset(mapping["DeviceName"] for mapping in row.get("BlockDeviceMappings", ())),
        termination_reason=row.get("StateReason", {}).get("Code") or None,
        terminated_at=_moment(row.get("StateTransitionReason", "")),
        metadata_tags=row.get("MetadataOptions", {}).get("InstanceMetadataTags") == "enabled",
        tags=tags_of(row),
    )


def _moment(reason: str) -> datetime | None:
    """The time of shutdown, which AWS returns only in this text: `User initiated (2026-11-25 09:30:00 GMT)`."""
    match = _TRANSITION.search(reason)
    return datetime.fromisoformat(match[1]).replace(tzinfo=UTC) if match else None


def _request(row: dict[str, Any], region: str) -> SpotRequest:
    launch, status = row.get("LaunchSpecification", {}), row.get("Status", {})
    return SpotRequest(
        id=row["SpotInstanceRequestId"],
        region=region,
        zone=row.get("LaunchedAvailabilityZone") or launch.get("Placement", {}).get("AvailabilityZone", ""),
        type=launch.get("InstanceType", ""),
        state=row["State"],
        status=status.get("Code", ""),
        created_at=row["CreateTime"],
        updated_at=status.get("UpdateTime"),
        instance_id=row.get("InstanceId") or None,
    )


def _template_data(content: TemplateContent) -> dict[str, Any]:
    """No market options: the fleet or group sets spot; a fleet's overrides have the image per architecture."""
    return {
        **({"ImageId": content.image_id} if content.image_id else {}),
        **({"IamInstanceProfile": {"Name": content.profile}} if content.profile else {}),
        **({"CreditSpecification": {"CpuCredits": content.cpu_credits}} if content.cpu_credits else {}),
        "UserData": base64.b64encode(content.user_data).decode(),
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "AssociatePublicIpAddress": content.public_ip,
                "DeleteOnTermination": True,
                "Groups": [content.group_id],
            }
        ],
        "BlockDeviceMappings": [root_volume(content.root_device, content.root_volume_gib)],
        "MetadataOptions": metadata_options(tags=content.metadata_tags),
        "InstanceInitiatedShutdownBehavior": "terminate",
        "TagSpecifications": [
            *({"ResourceType": kind, "Tags": tag_list(content.tags)} for kind in _TAGGED_BY_TEMPLATE),
            *(
                {"ResourceType": kind, "Tags": tag_list(content.node_tags)}
                for kind in _TAGGED_BY_CALL
                if content.node_tags
            ),
        ],
    }


def metadata_options(*, tags: bool) -> dict[str, Any]:
    """Of an instance; with `tags` its metadata service returns them.

    Both values are explicit, because an account's default of `enabled` would make EC2 refuse a launch with a tag key that the
    metadata service does not accept.
    """
    return {**METADATA, "InstanceMetadataTags": "enabled" if tags else "disabled"}


def root_volume(device: str, size_gib: int) -> dict[str, Any]:
    """The mapping of an instance's root volume, which is encrypted with AWS's own key and ends with the instance."""
    return {
        "DeviceName": device,
        "Ebs": {
            "VolumeSize": size_gib,
            "VolumeType": "gp3",
            "Encrypted": True,
            "KmsKeyId": AWS_KEY,
            "DeleteOnTermination": True,
        },
    }


def _fleet(request: FleetRequest) -> dict[str, Any]:
    return {
        "Type": "instant",
        "ClientToken": request.client_token,
        "SpotOptions": {"AllocationStrategy": "price-capacity-optimized"},
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": request.count,
            "SpotTargetCapacity": request.count,
            "OnDemandTargetCapacity": 0,
            "DefaultTargetCapacityType": "spot",
        },
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateId": request.template_id,
                    "Version": str(version),
                },
                "Overrides": [
                    _fleet_override(pool) for pool in request.pools if pool.template_version == version
                ],
            }
            for version in sorted({pool.template_version for pool in request.pools})
        ],
        "TagSpecifications": [
            {"ResourceType": "fleet", "Tags": tag_list(request.fleet_tags)},
            *({"ResourceType": kind, "Tags": tag_list(request.instance_tags)} for kind in _TAGGED_BY_CALL),
        ],
    }


def _fleet_override(pool: FleetPool) -> dict[str, Any]:
    override: dict[str, Any] = {
        "InstanceType": pool.type,
        "SubnetId": pool.subnet_id,
        "ImageId": pool.image_id,
    }
    if pool.max_usd_per_hour is not None:
        override["MaxPrice"] = format(pool.max_usd_per_hour, "f")
    return override


def _override(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = row.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
    return found


def _zone(row: dict[str, Any], zones: dict[str, str]) -> str:
    override = _override(row)
    return str(override.get("AvailabilityZone") or zones.get(override.get("SubnetId", ""), ""))
