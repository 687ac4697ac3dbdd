"""The place of publication: none yet. A release fills this in, and nothing else has an address of the project.

Until then it is installed from its own folder, and its pages and schemas are part of it (`bacalhau-spot explain`,
`config schema`).
"""

from __future__ import annotations

from typing import Final

# The repository's address, without a slash at its end.
REPOSITORY_URL: Final[str] = ""
# The address of the documentation site, with a slash at its end.
SITE_URL: Final[str] = ""
# The name under which a package index has it.
PACKAGE: Final[str] = ""

# Half a sentence: where mistakes of this program are reported.
REPORT: Final[str] = (
    f"please report it at {REPOSITORY_URL}/issues"
    if REPOSITORY_URL
    else "please report it to the maintainers"
)
