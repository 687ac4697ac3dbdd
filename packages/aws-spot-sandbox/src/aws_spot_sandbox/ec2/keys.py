"""Key pairs: AWS deletes them by id as well as by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Answer, Args, Region


def delete_pair(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, DeleteKeyPair: that there is none of the name or id is no error."""
    pairs = region.backend.key_pairs
    for name, pair in list(pairs.items()):
        if pair.id == args.get("KeyPairId") or name == args.get("KeyName"):
            pairs.pop(name)
            region.forget_tags(pair.id)
    return {"Return": True, "KeyPairId": args.get("KeyPairId")}
