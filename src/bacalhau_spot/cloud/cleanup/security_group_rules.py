"""Rules between managed security groups, which block the deletion of both groups; a cycle of them is a deadlock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.cloud.cleanup.handler import deletion

if TYPE_CHECKING:
    from collections.abc import Collection

    from bacalhau_spot.cloud.port import Deletion
    from bacalhau_spot.cloud.session import Session


async def revoke_mutual_rules(
    session: Session, region: str, *, groups: Collection[str], vpcs: Collection[str]
) -> Deletion:
    """Revoke rules between two of `groups`, or between one of them and the default group of one of `vpcs`.

    Rules of other groups are not managed and remain.
    """
    holders = set(groups)
    if vpcs:
        filters = [
            {"Name": "vpc-id", "Values": sorted(vpcs)},
            {"Name": "group-name", "Values": ["default"]},
        ]
        rows = await session.pages(
            "ec2", region, "describe_security_groups", "SecurityGroups", Filters=filters
        )
        holders |= {row["GroupId"] for row in rows}
    rules = await session.pages(
        "ec2",
        region,
        "describe_security_group_rules",
        "SecurityGroupRules",
        Filters=[{"Name": "group-id", "Values": sorted(holders)}],
    )
    to_revoke: dict[tuple[str, bool], list[str]] = {}
    for row in rules:
        other = (row.get("ReferencedGroupInfo") or {}).get("GroupId")
        if row["GroupId"] in holders and other in holders and other != row["GroupId"]:
            to_revoke.setdefault((row["GroupId"], bool(row.get("IsEgress"))), []).append(
                row["SecurityGroupRuleId"]
            )
    replies = [
        await session.call(
            "ec2",
            region,
            "revoke_security_group_egress" if egress else "revoke_security_group_ingress",
            GroupId=group_id,
            SecurityGroupRuleIds=ids,
        )
        for (group_id, egress), ids in to_revoke.items()
    ]
    return deletion(*replies)
