"""What `destroy` and `nuke` print for programs."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING

from bacalhau_spot.core.found import in_order
from bacalhau_spot.core.teardown import ROWS, waves
from bacalhau_spot.ui.jsonout.prune import forgotten_data
from bacalhau_spot.ui.jsonout.values import Data, problem_data, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bacalhau_spot.core.found import Found
    from bacalhau_spot.core.model import Resource
    from bacalhau_spot.core.prune import Forgotten
    from bacalhau_spot.core.receipt import TeardownReceipt

_MICRO = Decimal("0.000001")


def resources_data(resources: Iterable[Resource]) -> list[Data]:
    return [_resource(one) for one in in_order(resources)]


def _resource(one: Resource) -> Data:
    return {"region": one.region, "kind": one.kind, "id": one.id, "name": one.name, "state": one.state}


def teardown_data(receipt: TeardownReceipt, forgotten: Forgotten | None = None) -> Data:
    """`forgotten`: what the orchestrator was made to forget; None when it was not asked."""
    return {
        "cluster": receipt.cluster,
        "interrupted": receipt.interrupted,
        "outcomes": [
            {
                **_resource(one.resource),
                "fate": one.fate,
                "why": one.why,
                "request_ids": list(one.request_ids),
                "blockers": [asdict(blocker) for blocker in one.blockers],
                "problem": None if one.problem is None else problem_data(one.problem),
            }
            for one in receipt.outcomes
        ],
        "remaining": resources_data(receipt.remaining),
        "unknown": resources_data(receipt.unknown),
        "looked_into": list(receipt.looked_into),
        "unseen": [problem_data(problem) for problem in receipt.unseen],
        "silent": [problem_data(problem) for problem in receipt.silent],
        "orchestrator": forgotten_data(forgotten),
    }


def nuke_found_data(found: Found) -> Data:
    """With `--dry-run`."""
    return {
        "account_id": found.identity.account_id,
        "alias": found.alias,
        "arn": found.identity.arn,
        "found": [
            {
                **_resource(one),
                "cluster": one.tags.get(found.scope.key, ""),
                "protection": one.protection,
                "created_at": None if one.created_at is None else time_text(one.created_at),
            }
            for one in in_order(found.doomed)
        ],
        "spared": [{**_resource(one), "why": why} for one, why in found.spared],
        "unknown": resources_data(found.unknown),
        "to_adopt": [{"id": one, "region": region} for one, region in sorted(found.foundlings.items())],
        "denied": [problem_data(problem) for problem in found.denied],
        "looked_into": list(found.looked_into),
        "left_out": list(found.left_out),
        "not_enabled": list(found.not_enabled),
        "in_the_way": [
            {"vpc": one.id, "region": one.region, "blocker": asdict(blocker)}
            for one, blocker in found.in_the_way
        ],
        "silent": [problem_data(problem) for problem in found.silent],
        "unseen": [problem_data(problem) for problem in found.unseen],
        "usd_per_hour": None if found.usd_per_hour is None else str(found.usd_per_hour.quantize(_MICRO)),
    }


def order_data() -> Data:
    """With `--explain`: the deletion graph."""
    return {
        "kinds": [
            {
                "kind": one.value,
                "step": step,
                "service": ROWS[one].service,
                "after": sorted(other.value for other in ROWS[one].after),
                "dies_with_owner": ROWS[one].derived,
            }
            for step, wave in enumerate(waves(), start=1)
            for one in wave
        ]
    }
