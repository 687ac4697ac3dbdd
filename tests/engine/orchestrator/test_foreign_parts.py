"""Resources of others that have the names of the orchestrator's parts: never used, never changed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bacalhau_spot.cloud.aws import Aws
from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.core.launch import planner
from bacalhau_spot.core.launch.refusals import Refusal
from bacalhau_spot.core.orchestrator.credentials import OrchestratorCredentials
from bacalhau_spot.core.orchestrator.managed_plan import OrchestratorStep
from bacalhau_spot.core.tags import iam_path, orchestrator_parameter, orchestrator_role_name, results_bucket
from bacalhau_spot.engine.launch.archive_checksums import ArchiveSource
from bacalhau_spot.engine.launch.facts_gathering import FactSources, gather_facts
from bacalhau_spot.engine.orchestrator.managed import ensure_orchestrator
from bacalhau_spot.errors import UserError
from bacalhau_spot.orchestrator.certificates import new_credentials
from engine.orchestrator.test_managed import (
    HOME,
    KEY,
    ONE_OF_EACH,
    SPEC,
    VALUE,
    FakeAccess,
    calls_of,
    create_once,
    created,
    digest,
    existing,
    planned,
    steps_now,
)

ROLE = orchestrator_role_name(SPEC.naming)
TAGS = [{"Key": KEY, "Value": VALUE}]
OTHER_TAGS = [{"Key": KEY, "Value": "other"}]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def refusal_of_create(cloud: Aws, sandbox: Any) -> UserError:
    """The error of a create that creates nothing."""
    with pytest.raises(UserError) as error:
        asyncio.run(created(calls_of(cloud, sandbox)))
    there = asyncio.run(existing(cloud))
    assert set(there.counts.values()) == {0} and there.nodes == () and there.value is None
    assert sandbox.client("ec2", HOME).describe_launch_templates()["LaunchTemplates"] == []
    return error.value


@pytest.mark.parametrize("tags", [[], OTHER_TAGS])
def test_a_foreign_role_is_refused_and_keeps_its_policies(cloud: Aws, sandbox: Any, tags: list[Any]) -> None:
    iam = sandbox.client("iam")
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST, Tags=tags)
    error = refusal_of_create(cloud, sandbox)
    assert f"the IAM role {ROLE} exists and does not have the tag {KEY}={VALUE}" in error.what
    assert "cluster.tag_value" in error.hint
    assert iam.list_role_policies(RoleName=ROLE)["PolicyNames"] == []
    iam.tag_role(RoleName=ROLE, Tags=TAGS)
    create_once(cloud, sandbox)
    assert asyncio.run(existing(cloud)).counts == ONE_OF_EACH


def test_a_foreign_instance_profile_is_refused(cloud: Aws, sandbox: Any) -> None:
    iam = sandbox.client("iam")
    iam.create_instance_profile(InstanceProfileName=ROLE)
    error = refusal_of_create(cloud, sandbox)
    assert f"the IAM instance profile {ROLE} exists and does not have the tag" in error.what
    assert iam.get_instance_profile(InstanceProfileName=ROLE)["InstanceProfile"]["Roles"] == []


def test_a_profile_with_another_role_is_refused(cloud: Aws, sandbox: Any) -> None:
    iam = sandbox.client("iam")
    iam.create_role(RoleName="theirs-admin", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName=ROLE, Path=iam_path(SPEC.naming), Tags=TAGS)
    iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName="theirs-admin")
    error = refusal_of_create(cloud, sandbox)
    assert f"{ROLE} contains the role theirs-admin instead of {ROLE}" in error.what
    assert "remove the role theirs-admin" in error.hint


BUCKET = results_bucket(SPEC.naming, account_id="000000000000", region=HOME)
RULES = [
    {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 3}},
]


def test_a_foreign_bucket_is_refused_and_stays_as_it_is(cloud: Aws, sandbox: Any) -> None:
    s3 = sandbox.client("s3", HOME)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": HOME})
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": RULES})
    error = refusal_of_create(cloud, sandbox)
    assert f"the bucket {BUCKET} exists and does not have the tag {KEY}={VALUE}" in error.what
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["ID"] == "theirs"
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchPublicAccessBlock"):
        s3.get_public_access_block(Bucket=BUCKET)


def test_a_repair_keeps_the_users_settings_of_the_bucket(cloud: Aws, sandbox: Any) -> None:
    s3 = sandbox.client("s3", HOME)
    create_once(cloud, sandbox)
    s3.delete_public_access_block(Bucket=BUCKET)
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": RULES})
    asyncio.run(cloud.terminate(HOME, [asyncio.run(existing(cloud)).instances[0].id]))
    create_once(cloud, sandbox)
    assert [rule["ID"] for rule in s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]] == [
        "theirs"
    ]
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchPublicAccessBlock"):
        s3.get_public_access_block(Bucket=BUCKET)


def test_a_bucket_without_any_lifecycle_is_completed(cloud: Aws, sandbox: Any) -> None:
    """A create was killed right after the creation."""
    s3 = sandbox.client("s3", HOME)
    where = {"LocationConstraint": HOME, "Tags": TAGS}
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    create_once(cloud, sandbox)
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert rule["ID"] == "abort-incomplete-uploads"
    assert s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]


PARAMETER = orchestrator_parameter(SPEC.naming)
GARBAGE = json.dumps(dict.fromkeys(OrchestratorCredentials.__dataclass_fields__, "x"))


@pytest.mark.parametrize(
    ("good", "kind", "tags", "said"),
    [
        (False, "SecureString", TAGS, "does not contain this cluster's credentials"),
        (True, "String", TAGS, "does not contain this cluster's credentials"),
        (True, "SecureString", OTHER_TAGS, f"does not have the tag {KEY}={VALUE}"),
        (True, "SecureString", [], f"does not have the tag {KEY}={VALUE}"),
    ],
)
def test_a_foreign_parameter_is_refused_before_anything_is_created(
    cloud: Aws, sandbox: Any, good: bool, kind: str, tags: list[Any], said: str
) -> None:
    ssm = sandbox.client("ssm", HOME)
    text = new_credentials("192.0.2.1").to_json().reveal() if good else GARBAGE
    ssm.put_parameter(Name=PARAMETER, Value=text, Type=kind, Tags=tags)
    with pytest.raises(UserError, match=PARAMETER) as error:
        asyncio.run(created(calls_of(cloud, sandbox)))
    assert said in error.value.what and "delete it" in error.value.hint
    assert set(asyncio.run(existing(cloud)).counts.values()) == {0}
    assert ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"] == text


# --- Addresses, which AWS moves unasked


def refusal_now(cloud: Aws, sandbox: Any) -> Refusal:
    facts = asyncio.run(gather_facts(calls_of(cloud, sandbox), SPEC, FactSources(ArchiveSource(digest))))
    refused = planner.plan(facts)
    assert isinstance(refused, Refusal)
    return refused


def users(ec2: Any) -> dict[str, tuple[str | None, str | None]]:
    """By address: the association, and the instance."""
    rows = ec2.describe_addresses()["Addresses"]
    return {row["AllocationId"]: (row.get("AssociationId"), row.get("InstanceId")) for row in rows}


def release_as_told(ec2: Any, refused: Refusal | UserError) -> None:
    """Carry out the command of the hint."""
    command = refused.hint.split("`")[1].split()
    assert command[:4] == ["aws", "ec2", "disassociate-address", "--association-id"]
    assert command[5:] == ["--region", HOME]
    ec2.disassociate_address(AssociationId=command[4])


def refused_until_released(cloud: Aws, sandbox: Any, words: str) -> None:
    """`create` changes no address before the user has carried out the command of its hint."""
    ec2 = sandbox.client("ec2", HOME)
    before = users(ec2)
    refused = refusal_now(cloud, sandbox)
    assert words in refused.what
    assert users(ec2) == before
    release_as_told(ec2, refused)
    create_once(cloud, sandbox)


def their_instance(sandbox: Any) -> str:
    ec2 = sandbox.client("ec2", HOME)
    image = ec2.describe_instances()["Reservations"][0]["Instances"][0]["ImageId"]
    row = ec2.run_instances(ImageId=image, InstanceType="t3.small", MinCount=1, MaxCount=1)["Instances"][0]
    sandbox.clock.sleep(60)
    return str(row["InstanceId"])


@pytest.mark.parametrize("tags", [[], OTHER_TAGS])
def test_an_address_of_others_on_the_orchestrators_instance_stays(
    cloud: Aws, sandbox: Any, tags: list[Any]
) -> None:
    """AssociateAddress: another address of the instance is disassociated, whatever AllowReassociation is."""
    create_once(cloud, sandbox)
    ec2, instance = sandbox.client("ec2", HOME), asyncio.run(existing(cloud)).instances[0].id
    theirs = ec2.allocate_address(
        Domain="vpc",
        TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": [*tags, {"Key": "team", "Value": "x"}]}],
    )
    ec2.associate_address(AllocationId=theirs["AllocationId"], InstanceId=instance)
    words = f"the Elastic IP address {theirs['PublicIp']} on the orchestrator's instance {instance}"
    refused_until_released(cloud, sandbox, words)
    assert steps_now(cloud, sandbox) == ()


def test_the_orchestrators_address_on_an_instance_of_others_stays(cloud: Aws, sandbox: Any) -> None:
    create_once(cloud, sandbox)
    ec2, address = sandbox.client("ec2", HOME), asyncio.run(existing(cloud)).addresses[0]
    theirs = their_instance(sandbox)
    ec2.associate_address(AllocationId=address.id, InstanceId=theirs)
    words = f"address {address.address} is associated with {theirs}, which is not the"
    refused_until_released(cloud, sandbox, words)
    assert steps_now(cloud, sandbox) == ()


def test_the_orchestrators_address_on_an_interface_of_others_stays(cloud: Aws, sandbox: Any) -> None:
    """The orchestrator's instance is gone: nothing is launched in its place."""
    create_once(cloud, sandbox)
    ec2, there = sandbox.client("ec2", HOME), asyncio.run(existing(cloud))
    subnet = ec2.describe_subnets(Filters=[{"Name": f"tag:{KEY}", "Values": [VALUE]}])["Subnets"][0]
    interface = ec2.create_network_interface(SubnetId=subnet["SubnetId"])["NetworkInterface"]
    ec2.associate_address(
        AllocationId=there.addresses[0].id, NetworkInterfaceId=interface["NetworkInterfaceId"]
    )
    asyncio.run(cloud.terminate(HOME, [there.instances[0].id]))
    sandbox.clock.sleep(120)
    words = f"is associated with the network interface {interface['NetworkInterfaceId']}"
    refused_until_released(cloud, sandbox, words)
    assert asyncio.run(existing(cloud)).counts == ONE_OF_EACH


