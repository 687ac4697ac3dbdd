"""A job as it is submitted: its validation, its defaults, and the nodes that it accepts.

Bacalhau 1.9, models.Job (ValidateSubmission, Normalize) and pkg/orchestrator/selection/ranking (labels.go, features.go).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BATCH, OPS, SERVICE, DAEMON = "batch", "ops", "service", "daemon"
TYPES = (SERVICE, BATCH, DAEMON, OPS)
ON_ALL_NODES = (OPS, DAEMON)
ENDLESS = (SERVICE, DAEMON)
_RESOURCES = {"CPU": "500m", "Memory": "512mb"}
_SHELLS = {"sh", "bash", "ash", "/bin/sh", "/bin/bash", "/bin/ash"}


@dataclass(frozen=True)
class Candidate:
    """A connected, approved node, as the scheduler sees it."""

    name: str
    labels: Mapping[str, str]
    engines: Sequence[str]


def problems(job: Any) -> list[str]:
    """The errors of ValidateSubmission, in its order and words."""
    if not isinstance(job, dict):
        return ["empty/nil job"]
    kind, count = job.get("Type") or "", job.get("Count") or 0
    found = []
    if not kind:
        found.append("missing job type")
    elif kind not in TYPES:
        found.append(f'invalid job type: "{kind}"')
    if count < 0:
        found.append("job count must be >= 0")
    if count > 1 and kind in ON_ALL_NODES:
        found.append(f"{kind} jobs cannot specify count > 1 as they run on all matching nodes")
    if not job.get("Tasks"):
        found.append("missing job tasks")
    for number, constraint in enumerate(job.get("Constraints") or (), 1):
        why = _constraint_problem(constraint)
        if why:
            found.append(f"constraint {number} validation failed: {why}")
    return found


def _constraint_problem(constraint: Mapping[str, Any]) -> str:
    values, operator = constraint.get("Values") or (), constraint.get("Operator")
    if not constraint.get("Key"):
        return "selector key cannot be blank"
    if operator in {"in", "notin"}:
        return "" if values else "selector values cannot be empty for In or NotIn operators"
    if operator in {"exists", "!"}:
        return "selector values must be empty for Exists or KeyNotInImap operators" if values else ""
    return "" if len(values) == 1 else "selector values must have exactly one value for other operators"


def normalized(
    job: Mapping[str, Any], *, name: str, meta: Mapping[str, str], publisher: str
) -> dict[str, Any]:
    """The job as it is stored, without its id, state and times."""
    kind = str(job["Type"])
    return {
        "Name": name,
        "Namespace": job.get("Namespace") or "default",
        "Type": kind,
        "Priority": int(job.get("Priority") or 0),
        "Count": 0 if kind in ON_ALL_NODES else int(job.get("Count") or 1),
        "Constraints": job.get("Constraints") or [],
        "Meta": {**(job.get("Meta") or {}), **meta},
        "Labels": job.get("Labels") or {},
        "Tasks": [_task(task, publisher=publisher) for task in job["Tasks"]],
    }


def _task(task: Mapping[str, Any], *, publisher: str) -> dict[str, Any]:
    given = task.get("Publisher") or {}
    inputs = [{"Alias": "", **source} for source in task.get("InputSources") or ()]
    return {
        **{key: value for key, value in task.items() if value},
        "Name": task.get("Name") or "main",
        "Publisher": given if given.get("Type") else {"Type": publisher},
        **({"InputSources": inputs} if inputs else {}),
        "Resources": {**_RESOURCES, **(task.get("Resources") or {})},
        "Network": task.get("Network") or {"Type": "Default"},
        "Timeouts": task.get("Timeouts") or {},
    }


def engine_of(job: Mapping[str, Any]) -> str:
    return str((job["Tasks"][0].get("Engine") or {}).get("Type") or "").lower()


def queue_timeout_s(job: Mapping[str, Any]) -> float:
    return float((job["Tasks"][0].get("Timeouts") or {}).get("QueueTimeout") or 0)


# --- Suitability of nodes

_TESTS: Mapping[str, Callable[[str | None, Sequence[str]], bool]] = {
    "=": lambda label, values: label in values,
    "==": lambda label, values: label in values,
    "in": lambda label, values: label in values,
    "!=": lambda label, values: label not in values,
    "notin": lambda label, values: label not in values,
    "exists": lambda label, _: label is not None,
    "!": lambda label, _: label is None,
    "gt": lambda label, values: _is_number(label) and int(str(label)) > int(values[0]),
    "lt": lambda label, values: _is_number(label) and int(str(label)) < int(values[0]),
}


def _is_number(label: str | None) -> bool:
    return label is not None and label.lstrip("-").isdigit()


def can_be_scheduled(job: Mapping[str, Any]) -> bool:
    """Bacalhau 1.9 never schedules a job with an unknown operator, and never reports it: the job stays Pending."""
    return all(constraint.get("Operator") in _TESTS for constraint in job["Constraints"])


def unsuitable(job: Mapping[str, Any], node: Candidate) -> str:
    """Why the node cannot run the job, in the orchestrator's words; empty if it can."""
    wanted = engine_of(job)
    if wanted not in node.engines:
        return f"does not support {wanted}, only {', '.join(node.engines)}"
    rules = job["Constraints"]
    if all(
        _TESTS[rule["Operator"]](node.labels.get(rule["Key"]), rule.get("Values") or ()) for rule in rules
    ):
        return ""
    labels = " ".join(f"{key}:{value}" for key, value in sorted(node.labels.items()))
    texts = (f"{rule['Key']} {rule['Operator']} {'|'.join(rule.get('Values') or ())}" for rule in rules)
    return f"labels map[{labels}] don't match required selectors [{' '.join(texts)}]"


