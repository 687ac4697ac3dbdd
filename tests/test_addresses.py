"""A7: every address in the code, the pages and the README is one that somebody serves: this list says who."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# An address ends where prose, code or Markdown goes on; in JSON, at the backslash before a quote.
ADDRESS = re.compile(r"https?://[^\s\"'`<>()\[\]|,;\\]*")
# What is served, and by whom.
SERVED = {
    r"https://[{}\w.-]+\.console\.aws\.amazon\.com(/.*)?": "AWS's console",
    r"https://console\.aws\.amazon\.com(/.*)?": "AWS's console",
    r"https://docs\.aws\.amazon\.com/.*": "AWS's documentation",
    r"https://(aws|health\.aws|portal\.aws)\.amazon\.com(/.*)?": "AWS's own pages",
    r"https://checkip\.amazonaws\.com": "AWS's address service",
    r"https://spot-bid-advisor\.s3\.amazonaws\.com/.*": "AWS's file of interruption rates",
    r"https?://(sts|ssm|ec2|iam|pricing|api\.pricing)\.[{}\w.-]+/?.*": "AWS's endpoints",
    r"https://github\.com/bacalhau-project/bacalhau/?": "Bacalhau's repository",
    r"https://docs\.bacalhau\.org": "Bacalhau's documentation",
    r"https://get\.bacalhau\.org/releases/.*": "Bacalhau's releases",
    r"https://github\.com/getmoto/moto": "moto's repository",
    r"https://(keepachangelog\.com|semver\.org)/": "the forms of the list of changes",
    r"http://json-schema\.org/draft-07/schema#": "the name of JSON Schema's draft 7",
}
# What is no address on the internet.
NOT_ABROAD = {
    r"https?://(127\.0\.0\.1|localhost|169\.254\.169\.254|\[::1\])(:[\w{}]+)?(/.*)?": "this machine, or EC2's metadata service",
    r"https?://([\w-]+\.)*example(\.com|\.org)?([:/].*)?": "reserved for examples (RFC 2606)",
    r"https?://(HOST|o|orchestrator|\{[\w.]+\}?)([:/].*)?": "filled in",
    r"https?://…?\}?": "a scheme alone",
}
# XML's names look like addresses and are none.
NAMES = {
    r"https?://([\w-]+\.)?amazonaws\.com/doc/.*": "the names of AWS's XML",
    r"http://www\.w3\.org/2000/svg": "the name of SVG",
}


def tracked() -> list[Path]:
    result = subprocess.run(
        ["git", "ls-files", "src", "packages/*/src", "docs", "*.md", "*.toml", "deploy_spot.py", "Makefile", ".ci"],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    return [ROOT / name for name in result.stdout.split()]


def test_every_address_is_one_that_somebody_serves() -> None:
    """A new one needs a line above with its reason."""
    known = re.compile("|".join({**SERVED, **NOT_ABROAD, **NAMES}))
    strange = {
        f"{path.relative_to(ROOT)}: {address}"
        for path in tracked()
        for address in ADDRESS.findall(path.read_text(encoding="utf-8", errors="replace"))
        if not known.fullmatch(address.rstrip(".:*"))
    }
    assert strange == set()
