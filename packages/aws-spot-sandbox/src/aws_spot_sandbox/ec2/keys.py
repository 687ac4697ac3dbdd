"""Key pairs, which AWS deletes by id or by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_spot_sandbox.ec2.region import Answer, Args, Region


def delete_pair(region: Region, args: Args) -> Answer:
    """AWS: EC2 API Reference, DeleteKeyPair: an unknown name or id is not an error."""
    pairs = region.backend.key_pairs
    for name, pair in list(pairs.items()):
        if pair.id == args.get("KeyPairId") or name == args.get("KeyName"):
            pairs.pop(name)
            region.forget_tags(pair.id)
    return {"Return": True, "KeyPairId": args.get("KeyPairId")}