@pytest.mark.parametrize("theirs_first", [True, False], ids=["displaced", "moved"])
def test_addresses_are_looked_at_again_before_the_association(
    cloud: Aws, sandbox: Any, theirs_first: bool
) -> None:
    """Somebody associates an address while the user reads the plan."""
    create_once(cloud, sandbox)
    ec2, there = sandbox.client("ec2", HOME), asyncio.run(existing(cloud))
    ec2.disassociate_address(AssociationId=users(ec2)[there.addresses[0].id][0])
    calls = calls_of(cloud, sandbox)
    facts, plan = asyncio.run(planned(calls))
    assert plan.orchestrator is not None and plan.orchestrator.steps == (OrchestratorStep.ASSOCIATE,)
    if theirs_first:
        theirs = ec2.allocate_address(Domain="vpc")["AllocationId"]
        ec2.associate_address(AllocationId=theirs, InstanceId=there.instances[0].id)
    else:
        ec2.associate_address(AllocationId=there.addresses[0].id, InstanceId=their_instance(sandbox))
    before = users(ec2)
    with pytest.raises(UserError) as error:
        asyncio.run(ensure_orchestrator(calls, facts, plan, FakeAccess().access()))
    assert users(ec2) == before
    release_as_told(ec2, error.value)
    create_once(cloud, sandbox)
    assert steps_now(cloud, sandbox) == ()


