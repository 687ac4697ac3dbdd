"""The result of the smoke test: a row for each node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group

from bacalhau_spot.core.orchestrator.smoke_test import Engine, Outcome
from bacalhau_spot.ui.formatting import first_few, plural
from bacalhau_spot.ui.views.blocks import Paragraph, TextTable, next_commands

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from bacalhau_spot.core.orchestrator.smoke_test import NodeTest, SmokeTestResult

# What to do about each outcome; `{node}` is the first node with it.
_HINTS: Final[Mapping[Outcome, str]] = {
    Outcome.FAILED: "`bacalhau-spot console {node}` shows the node's own messages; `bacalhau job describe {job}` the attempts",
    Outcome.NO_ENGINE: "a node reports its engines once, at its start: `bacalhau-spot console {node}` shows its first boot",
    Outcome.NOT_STARTED: "if the nodes are busy, test again later or with a longer --timeout",
    Outcome.TIMED_OUT: "a first download of the image may take longer: test again, or with a longer --timeout",
}
_UNREACHABLE_REGISTRY: Final = "`bacalhau-spot smoke-test --engine wasm` tests the nodes without an image"


def smoke_test_view(result: SmokeTestResult) -> Group:
    """A row for each node, the number of nodes that ran the job, and a hint for each other outcome."""
    rows = [_row(test) for test in result.tests]
    parts: list[RenderableType] = [
        TextTable(
            ("region", "node", "result", "seconds", "reason"),
            rows,
            right=("seconds",),
            spare=("region",),
        )
    ]
    parts.extend(_hints(result))
    parts.extend(Paragraph(text, style="yellow") for text in smoke_test_warnings(result))
    parts.append(_total(result))
    if not result.exit_code:
        parts.extend(next_commands(('eval "$(bacalhau-spot env)"', "bacalhau-spot explain first-job")))
    return Group(*parts)


def _row(test: NodeTest) -> tuple[str, ...]:
    verdict = test.verdict
    seconds = "" if verdict.seconds is None else f"{verdict.seconds:.1f}"
    return (test.region, test.node.id, verdict.outcome.replace("-", " "), seconds, verdict.detail)


def _hints(result: SmokeTestResult) -> list[Paragraph]:
    lines = []
    for outcome, hint in _HINTS.items():
        test = next((test for test in result.tests if test.verdict.outcome is outcome), None)
        if test is not None:
            text = hint.format(node=test.node.instance_id, job=test.job or "JOB")
            lines.append(Paragraph(text, prefix="hint: "))
    if lines and result.options.engine is Engine.DOCKER:
        lines.append(Paragraph(_UNREACHABLE_REGISTRY, prefix="hint: "))
    return lines


def _total(result: SmokeTestResult) -> Paragraph:
    ran, total = len(result.ran), len(result.tests)
    stopped = "interrupted: " if result.interrupted else ""
    style = "bold yellow" if result.exit_code else "bold green"
    return Paragraph(f"{stopped}the job ran on {ran} of {plural(total, 'joined node')}", style=style)


def smoke_test_warnings(result: SmokeTestResult) -> tuple[str, ...]:
    """Nodes that were not tested, and jobs that may still run."""
    lines = []
    if result.unjoined:
        lines.append(
            f"not tested, because not joined: {first_few(result.unjoined)}; `bacalhau-spot status` shows the reason"
        )
    if result.not_stopped:
        lines.append(
            f"not stopped: {first_few(result.not_stopped)}; each ends by itself within {2 * result.options.timeout_s} s"
        )
    return tuple(lines)
