"""Sphinx's settings for the documentation site: `make site` writes it to build/site.

The pages are Markdown as GitHub reads it, for `explain`, too. docs/index.md lists them, and is the navigation.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bacalhau_spot import __version__
from bacalhau_spot import project as addresses

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

# Sphinx reads these names.
project = "bacalhau-spot"
extensions = ["myst_parser", "navigation", "diagrams"]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "benchmarks/README.md",
    "packages/*/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
# Folders that it need not search.
exclude_patterns = [".*", "build", "dist", "src", "tests", "**/tests", "packages/*/src"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 6
highlight_language = "none"
suppress_warnings = ["misc.highlighting_failure"]

html_title = f"bacalhau-spot {__version__}"
html_theme = "furo"
html_static_path = ["static"]
html_extra_path = ["extra"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False
html_baseurl = addresses.SITE_URL
if addresses.REPOSITORY_URL:
    html_theme_options = {
        "source_repository": addresses.REPOSITORY_URL,
        "source_branch": "main",
        "source_directory": "",
    }
