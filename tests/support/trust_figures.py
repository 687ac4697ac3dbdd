"""The size of the reliability suite, and its figures: docs/promises.md is generated from them.

`make trust` sets TRUST=1, for the full size, and TRUST_FIGURES, the folder that the figures go to. Each part adds to one
file, PART.json, so that the tests of a part may run one after the other or in several processes.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FULL = os.environ.get("TRUST", "") not in ("", "0")
SEED = int(os.environ.get("TRUST_SEED", "19"))
# Of the full size, at random: TRUST_SHARE=0.1 runs a tenth, in minutes instead of hours.
SHARE = float(os.environ.get("TRUST_SHARE", "1"))
_CHOICE = random.Random(SEED)


@dataclass
class TrustFigures:
    """Of one part of the suite. `wrong`: cases that broke any other promise. `groups`: the cases by command, or the like."""

    part: str
    cases: int
    leaks: int = 0  # cases that left a resource of ours
    double_launches: int = 0  # cases with more nodes than asked for
    foreign_changes: int = 0  # cases that changed a resource of others
    wrong: int = 0
    seed: int = SEED
    cpu_s: float = 0.0
    groups: Mapping[str, int] = field(default_factory=dict)


def record(
    part: str,
    *,
    cases: int,
    leaks: int = 0,
    double_launches: int = 0,
    foreign_changes: int = 0,
    wrong: int = 0,
    seed: int = SEED,
    cpu_s: float = 0.0,
    groups: Mapping[str, int] | None = None,
) -> None:
    """Add the figures to those of the same part in this run. Nothing happens without TRUST_FIGURES."""
    folder = os.environ.get("TRUST_FIGURES")
    if not folder:
        return
    new = TrustFigures(
        part, cases, leaks, double_launches, foreign_changes, wrong, seed, cpu_s, dict(groups or {})
    )
    path = Path(folder) / f"{part.replace(' ', '-')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = file.read()
        whole = _sum(TrustFigures(**json.loads(before)), new) if before else new
        file.truncate(0)
        file.write(json.dumps(asdict(whole), indent=2) + "\n")


def in_share() -> bool:
    """Whether the next case of the full size runs."""
    return _CHOICE.random() < SHARE


def read(folder: Path) -> list[TrustFigures]:
    """All parts, by name."""
    return [
        TrustFigures(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))
    ]


def _sum(one: TrustFigures, other: TrustFigures) -> TrustFigures:
    groups = dict(one.groups)
    for name, cases in other.groups.items():
        groups[name] = groups.get(name, 0) + cases
    return TrustFigures(
        part=one.part,
        cases=one.cases + other.cases,
        leaks=one.leaks + other.leaks,
        double_launches=one.double_launches + other.double_launches,
        foreign_changes=one.foreign_changes + other.foreign_changes,
        wrong=one.wrong + other.wrong,
        seed=other.seed,
        cpu_s=round(one.cpu_s + other.cpu_s, 1),
        groups=groups,
    )
