"""No call of ours can be refused without words: every code of botocore's models and of AWS's lists has a verdict."""

from __future__ import annotations

import ast
from pathlib import Path

import botocore.exceptions
import pytest
from botocore import xform_name

from bacalhau_spot import cloud
from bacalhau_spot.cloud.aws_errors import split, translate
from bacalhau_spot.cloud.exception_codes import EXCEPTION_CODES
from bacalhau_spot.core.error_catalog.classifier import CATALOG, Category, classify
from sandbox.conftest import boto_session
from support.aws_codes import BEYOND_MODELS

# Asked on the way, by the credential chain and to explain a denial.
CHAIN = {
    "sts": {"assume_role", "assume_role_with_web_identity", "decode_authorization_message"},
    "sso": {"get_role_credentials"},
}


def words_of_the_code() -> set[str]:
    """Every string in `cloud/`: services and operations are among them, however they are handed on."""
    sources = (path.read_text() for path in Path(cloud.__file__).parent.rglob("*.py"))
    nodes = (node for source in sources for node in ast.walk(ast.parse(source)))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def calls() -> dict[str, set[str]]:
    """Service -> operations that the code names. A name that several services have counts for each: rather too many."""
    words = words_of_the_code()
    allowed: dict[str, set[str]] = {service: set(operations) for service, operations in CHAIN.items()}
    for service in words & set(boto_session().get_available_services()):
        model = boto_session().get_service_model(service)
        allowed.setdefault(service, set()).update(
            words & {xform_name(name) for name in model.operation_names}
        )
    return allowed


def modelled_codes() -> dict[str, str]:
    """Code -> one call that can answer it."""
    codes: dict[str, str] = {}
    for service, operations in calls().items():
        model = boto_session().get_service_model(service)
        names = {xform_name(name): name for name in model.operation_names}
        for operation in operations:
            for shape in model.operation_model(names[operation]).error_shapes:
                code = shape.metadata.get("error", {}).get("code") or shape.name
                codes[str(code)] = f"{service}:{operation}"
    return codes


def test_the_scan_finds_the_calls() -> None:
    """Those that are named where they are made, and those that a table names."""
    operations = calls()
    assert {"create_fleet", "describe_tags", "delete_vpc", "describe_spot_fleet_requests"} <= operations[
        "ec2"
    ]
    assert "put_parameter" in operations["ssm"]
    assert "delete_topic" in operations["sns"]
    assert "get_caller_identity" in operations["sts"]


def test_every_code_of_the_models_has_words() -> None:
    """For the operations that we call."""
    unclassified = {code: call for code, call in modelled_codes().items() if classify(code) == classify("")}
    assert unclassified == {}


@pytest.mark.parametrize("code", BEYOND_MODELS)
def test_every_code_of_awss_lists_has_words(code: str) -> None:
    """EC2's model has no errors at all; the common ones are in no model."""
    assert classify(code) != classify("")


def test_the_code_of_every_exception_has_words() -> None:
    """Which code each of botocore's exceptions has: test_error_golden.py."""
    assert {code for code in EXCEPTION_CODES.values() if code not in CATALOG} == set()


def test_a_new_kind_of_a_known_exception_has_its_code_and_says_its_name() -> None:
    """The next release of botocore may part what this one has."""
    kind = type("SSOSomethingNewError", (botocore.exceptions.SSOError,), {"fmt": "the session is gone"})
    failure = translate(kind(), operation="", region="")
    assert (failure.code, failure.message) == ("SSOError", "SSOSomethingNewError: the session is gone")


def test_a_mistake_of_ours_is_not_translated() -> None:
    """It has a traceback that somebody should see."""
    error = botocore.exceptions.ParamValidationError(report="no such parameter")
    with pytest.raises(botocore.exceptions.ParamValidationError):
        translate(error, operation="create_vpc", region="eu-west-1")


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("AWS was not able to validate the provided access credentials", Category.CREDENTIALS),
        ("Not authorized for images: [ami-0abc]", Category.CONFIG),
        ("You do not have permission to access the specified resource.", Category.PERMISSION),
        ("The address with allocation id eipalloc-1 does not belong to you.", Category.PERMISSION),
    ],
)
def test_one_code_of_several_classes_is_split(message: str, fault: Category) -> None:
    """Somebody else's address must not pass for wrong credentials, which would end everything."""
    assert classify(split("AuthFailure", message)).category is fault
