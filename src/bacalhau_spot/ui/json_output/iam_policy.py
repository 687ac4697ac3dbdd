"""The policy, for programs: its documents, each with its size as IAM counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bacalhau_spot.core.iam.policy import MAX_CHARACTERS, actions_of, characters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bacalhau_spot.core.iam.policy import Document
    from bacalhau_spot.ui.json_output.values import Data


def policy_data(documents: Sequence[Document], *, commands: Sequence[str]) -> Data:
    return {
        "commands": list(commands),
        "actions": list(actions_of(documents)),
        "characters_allowed": MAX_CHARACTERS,
        "documents": [{"characters": characters(document), "document": document} for document in documents],
    }
