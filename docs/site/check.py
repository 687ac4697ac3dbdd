"""Checks the built site: every link leads to a file and a place in it, every picture has a text, nothing is loaded from a server.

`python docs/site/check.py FOLDER` prints the faults and exits with 1 if there are any.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a browser loads for a page; a link to click on may lead elsewhere.
_LOADED = {"script": "src", "img": "src", "source": "srcset", "iframe": "src", "object": "data"}
_LOADED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "manifest"}
_REMOTE_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)\"';]+")


@dataclass
class Page(HTMLParser):
    """The links of a page, the ids in it, and its own faults."""

    path: Path
    links: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def __hash__(self) -> int:
        return hash(self.path)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        loaded = values.get(_LOADED.get(tag, ""), "")
        if tag == "link" and set(values.get("rel", "").split()) & _LOADED_LINKS:
            loaded = values.get("href", "")
        if _is_remote(loaded):
            self.faults.append(f"loads {loaded}")
        elif loaded:
            self.links.append(loaded)
        if tag == "a" and "href" in values and not _is_remote(values["href"]):
            self.links.append(values["href"])
        if tag == "img" and not values.get("alt"):
            self.faults.append(f"no text for the picture {values.get('src')}")


def _is_remote(address: str) -> bool:
    return address.startswith("//") or bool(urlsplit(address).scheme)


def faults(folder: Path) -> Iterator[str]:
    pages = {path: Page(path) for path in sorted(folder.rglob("*.html"))}
    for path, page in pages.items():
        name = path.relative_to(folder)
        yield from (f"{name}: {fault}" for fault in page.faults)
        yield from (f"{name}: dead link {link}" for link in page.links if not _leads(link, path, pages))
    for path in sorted(folder.rglob("*.css")):
        for address in _REMOTE_STYLE.findall(path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(folder)}: loads {address}"


def _leads(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.exists():
        return False
    return not parts.fragment or target not in pages or unquote(parts.fragment) in pages[target].ids


def main() -> int:
    found = list(faults(Path(sys.argv[1]).resolve()))
    sys.stdout.write("".join(f"{fault}\n" for fault in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
