"""A file's text -> its checked shape, or everything that is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bacalhau_spot.config import legacy_formats, messages, rules, schema
from bacalhau_spot.config.locations import ConfigProblem, KeyPath, MigrationNote, dotted
from bacalhau_spot.config.yaml_document import Document, parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class ValidationResult:
    """`config` is None for an invalid structure; `problems` has the reasons. `data` is in the current format."""

    document: Document
    data: dict[str, Any]
    conversion: legacy_formats.Conversion
    config: schema.Config | None = None
    problems: list[ConfigProblem] = field(default_factory=list)
    structural: list[ConfigProblem] = field(default_factory=list)  # those that make the structure ambiguous

    def add(self, found: Iterable[tuple[KeyPath, bool, str]]) -> None:
        """Problems by current path: each gets the path and position in the file."""
        # Errors of the structure come first; a rule for the same key adds nothing to them, nor to errors of reading the
        # same position.
        known = {problem.key for problem in self.problems[len(self.structural) :]}
        read = {(problem.key, problem.location) for problem in self.structural}
        for path, of_key, message in found:
            written = self.conversion.origin(path)
            problem = ConfigProblem(message, dotted(written), self.document.location(written, of_key=of_key))
            if problem.key not in known and (problem.key, problem.location) not in read:
                self.problems.append(problem)

    def notes(self, file: str) -> tuple[MigrationNote, ...]:
        """The notes of the conversion from older keys."""
        return tuple(MigrationNote(text, self.where(file, path)) for path, text in self.conversion.notes)

    def where(self, file: str, written: KeyPath) -> str:
        """`config.yaml:5` for a path as the file has it."""
        place = self.document.location(written, of_key=True)
        return f"{file}:{place.line}" if place else file


def check_text(text: str) -> ValidationResult:
    """Raises Unreadable when the text is no YAML. An empty text is a configuration of defaults."""
    document = parse_yaml(text)
    if document.data is None:
        document.data = {}
    if not isinstance(document.data, dict):
        sort = messages.value_type(document.data)
        problem = ConfigProblem(
            f"found {sort}; a configuration is a mapping of keys to values", location=document.values.get(())
        )
        problems = [*document.problems, problem]
        return ValidationResult(
            document, {}, legacy_formats.Conversion(), problems=problems, structural=problems
        )
    conversion = legacy_formats.convert(document.data)
    checked = ValidationResult(document, document.data, conversion, problems=list(document.problems))
    for path, message in conversion.problems:
        checked.problems.append(ConfigProblem(message, dotted(path), document.location(path, of_key=True)))
    checked.structural = list(checked.problems)
    try:
        checked.config = schema.Config.model_validate(checked.data)
    except ValidationError as error:
        checked.add(messages.validation_problems(error))
    checked.add(rules.rule_problems(checked.data))
    return checked
