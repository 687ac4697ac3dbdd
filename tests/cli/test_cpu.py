"""What a command does not do, because it takes CPU for nothing."""

from __future__ import annotations

import subprocess
import sys
from collections import UserDict
from collections.abc import ItemsView
from io import StringIO
from pathlib import Path

from bacalhau_spot.cli.runtime.environment import Runtime


def run(code: str, *argv: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, check=True, timeout=60
    )
    return result.stdout


def test_aws_is_asked_without_boto3() -> None:
    """It brings s3transfer and resources, which nothing here uses."""
    code = (
        "import sys, bacalhau_spot.cloud.aws\n"
        "print(sorted({'botocore', 'boto3', 's3transfer'} & set(sys.modules)))\n"
    )
    assert run(code).strip() == "['botocore']"


def test_the_environment_is_searched_for_secrets_once(tmp_path: Path) -> None:
    """Every text of a document is redacted, and each may be any of its thousands."""

    class Environ(UserDict[str, str]):
        searched = 0

        def items(self) -> ItemsView[str, str]:
            self.searched += 1
            return super().items()

    environ = Environ({"MY_TOKEN": "hidden-value", "NAME": "shown-value"})
    out = StringIO()
    world = Runtime(
        environ=environ, cwd=tmp_path, home=tmp_path, stdin=StringIO(), stdout=out, stderr=StringIO()
    )
    for _ in range(20):
        world.stdout.write("hidden-value shown-value\n")
    assert out.getvalue() == "*** shown-value\n" * 20
    assert environ.searched == 1
