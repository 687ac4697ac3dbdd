"""Writes the generated files: the command reference, tables in the documentation, JSON Schemas, pinned versions, programs.

`uv run python docs/generate.py` writes; with `--check` it exits with 1 when a file would change.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.exceptions
import completion_values
import help_pages
import output_models
import promises
from botocore.exceptions import BotoCoreError

from bacalhau_spot.cli.app import build_app
from bacalhau_spot.cloud.exception_codes import code_of_class
from bacalhau_spot.core.cleanup.deletion_order import (
    KIND_SPECS,
    SPEC_BY_KIND,
    KindSpec,
    levels,
    prerequisites,
)
from bacalhau_spot.core.error_catalog.classifier import CATALOG as VERDICTS
from bacalhau_spot.core.error_catalog.classifier import (
    FAMILIES,
    MESSAGE_RULES,
    Category,
    ErrorInfo,
    Recovery,
    classify,
)
from bacalhau_spot.core.health.diagnosis import RULES as HEALTH
from bacalhau_spot.core.health.diagnosis import DiagnosisRule
from bacalhau_spot.core.health.orchestrator_status import ORCHESTRATOR_RULES, OrchestratorRule
from bacalhau_spot.core.iam.permissions import PERMISSIONS, Permission
from bacalhau_spot.core.launch.instance_phases import TRANSITIONS
from bacalhau_spot.errors import ExitCode
from bacalhau_spot.instance import template
from bacalhau_spot.ui.formatting import capitalized
from bacalhau_spot.ui.table_columns import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = "src/bacalhau_spot/ui/schemas"

EXIT_CODES = {
    ExitCode.DONE: "success, or nothing to do",
    ExitCode.FAILED: "failure, partial failure, or remaining resources",
    ExitCode.USAGE: "invalid command line or configuration",
    ExitCode.DECLINED: "not confirmed (also Ctrl-C at the prompt), or no terminal for the prompt",
    ExitCode.DENIED: "invalid credentials or missing permission",
    ExitCode.INCOMPLETE: "incomplete result: a region or service could not be scanned",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "terminated by SIGTERM",
}

FAULTS = {
    Category.CREDENTIALS: "Credentials",
    Category.PERMISSION: "Permission",
    Category.CONFIG: "Configuration",
    Category.QUOTA: "Quota",
    Category.PRICE: "Price",
    Category.CAPACITY: "Capacity",
    Category.UNKNOWN: "Internal or unknown",
    Category.AWS: "AWS failure",
    Category.NETWORK: "Network",
    Category.THROTTLED: "Throttling",
    Category.BUSY: "Resource in use",
    Category.LAG: "Eventual consistency",
    Category.EXISTS: "Already exists or deleted",
}
ACTIONS = {
    Recovery.RETRY: "retries the call until its deadline (`timeouts.api_s`)",
    Recovery.OTHER_REGION: "launches the missing nodes in other regions, unless `spread: strict`",
    Recovery.STOP_REGION: "stops in this region; the others continue",
    Recovery.STOP: "stops: no other call can succeed",
    Recovery.DONE: "continues",
}


def exit_codes() -> str:
    rows = [f"| {int(code)} | {EXIT_CODES[code]} |" for code in ExitCode]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def lifecycle() -> str:
    lines = [f"    {phase} --> {to}" for phase, moves in TRANSITIONS.items() for to in sorted(moves)]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> asked", *lines, "```"])


def kinds() -> str:
    rows = [
        f"| {step} | {kind} | {SPEC_BY_KIND[kind].service} | {', '.join(sorted(SPEC_BY_KIND[kind].after)) or '-'} | "
        f"{_remark(SPEC_BY_KIND[kind])} |"
        for step, wave in enumerate(levels(), start=1)
        for kind in wave
    ]
    return "\n".join(["| step | kind | service | deleted after | |", "|---|---|---|---|---|", *rows])


def _remark(row: KindSpec) -> str:
    words = (
        "created by `create`" if row.created_by_us else "",
        "usually deleted with its owner" if row.deleted_with_parent else "",
    )
    return "; ".join(filter(None, words))


def graph() -> str:
    """Only what is not implied: `a` before `c` is not drawn when `a` goes before `b` and `b` before `c`."""
    lines = [
        f"    {first} --> {row.kind}"
        for row in KIND_SPECS
        for first in sorted(row.after)
        if not any(first in prerequisites(other) for other in row.after)
    ]
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```"])


def errors() -> str:
    """A heading a class of faults, and below it one a verdict: the anchors that errors name."""
    codes: dict[ErrorInfo, list[str]] = {}
    for code, info in VERDICTS.items():
        codes.setdefault(info, []).append(f"`{code}`")
    for family in FAMILIES:
        codes.setdefault(family.info, []).append(f"`{family.prefix}…{family.suffix}`")
    for rule in MESSAGE_RULES:
        codes.setdefault(rule.info, []).extend(f"`{code}`*" for code in sorted(rule.codes))
    for name, kind in vars(botocore.exceptions).items():
        code = code_of_class(kind) if isinstance(kind, type) and issubclass(kind, BotoCoreError) else None
        if code:
            codes[classify(code)].append(f"`{name}`")
    codes[classify("")] = ["all other codes"]
    lines = []
    for fault in Category:
        lines += [f"## {FAULTS[fault]}", ""]
        for info, known in codes.items():
            if info.category is fault:
                lines += _verdict(info, known)
    return "\n".join(lines).rstrip()


def _verdict(info: ErrorInfo, codes: list[str]) -> list[str]:
    hint = info.hint_for("REGION", action="ACTION", profile="NAME", quota="CODE")
    return [
        f"### {info.name}",
        "",
        capitalized(f"{info.message('REGION')}."),
        "",
        *([f"- Solution: {hint}"] if hint else []),
        f"- Behaviour: {ACTIONS[info.recovery]}",
        f"- AWS's code: {', '.join(sorted(set(codes)))}",
        "",
    ]


def permissions() -> str:
    """Rows that differ in their action alone stand in one line."""
    lines: dict[tuple[object, ...], list[Permission]] = {}
    for row in PERMISSIONS:
        lines.setdefault((row.action.split(":")[0], row.commands, row.conditions, row.scopes), []).append(row)
    rows = [
        f"| {', '.join(f'`{row.action}`' for row in same)} | {'; '.join(same[0].scopes)} | {', '.join(same[0].commands)} "
        f"| {' or '.join(same[0].conditions)} |"
        for same in lines.values()
    ]
    return "\n".join(["| action | allowed on | for | only with |", "|---|---|---|---|", *rows])


def columns() -> str:
    """The columns of each command's tables."""
    rows = [f"| `{table}` | {', '.join(f'`{name}`' for name in names)} |" for table, names in COLUMNS.items()]
    return "\n".join(["| table | columns |", "|---|---|", *rows])


