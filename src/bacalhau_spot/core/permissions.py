"""Every IAM action that this program needs, what needs it, and how narrowly AWS lets a policy allow it: a table.

Rules:
1. A row an action. `by` says which commands need it, `when` which part of the configuration; `ASKED_BY` names the calls of
   AWS's API behind which AWS asks for it, where that is not the call of the same name.
2. What makes something is allowed only with our tag in the request; what changes or deletes something only where the thing
   carries our tag. Where AWS knows no such condition, the row's `bounds` name what stands in its place.
3. Tests hold the table against the calls in cloud/ and against what the sandbox, enforcing the policy, was asked for.

Source: Service Authorization Reference ("Actions, resources, and condition keys") of each service; EC2 user guide,
"EC2 Fleet prerequisites"; IAM API reference, AddRoleToInstanceProfile; Systems Manager API reference, PutParameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bacalhau_spot.core.model import Secrets

if TYPE_CHECKING:
    from bacalhau_spot.core.model import ClusterSpec


class Bound(StrEnum):
    """What an action is allowed on."""

    ANY = "everything: it only looks"
    BORN = "what is made with our tag"
    OURS = "what carries our tag"
    TAGGING = "tags given at birth, ours among them"
    ADOPTING = "our tag, on anything of EC2's"
    ROUTES = "any route table: those born with a VPC carry no tag"
    IMAGES = "any image"
    YOUR_VPC = "the VPC that the configuration names"
    YOUR_SUBNETS = "subnets of the VPC that the configuration names"
    PUBLIC_PARAMETERS = "AWS's public parameters, and the one that `image` names"
    OUR_PARAMETER = "the cluster's own path"
    OUR_ROLE = "the cluster's own role and profile, by path and name"
    PASSING = "the cluster's own role, to EC2 alone"
    SERVICE_ROLES = "the roles that spot instances and fleets need once an account"
    BUCKETS = "buckets whose name begins with our prefix"


class When(StrEnum):
    """What in the configuration makes an action necessary."""

    ALWAYS = ""
    OWN_VPC = "a region without `vpc_id`"
    GIVEN_VPC = "a region with `vpc_id`"
    AUTO_REGIONS = "`regions: auto`"
    REQUIREMENTS = "`instance_types` by requirements"
    IMAGE_PARAMETER = "`image: auto` or `ssm:…`"
    IMAGE = "an `image` other than `auto`"
    SSH = "`ssh_cidrs` other than `none`"
    SSM_SECRETS = "`bacalhau.secrets: ssm`"


@dataclass(frozen=True, slots=True)
class Permission:
    """One action. `by`: the commands that need it; `when`: any of these must hold."""

    action: str
    by: tuple[str, ...]
    bounds: tuple[Bound, ...]
    when: tuple[When, ...] = (When.ALWAYS,)

    @property
    def asked_by(self) -> tuple[str, ...]:
        """The API calls behind which AWS asks for it."""
        return ASKED_BY.get(self.action, (self.action,))


# Calls that need no permission (STS API reference, GetCallerIdentity).
FREE = frozenset({"sts:GetCallerIdentity"})

# What may be asked for by name. Those with a flag widen what the command needs, and are not in the policy unless asked for.
WIDER = ("nuke --adopt",)
_TEARDOWN = ("destroy", "nuke")
_LOOKING = ("create", "list", "destroy", "nuke")
_MARKET = ("create", "offers", "doctor")
_PRICED = ("cost", "prices")
_EVERY = (*_LOOKING, *_PRICED, "status", "offers", "ssh", "console", "prune", "doctor")
_NETWORK = (When.OWN_VPC,)
_GIVEN = (When.GIVEN_VPC,)


def _rows(
    service: str,
    actions: str,
    *,
    by: tuple[str, ...],
    bounds: tuple[Bound, ...] = (Bound.ANY,),
    when: tuple[When, ...] = (When.ALWAYS,),
) -> tuple[Permission, ...]:
    """Rows that differ in their action alone."""
    return tuple(Permission(f"{service}:{action}", by, bounds, when) for action in actions.split())


_LOOKS = (
    *_rows("ec2", "DescribeRegions DescribeInstances", by=_EVERY),
    *_rows("ec2", "DescribeTags", by=(*_LOOKING, *_PRICED, "doctor")),
    *_rows("ec2", "DescribeFleets", by=("create", "doctor")),  # what a fleet has launched, and when
    *_rows("ec2", "DescribeInstanceTypeOfferings DescribeInstanceTypes", by=_MARKET),
    *_rows("ec2", "DescribeSpotPriceHistory", by=(*_MARKET, *_PRICED, "nuke")),
    *_rows("ec2", "GetInstanceTypesFromInstanceRequirements", by=_MARKET, when=(When.REQUIREMENTS,)),
    *_rows("ec2", "GetSpotPlacementScores", by=("create", "doctor"), when=(When.AUTO_REGIONS,)),
    *_rows("ec2", "GetSpotPlacementScores", by=("offers",)),
    *_rows("servicequotas", "GetServiceQuota", by=("create", "offers", "doctor")),
    *_rows("pricing", "GetProducts", by=("create", "cost", "offers", "doctor")),
    *_rows("ec2", "DescribeInstanceStatus", by=("status",)),
    *_rows("ec2", "GetConsoleOutput", by=("status", "console"), bounds=(Bound.OURS,)),
    *_rows("ec2", "DescribeSpotInstanceRequests", by=("create", "list", "status", *_PRICED, *_TEARDOWN)),
    *_rows(
        "ec2",
        "DescribeInternetGateways DescribeLaunchTemplates DescribeRouteTables DescribeSecurityGroups DescribeSubnets",
        by=("create", *_TEARDOWN),
    ),
    *_rows("ec2", "DescribeVpcBlockPublicAccessOptions", by=("create", "doctor")),
    *_rows("ec2", "DescribeSubnets DescribeRouteTables", by=("doctor",), when=(When.GIVEN_VPC,)),
    # Asked only where public access is blocked and a NAT gateway leads out.
    *_rows("ec2", "DescribeNatGateways", by=("create", "doctor"), when=_GIVEN),
    *_rows("ec2", "DescribeVpcs", by=("create", "doctor", *_TEARDOWN)),
    *_rows("ec2", "DescribeImages", by=("create", "doctor"), when=(When.IMAGE,)),
    *_rows("ec2", "DescribeImages", by=_TEARDOWN),
    *_rows("ec2", "DescribeVolumes", by=(*_PRICED, *_TEARDOWN)),
    *_rows(
        "ec2",
        "DescribeAddresses DescribeCapacityReservations DescribeDhcpOptions DescribeEgressOnlyInternetGateways "
        "DescribeFleets DescribeFlowLogs DescribeInstanceConnectEndpoints DescribeKeyPairs "
        "DescribeNatGateways DescribeNetworkAcls DescribeNetworkInterfaces DescribePlacementGroups "
        "DescribeSecurityGroupRules DescribeSnapshots DescribeSpotFleetRequests DescribeTransitGatewayVpcAttachments "
        "DescribeVpcEndpoints DescribeVpcPeeringConnections DescribeVpnGateways",
        by=_TEARDOWN,
    ),
    # Not on everything: it would show any instance's user-data, and others' secrets in it.
    *_rows("ec2", "DescribeInstanceAttribute", by=_TEARDOWN, bounds=(Bound.OURS,)),
    *_rows("autoscaling", "DescribeAutoScalingGroups", by=_TEARDOWN),
    *_rows("tag", "GetResources", by=_TEARDOWN),
    *_rows("ssm", "DescribeParameters ListTagsForResource", by=_TEARDOWN),
    *_rows("secretsmanager", "ListSecrets DescribeSecret", by=_TEARDOWN),
    *_rows("events", "DescribeRule ListTagsForResource ListTargetsByRule", by=_TEARDOWN),
    *_rows("cloudwatch", "DescribeAlarms ListTagsForResource", by=_TEARDOWN),
    *_rows("sqs", "GetQueueUrl ListQueueTags", by=_TEARDOWN),
    *_rows("sns", "ListTagsForResource", by=_TEARDOWN),
    *_rows("logs", "DescribeLogGroups ListTagsForResource", by=_TEARDOWN),
    *_rows("s3", "GetBucketTagging", by=_TEARDOWN),
    *_rows(
        "iam",
        "GetInstanceProfile GetPolicy ListAttachedRolePolicies ListEntitiesForPolicy ListInstanceProfiles "
        "ListInstanceProfilesForRole ListPolicies ListPolicyVersions ListRolePolicies ListRoles",
        by=_TEARDOWN,
    ),
    *_rows("iam", "GetRole", by=(*_TEARDOWN, "doctor")),
    *_rows("iam", "ListAccountAliases", by=("nuke",)),
    *_rows("iam", "SimulatePrincipalPolicy", by=("doctor",)),
)

_MAKES = (
    *_rows(
        "ec2",
        "CreateVpc CreateInternetGateway",
        by=("create",),
        bounds=(Bound.BORN,),
        when=_NETWORK,
    ),
    *_rows("ec2", "CreateSubnet", by=("create",), bounds=(Bound.BORN, Bound.OURS), when=_NETWORK),
    *_rows("ec2", "CreateSecurityGroup", by=("create",), bounds=(Bound.BORN,)),
    *_rows("ec2", "CreateSecurityGroup", by=("create",), bounds=(Bound.OURS,), when=_NETWORK),
    *_rows("ec2", "CreateSecurityGroup", by=("create",), bounds=(Bound.YOUR_VPC,), when=_GIVEN),
    *_rows("ec2", "CreateLaunchTemplate", by=("create",), bounds=(Bound.BORN,)),
    # CreateFleet needs the tags of instances and volumes in the call itself: those in the template count for RunInstances only
    # (reference, CreateFleet: "do not include the resources specified in a launch template"). No snapshots: only a launch that
    # names one is asked about it, and then could read anybody's disk (EC2 user guide, "Launch instances (RunInstances)").
    *_rows(
        "ec2",
        "CreateFleet RunInstances",
        by=("create",),
        bounds=(Bound.BORN, Bound.OURS, Bound.IMAGES),
    ),
    *_rows("ec2", "CreateFleet RunInstances", by=("create",), bounds=(Bound.YOUR_SUBNETS,), when=_GIVEN),
    *_rows("ec2", "CreateTags", by=("create",), bounds=(Bound.TAGGING,)),
    *_rows("ec2", "CreateTags", by=WIDER, bounds=(Bound.ADOPTING,)),
    *_rows("ec2", "AttachInternetGateway", by=("create",), bounds=(Bound.OURS,), when=_NETWORK),
    *_rows("ec2", "CreateRoute", by=("create",), bounds=(Bound.ROUTES,), when=_NETWORK),
    # The reference names the rule, too, as optional: it counts only where it is tagged, and ours is not (IAM user guide, "Amazon
    # EC2: Allows managing EC2 security groups with a specific tag": the group alone).
    *_rows("ec2", "AuthorizeSecurityGroupIngress", by=("create",), bounds=(Bound.OURS,), when=(When.SSH,)),
    *_rows("ec2", "CreateLaunchTemplateVersion", by=("create",), bounds=(Bound.OURS,)),
    *_rows(
        "ssm",
        "GetParameters",
        by=("create", "doctor"),
        bounds=(Bound.PUBLIC_PARAMETERS,),
        when=(When.IMAGE_PARAMETER,),
    ),
    *_rows(
        "ssm",
        "AddTagsToResource GetParameter PutParameter",
        by=("create",),
        bounds=(Bound.OUR_PARAMETER,),
        when=(When.SSM_SECRETS,),
    ),
    *_rows(
        "iam",
        "AddRoleToInstanceProfile CreateInstanceProfile CreateRole GetInstanceProfile GetRolePolicy PutRolePolicy "
        "TagInstanceProfile TagRole",
        by=("create",),
        bounds=(Bound.OUR_ROLE,),
        when=(When.SSM_SECRETS,),
    ),
    *_rows("iam", "PassRole", by=("create",), bounds=(Bound.PASSING,), when=(When.SSM_SECRETS,)),
    *_rows("iam", "CreateServiceLinkedRole", by=("create",), bounds=(Bound.SERVICE_ROLES,)),
)

_DELETES = (
    *_rows(
        "ec2",
        "CancelSpotInstanceRequests TerminateInstances",
        by=("create", *_TEARDOWN),
        bounds=(Bound.OURS,),
    ),
    *_rows(
        "ec2",
        "CancelCapacityReservation CancelSpotFleetRequests DeleteDhcpOptions DeleteEgressOnlyInternetGateway DeleteFleets "
        "DeleteFlowLogs DeleteInstanceConnectEndpoint DeleteInternetGateway DeleteKeyPair DeleteLaunchTemplate "
        "DeleteNatGateway DeleteNetworkAcl DeleteNetworkInterface DeletePlacementGroup DeleteRouteTable "
        "DeleteSecurityGroup DeleteSnapshot DeleteSubnet DeleteVolume DeleteVpc DeleteVpcEndpoints "
        "DeleteVpcPeeringConnection DeregisterImage DetachInternetGateway DetachNetworkInterface "
        "DisableImageDeregistrationProtection DisassociateAddress DisassociateRouteTable ModifyInstanceAttribute "
        "ReleaseAddress RevokeSecurityGroupEgress RevokeSecurityGroupIngress",
        by=_TEARDOWN,
        bounds=(Bound.OURS,),
    ),
    *_rows(
        "autoscaling",
        "DeleteAutoScalingGroup UpdateAutoScalingGroup",
        by=_TEARDOWN,
        bounds=(Bound.OURS,),
    ),
    *_rows("ssm", "DeleteParameters", by=_TEARDOWN, bounds=(Bound.OURS,)),
    *_rows(
        "secretsmanager",
        "DeleteSecret RemoveRegionsFromReplication",
        by=_TEARDOWN,
        bounds=(Bound.OURS,),
    ),
    *_rows("events", "DeleteRule RemoveTargets", by=_TEARDOWN, bounds=(Bound.OURS,)),
    *_rows("cloudwatch", "DeleteAlarms", by=_TEARDOWN, bounds=(Bound.OURS,)),
    *_rows("sqs", "DeleteQueue", by=_TEARDOWN, bounds=(Bound.OURS,)),
    *_rows("sns", "DeleteTopic", by=_TEARDOWN, bounds=(Bound.OURS,)),
    *_rows("logs", "DeleteLogGroup PutLogGroupDeletionProtection", by=_TEARDOWN, bounds=(Bound.OURS,)),
    # A bucket's tag binds nothing unless its owner has switched that on; its name is what there is.
    *_rows(
        "s3",
        "AbortMultipartUpload DeleteBucket DeleteObject DeleteObjectVersion ListBucketMultipartUploads ListBucketVersions",
        by=_TEARDOWN,
        bounds=(Bound.BUCKETS,),
    ),
    *_rows(
        "iam",
        "DeleteInstanceProfile DeletePolicy DeletePolicyVersion DeleteRole DeleteRolePolicy DetachRolePolicy "
        "RemoveRoleFromInstanceProfile",
        by=_TEARDOWN,
        bounds=(Bound.OURS,),
    ),
)

# Actions that AWS asks for behind a call of another name.
_CREATES = (
    "CreateVpc",
    "CreateSubnet",
    "CreateInternetGateway",
    "CreateSecurityGroup",
    "CreateLaunchTemplate",
)
# What `ec2:CreateAction` says when tags are given at birth: in a fleet the instances are born of RunInstances.
TAGGED_BY = (*_CREATES, "CreateFleet", "RunInstances")
ASKED_BY: dict[str, tuple[str, ...]] = {
    "ec2:RunInstances": ("ec2:CreateFleet",),
    "ec2:CreateTags": ("ec2:CreateTags", "ec2:CreateFleet", *(f"ec2:{name}" for name in _CREATES)),
    "iam:CreateServiceLinkedRole": ("ec2:CreateFleet",),
    "iam:PassRole": ("iam:AddRoleToInstanceProfile", "ec2:CreateFleet"),
    "iam:TagInstanceProfile": ("iam:CreateInstanceProfile",),
    "iam:TagRole": ("iam:CreateRole",),
    "s3:DeleteObject": ("s3:DeleteObjects",),
    "s3:DeleteObjectVersion": ("s3:DeleteObjects",),
    "s3:ListBucketMultipartUploads": ("s3:ListMultipartUploads",),
    "s3:ListBucketVersions": ("s3:ListObjectVersions",),
    "ssm:AddTagsToResource": ("ssm:PutParameter",),
    "tag:GetResources": ("resourcegroupstaggingapi:GetResources",),
}

TABLE: tuple[Permission, ...] = (*_LOOKS, *_MAKES, *_DELETES)
# Every command that needs a permission, in the order of the table.
COMMANDS = tuple(name for name in dict.fromkeys(one for row in TABLE for one in row.by) if name not in WIDER)


def circumstances(spec: ClusterSpec) -> frozenset[When]:
    """What of `When` holds for a configuration."""
    images = {spec.image, *(region.image for region in spec.regions if region.image)}
    given = [region.vpc_id is not None for region in spec.regions]
    holds = {
        When.ALWAYS: True,
        When.OWN_VPC: not all(given) or not given,
        When.GIVEN_VPC: any(given),
        When.AUTO_REGIONS: spec.auto_regions is not None,
        When.REQUIREMENTS: spec.requirements is not None,
        When.IMAGE_PARAMETER: any(image == "auto" or image.startswith("ssm:") for image in images),
        When.IMAGE: images != {"auto"},
        When.SSH: bool(spec.ssh_cidrs),
        When.SSM_SECRETS: spec.bacalhau.secrets is Secrets.SSM,
    }
    return frozenset(when for when, true in holds.items() if true)


def needed(spec: ClusterSpec, commands: tuple[str, ...]) -> tuple[Permission, ...]:
    """The rows that these commands need with this configuration. A command with a flag needs what the command needs, too."""
    plain = {name.split()[0] for name in commands} | set(commands)
    here = circumstances(spec)
    return tuple(row for row in TABLE if plain & set(row.by) and here & set(row.when))
