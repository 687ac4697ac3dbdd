"""Writes what is generated: the command reference, the tables in the documentation, the pinned versions in pyproject.toml.

`uv run python docs/generate.py` writes; with `--check` it exits with 1 when a file would change.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bacalhau_spot.cli.app import build
from bacalhau_spot.core.health import TABLE as HEALTH
from bacalhau_spot.core.lifecycle import MOVES
from bacalhau_spot.core.permissions import TABLE as PERMISSIONS
from bacalhau_spot.core.permissions import Permission
from bacalhau_spot.core.teardown import ROWS, TABLE, Row, before, waves
from bacalhau_spot.core.verdict import FAMILIES, NUANCES, Action, Fault, Verdict, judge
from bacalhau_spot.core.verdict import TABLE as VERDICTS
from bacalhau_spot.errors import ExitCode
from bacalhau_spot.ui.words import sentence

ROOT = Path(__file__).resolve().parent.parent

EXIT_CODES = {
    ExitCode.DONE: "done, or nothing to do",
    ExitCode.FAILED: "failed, partly failed, or something remains",
    ExitCode.USAGE: "the command line or the configuration is wrong",
    ExitCode.DECLINED: "declined, or nobody was there to confirm",
    ExitCode.DENIED: "credentials or permission",
    ExitCode.BLIND: "could not look everywhere",
    ExitCode.INTERRUPTED: "interrupted",
}

FAULTS = {
    Fault.CREDENTIALS: "Credentials",
    Fault.PERMISSION: "Permission",
    Fault.CONFIG: "Configuration",
    Fault.QUOTA: "Quota",
    Fault.PRICE: "Price",
    Fault.CAPACITY: "Capacity",
    Fault.UNKNOWN: "Ours, or not known",
    Fault.AWS: "AWS's own trouble",
    Fault.NETWORK: "The network between",
    Fault.THROTTLED: "Too many calls",
    Fault.BUSY: "Still in use",
    Fault.LAG: "Not shown yet",
    Fault.EXISTS: "Already so",
}
ACTIONS = {
    Action.RETRY: "makes the call again until its deadline (`timeouts.api_s`)",
    Action.OTHER_REGION: "asks the other regions for what is missing, unless `spread: strict`",
    Action.STOP_REGION: "stops in this region; the others go on",
    Action.STOP: "stops: nothing else can succeed either",
    Action.DONE: "goes on",
}


def exit_codes() -> str:
    rows = [f"| {int(code)} | {EXIT_CODES[code]} |" for code in ExitCode]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def lifecycle() -> str:
    lines = [f"    {phase} --> {to}" for phase, moves in MOVES.items() for to in sorted(moves)]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> asked", *lines, "```"])


def kinds() -> str:
    rows = [
        f"| {step} | {kind} | {ROWS[kind].service} | {', '.join(sorted(ROWS[kind].after)) or '-'} | {_remark(ROWS[kind])} |"
        for step, wave in enumerate(waves(), start=1)
        for kind in wave
    ]
    return "\n".join(["| step | kind | service | goes when gone | |", "|---|---|---|---|---|", *rows])


def _remark(row: Row) -> str:
    words = ("made by `create`" if row.made else "", "dies with its owner, as a rule" if row.derived else "")
    return "; ".join(filter(None, words))


def graph() -> str:
    """Only what is not implied: `a` before `c` is not drawn when `a` goes before `b` and `b` before `c`."""
    lines = [
        f"    {first} --> {row.kind}"
        for row in TABLE
        for first in sorted(row.after)
        if not any(first in before(other) for other in row.after)
    ]
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```"])


def errors() -> str:
    """A heading a class of faults, and below it one a verdict: the anchors that errors name."""
    codes: dict[Verdict, list[str]] = {}
    for code, verdict in VERDICTS.items():
        codes.setdefault(verdict, []).append(f"`{code}`")
    for family in FAMILIES:
        codes.setdefault(family.verdict, []).append(f"`{family.begins}…{family.ends}`")
    for one in NUANCES:
        codes.setdefault(one.verdict, []).extend(f"`{code}`*" for code in sorted(one.codes))
    codes[judge("")] = ["whatever is not on this page"]
    lines = []
    for fault in Fault:
        lines += [f"## {FAULTS[fault]}", ""]
        for verdict, known in codes.items():
            if verdict.fault is fault:
                lines += _verdict(verdict, known)
    return "\n".join(lines).rstrip()


def _verdict(verdict: Verdict, codes: list[str]) -> list[str]:
    hint = verdict.advice("REGION", action="ACTION", profile="NAME", quota="CODE")
    return [
        f"### {verdict.name}",
        "",
        sentence(f"{verdict.told('REGION')}."),
        "",
        *([f"- What to do: {hint}"] if hint else []),
        f"- What the program does: {ACTIONS[verdict.action]}",
        f"- AWS's code: {', '.join(sorted(set(codes)))}",
        "",
    ]


def permissions() -> str:
    """Rows that differ in their action alone stand in one line."""
    lines: dict[tuple[object, ...], list[Permission]] = {}
    for row in PERMISSIONS:
        lines.setdefault((row.action.split(":")[0], row.by, row.when, row.bounds), []).append(row)
    rows = [
        f"| {', '.join(f'`{row.action}`' for row in same)} | {'; '.join(same[0].bounds)} | {', '.join(same[0].by)} "
        f"| {' or '.join(same[0].when)} |"
        for same in lines.values()
    ]
    return "\n".join(["| action | allowed on | for | only with |", "|---|---|---|---|", *rows])


def verdicts() -> str:
    shown = {"what": "…", "why": ": …", "ago": " … ago", "span": " for …", "left": "…"}
    names = {"node": "NODE", "region": "REGION", "member": "NODE"}
    rows = [
        f"| {number} | {row.says.format(**shown)} | {row.severity} | {row.rule} | {row.hint.format(**names) or '-'} |"
        for number, row in enumerate(HEALTH, start=1)
    ]
    return "\n".join(["| | verdict | | when | what to do |", "|---|---|---|---|---|", *rows])


def constraints() -> str:
    """The versions of requirements.lock, in the form of pyproject.toml."""
    pins = re.findall(
        r"^([A-Za-z0-9_.-]+==[^ \\\n;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    return "\n".join(["constraint-dependencies = [", *(f'  "{pin}",' for pin in sorted(set(pins))), "]"])


SECTIONS = {
    "README.md": {"exit codes": exit_codes},
    "docs/architecture.md": {"lifecycle": lifecycle},
    "docs/cleanup.md": {"kinds": kinds, "graph": graph},
    "docs/errors.md": {"errors": errors},
    "docs/permissions.md": {"permissions": permissions},
    "docs/status.md": {"verdicts": verdicts},
    "pyproject.toml": {"pins": constraints},
}


def marked(text: str, name: str, content: str, *, comment: tuple[str, str]) -> str:
    """`text` with what stands between a section's marks replaced."""
    before, after = (f"{comment[0]}{word} generated: {name}{comment[1]}" for word in ("begin", "end"))
    start, end = text.index(before) + len(before), text.index(after)
    return f"{text[:start]}\n{content}\n{text[end:]}"


def pages() -> dict[Path, str]:
    """Every generated file as it should be."""
    app = build()
    reference = app.generate_docs(heading_level=1, recursive=True, include_hidden=False)
    result = {ROOT / "docs" / "commands.md": reference.rstrip() + "\n"}
    for file, sections in SECTIONS.items():
        path = ROOT / file
        comment = ("# ", "") if file.endswith(".toml") else ("<!-- ", " -->")
        text = path.read_text()
        for name, make in sections.items():
            text = marked(text, name, make(), comment=comment)
        result[path] = text
    return result


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if check:
            sys.stderr.write(f"{path.relative_to(ROOT)} is not what the tables say; run `make docs`\n")
        else:
            path.write_text(pages()[path])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
