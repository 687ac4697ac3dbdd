"""Results for programs: one envelope with a version, on failure too; and events, one a line, for long commands.

Their form is published in schemas/, and a test holds the two together.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from bacalhau_spot.core.found import in_order
from bacalhau_spot.core.lifecycle import phase_of
from bacalhau_spot.core.teardown import ROWS, waves
from bacalhau_spot.errors import ExitCode
from bacalhau_spot.ui.problems import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bacalhau_spot.core.events import Event
    from bacalhau_spot.core.found import Found
    from bacalhau_spot.core.model import Instance, Resource
    from bacalhau_spot.core.plan import Plan, RegionPlan
    from bacalhau_spot.core.receipt import CreateReceipt, Listing, Problem, RegionReceipt, TeardownReceipt
    from bacalhau_spot.errors import UserError

VERSION = 1

Data = dict[str, Any]
_MICRO = Decimal("0.000001")

_STATUS = {
    ExitCode.DONE: "ok",
    ExitCode.DECLINED: "declined",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.BLIND: "partial",
}


def envelope(
    *,
    command: str,
    data: Data | None,
    exit_code: ExitCode,
    errors: Sequence[UserError] = (),
    warnings: Sequence[str] = (),
) -> Data:
    """What `-o json` prints. A failure that has data to show has done part of the work."""
    return {
        "version": VERSION,
        "command": command,
        "status": _STATUS.get(exit_code, "error" if data is None else "partial"),
        "exit_code": int(exit_code),
        "data": data,
        "errors": [error_data(error) for error in errors],
        "warnings": list(warnings),
    }


def error_data(error: UserError) -> Data:
    code, regions = (error.code, error.regions) if isinstance(error, RefusedError) else (None, ())
    return {
        "what": error.what,
        "why": error.why,
        "code": code,
        "hint": error.hint,
        "docs": error.docs,
        "regions": list(regions),
        "details": list(error.details),
    }


def text(result: Data, *, form: str) -> str:
    """The envelope as `json`, `yaml` or the last line of `ndjson`."""
    if form == "yaml":
        return "".join(f"{row}\n" for row in _yaml(result, 0))
    if form == "ndjson":
        return json.dumps({"event": "result", **result}, ensure_ascii=False) + "\n"
    return json.dumps(result, indent=2, ensure_ascii=False) + "\n"


def _yaml(value: Any, depth: int) -> list[str]:
    """Block style with JSON's scalars, which are YAML's too."""
    indent = "  " * depth
    rows: list[str] = []
    pairs = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    for key, inner in pairs:
        head = f"{indent}{_scalar(key)}:" if key is not None else f"{indent}-"
        if isinstance(inner, dict | list) and inner:
            rows.append(head)
            rows.extend(_yaml(inner, depth + 1))
        else:
            rows.append(f"{head} {_scalar(inner)}")
    return rows


# What JSON may hold as it is and YAML may not (YAML 1.2, "Character Set").
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def time_text(moment: datetime) -> str:
    """RFC 3339, in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def plan_data(plan: Plan) -> Data:
    price = plan.usd_per_hour
    return {
        "cluster": plan.cluster,
        "wanted": plan.wanted,
        "present": plan.present,
        "launch": plan.launch,
        "usd_per_hour": None if price is None else {"low": str(price[0]), "high": str(price[1])},
        "regions": [_region_plan(region) for region in plan.regions],
        "surplus": [one.id for one in plan.surplus],
        "remove": [one.id for one in plan.remove],
    }


def _region_plan(region: RegionPlan) -> Data:
    return {
        "region": region.region,
        "wanted": region.wanted,
        "present": region.present,
        "launch": region.launch,
        "images": [{"id": image.id, "arch": str(image.arch)} for image in region.images],
        "pools": [
            {
                "type": offer.pool.type,
                "zone": offer.pool.zone,
                "arch": str(offer.arch),
                "usd_per_hour": None if offer.usd_per_hour is None else str(offer.usd_per_hour),
            }
            for offer in region.offers
        ],
    }


def create_data(receipt: CreateReceipt) -> Data:
    return {
        "cluster": receipt.cluster,
        "wanted": receipt.wanted,
        "before": receipt.before,
        "asked": receipt.asked,
        "launched": receipt.launched,
        "running": receipt.running,
        "missing": receipt.missing,
        "interrupted": receipt.interrupted,
        "removed": list(receipt.removed),
        "made": dict(receipt.made),
        "regions": [_region_receipt(region) for region in receipt.regions],
    }


def _region_receipt(region: RegionReceipt) -> Data:
    return {
        "region": region.region,
        "asked": region.asked,
        "taken_over": region.extra,
        "moved_away": region.moved_away,
        "launched": list(region.launched),
        "running": len(region.running),
        "zones": region.zones,
        "failed": region.short,
        "code": region.code,
        "instances": [instance_data(one) for one in region.instances],
        "refusals": [
            {"type": one.type, "zone": one.zone, "code": one.code, "message": one.message}
            for one in region.refusals
        ],
        "problem": None if region.problem is None else problem_data(region.problem),
    }


def problem_data(problem: Problem) -> Data:
    return {
        "code": problem.code,
        "message": problem.message,
        "operation": problem.operation,
        "region": problem.region,
        "request_id": problem.request_id,
    }


def instance_data(one: Instance) -> Data:
    return {
        "id": one.id,
        "region": one.region,
        "zone": one.zone,
        "type": one.type,
        "state": str(one.state),
        "phase": str(phase_of(one)),
        "launched_at": time_text(one.launched_at),
        "lifecycle": one.lifecycle,
        "public_ip": one.public_ip,
        "private_ip": one.private_ip,
        "spot_request_id": one.spot_request_id,
        "image_id": one.image_id,
        "vpc_id": one.vpc_id,
        "subnet_id": one.subnet_id,
        "why_ended": one.why_ended,
    }


def listing_data(listing: Listing) -> Data:
    return {
        "cluster": listing.cluster,
        "instances": [
            instance_data(one) for one in sorted(listing.instances, key=lambda one: (one.region, one.id))
        ],
        "others": [{"region": one.region, "kind": one.kind, "id": one.id} for one in listing.others],
        "looked_into": list(listing.looked_into),
        "unseen": [problem_data(problem) for problem in listing.unseen],
    }


def resources_data(resources: Iterable[Resource]) -> list[Data]:
    return [_resource(one) for one in in_order(resources)]


def _resource(one: Resource) -> Data:
    return {"region": one.region, "kind": one.kind, "id": one.id, "name": one.name, "state": one.state}


def teardown_data(receipt: TeardownReceipt) -> Data:
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


def event_name(kind: type[Event]) -> str:
    """`InstanceSeen` is told as `instance-seen`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


class Ndjson:
    """A screen for programs: each event one JSON object on a line, its name first."""

    def __init__(self, stream: TextIO, *, now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._now = now

    def emit(self, event: Event) -> None:
        values = {item.name: getattr(event, item.name) for item in fields(event)}
        row = {"event": event_name(type(event)), "at": time_text(self._now()), **values}
        self._stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._stream.flush()

    def tick(self) -> None:
        """Events are all there is to say."""

    def close(self) -> None:
        """Nothing to give back."""
