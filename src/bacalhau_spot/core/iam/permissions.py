"""Every IAM action of this program, its commands, and the narrowest condition that AWS supports: a table.

Rules:
1. One row for each action. `by`: the commands that need it, `when`: the configuration that needs it; `ASKED_BY`: the
   API calls for which AWS checks it, where they have another name.
2. A creation is allowed only with the cluster's tag in the request, a change or deletion only on a tagged resource.
   Where AWS has no such condition, the row's `bounds` name the replacement.
3. Tests compare the table with the calls in cloud/ and with the actions that the sandbox checked under the policy.

Source: Service Authorization Reference ("Actions, resources, and condition keys") of each service; EC2 user guide, "EC2
Fleet prerequisites"; IAM API reference, AddRoleToInstanceProfile; Systems Manager API reference, PutParameter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.error_catalog.classifier import denied_action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bacalhau_spot.core.problem import ApiFailure

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import OrchestratorMode, Secrets

if TYPE_CHECKING:
    from bacalhau_spot.core.model import ClusterSpec


class ResourceScope(StrEnum):
    """The resources of an action."""

    ANY = "everything: it only looks"
    CREATED_WITH_TAG = "resources created with our tag"
    TAGGED = "resources with our tag"
    TAGGING = "tags given at creation, with our tag among them"
    ADOPTING = "our tag, on anything of EC2's"
    ROUTES = "any route table: main route tables carry no tag"
    IMAGES = "any image"
    CREATED_IMAGES = "images and snapshots created with the tag of `image bake`"
    IMAGE_TAGGING = "tags of new images, with that tag among them"
    OWN_IMAGES = "images and snapshots with that tag"
    YOUR_VPC = "the VPC that the configuration names"
    YOUR_SUBNETS = "subnets of the VPC that the configuration names"
    PUBLIC_PARAMETERS = "AWS's public parameters, and the one that `image` names"
    CLUSTER_PARAMETER = "the cluster's own path"
    ORCHESTRATOR_PARAMETER = "the parameter with the credentials of the orchestrator"
    CLUSTER_ROLE = "the cluster's own roles and profiles, by path and name"
    PASSED_ROLE = "the cluster's own roles, to EC2 alone"
    SERVICE_ROLES = "the roles that spot instances and fleets need once an account"
    BUCKETS = "buckets whose name begins with our prefix, and those of job results"
    RESULTS_BUCKET = "the cluster's own bucket of job results"
    CREATED_GROUPS = "Auto Scaling groups created with our tag"
    RESULTS_BUCKET_TAGS = "tags of that bucket, with our tag among them"


class Condition(StrEnum):
    """The part of the configuration that makes an action necessary."""

    ALWAYS = ""
    OWN_VPC = "a region without `vpc_id`"
    EXISTING_VPC = "a region with `vpc_id`"
    AUTO_REGIONS = "`regions: auto`"
    REQUIREMENTS = "`instance_types` by requirements"
    IMAGE_PARAMETER = "`image: auto` or `ssm:…`"
    IMAGE = "an `image` other than `auto`"
    SSH = "`ssh_cidrs` other than `none`"
    SSM_SECRETS = "`bacalhau.secrets: ssm`"
    ORCHESTRATOR = "`orchestrator: managed` or `{cluster: NAME}`"
    MANAGED = "`orchestrator: managed`"
    LIFETIME = "`ttl` or `idle_ttl`"
    SELF_HEAL = "`self_heal: true`"


@dataclass(frozen=True, slots=True)
class Permission:
    """One action. `commands`: the commands that need it; `conditions`: any of these must hold."""

    action: str
    commands: tuple[str, ...]
    scopes: tuple[ResourceScope, ...]
    conditions: tuple[Condition, ...] = (Condition.ALWAYS,)

    @property
    def api_calls(self) -> tuple[str, ...]:
        """The API calls for which AWS checks the action."""
        return API_CALLS.get(self.action, (self.action,))


# Commands that are opt-in: those with a flag need more permissions, and are not in the policy by default.
# `reconcile` on the orchestrator's machine is a part of `reconcile`, for the role of the machine.
ON_ORCHESTRATOR = "reconcile --on-orchestrator"
OPT_IN_COMMANDS = ("nuke --adopt", ON_ORCHESTRATOR)
_TEARDOWN = ("destroy", "nuke")
# Commands that list resources of every kind.
_SCANS = (*_TEARDOWN, "clusters")
# Commands that launch as `create` does, and those that send nodes away.
_LAUNCH = ("create", "scale", "replace")
_DRAIN = ("scale", "replace", "remove")
# `image bake`, `image list` and `image delete`
_IMAGE = ("image",)
# Commands that launch an instance into the cluster's network, and complete it.
_NETWORKED = (*_LAUNCH, *_IMAGE)
# Commands that hold the lock of the cluster.
LOCKING = (*_LAUNCH, "remove", "extend", *_TEARDOWN, *_IMAGE)
# Commands that change Auto Scaling groups, and those that look at them.
_GROUP_WRITERS = _LAUNCH
_GROUP_READERS = (*_GROUP_WRITERS, "list", "status", "report", "extend", "doctor")
_INVENTORY = ("create", "list", "extend", "scale", "replace", *_SCANS)
_MARKET = (*_LAUNCH, "offers", "doctor")
_PRICED = ("cost", "prices", "report")
_EVERY = (
    *_INVENTORY,
    *_PRICED,
    "remove",
    "history",
    "status",
    "offers",
    "ssh",
    "logs",
    "console",
    "prune",
    "doctor",
    *_IMAGE,
)
# Commands for the orchestrator's API alone: without a managed one they call nothing on AWS.
_CLIENT = ("env", "smoke-test")
# Commands that read the credentials of a managed orchestrator, for its API or for the nodes.
_CREDENTIALS = (*_LAUNCH, "remove", "status", "history", "report", "prune", "doctor", *_CLIENT)
_NETWORK = (Condition.OWN_VPC,)
_EXISTING = (Condition.EXISTING_VPC,)
_HEALING = (Condition.SELF_HEAL,)


def _rows(
    service: str,
    actions: str,
    *,
    commands: tuple[str, ...],
    scopes: tuple[ResourceScope, ...] = (ResourceScope.ANY,),
    conditions: tuple[Condition, ...] = (Condition.ALWAYS,),
) -> tuple[Permission, ...]:
    """Rows that differ in their action alone."""
    return tuple(
        Permission(f"{service}:{action}", commands, scopes, conditions) for action in actions.split()
    )


_READ = (
    *_rows("ec2", "DescribeRegions DescribeInstances", commands=_EVERY),
    # Called only if the credentials are not in the region where `create` puts them.
    # DescribeInstances only if no region has them, to name other clusters.
    *_rows(
        "ec2", "DescribeRegions DescribeInstances", commands=_CLIENT, conditions=(Condition.ORCHESTRATOR,)
    ),
    *_rows(
        "ssm",
        "GetParameter",
        commands=_CREDENTIALS,
        scopes=(ResourceScope.ORCHESTRATOR_PARAMETER,),
        conditions=(Condition.ORCHESTRATOR,),
    ),
    *_rows(
        "ec2",
        "DescribeAddresses DescribeSecurityGroups DescribeVolumes",
        commands=(*_LAUNCH, "doctor"),
        conditions=(Condition.MANAGED,),
    ),
    # Another cluster's orchestrator: whether its security group admits the nodes.
    *_rows("ec2", "DescribeSecurityGroups", commands=("doctor",), conditions=(Condition.ORCHESTRATOR,)),
    *_rows("ec2", "DescribeTags", commands=(*_INVENTORY, *_PRICED, "history", "doctor")),
    *_rows(
        "ec2", "DescribeFleets", commands=(*_LAUNCH, "extend", "doctor")
    ),  # the launches of a fleet, with their times
    *_rows("ec2", "DescribeInstanceTypeOfferings DescribeInstanceTypes", commands=_MARKET),
    *_rows("ec2", "DescribeInstanceTypeOfferings", commands=_IMAGE),
    *_rows(
        "ec2",
        "DescribeSpotPriceHistory",
        commands=(*_MARKET, *_PRICED, "remove", "history", "list", "status", *_SCANS),
    ),
    *_rows(
        "ec2",
        "GetInstanceTypesFromInstanceRequirements",
        commands=_MARKET,
        conditions=(Condition.REQUIREMENTS,),
    ),
    *_rows(
        "ec2", "GetSpotPlacementScores", commands=(*_LAUNCH, "doctor"), conditions=(Condition.AUTO_REGIONS,)
    ),
    *_rows("ec2", "GetSpotPlacementScores", commands=("offers",)),
    *_rows("servicequotas", "GetServiceQuota", commands=(*_LAUNCH, "offers", "doctor")),
    *_rows(
        "pricing",
        "GetProducts",
        commands=(*_NETWORKED, "cost", "report", "offers", "doctor", "list", "status", *_SCANS),
    ),
    *_rows("ec2", "DescribeInstanceStatus", commands=("status", "report")),
    *_rows(
        "ec2",
        "GetConsoleOutput",
        commands=("status", "report", "ssh", "logs", "console", *_IMAGE),
        scopes=(ResourceScope.TAGGED,),
    ),
    # The first boot of a managed orchestrator, and `reconcile` on its machine
    *_rows(
        "ec2",
        "GetConsoleOutput",
        commands=("create", "doctor"),
        conditions=(Condition.MANAGED,),
        scopes=(ResourceScope.TAGGED,),
    ),
    *_rows(
        "ec2",
        "DescribeSpotInstanceRequests",
        commands=(*_LAUNCH, "list", "status", "history", *_PRICED, *_SCANS),
    ),
    *_rows(
        "ec2",
        "DescribeInternetGateways DescribeLaunchTemplates DescribeRouteTables DescribeSecurityGroups DescribeSubnets",
        commands=(*_NETWORKED, *_SCANS),
    ),
    # The time of the last claim on a managed orchestrator
    *_rows("ec2", "DescribeLaunchTemplateVersions", commands=_LAUNCH, conditions=(Condition.MANAGED,)),
    *_rows("ec2", "DescribeVpcBlockPublicAccessOptions", commands=(*_NETWORKED, "doctor")),
    *_rows(
        "ec2",
        "DescribeSubnets DescribeRouteTables",
        commands=("doctor",),
        conditions=(Condition.EXISTING_VPC,),
    ),
    # Called only where public access is blocked and a NAT gateway is the way out.
    *_rows("ec2", "DescribeNatGateways", commands=(*_NETWORKED, "doctor"), conditions=_EXISTING),
    *_rows("ec2", "DescribeVpcs", commands=(*_NETWORKED, "doctor", *_SCANS)),
    *_rows("ec2", "DescribeImages", commands=(*_LAUNCH, "doctor"), conditions=(Condition.IMAGE,)),
    *_rows("ec2", "DescribeImages", commands=(*_SCANS, *_IMAGE)),
    *_rows("ec2", "DescribeSnapshots", commands=_IMAGE),
    *_rows("ec2", "DescribeVolumes DescribeAddresses", commands=(*_PRICED, *_SCANS)),
    *_rows(
        "ec2",
        "DescribeCapacityReservations DescribeDhcpOptions DescribeEgressOnlyInternetGateways "
        "DescribeFleets DescribeFlowLogs DescribeInstanceConnectEndpoints DescribeKeyPairs "
        "DescribeNatGateways DescribeNetworkAcls DescribeNetworkInterfaces DescribePlacementGroups "
        "DescribeSnapshots DescribeSpotFleetRequests DescribeVpcEndpoints DescribeVpcPeeringConnections",
        commands=_SCANS,
    ),
    *_rows(
        "ec2",
        "DescribeSecurityGroupRules DescribeTransitGatewayVpcAttachments DescribeVpnGateways",
        commands=_TEARDOWN,
    ),
    # Not on all resources: the call returns the user data of any instance, with its secrets.
    *_rows("ec2", "DescribeInstanceAttribute", commands=_TEARDOWN, scopes=(ResourceScope.TAGGED,)),
    *_rows("autoscaling", "DescribeAutoScalingGroups", commands=_SCANS),
    # Whether the group that a member leaves is the cluster's.
    *_rows("autoscaling", "DescribeAutoScalingGroups", commands=("remove",), conditions=_HEALING),
    *_rows(
        "autoscaling",
        "DescribeAutoScalingGroups DescribeScalingActivities DescribeScheduledActions",
        commands=_GROUP_READERS,
        conditions=_HEALING,
    ),
    *_rows("autoscaling", "DescribeScheduledActions", commands=("clusters",)),
    *_rows("tag", "GetResources", commands=_SCANS),
    *_rows("ssm", "DescribeParameters ListTagsForResource", commands=_SCANS),
    *_rows(
        "ssm",
        "ListTagsForResource",
        commands=(*_LAUNCH, "doctor"),
        scopes=(ResourceScope.ORCHESTRATOR_PARAMETER,),
        conditions=(Condition.MANAGED,),
    ),
    *_rows("secretsmanager", "ListSecrets", commands=_SCANS),
    *_rows("secretsmanager", "DescribeSecret", commands=_TEARDOWN),
    *_rows("events", "DescribeRule ListTagsForResource", commands=_SCANS),
    *_rows("events", "ListTargetsByRule", commands=_TEARDOWN),
    *_rows("cloudwatch", "DescribeAlarms ListTagsForResource", commands=_SCANS),
    *_rows("sqs", "GetQueueUrl ListQueueTags", commands=_SCANS),
    *_rows("sns", "ListTagsForResource", commands=_SCANS),
    *_rows("logs", "DescribeLogGroups ListTagsForResource", commands=_SCANS),
    # The list is read only if the tags of a bucket cannot be: whether it is another account's.
    *_rows("s3", "GetBucketTagging ListAllMyBuckets", commands=_SCANS),
    *_rows("s3", "GetBucketTagging ListAllMyBuckets", commands=("list",), conditions=(Condition.MANAGED,)),
    *_rows(
        "iam",
        "GetInstanceProfile GetPolicy ListAttachedRolePolicies ListEntitiesForPolicy ListInstanceProfiles "
        "ListInstanceProfilesForRole ListPolicies ListPolicyVersions ListRolePolicies ListRoles",
        commands=_TEARDOWN,
    ),
    *_rows("iam", "GetRole", commands=(*_TEARDOWN, "doctor")),
    # The name of the account in the first lines of a command.
    *_rows("iam", "ListAccountAliases", commands=tuple(name for name in _EVERY if name != "doctor")),
    *_rows("iam", "SimulatePrincipalPolicy", commands=("doctor",)),
)

# The lock that keeps two commands on one cluster apart: a launch template that the command creates, renews and deletes.
_LOCK = (
    *_rows("ec2", "CreateLaunchTemplate", commands=LOCKING, scopes=(ResourceScope.CREATED_WITH_TAG,)),
    *_rows("ec2", "CreateTags", commands=LOCKING, scopes=(ResourceScope.TAGGING, ResourceScope.TAGGED)),
    *_rows("ec2", "DeleteLaunchTemplate", commands=LOCKING, scopes=(ResourceScope.TAGGED,)),
    *_rows("ec2", "DescribeLaunchTemplates", commands=LOCKING),
)

_CREATE = (
    *_rows(
        "ec2",
        "CreateVpc CreateInternetGateway",
        commands=_NETWORKED,
        scopes=(ResourceScope.CREATED_WITH_TAG,),
        conditions=_NETWORK,
    ),
    *_rows(
        "ec2",
        "CreateSubnet",
        commands=_NETWORKED,
        scopes=(ResourceScope.CREATED_WITH_TAG, ResourceScope.TAGGED),
        conditions=_NETWORK,
    ),
    *_rows("ec2", "CreateSecurityGroup", commands=_NETWORKED, scopes=(ResourceScope.CREATED_WITH_TAG,)),
    *_rows(
        "ec2",
        "CreateSecurityGroup",
        commands=_NETWORKED,
        scopes=(ResourceScope.TAGGED,),
        conditions=_NETWORK,
    ),
    *_rows(
        "ec2",
        "CreateSecurityGroup",
        commands=_NETWORKED,
        scopes=(ResourceScope.YOUR_VPC,),
        conditions=_EXISTING,
    ),
    *_rows("ec2", "CreateLaunchTemplate", commands=_LAUNCH, scopes=(ResourceScope.CREATED_WITH_TAG,)),
    *_LOCK,
    # CreateFleet needs the tags of instances and volumes in the call: those in the template count for RunInstances only
    # (reference, CreateFleet: "do not include the resources specified in a launch template"). No snapshots: AWS checks
    # them only for a launch that names one, which could then read any disk (EC2 user guide, "Launch instances
    # (RunInstances)").
    *_rows(
        "ec2",
        "CreateFleet",
        commands=_LAUNCH,
        scopes=(ResourceScope.CREATED_WITH_TAG, ResourceScope.TAGGED, ResourceScope.IMAGES),
    ),
    *_rows(
        "ec2",
        "RunInstances",
        commands=_NETWORKED,
        scopes=(ResourceScope.CREATED_WITH_TAG, ResourceScope.TAGGED, ResourceScope.IMAGES),
    ),
    *_rows(
        "ec2",
        "CreateFleet",
        commands=_LAUNCH,
        scopes=(ResourceScope.YOUR_SUBNETS,),
        conditions=_EXISTING,
    ),
    *_rows(
        "ec2",
        "RunInstances",
        commands=_NETWORKED,
        scopes=(ResourceScope.YOUR_SUBNETS,),
        conditions=_EXISTING,
    ),
    *_rows("ec2", "CreateTags", commands=_NETWORKED, scopes=(ResourceScope.TAGGING,)),
    # The instance is the cluster's; the image belongs to the account, with a tag value of its own.
    *_rows(
        "ec2", "CreateImage", commands=_IMAGE, scopes=(ResourceScope.CREATED_IMAGES, ResourceScope.TAGGED)
    ),
    *_rows(
        "ec2", "CopyImage", commands=_IMAGE, scopes=(ResourceScope.CREATED_IMAGES, ResourceScope.OWN_IMAGES)
    ),
    *_rows("ec2", "CreateTags", commands=_IMAGE, scopes=(ResourceScope.IMAGE_TAGGING,)),
    # The expiry, on existing instances and launch templates; the end of a drain, on instances.
    *_rows("ec2", "CreateTags", commands=("create", "extend", *_DRAIN), scopes=(ResourceScope.TAGGED,)),
    *_rows("ec2", "CreateTags", commands=("nuke --adopt",), scopes=(ResourceScope.ADOPTING,)),
    *_rows(
        "ec2",
        "AttachInternetGateway",
        commands=_NETWORKED,
        scopes=(ResourceScope.TAGGED,),
        conditions=_NETWORK,
    ),
    *_rows("ec2", "CreateRoute", commands=_NETWORKED, scopes=(ResourceScope.ROUTES,), conditions=_NETWORK),
    # The reference lists the rule as an optional resource: it counts only if it is tagged, and these are not (IAM user
    # guide, "Amazon EC2: Allows managing EC2 security groups with a specific tag": the group alone).
    *_rows(
        "ec2",
        "AuthorizeSecurityGroupIngress",
        commands=_LAUNCH,
        scopes=(ResourceScope.TAGGED,),
        conditions=(Condition.SSH, Condition.MANAGED),
    ),
    *_rows(
        "ec2",
        "AllocateAddress CreateVolume",
        commands=("create",),
        scopes=(ResourceScope.CREATED_WITH_TAG,),
        conditions=(Condition.MANAGED,),
    ),
    *_rows(
        "ec2",
        "AssociateAddress AttachVolume RebootInstances StartInstances",
        commands=("create",),
        scopes=(ResourceScope.TAGGED,),
        conditions=(Condition.MANAGED,),
    ),
    *_rows("ec2", "CreateLaunchTemplateVersion", commands=_LAUNCH, scopes=(ResourceScope.TAGGED,)),
    *_rows(
        "ssm",
        "GetParameters",
        commands=(*_LAUNCH, "doctor"),
        scopes=(ResourceScope.PUBLIC_PARAMETERS,),
        conditions=(Condition.IMAGE_PARAMETER,),
    ),
    *_rows("ssm", "GetParameters", commands=_IMAGE, scopes=(ResourceScope.PUBLIC_PARAMETERS,)),
    *_rows(
        "ssm",
        "AddTagsToResource GetParameter ListTagsForResource PutParameter",
        commands=_LAUNCH,
        scopes=(ResourceScope.CLUSTER_PARAMETER,),
        conditions=(Condition.SSM_SECRETS,),
    ),
    *_rows(
        "ssm",
        "AddTagsToResource PutParameter",
        commands=("create", "scale"),
        scopes=(ResourceScope.ORCHESTRATOR_PARAMETER,),
        conditions=(Condition.MANAGED,),
    ),
    *_rows(
        "s3",
        "GetBucketTagging GetLifecycleConfiguration",
        commands=_LAUNCH,
        scopes=(ResourceScope.RESULTS_BUCKET,),
        conditions=(Condition.MANAGED,),
    ),
    *_rows(
        "s3",
        "CreateBucket PutBucketPublicAccessBlock PutLifecycleConfiguration",
        commands=("create",),
        scopes=(ResourceScope.RESULTS_BUCKET,),
        conditions=(Condition.MANAGED,),
    ),
    *_rows(
        "s3",
        "TagResource",
        commands=("create",),
        scopes=(ResourceScope.RESULTS_BUCKET_TAGS,),
        conditions=(Condition.MANAGED,),
    ),
    *_rows(
        "iam",
        "AddRoleToInstanceProfile CreateInstanceProfile CreateRole GetInstanceProfile GetRole GetRolePolicy "
        "PutRolePolicy TagInstanceProfile TagRole",
        commands=_LAUNCH,
        scopes=(ResourceScope.CLUSTER_ROLE,),
        conditions=(Condition.SSM_SECRETS, Condition.MANAGED),
    ),
    *_rows(
        "iam",
        "PassRole",
        commands=_LAUNCH,
        scopes=(ResourceScope.PASSED_ROLE,),
        conditions=(Condition.SSM_SECRETS, Condition.MANAGED),
    ),
    *_rows("iam", "CreateServiceLinkedRole", commands=_LAUNCH, scopes=(ResourceScope.SERVICE_ROLES,)),
    *_rows(
        "autoscaling",
        "CreateAutoScalingGroup",
        commands=_GROUP_WRITERS,
        scopes=(ResourceScope.CREATED_GROUPS,),
        conditions=_HEALING,
    ),
    *_rows(
        "autoscaling",
        "AttachInstances CreateOrUpdateTags DeleteAutoScalingGroup ResumeProcesses SuspendProcesses UpdateAutoScalingGroup",
        commands=_GROUP_WRITERS,
        scopes=(ResourceScope.TAGGED,),
        conditions=_HEALING,
    ),
    # The end of a cluster: a tag of the group, and its scheduled action.
    *_rows(
        "autoscaling",
        "DeleteScheduledAction PutScheduledUpdateGroupAction",
        commands=(*_GROUP_WRITERS, "extend"),
        scopes=(ResourceScope.TAGGED,),
        conditions=_HEALING,
    ),
    *_rows(
        "autoscaling",
        "CreateOrUpdateTags",
        commands=("extend",),
        scopes=(ResourceScope.TAGGED,),
        conditions=_HEALING,
    ),
    # Whatever the configuration says, an instance may be a member of a group, which would launch another in its place.
    *_rows(
        "autoscaling",
        "DetachInstances TerminateInstanceInAutoScalingGroup",
        commands=(*_LAUNCH, "remove"),
        scopes=(ResourceScope.TAGGED,),
    ),
    *_rows(
        "autoscaling",
        "SetInstanceHealth",
        commands=("reconcile", ON_ORCHESTRATOR),
        scopes=(ResourceScope.TAGGED,),
    ),
)

_DELETE = (
    *_rows(
        "ec2",
        "CancelSpotInstanceRequests",
        commands=(*_LAUNCH, *_TEARDOWN),
        scopes=(ResourceScope.TAGGED,),
    ),
    *_rows(
        "ec2",
        "TerminateInstances",
        commands=(*_NETWORKED, "remove", *_TEARDOWN),
        scopes=(ResourceScope.TAGGED,),
    ),
    *_rows("ec2", "DeregisterImage DeleteSnapshot", commands=_IMAGE, scopes=(ResourceScope.OWN_IMAGES,)),
    *_rows(
        "ec2",
        "CancelCapacityReservation CancelSpotFleetRequests DeleteDhcpOptions DeleteEgressOnlyInternetGateway DeleteFleets "
        "DeleteFlowLogs DeleteInstanceConnectEndpoint DeleteInternetGateway DeleteKeyPair DeleteLaunchTemplate "
        "DeleteNatGateway DeleteNetworkAcl DeleteNetworkInterface DeletePlacementGroup DeleteRouteTable "
        "DeleteSecurityGroup DeleteSnapshot DeleteSubnet DeleteVolume DeleteVpc DeleteVpcEndpoints "
        "DeleteVpcPeeringConnection DeregisterImage DetachInternetGateway DetachNetworkInterface "
        "DisableImageDeregistrationProtection DisassociateAddress DisassociateRouteTable ModifyInstanceAttribute "
        "ReleaseAddress RevokeSecurityGroupEgress RevokeSecurityGroupIngress",
        commands=_TEARDOWN,
        scopes=(ResourceScope.TAGGED,),
    ),
    *_rows(
        "autoscaling",
        "DeleteAutoScalingGroup UpdateAutoScalingGroup",
        commands=_TEARDOWN,
        scopes=(ResourceScope.TAGGED,),
    ),
    *_rows("ssm", "DeleteParameters", commands=_TEARDOWN, scopes=(ResourceScope.TAGGED,)),
    # The orchestrator's API: which clusters use it, and removing this cluster's nodes from another one's.
    *_rows(
        "ssm",
        "GetParameter",
        commands=("destroy",),
        scopes=(ResourceScope.ORCHESTRATOR_PARAMETER,),
        conditions=(Condition.ORCHESTRATOR,),
    ),
    *_rows(
        "secretsmanager",
        "DeleteSecret RemoveRegionsFromReplication",
        commands=_TEARDOWN,
        scopes=(ResourceScope.TAGGED,),
    ),
    *_rows("events", "DeleteRule RemoveTargets", commands=_TEARDOWN, scopes=(ResourceScope.TAGGED,)),
    *_rows("cloudwatch", "DeleteAlarms", commands=_TEARDOWN, scopes=(ResourceScope.TAGGED,)),
    *_rows("sqs", "DeleteQueue", commands=_TEARDOWN, scopes=(ResourceScope.TAGGED,)),
    *_rows("sns", "DeleteTopic", commands=_TEARDOWN, scopes=(ResourceScope.TAGGED,)),
    *_rows(
        "logs",
        "DeleteLogGroup PutLogGroupDeletionProtection",
        commands=_TEARDOWN,
        scopes=(ResourceScope.TAGGED,),
    ),
    # A bucket's tag has no effect on permissions unless its owner has enabled that; only the name is left as a
    # condition.
    *_rows(
        "s3",
        "AbortMultipartUpload DeleteBucket DeleteObject DeleteObjectVersion ListBucketMultipartUploads ListBucketVersions",
        commands=_TEARDOWN,
        scopes=(ResourceScope.BUCKETS,),
    ),
    *_rows(
        "iam",
        "DeleteInstanceProfile DeletePolicy DeletePolicyVersion DeleteRole DeleteRolePolicy DetachRolePolicy "
        "RemoveRoleFromInstanceProfile",
        commands=_TEARDOWN,
        scopes=(ResourceScope.TAGGED,),
    ),
)

# Actions that AWS checks for a call of another name.
_CREATES = (
    "CreateVpc",
    "CreateSubnet",
    "CreateInternetGateway",
    "CreateSecurityGroup",
    "CreateLaunchTemplate",
    "AllocateAddress",
    "CreateVolume",
)
# The values of `ec2:CreateAction` for tags at creation: RunInstances creates the instances of a fleet.
TAGGED_BY = (*_CREATES, "CreateFleet", "RunInstances")
# Of images and their snapshots.
IMAGES_TAGGED_BY = ("CreateImage", "CopyImage")
_GROUP_LAUNCHES = ("autoscaling:CreateAutoScalingGroup", "autoscaling:UpdateAutoScalingGroup")
API_CALLS: dict[str, tuple[str, ...]] = {
    # AWS checks whether the caller may launch what the template of a group has (Auto Scaling user guide, "Control Amazon
    # EC2 launch template usage in Auto Scaling groups").
    "ec2:RunInstances": ("ec2:CreateFleet", "ec2:RunInstances", *_GROUP_LAUNCHES),
    "ec2:CreateTags": (
        *_GROUP_LAUNCHES,
        "ec2:CreateTags",
        "ec2:CreateFleet",
        "ec2:RunInstances",
        *(f"ec2:{name}" for name in (*_CREATES, *IMAGES_TAGGED_BY)),
    ),
    "iam:CreateServiceLinkedRole": ("ec2:CreateFleet", "autoscaling:AttachInstances", *_GROUP_LAUNCHES),
    "iam:PassRole": (
        *("iam:AddRoleToInstanceProfile", "ec2:CreateFleet", "ec2:RunInstances"),
        *_GROUP_LAUNCHES,
    ),
    "iam:TagInstanceProfile": ("iam:CreateInstanceProfile",),
    "iam:TagRole": ("iam:CreateRole",),
    "s3:DeleteObject": ("s3:DeleteObjects",),
    "s3:GetLifecycleConfiguration": ("s3:GetBucketLifecycleConfiguration",),
    "s3:DeleteObjectVersion": ("s3:DeleteObjects",),
    "s3:ListAllMyBuckets": ("s3:ListBuckets",),
    "s3:ListBucketMultipartUploads": ("s3:ListMultipartUploads",),
    "s3:ListBucketVersions": ("s3:ListObjectVersions",),
    "s3:PutBucketPublicAccessBlock": ("s3:PutPublicAccessBlock",),
    "s3:PutLifecycleConfiguration": ("s3:PutBucketLifecycleConfiguration",),
    "s3:TagResource": ("s3:CreateBucket",),
    "ssm:AddTagsToResource": ("ssm:PutParameter",),
    "tag:GetResources": ("resourcegroupstaggingapi:GetResources",),
}

# `reconcile` does what these commands do, without questions; and what `destroy` does, at the end of a cluster's lifetime.
_RECONCILED = frozenset({"create", "status", "prune"})


# What the pass on the orchestrator's machine does not do: make or repair the orchestrator, and change roles. With the right to
# change its own role, whoever controls the machine would have every permission in the account.
_NOT_ON_ORCHESTRATOR = frozenset(
    {
        *("ec2:AllocateAddress", "ec2:AssociateAddress", "ec2:AttachVolume", "ec2:CreateVolume"),
        *("ec2:RebootInstances", "ec2:StartInstances"),
        *("iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:CreateRole", "iam:PutRolePolicy"),
        *("iam:TagInstanceProfile", "iam:TagRole"),
        *("s3:CreateBucket", "s3:GetBucketTagging", "s3:GetLifecycleConfiguration"),
        *("s3:PutBucketPublicAccessBlock", "s3:PutLifecycleConfiguration", "s3:TagResource"),
    }
)


def _on_orchestrator(row: Permission) -> bool:
    writes_credentials = row.action in {"ssm:AddTagsToResource", "ssm:PutParameter"} and (
        ResourceScope.ORCHESTRATOR_PARAMETER in row.scopes
    )
    return row.action not in _NOT_ON_ORCHESTRATOR and not writes_credentials


def _with_reconcile(row: Permission) -> Iterator[Permission]:
    if row.action == "iam:ListAccountAliases":  # a pass is a line of a log, and names no account
        yield row
        return
    if not _RECONCILED.isdisjoint(row.commands):
        machine = (ON_ORCHESTRATOR,) if _on_orchestrator(row) else ()
        yield replace(row, commands=(*row.commands, "reconcile", *machine))
        return
    yield row
    if "destroy" in row.commands:
        always = row.conditions == (Condition.ALWAYS,)
        yield replace(
            row, commands=("reconcile",), conditions=(Condition.LIFETIME,) if always else row.conditions
        )


PERMISSIONS: tuple[Permission, ...] = tuple(
    permission for row in (*_READ, *_CREATE, *_DELETE) for permission in _with_reconcile(row)
)
# Every command that needs a permission, in the order of the table.
COMMANDS = tuple(
    name
    for name in dict.fromkeys(command for row in PERMISSIONS for command in row.commands)
    if name not in OPT_IN_COMMANDS
)


def active_conditions(spec: ClusterSpec) -> frozenset[Condition]:
    """The conditions that hold for a configuration."""
    images = {spec.image, *(region.image for region in spec.regions if region.image)}
    vpcs = _vpcs(spec)
    holds = {
        Condition.ALWAYS: True,
        Condition.OWN_VPC: None in vpcs,
        Condition.EXISTING_VPC: vpcs != {None},
        Condition.AUTO_REGIONS: spec.auto_regions is not None,
        Condition.REQUIREMENTS: spec.requirements is not None,
        Condition.IMAGE_PARAMETER: any(image == "auto" or image.startswith("ssm:") for image in images),
        Condition.IMAGE: images != {"auto"},
        Condition.SSH: bool(spec.ssh_cidrs),
        Condition.SSM_SECRETS: spec.bacalhau.secrets is Secrets.SSM,
        Condition.ORCHESTRATOR: spec.orchestrator.in_account,
        Condition.SELF_HEAL: spec.self_heal,
        Condition.MANAGED: spec.orchestrator.mode is OrchestratorMode.MANAGED,
        Condition.LIFETIME: spec.ttl_s is not None or spec.idle_ttl_s is not None,
    }
    return frozenset(when for when, true in holds.items() if true)


def _vpcs(spec: ClusterSpec) -> set[str | None]:
    """The user's VPCs; None among them for regions without one. The orchestrator may be alone in its region."""
    vpcs = {region.vpc_id for region in spec.regions} or {None}
    home = spec.orchestrator.region
    if spec.orchestrator.mode is OrchestratorMode.MANAGED and home is not None:
        vpcs.add(spec.vpc_of(home))
    return vpcs


def required_permissions(spec: ClusterSpec, commands: tuple[str, ...]) -> tuple[Permission, ...]:
    """The rows that these commands need with this configuration. A command with a flag includes the command without it."""
    whole = [name for name in commands if name != ON_ORCHESTRATOR]
    plain = {name.split()[0] for name in whole} | set(commands)
    here = active_conditions(spec)
    return tuple(row for row in PERMISSIONS if plain & set(row.commands) and here & set(row.conditions))


_ACTIONS = {row.action for row in PERMISSIONS}


def action_of(failure: ApiFailure) -> str:
    """`ec2:CreateVpc`: from AWS's message, else from the call; only the call where several services have one of that name."""
    named = denied_action(failure.message)
    known = [action for action in _ACTIONS if action.partition(":")[2] == failure.operation]
    return named or (known[0] if len(known) == 1 else failure.operation)
