"""The keys of earlier formats: their new places, the obsolete ones with reasons, and those that the user must decide.

A key in no table is an error, and never ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bacalhau_spot.config.locations import KeyPath

# Old path -> new path.
MOVED: Final[dict[KeyPath, KeyPath]] = {
    ("max_instances",): ("nodes",),
    ("total_instances",): ("nodes",),
    ("orchestrators",): ("bacalhau", "orchestrators"),
    ("token",): ("bacalhau", "token"),
    ("tls",): ("bacalhau", "tls"),
    ("additional_commands_path",): ("instance", "additional_commands_file"),
    ("spot_price_limit",): ("max_price_usd_per_hour",),
    ("aws", "total_instances"): ("nodes",),
    ("aws", "max_instances"): ("nodes",),
    ("aws", "username"): ("username",),
    ("aws", "public_ssh_key_path"): ("public_ssh_key_path",),
    ("aws", "public_ssh_key"): ("public_ssh_key_path",),
    ("aws", "private_ssh_key_path"): ("private_ssh_key_path",),
    ("aws", "ssh_key"): ("private_ssh_key_path",),
    ("aws", "additional_commands"): ("instance", "additional_commands"),
    ("aws", "additional_commands_path"): ("instance", "additional_commands_file"),
    ("aws", "additional_commands_script"): ("instance", "additional_commands_file"),
    ("aws", "instance_storage_gb"): ("instance", "root_volume_gib"),
    ("aws", "spot_price_limit"): ("max_price_usd_per_hour",),
    ("aws", "vpc_tag_name"): ("cluster", "vpc_name"),
    ("aws", "tags"): ("cluster", "tags"),
    ("aws", "regions"): ("regions",),
    ("aws", "timeouts", "api"): ("timeouts", "api_s"),
    ("aws", "timeouts", "spot_fulfillment"): ("timeouts", "fulfilment_s"),
    ("aws", "timeouts", "provisioning"): ("timeouts", "join_s"),
}
# The same where one value became a list of them. Each may stand at the top level or under `aws`.
TO_LIST: Final[dict[str, KeyPath]] = {
    "instance_type": ("instance_types",),
    "machine_type": ("instance_types",),
    "region": ("regions",),
}
# Keys without a meaning today: key -> why. Each may stand at the top level or under `aws`.
OBSOLETE: Final[dict[str, str]] = {
    "ssh_key_name": "the key in `public_ssh_key_path` reaches the nodes through cloud-init, without an EC2 key pair",
    "files_directory": "list files for the nodes one by one in `instance.files`",
    "scripts_directory": "list files for the nodes one by one in `instance.files`",
    "startup_script": "set commands for first boot in `instance.additional_commands`",
    "cloud_init_template": "the program generates the nodes' cloud-init",
    "bacalhau_config_template": "the program generates the nodes' Bacalhau configuration",
    "docker_compose_template": "Bacalhau runs as a service and without Compose",
    "bacalhau_data_dir": "the data directory is the same on every node",
    "bacalhau_node_dir": "the data directory is the same on every node",
    "security_group_name": "the security group's name consists of `cluster.resource_prefix` and the cluster's name",
}
OBSOLETE_TIMEOUTS: Final[dict[str, str]] = {
    "ip_assignment": "a running instance has an address",
}
# Switches that are always on today: on, they are obsolete; off, they contradict the program.
ALWAYS_ON: Final[dict[str, tuple[str, str]]] = {
    "spot": ("every node is a spot instance", "cannot be false: every node is a spot instance"),
    "associate_public_ip": (
        "nodes have a public address unless `instance.public_ip` is false",
        "is now `instance.public_ip`; write `public_ip: false` under `instance`",
    ),
    "use_dedicated_vpc": (
        "each region has its own VPC unless `vpc_id` names another",
        "cannot be false: name the VPC to use as `vpc_id` of each region under `regions`",
    ),
}
# Keys with a meaning that only the user can move: key -> the replacement.
REFUSED: Final[dict[str, str]] = {
    "vpc_id": "belongs to one region: write it under `regions`, such as `regions: {us-east-1: {vpc_id: vpc-…}}`",
    "availability_zone": (
        "cannot be chosen: nodes are spread over every availability zone of a region; remove the key, "
        "and name the region under `regions`"
    ),
    "subnet_id": "cannot be chosen: name the subnet's VPC as `vpc_id` of its region under `regions`",
    "ami_id": "is now `image`, at the top level for every region or under `regions` for one",
}
# A region's own keys: old -> new.
IN_REGION: Final = {"machine_type": "instance_types", "node_count": "nodes", "ami_id": "image"}


def known_old_keys(section: str) -> dict[str, str]:
    """The older keys of `aws` or `aws.timeouts`, each with its present path or an empty text."""
    parent: KeyPath = tuple(section.split("."))
    names = {str(path[-1]): ".".join(map(str, new)) for path, new in MOVED.items() if path[:-1] == parent}
    if section == "aws":
        names |= {key: str(new[-1]) for key, new in TO_LIST.items()}
        names |= dict.fromkeys((*OBSOLETE, *ALWAYS_ON, *REFUSED), "")
        return {"timeouts": "timeouts", **names}
    return names | dict.fromkeys(OBSOLETE_TIMEOUTS, "")
