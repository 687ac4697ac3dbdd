"""Draws the pages' Mermaid diagrams while the site is built: a browser would need Mermaid's own program from a server."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import mmdr
from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# The text is for readers who do not see the picture.
_FIGURE = """\
<figure class="diagram">
{picture}
<details><summary>The diagram as text</summary><pre>{text}</pre></details>
</figure>
"""


def figure(text: str) -> str:
    """The HTML of a diagram in Mermaid's language."""
    picture = (
        mmdr.render(text).svg().replace('style="max-width:', 'style="width:', 1)
    )  # in its own size, and scrolled
    return _FIGURE.format(picture=picture, text=html.escape(text))


def _draw(app: Sphinx, document: nodes.document) -> None:
    del app
    for block in list(document.findall(nodes.literal_block)):
        if block.get("language") == "mermaid":
            block.replace_self(nodes.raw("", figure(block.astext()), format="html"))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", _draw)
    return {"parallel_read_safe": True}
