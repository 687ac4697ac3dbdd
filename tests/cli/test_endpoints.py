"""What is not AWS's own endpoint is named wherever the account is (complaint 5: awscli-local#76, datahub#13861)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bacalhau_spot.cli.runtime.endpoint import is_aws, other_endpoints, shown
from bacalhau_spot.core.partitions import PARTITIONS
from support.cli_runner import CliRunner


@pytest.mark.parametrize(
    "domain", sorted({domain for partition in PARTITIONS for domain in partition.domains})
)
def test_aws_s_own(domain: str) -> None:
    assert is_aws(f"https://ec2.us-east-1.{domain}")
    assert is_aws(f"https://vpce-0123.ec2.us-east-1.vpce.{domain}:443/x")
    assert not is_aws(f"https://ec2.us-east-1.{domain}.example.com")
    assert not is_aws(f"https://not{domain}")


@pytest.mark.parametrize(
    "text",
    [
        "[profile a]\nendpoint_url = http://u:hidden@10.0.0.1:1\n",
        "[profile a]\nservices = s\n[services s]\nec2 =\n  endpoint_url = http://u:hidden@10.0.0.1:1\n",
    ],
)
def test_from_wherever_it_comes(tmp_path: Path, text: str) -> None:
    """The profile, and a service's own section; a password in it is never shown."""
    (tmp_path / "config").write_text(text)
    endpoints = other_endpoints("a", environ={"AWS_CONFIG_FILE": str(tmp_path / "config")})
    assert [shown(url) for url in endpoints] == ["http://10.0.0.1:1"]


def test_programs_and_doctor_are_told(
    sandbox: Any, program: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said that there was nothing to delete, exit 0, while the real cluster ran on: JSON and `doctor` said no word."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", sandbox.url.replace("//", "//user:hidden@"))
    program.environ["AWS_ENDPOINT_URL"] = sandbox.url.replace("//", "//user:hidden@")
    result = program("list", "-o", "json")
    assert result.envelope["endpoint"] == sandbox.url
    assert "hidden" not in result.stdout + result.stderr