def test_an_address_that_others_take_at_the_last_moment_stays_with_them(
    cloud: Aws, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the call; also if the next reads do not list it yet."""
    create_once(cloud, sandbox)
    ec2, there = sandbox.client("ec2", HOME), asyncio.run(existing(cloud))
    ec2.disassociate_address(AssociationId=users(ec2)[there.addresses[0].id][0])
    theirs, associate = their_instance(sandbox), cloud.associate_address
    taken: list[Any] = []

    async def too_late(region: str, allocation_id: str, **options: Any) -> None:
        if not taken:
            taken.append(ec2.associate_address(AllocationId=allocation_id, InstanceId=theirs))
        await associate(region, allocation_id, **options)

    monkeypatch.setattr(cloud, "associate_address", too_late)
    with pytest.raises(UserError, match=f"is associated with {theirs}"):
        asyncio.run(created(calls_of(cloud, sandbox)))
    assert users(ec2)[there.addresses[0].id][1] == theirs


def test_the_address_moves_from_a_former_instance(cloud: Aws, sandbox: Any) -> None:
    """AWS lists a terminated instance for an hour, and its association for a moment."""
    create_once(cloud, sandbox)
    ec2, before = sandbox.client("ec2", HOME), asyncio.run(existing(cloud))
    former = their_instance(sandbox)
    ec2.associate_address(AllocationId=before.addresses[0].id, InstanceId=former)
    ours = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [before.instances[0].id]}])["Tags"]
    tags = [{"Key": tag["Key"], "Value": tag["Value"]} for tag in ours if tag["Key"] != "Name"]
    ec2.create_tags(Resources=[former], Tags=tags)
    ec2.stop_instances(InstanceIds=[former])
    sandbox.clock.sleep(60)
    create_once(cloud, sandbox)
    after = asyncio.run(existing(cloud))
    assert after.addresses[0].instance_id == before.instances[0].id


def test_an_association_that_the_reads_do_not_list_yet_is_found(
    cloud: Aws, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS refuses a second association if it does not count as the same one."""
    create_once(cloud, sandbox)
    ec2, there = sandbox.client("ec2", HOME), asyncio.run(existing(cloud))
    ec2.disassociate_address(AssociationId=users(ec2)[there.addresses[0].id][0])
    associate = cloud.associate_address
    refused: list[str] = []

    async def associated_before(region: str, allocation_id: str, **options: Any) -> None:
        await associate(region, allocation_id, **options)
        if not refused:
            refused.append(allocation_id)
            raise CloudError(
                "Resource.AlreadyAssociated", "it is", operation="AssociateAddress", region=region
            )

    monkeypatch.setattr(cloud, "associate_address", associated_before)
    create_once(cloud, sandbox)
    assert refused and steps_now(cloud, sandbox) == ()
