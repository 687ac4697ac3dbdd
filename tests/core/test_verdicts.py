"""The verdict table: every row readable, families, nuances by AWS's words."""

from __future__ import annotations

import re

import pytest

from bacalhau_spot.core.verdict import (
    FAMILIES,
    NUANCES,
    TABLE,
    Action,
    Fault,
    Verdict,
    denied_action,
    judge,
)

ALL = {*TABLE.values(), *(one.verdict for one in FAMILIES), *(one.verdict for one in NUANCES), judge("")}
WHO = "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ec2:CreateVpc"


def test_every_row_says_what_to_do() -> None:
    """No sentence ends in a full stop, whatever is the user's to solve has a hint, and nothing is left to be filled in."""
    for verdict in ALL:
        told = verdict.told("eu-west-1")
        assert told and not told.endswith("."), verdict
        assert verdict.hint or verdict.action is Action.DONE, verdict
        assert not re.search(r"\{(region|action|profile|quota)\}", told + verdict.advice("eu-west-1"))


def test_a_name_is_one_place_in_the_documentation() -> None:
    """Errors name their place by it."""
    names = [verdict.name for verdict in ALL]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


def test_a_nuance_changes_what_is_read_and_not_what_is_done() -> None:
    """The engine judges by the code alone."""
    for one in NUANCES:
        for code in one.codes:
            assert one.verdict.action is judge(code).action, code


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("InvalidSubnetID.NotFound", Fault.LAG),
        ("InvalidLaunchTemplateName.NotFoundException", Fault.LAG),
        ("SomethingNewLimitExceeded", Fault.QUOTA),
        ("InsufficientSomethingNewCapacity", Fault.CAPACITY),
        ("InvalidSomethingNew.Duplicate", Fault.EXISTS),
        ("SomethingAlreadyExistsException", Fault.EXISTS),
        ("InvalidSomethingNew.InUse", Fault.BUSY),
        ("InvalidSomethingNew", Fault.CONFIG),
        ("Client.RequestLimitExceeded", Fault.THROTTLED),
        ("Server.InternalError", Fault.AWS),
    ],
)
def test_families_and_sides(code: str, fault: Fault) -> None:
    """AWS makes new codes by old patterns."""
    assert judge(code).fault is fault


def test_an_unknown_code_is_not_repeated() -> None:
    """It is shown as AWS says it."""
    assert judge("Whatever").fault is Fault.UNKNOWN
    assert judge("Whatever").action is Action.STOP_REGION


@pytest.mark.parametrize(
    ("code", "message", "name"),
    [
        ("UnauthorizedOperation", "You are not authorized to perform this operation.", "not-allowed"),
        ("UnauthorizedOperation", f"{WHO} because no identity-based policy allows it", "not-allowed"),
        (
            "UnauthorizedOperation",
            f"{WHO} with an explicit deny in a service control policy",
            "denied-by-organization",
        ),
        (
            "AccessDeniedException",
            f"{WHO} because no service control policy allows the ec2:CreateVpc action",
            "denied-by-organization",
        ),
        ("AccessDenied", f"{WHO} because no permissions boundary allows it", "denied-by-boundary"),
        ("AccessDenied", f"{WHO} because no session policy allows it", "denied-by-session"),
        ("AccessDenied", f"{WHO} because no VPC endpoint policy allows it", "denied-by-network"),
        ("AccessDenied", f"{WHO} with an explicit deny in an identity-based policy", "explicitly-denied"),
        ("AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code", "wrong-mfa"),
        ("AccessDenied", "User: arn:… is not authorized to perform: sts:AssumeRole on …", "assume-role"),
        ("SignatureDoesNotMatch", "Signature expired: 20261125T090000Z is now earlier than …", "clock"),
        ("SignatureDoesNotMatch", "Signature not yet current: 20261125T090000Z is …", "clock"),
        ("SignatureDoesNotMatch", "The request signature we calculated does not match", "wrong-secret"),
        ("OptInRequired", "You are not subscribed to this service.", "not-activated"),
        (
            "OptInRequired",
            "In order to use this AWS Marketplace product you need to accept terms",
            "marketplace",
        ),
        ("OptInRequired", "", "opt-in"),
    ],
)
def test_one_code_several_meanings(code: str, message: str, name: str) -> None:
    """AWS's words tell them apart."""
    assert judge(code, message).name == name


def test_the_action_that_was_refused() -> None:
    """For whoever grants it."""
    assert denied_action(f"{WHO} because …") == "ec2:CreateVpc"
    assert denied_action("You are not authorized to perform this operation.") == ""


def test_a_hint_is_filled_in() -> None:
    """With the profile in use, the action that was refused, the quota that counts."""
    assert "`aws sso login --profile work`" in judge("ExpiredToken").advice("r", profile="work")
    assert "`aws sso login`" in judge("ExpiredToken").advice("r")
    assert "ask your administrator to allow ec2:CreateVpc " in judge("AccessDenied").advice(
        "r", action="ec2:CreateVpc"
    )
    assert "/quotas/L-3819A6DF" in judge("MaxSpotInstanceCountExceeded").advice("r", quota="L-3819A6DF")


def test_verdicts_are_values() -> None:
    """Two that say the same are the same: errors are grouped by them."""
    assert judge("ExpiredToken") == judge("RequestExpired")
    assert isinstance(judge("ExpiredToken"), Verdict)
