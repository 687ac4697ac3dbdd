"""What each error means, recorded: no change of the catalogue may change what a user reads, or what the engine does.

`error_golden.json` holds every error code that has or had a row, that AWS's lists and botocore's models name, and every
exception of botocore. To record again: `uv run pytest --record-errors tests/cloud/test_error_golden.py`; the commit gives the
reason for each difference.
"""

from __future__ import annotations

import inspect
import json
import string
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from bacalhau_spot.cloud.aws_errors import translate
from bacalhau_spot.core.error_catalog.classifier import CATALOG, ErrorInfo, classify
from cloud.test_codes import modelled_codes
from support.aws_codes import BEYOND_MODELS

GOLDEN = Path(__file__).with_name("error_golden.json")
INTERNAL_ERROR = "raised: an error of this program"


def instance_of(kind: type[BotoCoreError]) -> BotoCoreError:
    """One of botocore's exceptions, with something in each of its blanks."""
    blanks = {field for _, field, _, _ in string.Formatter().parse(kind.fmt) if field}
    blanks |= {"name", "reason", "last_response"} if kind is WaiterError else set()
    return kind(**dict.fromkeys(blanks, "something"))


def exceptions() -> dict[str, type[BotoCoreError]]:
    """Every exception that botocore may raise instead of an answer."""
    kinds = inspect.getmembers(botocore.exceptions, inspect.isclass)
    return {name: kind for name, kind in kinds if issubclass(kind, BotoCoreError)}


def meaning_of_code(code: str) -> ErrorInfo:
    """As AWS answers it."""
    error = ClientError({"Error": {"Code": code, "Message": "words"}}, "CreateVpc")
    failure = translate(error, operation="create_vpc", region="eu-west-1")
    return classify(failure.code, failure.message)


def meaning_of_exception(kind: type[BotoCoreError]) -> tuple[str, ErrorInfo | None]:
    """The code that is shown, and what it means; no meaning where the exception is this program's own fault."""
    try:
        failure = translate(instance_of(kind), operation="create_vpc", region="eu-west-1")
    except BotoCoreError:
        return INTERNAL_ERROR, None
    return failure.code, classify(failure.code, failure.message)


def names_of_exceptions() -> set[str]:
    """Rows of the catalogue once; AWS answers none of them."""
    return set(exceptions()) - {"ValidationError"} - set(CATALOG)


def recorded() -> dict[str, Any]:
    """Today's meanings, codes and exceptions."""
    known = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {"codes": {}}
    codes = {
        *CATALOG,
        *BEYOND_MODELS,
        *modelled_codes(),
        *known["codes"],
        "",
        "Whatever",
    } - names_of_exceptions()
    of_codes = {code: meaning_of_code(code) for code in sorted(codes)}
    of_exceptions = {name: meaning_of_exception(kind) for name, kind in exceptions().items()}
    infos = {info for info in (*of_codes.values(), *(info for _, info in of_exceptions.values())) if info}
    return {
        "meanings": {
            info.name: {
                "category": info.category.name,
                "recovery": info.recovery.name,
                "exit_code": int(info.exit_code),
                "message": [info.message("eu-west-1"), info.message("")],
                "hint": info.hint_for("eu-west-1", profile="work", action="ec2:X", quota="L-1", host="https://host:1"),
            }
            for info in sorted(infos, key=lambda info: info.name)
        },
        "codes": {code: info.name for code, info in of_codes.items()},
        "exceptions": {
            name: [code, info.name] if info else [code] for name, (code, info) in of_exceptions.items()
        },
    }  # fmt: skip


def test_every_error_means_what_it_meant(request: pytest.FixtureRequest) -> None:
    """Category, recovery, exit code, message and hint of each code and each exception."""
    today = recorded()
    if request.config.getoption("--record-errors"):
        GOLDEN.write_text(json.dumps(today, indent=1, ensure_ascii=False) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert today["codes"] == golden["codes"]
    assert today["exceptions"] == golden["exceptions"]
    assert today["meanings"] == golden["meanings"]


def test_every_exception_of_botocore_is_recorded() -> None:
    """A new one of botocore's has to be decided on: it is told in words, or it is this program's own fault."""
    assert set(json.loads(GOLDEN.read_text())["exceptions"]) == set(exceptions())