# --- The simulated program


@dataclass(frozen=True)
class Outcome:
    """`files`: the content by path in the container."""

    stdout: str
    runs_s: float
    files: Mapping[str, str]


def run(job: Mapping[str, Any], *, default_s: float) -> Outcome:
    """The output of each `echo`, also into a file, and the time of each `sleep` in a Docker job's command.

    Other programs print nothing.
    """
    parameters = (job["Tasks"][0].get("Engine") or {}).get("Params") or {}
    words = [
        str(word) for name in ("Entrypoint", "Parameters") if isinstance(parameters.get(name), list)
        for word in parameters[name]
    ]  # fmt: skip
    slept, files = None, {"": ""}
    for command in _commands(words):
        if command[0] == "echo":
            _write(command[1:], files)
        if command[0] == "sleep" and len(command) > 1 and command[1].replace(".", "", 1).isdigit():
            slept = (slept or 0.0) + float(command[1])
    return Outcome(files.pop(""), default_s if slept is None else slept, files)


def results(job: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, str]:
    """The files below the job's result paths, by their path in the result."""
    found: dict[str, str] = {}
    for declared in job["Tasks"][0].get("ResultPaths") or ():
        folder = str(declared.get("Path") or "").rstrip("/") + "/"
        below = {path: text for path, text in files.items() if path.startswith(folder)}
        found |= {f"{declared.get('Name')}/{path.removeprefix(folder)}": text for path, text in below.items()}
    return found


def _write(words: Sequence[str], files: dict[str, str]) -> None:
    """`echo` with a redirection by `>` or `>>`. The empty path is stdout."""
    at = next((number for number, word in enumerate(words) if word in {">", ">>"}), len(words))
    path = words[at + 1] if at + 1 < len(words) else ""
    before = "" if at < len(words) and words[at] == ">" else files.get(path, "")
    files[path] = before + _echo(words[:at])


def _echo(words: Sequence[str]) -> str:
    return " ".join(words[1:]) if words[:1] == ["-n"] else " ".join(words) + "\n"


def _commands(words: Sequence[str]) -> list[list[str]]:
    if not words:
        return []
    if words[0] not in _SHELLS or "-c" not in words:
        return [list(words)]
    lexer = shlex.shlex(words[-1], posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    try:
        for word in lexer:
            if set(word) <= set(";&|()"):
                commands.append([])
            else:
                commands[-1].append(word)
    except ValueError:  # a quotation without end
        return []
    return [command for command in commands if command]
