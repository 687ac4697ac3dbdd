"""What is asked of IAM's simulator, and how its answers are read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bacalhau_spot.cloud.cloud_error import CloudError
from bacalhau_spot.cloud.diagnostics import AwsDiagnostics
from bacalhau_spot.core.iam.policy import SimulationQuery

WHO = "arn:aws:iam::123456789012:user/somebody"
ROLE = "arn:aws:iam::123456789012:role/example"
MIXED = "Invalid Input Actions: [{0}] and [{1}] require different authorization information."


class Session:
    """IAM's part of a session. `rows`: what it says of an action; `apart`: actions that it judges by themselves only."""

    def __init__(self, rows: dict[str, dict[str, Any]], *, apart: str = "") -> None:
        self.rows = rows
        self.apart = apart
        self.requests: list[dict[str, Any]] = []

    async def all_pages(self, *_call: Any, **kwargs: Any) -> dict[str, Any]:
        self.requests.append(kwargs)
        names = kwargs["ActionNames"]
        if self.apart in names and len(names) > 1:
            text = MIXED.format(self.apart, ",".join(set(names) - {self.apart}))
            raise CloudError("InvalidInput", text, operation="SimulatePrincipalPolicy", region="")
        return {
            "EvaluationResults": [
                {"EvalActionName": name, **self.rows[name]} for name in names if name in self.rows
            ]
        }


def may(session: Session, *actions: str, resource: str = ROLE) -> dict[str, bool]:
    examining = AwsDiagnostics()
    examining._session = session  # type: ignore[assignment]  # as much of one as is used
    return asyncio.run(examining.simulate(WHO, SimulationQuery(actions, resource, (("aws:TagKeys", "a"),))))


def row(decision: str, *missing: str) -> dict[str, Any]:
    return {"EvalDecision": decision, "EvalResourceName": "*", "MissingContextValues": list(missing)}


def beneath(decision: str, *missing: str) -> dict[str, Any]:
    """As AWS answers where a resource was named: the row itself names a pattern (IAM API reference, EvaluationResult)."""
    resource_result = {
        "EvalResourceName": ROLE,
        "EvalResourceDecision": decision,
        "MissingContextValues": list(missing),
    }
    pattern = "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}"
    return {
        "EvalDecision": "allowed",
        "EvalResourceName": pattern,
        "ResourceSpecificResults": [resource_result],
    }


def test_the_decision_on_the_resource_counts_whatever_its_row_is_called() -> None:
    session = Session({"iam:GetRole": beneath("implicitDeny"), "iam:TagRole": beneath("allowed")})
    assert may(session, "iam:GetRole", "iam:TagRole") == {"iam:GetRole": False, "iam:TagRole": True}
    assert session.requests[0]["ResourceArns"] == [ROLE]


def test_about_all_resources_no_resource_is_sent() -> None:
    """A `*` is no ARN: left out, it is what AWS takes."""
    session = Session(
        {"ec2:DeleteVpc": {**row("implicitDeny"), "EvalResourceName": "arn:${Partition}:ec2:…"}}
    )
    assert may(session, "ec2:DeleteVpc", resource="*") == {"ec2:DeleteVpc": False}
    assert "ResourceArns" not in session.requests[0]


def test_what_aws_does_not_judge_in_one_call_is_asked_in_several() -> None:
    names = [f"iam:A{number}" for number in range(5)]
    session = Session(
        {name: row("allowed") for name in names} | {"iam:A3": row("explicitDeny")}, apart="iam:A3"
    )
    assert may(session, *names) == {name: name != "iam:A3" for name in names}
    other = Session({}, apart="")
    other.all_pages = _refuse  # type: ignore[method-assign]  # another InvalidInput is not asked again
    with pytest.raises(CloudError, match="root"):
        may(other, *names)


async def _refuse(*_call: Any, **_kwargs: Any) -> dict[str, Any]:
    raise CloudError(
        "InvalidInput", "Invalid Entity Arn: …:root", operation="SimulatePrincipalPolicy", region=""
    )


@pytest.mark.parametrize("shape", [row, beneath])
def test_a_refusal_that_hangs_on_what_only_a_call_shows_is_none(shape: Any) -> None:
    """A second factor, an address: absent. Our own tags it was given or not on purpose: a refusal. A Deny is always one."""
    session = Session(
        {
            "iam:A": shape("implicitDeny", "aws:MultiFactorAuthPresent"),
            "iam:B": shape("implicitDeny", "aws:RequestTag/bacalhau-cluster"),
            "iam:C": shape("explicitDeny", "aws:SourceIp"),
            "iam:D": shape("allowed", "aws:SourceIp"),
        }
    )
    assert may(session, "iam:A", "iam:B", "iam:C", "iam:D", "iam:E") == {
        "iam:B": False,
        "iam:C": False,
        "iam:D": True,
    }
