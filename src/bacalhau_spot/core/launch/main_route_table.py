"""The main route table of the cluster's VPC: a route is added only to the cluster's own.

AWS creates the table with the VPC and does not tag it. Somebody may make another one the main table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bacalhau_spot.core.tags import cluster_scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bacalhau_spot.core.model import Naming


@dataclass(frozen=True, slots=True)
class MainRouteTable:
    """`association_id`: makes it the main one. `others`: the VPC's other route tables; the value is whether one has a default
    route.
    """

    id: str
    vpc_id: str
    association_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, bool] = field(default_factory=dict)

    def belongs_to(self, naming: Naming) -> bool:
        """Without a tag only the one table of the VPC, which AWS created: of several, anyone may have made the main one."""
        if cluster_scope(naming).matches(self.tags):
            return True
        return not self.tags and not self.others


def foreign_table_message(table: MainRouteTable, *, gateway_id: str | None, region: str) -> str:
    """What is in the way, and the commands that remove it."""
    ways = (
        f"`aws ec2 create-route --route-table-id {table.id} --destination-cidr-block 0.0.0.0/0 "
        f"--gateway-id {gateway_id or 'GATEWAY'} --region {region}` adds a route to it"
    )
    former = [other for other, has_route in table.others.items() if has_route]
    if len(former) == 1:
        ways += (
            f"; `aws ec2 replace-route-table-association --association-id {table.association_id} "
            f"--route-table-id {former[0]} --region {region}` makes {former[0]}, which has a route, the main one"
        )
    return f"{table.id} is the main route table of {table.vpc_id}; {ways}"