def verdicts() -> str:
    return _verdict_table(HEALTH, {"node": "NODE", "region": "REGION", "member": "NODE"})


def orchestrator_verdicts() -> str:
    return _verdict_table(ORCHESTRATOR_RULES, {"node": "INSTANCE", "region": "REGION", "cluster": "CLUSTER"})


def _verdict_table(rules: Iterable[DiagnosisRule | OrchestratorRule], names: dict[str, str]) -> str:
    """`names`: what stands for the values in the hints."""
    shown = {"what": "…", "why": ": …", "ago": " … ago", "span": " for …", "left": "…", "count": "… nodes"}
    shown |= {"cluster": "CLUSTER"}
    rows = [
        f"| {number} | {row.template.format(**shown)} | {row.severity} | {row.description} | {row.hint.format(**names) or '-'} |"
        for number, row in enumerate(rules, start=1)
    ]
    return "\n".join(["| | verdict | | when | what to do |", "|---|---|---|---|---|", *rows])


def constraints() -> str:
    """The versions of requirements.lock, in the form of pyproject.toml; of two of one package, each with its Python."""
    pins = re.findall(
        r"^(([A-Za-z0-9_.-]+)==[^ \\\n;]+)( ; [^\\\n]+)?",
        (ROOT / "requirements.lock").read_text(),
        re.MULTILINE,
    )
    names = [name for _, name, _ in pins]
    lines = {pin + (marker.rstrip() if names.count(name) > 1 else "") for pin, name, marker in pins}
    return "\n".join(["constraint-dependencies = [", *(f'  "{line}",' for line in sorted(lines)), "]"])


SECTIONS = {
    "docs/architecture.md": {"lifecycle": lifecycle},
    "docs/command-line.md": {"columns": columns},
    "docs/cleanup.md": {"kinds": kinds, "graph": graph},
    "docs/errors.md": {"errors": errors},
    "docs/output.md": {
        "envelope": output_models.envelope_reference,
        "exit codes": exit_codes,
        "data": output_models.reference,
        "events": output_models.event_reference,
    },
    "docs/permissions.md": {"permissions": permissions},
    "docs/promises.md": {
        "promises": promises.promises,
        "figures": promises.figures,
        "suite": promises.suite,
    },
    "docs/status.md": {"verdicts": verdicts, "orchestrator verdicts": orchestrator_verdicts},
    "pyproject.toml": {"pins": constraints},
}


def marked(text: str, name: str, content: str, *, comment: tuple[str, str]) -> str:
    """`text` with what stands between a section's marks replaced."""
    before, after = (f"{comment[0]}{word} generated: {name}{comment[1]}" for word in ("begin", "end"))
    start, end = text.index(before) + len(before), text.index(after)
    return f"{text[:start]}\n{content}\n{text[end:]}"


def pages() -> dict[Path, str]:
    """Every generated file as it should be."""
    app = build_app()
    reference = app.generate_docs(heading_level=1, recursive=True, include_hidden=False)
    result = {ROOT / "docs" / "commands.md": reference.rstrip() + "\n"}
    result[ROOT / help_pages.FILE] = help_pages.text()
    result[ROOT / "src/bacalhau_spot/instance" / template.MINIFIED] = template.minified_programs()
    result[ROOT / completion_values.FILE] = completion_values.text()
    result |= {ROOT / SCHEMAS / name: text for name, text in output_models.texts().items()}
    for file, sections in SECTIONS.items():
        path = ROOT / file
        comment = ("# ", "") if file.endswith(".toml") else ("<!-- ", " -->")
        text = path.read_text()
        for name, make in sections.items():
            text = marked(text, name, make(), comment=comment)
        result[path] = text
    return result


def main() -> int:
    check, wanted = "--check" in sys.argv[1:], pages()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    # The folder has generated files only.
    obsolete = sorted(set((ROOT / SCHEMAS).iterdir()) - set(wanted))
    for path in (*stale, *obsolete):
        if check:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date; run `make docs`\n")
        elif path in wanted:
            path.write_text(wanted[path])
        else:
            path.unlink()
    return 1 if check and (stale or obsolete) else 0


if __name__ == "__main__":
    sys.exit(main())
