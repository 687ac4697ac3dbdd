"""Make a root file system as old as its suite's release: what has had a security update since counts as not upgraded.

An image that somebody made weeks ago lacks such updates, and a tool that upgrades first has them to fetch and to install. Run by
mmdebstrap, with the root as its argument, while the lists of packages are still there.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# Just below the version that is there (deb-version(7): `~` sorts before the end), so that what depends on it is content.
OLDER = "~"
_NAME = re.compile(r"^Package: (\S+)$", re.MULTILINE)
_VERSION = re.compile(r"^Version: (\S+)$", re.MULTILINE)


def published_since(root: Path) -> set[str]:
    """Names in the security archive."""
    lists = [
        path
        for path in (root / "var/lib/apt/lists").iterdir()
        if "security" in path.name and "_Packages" in path.name
    ]
    if not lists:
        raise SystemExit("mmdebstrap has left no list of the security archive")
    names: set[str] = set()
    for path in lists:
        text = subprocess.run(
            ["/usr/lib/apt/apt-helper", "cat-file", str(path)], check=True, capture_output=True, text=True
        ).stdout
        names.update(_NAME.findall(text))
    return names


def made_older(status: str, names: set[str]) -> tuple[str, int]:
    """Dpkg's status with these packages one version back, and how many they are."""
    stanzas = status.split("\n\n")
    versions = set()
    held_back = 0
    for number, stanza in enumerate(stanzas):
        name, version = _NAME.search(stanza), _VERSION.search(stanza)
        if name and version and name[1] in names:
            stanzas[number] = _VERSION.sub(f"Version: {version[1]}{OLDER}", stanza)
            versions.add(version[1])
            held_back += 1
    text = "\n\n".join(stanzas)
    # Packages of one source want each other in exactly their version.
    for exact in versions:
        text = re.sub(rf"(\([<>]?= {re.escape(exact)})\)", rf"\1{OLDER})", text)
    return text, held_back


def main() -> None:
    root = Path(sys.argv[1])
    status = root / "var/lib/dpkg/status"
    text, held_back = made_older(status.read_text("utf-8"), published_since(root))
    status.write_text(text, "utf-8")
    print(f"{held_back} packages count as not upgraded", file=sys.stderr)  # noqa: T201 -- its report


if __name__ == "__main__":
    main()
