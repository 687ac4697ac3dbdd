"""The pools of a group: its launch templates, overrides and subnets, as the parameters of a fleet.

AWS: Auto Scaling user guide, "Auto Scaling groups with multiple instance types and purchase options", "Create a launch
template for an Auto Scaling group"; API reference, MixedInstancesPolicy, LaunchTemplateOverrides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_spot_sandbox.autoscaling import model
from aws_spot_sandbox.ec2 import catalog, fleets, launch_parameters, templates
from aws_spot_sandbox.http_types import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_spot_sandbox.autoscaling.model import Group
    from aws_spot_sandbox.ec2.region import Args, Region

STRATEGIES = frozenset(
    {"lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"}
)
TEMPLATES_LIMIT = 20
_NOT_FORMED = "You must use a valid fully-formed launch template. "
_MARKET = (
    "You cannot use a launch template that is set to request Spot Instances (InstanceMarketOptions) when you configure an "
    "Auto Scaling group with a mixed instances policy. Remove the InstanceMarketOptions from the launch template."
)
# Errors of a pool that depend on its zone or on the moment: the group is created, and its launches fail.
_OF_A_POOL = frozenset({"Unsupported", "InvalidFleetConfiguration"})


def subnets(region: Region, config: Mapping[str, Any]) -> dict[str, list[str]]:
    """The ids of the group's subnets by zone; without subnets, the default ones of its zones. Raises AwsError."""
    ids = [name.strip() for name in str(config.get("VPCZoneIdentifier") or "").split(",") if name.strip()]
    zones = list(config.get("AvailabilityZones") or ())
    found = [_subnet(region, subnet_id) for subnet_id in ids] or list(_defaults(region, zones))
    if not found:
        raise model.invalid("At least one Availability Zone or VPC Subnet is required.")
    if len({subnet.vpc_id for subnet in found}) > 1:
        raise model.invalid("The subnets of an Auto Scaling group must be in the same VPC.")
    by_zone: dict[str, list[str]] = {}
    for subnet in found:
        by_zone.setdefault(subnet.availability_zone, []).append(subnet.id)
    if zones and set(by_zone) - set(zones):
        raise model.invalid(
            "The availability zones of the specified subnets and the Auto Scaling group do not match"
        )
    return dict(sorted(by_zone.items()))


def _subnet(region: Region, subnet_id: str) -> Any:
    try:
        return region.subnet(subnet_id)
    except AwsError as unknown:
        raise model.invalid(unknown.message) from unknown


def _defaults(region: Region, zones: list[str]) -> Iterator[Any]:
    vpc = next((vpc for vpc in region.backend.vpcs.values() if vpc.is_default), None)
    for zone in zones:
        if zone not in region.zones():
            raise model.invalid(f"Invalid availability zone: [{zone}]")
        subnet = next(
            (
                row
                for row in region.subnets()
                if vpc and row.vpc_id == vpc.id and row.availability_zone == zone
            ),
            None,
        )
        if subnet is None:
            raise model.invalid(f"No default subnet for availability zone: '{zone}'.")
        yield subnet


def is_spot(region: Region, config: Mapping[str, Any]) -> bool:
    """Whether the group launches spot instances: by its policy, or by the market options of its template."""
    policy = config.get("MixedInstancesPolicy")
    if policy is None:
        data = templates.version(region, config["LaunchTemplate"]).data
        return bool((data.get("InstanceMarketOptions") or {}).get("MarketType") == "spot")
    distribution = policy.get("InstancesDistribution") or {}
    share = distribution.get("OnDemandPercentageAboveBaseCapacity", 100)
    return bool(share == 0)


