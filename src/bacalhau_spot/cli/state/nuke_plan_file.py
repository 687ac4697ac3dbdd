"""The plan file of `nuke`: the list of resources, for review and for a later deletion of exactly these."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bacalhau_spot import files
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.text_marks import shortened
from bacalhau_spot.ui.json_output import resources_data, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from bacalhau_spot.core.cleanup.exclusions import ResourceKey
    from bacalhau_spot.core.model import Identity, Resource
    from bacalhau_spot.core.tags import Scope

VERSION = 1
_KEYS = {"plan_version", "made_at", "account_id", "scope", "resources"}
_MAX_BYTES = 64 << 20
_LONGEST = 60


def write_plan(
    path: Path, resources: Sequence[Resource], *, identity: Identity, scope: Scope, now: datetime
) -> None:
    """Raises UserError if it cannot be written."""
    plan = {
        "plan_version": VERSION,
        "made_at": time_text(now),
        "account_id": identity.account_id,
        "scope": {"key": scope.key, "value": scope.value, "creator": scope.creator},
        "resources": resources_data(resources),
    }
    try:
        files.write(path, json.dumps(plan, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise UserError(
            f"{path} cannot be written", why=error.strerror or str(error), exit_code=ExitCode.USAGE
        ) from error


def read_plan(path: Path, *, identity: Identity, scope: Scope) -> frozenset[ResourceKey]:
    """The resources in the plan. Raises UserError if it is not a valid plan, or is for another account or another tag."""
    plan = _parsed(path)
    if plan.get("account_id") != identity.account_id:
        raise UserError(
            f"{path} was created for account {_shown(plan.get('account_id'))}",
            why=f"these credentials are of account {identity.account_id}",
            hint="use that account's --profile, or write a new plan with --plan-out",
            exit_code=ExitCode.USAGE,
        )
    if plan.get("scope") != {"key": scope.key, "value": scope.value, "creator": scope.creator}:
        raise UserError(
            f"{path} was created for another tag",
            why=f"the configuration's is {scope.key}={scope.value}",
            hint="use the configuration of that plan, or write a new plan with --plan-out",
            exit_code=ExitCode.USAGE,
        )
    rows = plan.get("resources")
    if not isinstance(rows, list):
        raise _no_plan(path, "it has no list of resources, each with region, kind and id")
    return frozenset(_key(row, path) for row in rows)


def _key(row: Any, path: Path) -> ResourceKey:
    values = [row.get(name) if isinstance(row, dict) else None for name in ("region", "kind", "id")]
    if not all(isinstance(value, str) and value for value in values):
        raise _no_plan(path, "a resource needs region, kind and id, each as text")
    return str(values[0]), str(values[1]), str(values[2])


def _parsed(path: Path) -> dict[str, Any]:
    try:
        plan = json.loads(files.read_text(path, max_bytes=_MAX_BYTES))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read", why=error.strerror or str(error), exit_code=ExitCode.USAGE
        ) from error
    except json.JSONDecodeError as error:
        raise _no_plan(f"{path}:{error.lineno}:{error.colno}", error.msg) from error
    except RecursionError as error:
        raise _no_plan(path, "it is nested too deeply") from error
    except ValueError as error:  # a number with too many digits
        raise _no_plan(path, str(error)) from error
    if (
        not isinstance(plan, dict)
        or type(plan.get("plan_version")) is not int
        or plan["plan_version"] != VERSION
    ):
        raise _no_plan(path, f"it has no plan_version {VERSION}")
    unknown = sorted(set(plan) - _KEYS)
    if unknown:
        raise _no_plan(path, f"{_shown(unknown[0])} is not a key of a plan")
    return plan


def _shown(value: object) -> str:
    """The value of an id in the file, short and printable."""
    return shortened(ascii(value), _LONGEST)


def _no_plan(where: Path | str, why: str) -> UserError:
    return UserError(f"{where}: this is not a plan of `nuke --plan-out`", why=why, exit_code=ExitCode.USAGE)
