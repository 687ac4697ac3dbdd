"""Limits: the account's quotas, the configured maximum price, and AWS's capacity.

A quota can be raised on request. Capacity returns with time or exists in another pool.
Sources: EC2 API reference, "Error codes for the Amazon EC2 API"; Service Quotas, services ec2, vpc, ebs and iam, for the codes.
"""

from __future__ import annotations

from bacalhau_spot.core.error_catalog.categories import MORE_TYPES, Category, ErrorInfo, Recovery, rows_for

# A code of this program: AWS refuses a subnet in a zone that it lists. cloud/ distinguishes it from other errors with the same
# AWS code.
CLOSED_ZONE = "ZoneTakesNoSubnet"

_QUOTAS = "https://{region}.console.aws.amazon.com/servicequotas/home/services"


def _used_up(name: str, sentence: str, hint: str) -> ErrorInfo:
    """Quotas apply per region, so another region may have some left."""
    return ErrorInfo(name, Category.QUOTA, Recovery.OTHER_REGION, sentence, hint)


_SPOT = _used_up(
    "spot-quota",
    "the account's quota for spot instances in {region} is used up",
    f"ask for more at {_QUOTAS}/ec2/quotas/{{quota}} (each region has its own; it counts vCPUs, the processors of all spot "
    "instances together; `bacalhau-spot doctor` shows the number needed), or take other regions or smaller instance types",
)
_INSTANCES = _used_up(
    "instance-quota",
    "the account's quota for instances in {region} is used up",
    "terminate instances that are no longer needed (`aws ec2 describe-instances --region {region}` lists them), "
    f"or ask for more at {_QUOTAS}/ec2/quotas/L-1216C47A",
)
_VPCS = _used_up(
    "vpc-quota",
    "the account has no room for another VPC in {region}",
    "name an existing network in the configuration, `regions: {{{region}: {{vpc_id: vpc-…}}}}` (the default VPC: "
    '`aws ec2 describe-vpcs --region {region} --filters Name=is-default,Values=true --query "Vpcs[].VpcId"`), '
    f"or ask for more at {_QUOTAS}/vpc/quotas/L-F678F1CE",
)
_GROUPS = _used_up(
    "group-quota",
    "the account has no room for another security group in {region}",
    "delete security groups that are no longer needed (`aws ec2 describe-security-groups --region {region}` lists them), "
    f"or ask for more at {_QUOTAS}/vpc/quotas/L-E79EC296",
)
_RULES = _used_up(
    "rule-quota",
    "a security group in {region} would have more rules than it may have",
    f"name fewer ranges in `ssh_cidrs`, or ask for more at {_QUOTAS}/vpc/quotas/L-0EA8095F",
)
_SUBNETS = _used_up(
    "subnet-quota",
    "the VPC has no room for another subnet in {region}",
    "leave `vpc_id` out to have a VPC created, name another one there (`aws ec2 describe-vpcs --region {region}` lists them), "
    f"or ask for more at {_QUOTAS}/vpc/quotas/L-407747CB",
)
_ROUTES = _used_up(
    "route-quota",
    "the VPC has no room for another route or route table in {region}",
    "leave `vpc_id` out to have a VPC created, name another one there (`aws ec2 describe-vpcs --region {region}` lists them), "
    f"or ask for more at {_QUOTAS}/vpc/quotas/L-93826ACB",
)
_ON_DEMAND = _used_up(
    "on-demand-quota",
    "the account's quota for on-demand instances in {region} is used up",
    "terminate instances that are no longer needed, set a smaller `orchestrator.instance_type`, or ask for more at "
    f"{_QUOTAS}/ec2/quotas/L-1216C47A",
)
_INTERFACES = _used_up(
    "interface-quota",
    "the account has no room for another network interface in {region}",
    f"ask for more at {_QUOTAS}/vpc/quotas/L-DF5E4CA3, or take other regions",
)
_ADDRESSES = _used_up(
    "address-quota",
    "the account's Elastic IP addresses in {region} are used up",
    "release one that is not used (`aws ec2 describe-addresses --region {region}` lists them), "
    f"or ask for more at {_QUOTAS}/ec2/quotas/L-0263D0A3",
)
_DISKS = _used_up(
    "disk-quota",
    "the account's quota for disks in {region} is used up",
    f"set a smaller `instance.root_volume_gib`, or ask for more at {_QUOTAS}/ebs/quotas/L-7A658B76",
)
_FLEETS = _used_up(
    "fleet-quota",
    "the account has no room for another fleet in {region}",
    "delete those that are no longer needed (`bacalhau-spot nuke --dry-run` shows those of all clusters, "
    "`aws ec2 describe-fleets --region {region}` all), "
    f"or ask for more at {_QUOTAS}/ec2/quotas",
)
_TEMPLATES = _used_up(
    "template-quota",
    "the account has no room for another launch template, or another version of one, in {region}",
    "delete launch templates that are no longer needed (`aws ec2 describe-launch-templates --region {region}` lists them), "
    f"or ask for more at {_QUOTAS}/ec2/quotas",
)
_SCALING_GROUPS = _used_up(
    "scaling-group-quota",
    "the account has no room for another Auto Scaling group in {region}",
    "delete groups that are no longer needed (`aws autoscaling describe-auto-scaling-groups --region {region}` lists them), "
    f"or ask for more at {_QUOTAS}/autoscaling/quotas",
)
_PARAMETERS = _used_up(
    "parameter-quota",
    "the account has no room for another parameter (a stored value of AWS's Systems Manager, SSM) in {region}",
    "delete parameters that are no longer needed (`aws ssm describe-parameters --region {region}` lists them), "
    f"or ask for more at {_QUOTAS}/ssm/quotas",
)
_IAM = _used_up(
    "iam-quota",
    "the account has no room for another role, profile or policy",
    "delete those that are no longer needed (`aws iam list-roles` lists the roles), or ask for more at "
    "https://us-east-1.console.aws.amazon.com/servicequotas/home/services/iam/quotas",
)
_VERIFY = _used_up(
    "verification",
    "AWS is still verifying the account for {region}",
    "wait for AWS's e-mail (usually minutes, at most four hours); then run the same command again",
)
_SCORES = ErrorInfo(
    "score-quota",
    Category.QUOTA,
    Recovery.DONE,
    "the account has asked for as many different placement scores (AWS's estimates of spot capacity) as "
    "AWS answers in a day",
    "ask again tomorrow, or for the same instance types and number as earlier today; all else works without scores",
)
# For all other codes that end in LimitExceeded.
ANY_QUOTA = _used_up(
    "quota",
    "a quota of the account in {region} is used up",
    f"remove resources that are no longer needed, or ask for more at {_QUOTAS}/ec2/quotas",
)
_PRICE = ErrorInfo(
    "price",
    Category.PRICE,
    Recovery.OTHER_REGION,
    "the spot price in {region} is above `max_price_usd_per_hour`",
    "raise or remove `max_price_usd_per_hour`, or allow cheaper instance types; `bacalhau-spot offers` shows today's prices",
)
CAPACITY = ErrorInfo(
    "capacity",
    Category.CAPACITY,
    Recovery.OTHER_REGION,
    "no spot capacity in {region}",
    f"add instance types or regions to the configuration ({MORE_TYPES} shows the capacity of each region), or try again later",
)
_NOT_HERE = ErrorInfo(
    "type-not-in-zone",
    Category.CAPACITY,  # another pool's turn
    Recovery.OTHER_REGION,
    "the instance type is not sold as spot in that zone of {region}",
    f"add instance types or regions to the configuration; {MORE_TYPES} shows the capacity of each region",
)
_CLOSED_ZONE = ErrorInfo(
    "closed-zone",
    Category.CAPACITY,  # another zone's turn
    Recovery.OTHER_REGION,
    "AWS creates no new subnets in that zone of {region}",
    "no action is needed if other zones have capacity; otherwise add regions to the configuration, or name a VPC with subnets "
    "there with `regions: {{{region}: {{vpc_id: vpc-…}}}}`",
)
_FULL_SUBNET = ErrorInfo(
    "full-subnet",
    Category.CAPACITY,
    Recovery.OTHER_REGION,
    "a subnet in {region} has no free address left",
    "leave `vpc_id` out to have a VPC created, or name one with more free addresses there "
    "(`aws ec2 describe-subnets --region {region}` shows AvailableIpAddressCount)",
)

