"""The parts of a managed orchestrator: its address, data volume, security group, instance and bucket."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.compute import AWS_KEY, metadata_options, root_volume
from bacalhau_spot.cloud.ec2_params import specification, tag_filter, tag_list, tags_of
from bacalhau_spot.cloud.networking import admitted_ranges
from bacalhau_spot.cloud.port import RequestedInstance, RequestedVolume
from bacalhau_spot.cloud.replies import answered_at
from bacalhau_spot.core.model import ORCHESTRATOR_ROLE, ROLE_KEY
from bacalhau_spot.core.orchestrator.managed_state import DataVolume, ElasticAddress, InboundGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bacalhau_spot.cloud.port import InstanceRequest
    from bacalhau_spot.cloud.session import Session

# Resources that RunInstances creates with an instance; its call tags all of them.
_TAGGED = ("instance", "volume", "network-interface")
# CreateBucket in us-east-1 has no location constraint (S3 API reference, CreateBucketConfiguration).
_DEFAULT_LOCATION = "us-east-1"
_UNUSABLE = frozenset({"deleting", "deleted", "error"})


class AwsOrchestratorResources:
    """`port.OrchestratorResources` over botocore."""

    _session: Session

    async def addresses(self, region: str) -> tuple[ElasticAddress, ...]:
        rows = await self._session.pages("ec2", region, "describe_addresses", "Addresses")
        return tuple(sorted(map(_address, rows), key=lambda found: found.id))

    async def allocate_address(self, region: str, *, tags: Mapping[str, str]) -> ElasticAddress:
        reply = await self._session.call(
            "ec2",
            region,
            "allocate_address",
            Domain="vpc",
            TagSpecifications=specification("elastic-ip", tags),
        )
        return ElasticAddress(str(reply["AllocationId"]), str(reply["PublicIp"]), tags=dict(tags))

    async def associate_address(
        self, region: str, allocation_id: str, *, instance_id: str, moves: bool
    ) -> None:
        await self._session.call(
            "ec2",
            region,
            "associate_address",
            AllocationId=allocation_id,
            InstanceId=instance_id,
            AllowReassociation=moves,
        )

    async def volumes(self, region: str, *, key: str, value: str) -> tuple[DataVolume, ...]:
        rows = await self._session.pages(
            "ec2", region, "describe_volumes", "Volumes", Filters=_filters(key, value)
        )
        return tuple(sorted((_volume(row) for row in rows if _keeps_data(row)), key=lambda found: found.id))

    async def create_volume(
        self, region: str, *, zone: str, size_gib: int, tags: Mapping[str, str], client_token: str
    ) -> RequestedVolume:
        reply = await self._session.call(
            "ec2",
            region,
            "create_volume",
            AvailabilityZone=zone,
            Size=size_gib,
            VolumeType="gp3",
            Encrypted=True,
            KmsKeyId=AWS_KEY,
            ClientToken=client_token,
            TagSpecifications=specification("volume", tags),
        )
        return RequestedVolume(str(reply["VolumeId"]), answered_at(reply) - reply["CreateTime"])

    async def attach_volume(self, region: str, volume_id: str, *, instance_id: str, device: str) -> None:
        await self._session.call(
            "ec2", region, "attach_volume", VolumeId=volume_id, InstanceId=instance_id, Device=device
        )

    async def inbound_groups(self, region: str, *, key: str, value: str) -> tuple[InboundGroup, ...]:
        rows = await self._session.pages(
            "ec2", region, "describe_security_groups", "SecurityGroups", Filters=_filters(key, value)
        )
        groups = (InboundGroup(row["GroupId"], row["VpcId"], admitted_ranges(row)) for row in rows)
        return tuple(sorted(groups, key=lambda found: found.id))

    async def run_instance(self, region: str, request: InstanceRequest) -> RequestedInstance:
        reply = await self._session.call("ec2", region, "run_instances", **_run(request))
        row = reply["Instances"][0]
        return RequestedInstance(str(row["InstanceId"]), answered_at(reply) - row["LaunchTime"])

    async def start_instance(self, region: str, instance_id: str) -> None:
        await self._session.call("ec2", region, "start_instances", InstanceIds=[instance_id])

    async def reboot_instance(self, region: str, instance_id: str) -> None:
        await self._session.call("ec2", region, "reboot_instances", InstanceIds=[instance_id])

    async def on_demand_in_use(self, region: str) -> dict[str, int]:
        # No filter value stands for on-demand: `instance-lifecycle` has spot, scheduled and capacity-block.
        reservations = await self._session.pages(
            "ec2",
            region,
            "describe_instances",
            "Reservations",
            Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}],
        )
        rows = [row for reservation in reservations for row in reservation.get("Instances", ())]
        return dict(Counter(row["InstanceType"] for row in rows if not row.get("InstanceLifecycle")))

    async def create_bucket(self, region: str, name: str, *, tags: Mapping[str, str]) -> None:
        location = {} if region == _DEFAULT_LOCATION else {"LocationConstraint": region}
        await self._session.call(
            "s3",
            region,
            "create_bucket",
            Bucket=name,
            CreateBucketConfiguration={**location, "Tags": tag_list(tags)},
        )

    async def bucket_tags(self, region: str, bucket: str, *, account_id: str) -> dict[str, str] | None:
        try:
            reply = await self._session.call(
                "s3", region, "get_bucket_tagging", Bucket=bucket, ExpectedBucketOwner=account_id
            )
        except CloudError as error:
            if error.code == "NoSuchTagSet":
                return {}
            if error.code == "NoSuchBucket":
                return None
            raise
        return tags_of({"Tags": reply.get("TagSet", ())})

    async def has_lifecycle(self, region: str, bucket: str, *, account_id: str) -> bool:
        try:
            reply = await self._session.call(
                "s3",
                region,
                "get_bucket_lifecycle_configuration",
                Bucket=bucket,
                ExpectedBucketOwner=account_id,
            )
        except CloudError as error:
            if error.code != "NoSuchLifecycleConfiguration":
                raise
            return False
        return bool(reply.get("Rules"))

    async def block_public_access(self, region: str, bucket: str, *, account_id: str) -> None:
        await self._session.call(
            "s3",
            region,
            "put_public_access_block",
            Bucket=bucket,
            ExpectedBucketOwner=account_id,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )

    async def abort_uploads(self, region: str, bucket: str, *, account_id: str, days: int) -> None:
        rule = {
            "ID": "abort-incomplete-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
        }
        await self._session.call(
            "s3",
            region,
            "put_bucket_lifecycle_configuration",
            Bucket=bucket,
            ExpectedBucketOwner=account_id,
            LifecycleConfiguration={"Rules": [rule]},
        )


def _filters(key: str, value: str) -> list[dict[str, Any]]:
    return [*tag_filter(key, value), *tag_filter(ROLE_KEY, ORCHESTRATOR_ROLE)]


def _address(row: dict[str, Any]) -> ElasticAddress:
    return ElasticAddress(
        id=row.get("AllocationId", ""),
        address=row["PublicIp"],
        instance_id=row.get("InstanceId") or None,
        association_id=row.get("AssociationId") or None,
        interface_id=row.get("NetworkInterfaceId") or None,
        tags=tags_of(row),
    )


def _keeps_data(row: dict[str, Any]) -> bool:
    """The root volume has the same tags, and is deleted with its instance."""
    attachments: Sequence[dict[str, Any]] = row.get("Attachments", ())
    return row["State"] not in _UNUSABLE and not any(
        attachment.get("DeleteOnTermination") for attachment in attachments
    )


def _volume(row: dict[str, Any]) -> DataVolume:
    attachments = row.get("Attachments", ())
    return DataVolume(
        id=row["VolumeId"],
        zone=row["AvailabilityZone"],
        size_gib=row["Size"],
        state=row["State"],
        instance_id=attachments[0].get("InstanceId") if attachments else None,
    )


def _run(request: InstanceRequest) -> dict[str, Any]:
    return {
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": request.client_token,
        "ImageId": request.image_id,
        "InstanceType": request.type,
        **({"IamInstanceProfile": {"Name": request.profile}} if request.profile else {}),
        # botocore encodes it in this call, unlike in CreateLaunchTemplate.
        "UserData": request.user_data,
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                # Of an orchestrator until the Elastic IP address takes its place: the first boot begins before that.
                "AssociatePublicIpAddress": request.public_ip,
                "DeleteOnTermination": True,
                "SubnetId": request.subnet_id,
                "Groups": [request.group_id],
            }
        ],
        "BlockDeviceMappings": [root_volume(request.root_device, request.root_volume_gib)],
        "MetadataOptions": metadata_options(tags=request.metadata_tags),
        "MaintenanceOptions": {"AutoRecovery": "default"},
        "InstanceInitiatedShutdownBehavior": "stop",
        "TagSpecifications": [{"ResourceType": kind, "Tags": tag_list(request.tags)} for kind in _TAGGED],
    }
