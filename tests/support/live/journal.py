"""What happened in a live run: commands, AWS calls, steps and answers. Written as a report without secrets."""

from __future__ import annotations

import contextlib
import json
import platform
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from bacalhau_spot import __version__
from support.live.place import Place
from support.live.secrets import Secrets

SCHEMA = 1
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
AS_ASSUMED, OTHERWISE, OPEN = "as assumed", "otherwise", "open"


@dataclass(frozen=True)
class Call:
    action: str
    region: str
    seconds: float
    outcome: str  # "ok" or AWS's code
    message: str = ""


@dataclass(frozen=True)
class Command:
    words: str
    exit_code: int
    seconds: float
    calls: int


@dataclass(frozen=True)
class StepRecord:
    name: str
    outcome: str
    seconds: float
    words: str


@dataclass(frozen=True)
class Answer:
    """Of AWS to an open question. `facts`: what was measured."""

    question: str
    outcome: str
    words: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Journal:
    place: Place
    secrets: Secrets = field(default_factory=Secrets)
    calls: list[Call] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    began: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.began = self.place.clock.now()

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Every call of every client of this process, those of the program too."""
        make = BaseClient._make_api_call
        journal, monotonic_s = self, self.place.clock.monotonic_s

        def recorded(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
            began, outcome, message = monotonic_s(), "ok", ""
            service = client.meta.service_model.service_name
            try:
                answer = make(client, operation, parameters)
            except ClientError as error:
                outcome, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
                raise
            except BotoCoreError as error:
                outcome, message = type(error).__name__, str(error)
                raise
            else:
                journal.secrets.learn_answer(service, answer)
                return answer
            finally:
                action, region = f"{service}:{operation}", client.meta.region_name
                with journal._lock:
                    journal.calls.append(Call(action, region, monotonic_s() - began, outcome, message))

        with patch.object(BaseClient, "_make_api_call", recorded):
            yield

    def document(self) -> dict[str, Any]:
        assert self.began is not None
        ended = self.place.clock.now()
        report = {
            "schema": SCHEMA,
            "version": __version__,
            "python": platform.python_version(),
            "region": self.place.region,
            "began": self.began.isoformat(timespec="seconds"),
            "minutes": round((ended - self.began).total_seconds() / 60, 1),
            **self.notes,
            "steps": [vars(step) for step in self.steps],
            "answers": [vars(answer) for answer in self.answers],
            "commands": [vars(command) for command in self.commands],
            "calls": self._call_table(),
        }
        hidden: dict[str, Any] = self.secrets.hide_all(report)
        return hidden

    def _call_table(self) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for action in sorted({call.action for call in self.calls}):
            same = [call for call in self.calls if call.action == action]
            errors = Counter(call.outcome for call in same if call.outcome != "ok")
            table[action] = {
                "count": len(same),
                "slowest_s": round(max(call.seconds for call in same), 2),
                "errors": dict(errors),
                "messages": sorted({call.message for call in same if call.message})[:5],
            }
        return table

    def write(self, folder: Path) -> None:
        report = self.document()
        text = json.dumps(report, indent=1, sort_keys=True, default=_plain)
        (folder / "report.json").write_text(f"{text}\n", encoding="utf-8")
        (folder / "report.md").write_text(markdown(report), encoding="utf-8")


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Decimal | datetime) else repr(value)


def markdown(report: dict[str, Any]) -> str:
    """The report for a reader."""
    head = (
        f"bacalhau-spot {report['version']} in {report['region']}, {report['began']}, {report['minutes']} minutes, "
        f"{sum(row['count'] for row in report['calls'].values())} calls."
    )
    parts = [
        "# Live run",
        "",
        head,
        "",
        "## Steps",
        "",
        "| step | outcome | seconds | |",
        "|---|---|---|---|",
    ]
    parts += [
        f"| {row['name']} | {row['outcome']} | {row['seconds']:.0f} | {_cell(row['words'])} |"
        for row in report["steps"]
    ]
    parts += ["", "## Open questions", "", "| question | answer | |", "|---|---|---|"]
    parts += [
        f"| {_cell(row['question'])} | {row['outcome']} | {_cell(row['words'])} |"
        for row in report["answers"]
    ]
    parts += ["", "## Errors of AWS", "", "| call | errors | message |", "|---|---|---|"]
    parts += [
        f"| {action} | {', '.join(f'{count} {code}' for code, count in row['errors'].items())} | "
        f"{_cell('; '.join(row['messages']))} |"
        for action, row in report["calls"].items()
        if row["errors"]
    ]
    return "\n".join([*parts, ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