def specifications(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The launch templates of the group, that of the policy first."""
    policy = config.get("MixedInstancesPolicy")
    if policy is None:
        return [config["LaunchTemplate"]]
    source = policy["LaunchTemplate"]
    own = [row["LaunchTemplateSpecification"] for row in source.get("Overrides") or () if _own(row)]
    return [source["LaunchTemplateSpecification"], *own]


def _own(override: Mapping[str, Any]) -> bool:
    return bool(override.get("LaunchTemplateSpecification"))


def overrides(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """At least one; with its launch template."""
    policy = config.get("MixedInstancesPolicy")
    if policy is None:
        return [{"LaunchTemplateSpecification": config["LaunchTemplate"]}]
    source = policy["LaunchTemplate"]
    common = {"LaunchTemplateSpecification": source["LaunchTemplateSpecification"]}
    return [{**common, **row} for row in source.get("Overrides") or [{}]]


def fleet_args(
    region: Region, group: Group, config: Mapping[str, Any], subnet_ids: list[str], units: int
) -> Args:
    """The parameters of the fleet that launches `units` in these subnets."""
    distribution = (config.get("MixedInstancesPolicy") or {}).get("InstancesDistribution") or {}
    strategy = distribution.get("SpotAllocationStrategy") or "lowest-price"
    price = _max_price(region, config)
    configs = []
    for priority, override in enumerate(overrides(config)):
        plain = {key: value for key, value in override.items() if key != "LaunchTemplateSpecification"}
        if plain.get("WeightedCapacity"):
            plain["WeightedCapacity"] = float(plain["WeightedCapacity"])
        if price:
            plain["MaxPrice"] = price
        pools = [{**plain, "SubnetId": subnet_id, "Priority": priority} for subnet_id in subnet_ids]
        configs.append(
            {"LaunchTemplateSpecification": override["LaunchTemplateSpecification"], "Overrides": pools}
        )
    # "If the launch template specifies an instance tag with a key that is also specified for the Auto Scaling group, Amazon
    # EC2 Auto Scaling overrides the value of that instance tag" (API reference, CreateAutoScalingGroup, Tags).
    tags = {key: value for key, (value, propagated) in group.tags.items() if propagated}
    tags[model.NAME_TAG] = group.name
    rows = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {
        "LaunchTemplateConfigs": configs,
        "SpotOptions": {"AllocationStrategy": strategy},
        "TargetCapacitySpecification": {"TotalTargetCapacity": units},
        "TagSpecifications": [{"ResourceType": "instance", "Tags": rows}],
    }


def _max_price(region: Region, config: Mapping[str, Any]) -> str:
    policy = config.get("MixedInstancesPolicy")
    if policy is not None:
        return str((policy.get("InstancesDistribution") or {}).get("SpotMaxPrice") or "")
    market = templates.version(region, config["LaunchTemplate"]).data.get("InstanceMarketOptions") or {}
    return str((market.get("SpotOptions") or {}).get("MaxPrice") or "")


# --- Validation


def normalised(region: Region, config: Mapping[str, Any]) -> dict[str, Any]:
    """The launch parameters of a group, checked, with id and name of each launch template. Raises AwsError."""
    if config.get("MixedInstancesPolicy") is None:
        if not config.get("LaunchTemplate"):
            raise model.invalid(
                "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or "
                "MixedInstancesPolicy parameter."
            )
        return {"LaunchTemplate": _template(region, config["LaunchTemplate"])}
    if config.get("LaunchTemplate"):
        raise model.invalid("Only one of LaunchTemplate and MixedInstancesPolicy can be specified.")
    policy = config["MixedInstancesPolicy"]
    source = policy.get("LaunchTemplate") or {}
    rows = [_override(region, row) for row in source.get("Overrides") or ()]
    _check_overrides(rows)
    specification = _template(region, source.get("LaunchTemplateSpecification") or {})
    chosen: dict[str, Any] = {"LaunchTemplateSpecification": specification}
    if rows:
        chosen["Overrides"] = rows
    checked: dict[str, Any] = {
        "LaunchTemplate": chosen,
        "InstancesDistribution": _distribution(policy.get("InstancesDistribution") or {}),
    }
    return {"MixedInstancesPolicy": checked}


def _template(region: Region, specification: Mapping[str, Any]) -> dict[str, str]:
    template_id, name = specification.get("LaunchTemplateId"), specification.get("LaunchTemplateName")
    if bool(template_id) == bool(name):  # aws-cli#7281
        raise model.invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName")
    try:
        template = templates.version(region, specification).template
    except AwsError as unknown:
        raise model.invalid(_NOT_FORMED + unknown.message) from unknown
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Version": str(specification.get("Version") or "$Default"),
    }


def _override(region: Region, row: Mapping[str, Any]) -> dict[str, Any]:
    if _own(row):
        return {**row, "LaunchTemplateSpecification": _template(region, row["LaunchTemplateSpecification"])}
    return dict(row)


def _check_overrides(rows: list[dict[str, Any]]) -> None:
    names = [row["InstanceType"] for row in rows if row.get("InstanceType")]
    if len(set(names)) < len(names):
        raise model.invalid("Overrides must have distinct instance types.")
    for name in names:
        if catalog.type_info(name) is None:
            raise model.invalid(f"Invalid instance type: {name}")
    weighted = [bool(row.get("WeightedCapacity")) for row in rows]
    if any(weighted) and not all(weighted):
        raise model.invalid("Either all or none of the overrides must have a WeightedCapacity.")
    if sum(_own(row) for row in rows) >= TEMPLATES_LIMIT:
        raise model.invalid(
            f"You can specify up to {TEMPLATES_LIMIT} launch templates per Auto Scaling group."
        )


def _distribution(given: Mapping[str, Any]) -> dict[str, Any]:
    """With AWS's defaults (API reference, InstancesDistribution)."""
    result = {
        "OnDemandAllocationStrategy": "prioritized",
        "OnDemandBaseCapacity": 0,
        "OnDemandPercentageAboveBaseCapacity": 100,
        "SpotAllocationStrategy": "lowest-price",
        **given,
    }
    strategy, share = result["SpotAllocationStrategy"], result["OnDemandPercentageAboveBaseCapacity"]
    if strategy not in STRATEGIES:
        raise model.invalid(f"Invalid SpotAllocationStrategy: {strategy}")
    if not 0 <= share <= 100:  # noqa: PLR2004 - a percentage
        raise model.invalid("OnDemandPercentageAboveBaseCapacity must be between 0 and 100.")
    if result.get("SpotInstancePools") and strategy != "lowest-price":
        raise model.invalid(
            "SpotInstancePools option is only available with the lowest-price allocation strategy."
        )
    if strategy == "lowest-price":
        result.setdefault("SpotInstancePools", 2)
    if result.get("DistributionSegments"):
        raise model.gap("distribution segments")
    if share not in (0, 100) or (result["OnDemandBaseCapacity"] and share == 0):
        raise model.gap("a group of both spot and on-demand instances")
    price = str(result.get("SpotMaxPrice") or "")
    if price and not _is_price(price):
        raise model.invalid(f"Invalid SpotMaxPrice: {price}")
    return result


def _is_price(text: str) -> bool:
    try:
        return float(text) > fleets.LEAST_PRICE_USD
    except ValueError:
        return False


def check_launch(region: Region, config: Mapping[str, Any], by_zone: Mapping[str, list[str]]) -> None:
    """AWS tries each launch template before it accepts the group. Raises AwsError."""
    subnet_id = next(iter(by_zone.values()))[0]
    mixed = config.get("MixedInstancesPolicy") is not None
    spot = is_spot(region, config)
    for override in overrides(config):
        data = templates.version(region, override["LaunchTemplateSpecification"]).data
        if mixed and data.get("InstanceMarketOptions"):
            raise model.invalid(_MARKET)
        changes = {key: override[key] for key in ("InstanceType", "ImageId") if override.get(key)}
        if not override.get("InstanceRequirements"):
            _try(region, {**data, **changes}, subnet_id, spot=spot)


def _try(region: Region, data: Mapping[str, Any], subnet_id: str, *, spot: bool) -> None:
    if not data.get("InstanceType"):
        raise model.invalid(_NOT_FORMED + "The request must contain the parameter InstanceType")
    try:
        launch_parameters.resolve(
            region, launch_parameters.merged(data, {"SubnetId": subnet_id}), spot=spot, template=None
        )
    except AwsError as refusal:
        if refusal.code not in _OF_A_POOL:
            raise model.invalid(_NOT_FORMED + refusal.message) from refusal
