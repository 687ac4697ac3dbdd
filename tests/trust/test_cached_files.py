"""Files that an earlier command kept, with other content: asked again, or ignored; never a mistake of the program's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bacalhau_spot.cli.state.cache import FileCache
from support import trust_figures
from support.cli_runner import CliRunner
from support.fuzz_examples import HOSTILE
from support.fuzz_targets import check_screen
from support.internal_errors import check_no_internal_error

VALUES: tuple[object, ...] = (
    None, True, -1, 10**400, "NaN", "Infinity", HOSTILE, [], [[]], {}, {"a": 1}, {"": {"": {"": ""}}},
)  # fmt: skip
# What reads the caches, and what fills them.
FEW = (("offers", "--top", "3", "--region", "us-west-2"),)
COMMANDS = (
    *FEW,
    ("destroy", "--dry-run"),
    ("create", "--dry-run"),
    ("list",),
    ("cost",),
    ("__complete", "zsh", "ssh", ""),
)


def replaced(content: Any, value: object) -> Iterator[object]:
    """The content with `value` in place of every answer, of each member of an answer, and of the leaves."""
    yield {key: {**entry, "value": value} for key, entry in content.items()}
    yield {key: {**entry, "value": _inner(entry["value"], value)} for key, entry in content.items()}
    yield {key: {**entry, "value": _leaves(entry["value"], value)} for key, entry in content.items()}


def _inner(answer: Any, value: object) -> Any:
    return dict.fromkeys(answer, value) if isinstance(answer, dict) else [value]


def _leaves(answer: Any, value: object) -> Any:
    if isinstance(answer, dict):
        return {key: _leaves(inner, value) for key, inner in answer.items()}
    return [_leaves(inner, value) for inner in answer] if isinstance(answer, list) else value


@pytest.mark.parametrize("value", VALUES if trust_figures.FULL else (HOSTILE,), ids=ascii)
def test_every_cached_answer_may_be_anything(program: CliRunner, value: object) -> None:
    began, cases = time.process_time(), 0
    program.environ["XDG_STATE_HOME"] = str(program.folder / "state")
    path = program.configure(nodes=1, regions="[us-west-2]")
    path.write_text(
        path.read_text().replace("[t3.medium, t3a.medium]", "[t3.medium, t3a.medium, m5.large, m6a.large]")
    )
    assert program("create", "--yes").code == 0
    commands = COMMANDS if trust_figures.FULL else FEW
    for words in commands:
        program(*words)
    folder = program.folder / "state" / "bacalhau-spot" / "cache"
    # The test has no file of AWS's interruption rates.
    FileCache(folder.parent, clock=program.clock).put(
        "interruption-rates", "linux", {"us-west-2": {"t3.medium": 1}}
    )
    files = sorted(folder.glob("*.json"))
    assert {"spot-prices", "placement-scores", "interruption-rates"} <= {file.stem for file in files}
    originals = {file: json.loads(file.read_text()) for file in files}
    for variant in range(3):
        for file, content in originals.items():
            file.write_text(json.dumps(list(replaced(content, value))[variant]))
        for words in commands:
            result = program(*words)
            shown = result.stdout + result.stderr
            check_no_internal_error(shown, (words, variant))
            check_screen(shown)
            cases += 1
    trust_figures.record(
        "bad input", cases=cases, cpu_s=time.process_time() - began, groups={"caches": cases}
    )
