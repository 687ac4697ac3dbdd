"""docs/privacy.md names every address that the program may send anything to."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "bacalhau_spot"
PAGE = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
_HOST = re.compile(r"https?://([^\s/\"'`:<>()\[\],;|]+)")
# Addresses that are shown or compared, never asked.
NOT_ASKED = {
    r".*console\.aws\.amazon\.com|console\.amazonaws.*": "links for people to AWS's console",
    r"(docs|health|portal)\.aws\.amazon\.com|aws\.amazon\.com": "links for people to AWS's pages",
    r"(\w+\.)*example(\.com|\.org)?": "examples",
    r"HOST|o|\.|…": "forms of an address in messages",
    r"127\.0\.0\.1|localhost": "this machine",
    r"json-schema\.org": "the name of a schema's draft",
    r"docs\.bacalhau\.org": "the documentation of a service, in its unit file",
}


def texts(path: Path) -> list[str]:
    """The string constants of a module, without docstrings; of another file, all of it."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return [text]
    tree = ast.parse(text)
    told = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
    ]


def hosts() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for path in SOURCE.rglob("*"):
        if (
            path.suffix in {".py", ".service", ".sh", ".yaml", ".yml", ".timer"}
            and "__pycache__" not in path.parts
        ):
            for text in texts(path):
                for host in _HOST.findall(text):
                    found[host.rstrip(".")].add(str(path.relative_to(SOURCE)))
    return found


def test_every_host_in_the_program_is_on_the_page() -> None:
    """A new one needs a row there, or a line above with its reason."""
    asked = {
        host: places
        for host, places in hosts().items()
        if not any(re.fullmatch(pattern, host) for pattern in NOT_ASKED)
    }
    missing = {
        host: sorted(places)
        for host, places in asked.items()
        # `{…}` stands for a region or a host of the user's.
        if host not in PAGE and not host.startswith("{")
    }
    assert missing == {}
    assert {"checkip.amazonaws.com", "get.bacalhau.org", "spot-bid-advisor.s3.amazonaws.com"} <= set(asked)


def test_every_host_on_the_page_is_in_the_program() -> None:
    """A row about an address that is no longer asked would mislead."""
    named = set(re.findall(r"`((?:[\w-]+\.)+(?:com|org|254))`", PAGE))
    assert named
    assert named <= set(hosts())
