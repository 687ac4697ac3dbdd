"""The output of `explain` for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping


class PageOutput(TypedDict):
    page: str
    title: str


class ExplainOutput(TypedDict):
    topic: str | None
    """the argument; null: the list of pages"""
    text: str | None
    """Markdown"""
    pages: list[PageOutput] | None
    """null with a topic"""


def documentation_page_data(topic: str, text: str) -> ExplainOutput:
    return {"topic": topic, "text": text, "pages": None}


def documentation_pages_data(titles: Mapping[str, str]) -> ExplainOutput:
    """`titles`: by the name of the page."""
    return {
        "topic": None,
        "text": None,
        "pages": [{"page": name, "title": title} for name, title in titles.items()],
    }


class VersionOutput(TypedDict):
    version: str


def version_data(version: str) -> VersionOutput:
    return {"version": version}


class CompletionOutput(TypedDict):
    shell: str
    script: str


def completion_data(shell: str, script: str) -> CompletionOutput:
    return {"shell": shell, "script": script}