ROWS = {
    **rows_for(_SPOT, "MaxSpotInstanceCountExceeded"),
    **rows_for(_ON_DEMAND, "VcpuLimitExceeded"),
    **rows_for(_INSTANCES, "InstanceLimitExceeded"),
    **rows_for(_VPCS, "VpcLimitExceeded"),
    **rows_for(_VPCS, "InternetGatewayLimitExceeded"),  # AWS ties this quota to that of VPCs
    **rows_for(_GROUPS, "SecurityGroupLimitExceeded", "SecurityGroupsPerInstanceLimitExceeded"),
    **rows_for(_GROUPS, "SecurityGroupsPerInterfaceLimitExceeded"),
    **rows_for(_RULES, "RulesPerSecurityGroupLimitExceeded"),
    **rows_for(_SUBNETS, "SubnetLimitExceeded"),
    **rows_for(_ROUTES, "RouteTableLimitExceeded", "RouteLimitExceeded"),
    **rows_for(_INTERFACES, "NetworkInterfaceLimitExceeded"),
    **rows_for(_ADDRESSES, "AddressLimitExceeded"),
    **rows_for(_DISKS, "VolumeLimitExceeded", "MaxIOPSLimitExceeded"),
    **rows_for(_FLEETS, "MaxFleetCountExceeded", "MaxSpotFleetRequestCountExceeded"),
    **rows_for(_TEMPLATES, "LaunchTemplateLimitExceeded", "LaunchTemplateVersionLimitExceeded"),
    **rows_for(_SCALING_GROUPS, "ScalingGroupLimitExceeded"),
    **rows_for(_PARAMETERS, "ParameterLimitExceeded", "ParameterMaxVersionLimitExceeded"),
    **rows_for(_IAM, "LimitExceeded"),
    **rows_for(_VERIFY, "PendingVerification"),
    **rows_for(_SCORES, "MaxConfigLimitExceeded"),
    **rows_for(_PRICE, "SpotMaxPriceTooLow"),
    **rows_for(CAPACITY, "ReservationCapacityExceeded", "UnfulfillableCapacity"),
    **rows_for(_NOT_HERE, "Unsupported", "InvalidFleetConfiguration.NotSupportedInZone"),
    **rows_for(_CLOSED_ZONE, CLOSED_ZONE),
    **rows_for(_FULL_SUBNET, "InsufficientFreeAddressesInSubnet"),
}  # fmt: skip
