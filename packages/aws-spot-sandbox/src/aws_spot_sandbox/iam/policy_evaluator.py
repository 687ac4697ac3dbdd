"""IAM's policy language: whether policy documents allow an action on a resource.

AWS: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements": an explicit Deny wins, then an Allow,
else the action is denied. In a condition all operators and all keys must match, with any of a key's values. An absent
key does not match, except with ...IfExists, ForAllValues and negated operators.
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
    """An authorization request: an action on a resource ("*" without resource-level permissions) in a context."""

    action: str
    resource: str = "*"
    context: Context = field(default_factory=dict)


# The supported elements of a statement.
_KEYS = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})
_EFFECTS = frozenset({"Allow", "Deny"})


def check(document: Document) -> None:
    """Raises ValueError for invalid and for unsupported elements, so that nothing is allowed by mistake."""
    for statement in _list(document.get("Statement")):
        if unknown := sorted(set(statement) - _KEYS):
            raise ValueError(f"the sandbox does not know {', '.join(unknown)} in a policy's statement")
        if statement.get("Effect") not in _EFFECTS:
            raise ValueError(f"a statement's Effect is Allow or Deny, not {statement.get('Effect')!r}")
        conditions = statement.get("Condition") or {}
        for operator in conditions:
            _test_of(operator)
        values = [
            value for block in conditions.values() for wanted in block.values() for value in _list(wanted)
        ]
        for value in (*_list(statement.get("Action")), *_list(statement.get("Resource")), *values):
            if "${" in str(value):
                raise ValueError(f"the sandbox does not know the policy variable in {value!r}")


def judge(documents: Iterable[Document], ask: Ask) -> Answer:
    """Raises ValueError for an invalid policy."""
    answer = Answer.NOT_ALLOWED
    for document in documents:
        check(document)
        for statement in _list(document.get("Statement")):
            if not _applies(statement, ask):
                continue
            if statement.get("Effect") == "Deny":
                return Answer.DENIED
            answer = Answer.ALLOWED
    return answer


def absent_keys(documents: Iterable[Document], ask: Ask) -> list[str]:
    """The condition keys missing in the request, from the statements that match its action and resource."""
    given = {key.lower() for key in ask.context}
    statements = [
        key
        for document in documents
        for statement in _list(document.get("Statement"))
        if _about(statement, ask)
        for block in (statement.get("Condition") or {}).values()
        for key in block
        if key.lower() not in given
    ]
    return list(dict.fromkeys(statements))


def _list(value: Any) -> list[Any]:
    if value is None:
        raise ValueError("a policy needs Statement, and a statement Action and Resource")
    return value if isinstance(value, list) else [value]


def _applies(statement: Mapping[str, Any], ask: Ask) -> bool:
    return _about(statement, ask) and _holds(statement.get("Condition") or {}, ask.context)


def _about(statement: Mapping[str, Any], ask: Ask) -> bool:
    action = ask.action.lower()
    return any(_like(str(pattern).lower(), action) for pattern in _list(statement.get("Action"))) and any(
        _like(str(pattern), ask.resource) for pattern in _list(statement.get("Resource"))
    )


def _like(pattern: str, value: str) -> bool:
    # Brackets are not special in IAM.
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    # Condition keys are case-insensitive, tag keys included (IAM User Guide, "aws:ResourceTag/tag-key").
    known = {key.lower(): values for key, values in context.items()}
    return all(
        _condition_holds(operator, [str(value) for value in _list(wanted)], known.get(key.lower()))
        for operator, block in conditions.items()
        for key, wanted in block.items()
    )


def _arn_like(pattern: str, value: str) -> bool:
    """Match by part: in ARN conditions a wildcard matches no colon (IAM User Guide, "ARN condition operators")."""
    wanted, parts = pattern.split(":", 5), value.split(":", 5)
    return len(wanted) == len(parts) and all(map(_like, wanted, parts))


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}


def _test_of(operator: str) -> Callable[[str, str], bool] | None:
    """None for Null, which tests for absence. Raises ValueError for an unsupported operator."""
    quantifier, _, name = operator.rpartition(":")
    plain = name.removesuffix("IfExists")
    test = _OPERATORS.get(plain.replace("Not", ""))
    if (test is None and name != "Null") or quantifier not in {"", "ForAllValues", "ForAnyValue"}:
        raise ValueError(f"the sandbox does not know the condition operator {operator}")
    return test


def _condition_holds(operator: str, wanted: Sequence[str], values: Sequence[str] | None) -> bool:
    test = _test_of(operator)
    if test is None:
        return (values is None) == (wanted[0].lower() == "true")
    quantifier, _, name = operator.rpartition(":")
    negated = "Not" in name
    if not values:
        optional = name.endswith("IfExists")
        return optional or quantifier == "ForAllValues" or (negated and quantifier == "")

    def matches(value: str) -> bool:
        return any(test(expected, value) for expected in wanted) is not negated

    return all(map(matches, values)) if quantifier != "ForAnyValue" else any(map(matches, values))
