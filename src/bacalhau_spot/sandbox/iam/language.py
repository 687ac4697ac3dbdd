"""IAM's policy language: whether documents allow one action on one resource.

AWS: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements": an explicit Deny wins, then an Allow, else no;
in a condition all operators and all keys must hold, of a key's values any; a key that is absent fails, but for ...IfExists
and ForAllValues, and fulfils what is negated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Document = dict[str, Any]
Context = dict[str, tuple[str, ...]]


class Answer(Enum):
    ALLOWED = "allowed"
    NOT_ALLOWED = "no identity-based policy allows it"
    DENIED = "an identity-based policy denies it"


@dataclass(frozen=True)
class Ask:
    """One question: this action, on this resource ("*": none that policies could name), in this context."""

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict)


def judge(documents: Iterable[Document], ask: Ask) -> Answer:
    """Raises ValueError for what is no policy."""
    answer = Answer.NOT_ALLOWED
    for document in documents:
        for statement in _list(document.get("Statement")):
            if not _applies(statement, ask):
                continue
            if statement.get("Effect") == "Deny":
                return Answer.DENIED
            answer = Answer.ALLOWED
    return answer


def _list(value: Any) -> list[Any]:
    if value is None:
        raise ValueError("a policy needs Statement, and a statement Action and Resource")
    return value if isinstance(value, list) else [value]


def _applies(statement: Mapping[str, Any], ask: Ask) -> bool:
    action = ask.action.lower()
    return (
        any(_like(str(one).lower(), action) for one in _list(statement.get("Action")))
        and any(_like(str(one), ask.resource) for one in _list(statement.get("Resource")))
        and _holds(statement.get("Condition") or {}, ask.context)
    )


def _like(pattern: str, value: str) -> bool:
    # Brackets mean nothing to IAM.
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    # Names of keys know no case, those of tags included (IAM User Guide, "aws:ResourceTag/tag-key").
    known = {key.lower(): values for key, values in context.items()}
    return all(
        _one(operator, [str(one) for one in _list(wanted)], known.get(key.lower()))
        for operator, block in conditions.items()
        for key, wanted in block.items()
    )


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}


def _one(operator: str, wanted: Sequence[str], values: Sequence[str] | None) -> bool:
    quantifier, _, name = operator.rpartition(":")
    optional = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    if name == "Null":
        return (values is None) == (wanted[0].lower() == "true")
    negated = "Not" in name
    test = _OPERATORS.get(name.replace("Not", ""))
    if test is None or quantifier not in {"", "ForAllValues", "ForAnyValue"}:
        raise ValueError(f"the sandbox does not know the condition operator {operator}")
    if not values:
        return optional or quantifier == "ForAllValues" or (negated and quantifier == "")

    def matches(value: str) -> bool:
        return any(test(one, value) for one in wanted) is not negated

    return all(map(matches, values)) if quantifier != "ForAnyValue" else any(map(matches, values))
