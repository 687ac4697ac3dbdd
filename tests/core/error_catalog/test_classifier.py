"""The verdict table: every row readable, families, nuances by AWS's words."""

from __future__ import annotations

import re

import pytest

from bacalhau_spot.core.error_catalog.classifier import (
    CATALOG,
    FAMILIES,
    MESSAGE_RULES,
    Category,
    CodeFamily,
    ErrorInfo,
    Recovery,
    classify,
    denied_action,
)

ALL = {
    *CATALOG.values(),
    *(family.info for family in FAMILIES),
    *(rule.info for rule in MESSAGE_RULES),
    classify(""),
}
WHO = "User: arn:aws:iam::123456789012:user/ann is not authorized to perform: ec2:CreateVpc"


def test_every_row_says_what_to_do() -> None:
    """No sentence ends in a full stop, whatever is the user's to solve has a hint, and nothing is left to be filled in."""
    for info in ALL:
        message = info.message("eu-west-1")
        assert message and not message.endswith("."), info
        assert info.hint or info.recovery is Recovery.DONE, info
        assert not re.search(r"\{(region|action|profile|quota)\}", message + info.hint_for("eu-west-1"))


def test_a_name_is_one_place_in_the_documentation() -> None:
    """Errors name their place by it."""
    names = [info.name for info in ALL]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)


def test_a_nuance_changes_what_is_read_and_not_what_is_done() -> None:
    """The engine judges by the code alone."""
    for rule in MESSAGE_RULES:
        for code in rule.codes:
            assert rule.info.recovery is classify(code).recovery, code


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("InvalidSubnetID.NotFound", Category.LAG),
        ("InvalidLaunchTemplateName.NotFoundException", Category.LAG),
        ("SomethingNewLimitExceeded", Category.QUOTA),
        ("InsufficientSomethingNewCapacity", Category.CAPACITY),
        ("InvalidSomethingNew.Duplicate", Category.EXISTS),
        ("SomethingAlreadyExistsException", Category.EXISTS),
        ("InvalidSomethingNew.InUse", Category.BUSY),
        ("InvalidSomethingNew", Category.UNKNOWN),
        ("InvalidSomethingNew.Malformed", Category.CONFIG),
        ("InvalidParameterSomethingNew", Category.CONFIG),
        ("MalformedSomethingNew", Category.UNKNOWN),
        ("InternalSomethingNewFailure", Category.AWS),
        ("SomethingNewThrottledException", Category.THROTTLED),
        ("Client.RequestLimitExceeded", Category.THROTTLED),
        ("Server.InternalError", Category.AWS),
    ],
)
def test_families_and_sides(code: str, fault: Category) -> None:
    """AWS makes new codes by old patterns."""
    assert classify(code).category is fault


def test_a_row_says_what_no_family_says() -> None:
    """Otherwise it is one row too many."""
    assert [
        code
        for code, info in CATALOG.items()
        if info
        == next((family.info for family in FAMILIES if _fits(family, code.removesuffix("Exception"))), None)
    ] == []


def _fits(family: CodeFamily, code: str) -> bool:
    return code.startswith(family.prefix) and code.endswith(family.suffix)


def test_what_no_user_can_correct_is_an_error_of_this_program() -> None:
    """Nobody is sent to a configuration that is right."""
    assert classify("InvalidFilterKey") == classify("InvalidSomethingNew") == classify("UnknownParameter")


def test_the_exception_of_a_code_is_the_code() -> None:
    """JSON services append it, XML services do not."""
    for code in ("ExpiredToken", "AccessDenied", "ServiceUnavailable", "LimitExceeded"):
        assert classify(f"{code}Exception") == classify(code)


def test_an_unknown_code_is_not_repeated() -> None:
    """It is shown as AWS says it."""
    assert classify("Whatever").category is Category.UNKNOWN
    assert classify("Whatever").recovery is Recovery.STOP_REGION


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
    assert classify(code, message).name == name


def test_the_action_that_was_refused() -> None:
    """For whoever grants it."""
    assert denied_action(f"{WHO} because …") == "ec2:CreateVpc"
    assert denied_action("You are not authorized to perform this operation.") == ""


def test_a_hint_is_filled_in() -> None:
    """With the profile in use, the action that was refused, the quota that counts."""
    assert "`aws sso login --profile work`" in classify("ExpiredToken").hint_for("r", profile="work")
    assert "`aws sso login`" in classify("ExpiredToken").hint_for("r")
    assert "ask your administrator to allow ec2:CreateVpc " in classify("AccessDenied").hint_for(
        "r", action="ec2:CreateVpc"
    )
    assert "/quotas/L-3819A6DF" in classify("MaxSpotInstanceCountExceeded").hint_for("r", quota="L-3819A6DF")


def test_verdicts_are_values() -> None:
    """Two that say the same are the same: errors are grouped by them."""
    assert classify("ExpiredToken") == classify("RequestExpired")
    assert isinstance(classify("ExpiredToken"), ErrorInfo)
