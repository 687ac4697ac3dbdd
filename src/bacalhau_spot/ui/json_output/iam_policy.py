"""The policy, for programs: its documents, each with its size as IAM counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict, cast

from bacalhau_spot.core.iam.policy import MAX_CHARACTERS, actions_of, characters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.iam.policy import Document


class PolicyStatementOutput(TypedDict):
    Sid: str
    Effect: Literal["Allow"]
    Action: list[str]
    Resource: str | list[str]
    Condition: NotRequired[dict[str, Any]]


class PolicyDocumentOutput(TypedDict):
    """In IAM's policy language."""

    Version: Literal["2012-10-17"]
    Statement: list[PolicyStatementOutput]


class SizedDocumentOutput(TypedDict):
    characters: int
    document: PolicyDocumentOutput


class IamPolicyOutput(TypedDict):
    commands: list[str]
    """the commands that the policy allows"""
    actions: list[str]
    """every action that it allows"""
    characters_allowed: int
    """AWS's limit for a managed policy, without white space"""
    documents: list[SizedDocumentOutput]
    """attach all of them to one identity"""


def policy_data(documents: Sequence[Document], *, commands: Sequence[str]) -> IamPolicyOutput:
    return {
        "commands": list(commands),
        "actions": list(actions_of(documents)),
        "characters_allowed": MAX_CHARACTERS,
        "documents": [
            {"characters": characters(document), "document": cast("PolicyDocumentOutput", document)}
            for document in documents
        ],
    }
