"""`explain`: the packaged documentation, and the meaning of errors."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import json_output, views
from bacalhau_spot.ui import pages as documentation


def explain(
    topic: str | None = None,
    *,
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Print a page of the documentation, or the meaning and remedy of an error. Makes no network calls.

    Parameters
    ----------
    topic
        A page (`status`), a section of one (`ssh#…`), an error by its `docs:` name (`clock`), or AWS's code
        (`VpcLimitExceeded`). Default: the list of pages.
    """
    del common, runtime
    pages = packaged_pages()
    if topic is None:
        titles = documentation.titles(pages)
        return Result(
            "explain",
            view=views.pages_view(titles),
            data=json_output.documentation_pages_data(titles),
        )
    text = documentation.find_section(documentation.topic_of(topic), pages)
    if not text:
        near = documentation.nearest(topic, pages)
        raise UserError(
            f"no page, error or code {topic}",
            hint=f"did you mean {', '.join(near)}?" if near else "`bacalhau-spot explain` lists the pages",
            exit_code=ExitCode.USAGE,
        )
    return Result(
        "explain",
        view=views.raw(text),
        data=json_output.documentation_page_data(topic, text),
        unredacted=True,
    )


def packaged_pages() -> dict[str, str]:
    """The pages by name, and the job files as `examples/NAME.yaml`. A folder's README has the folder's name.

    From the package; a source checkout has no copy in it, but the originals.
    """
    docs = Path(str(resources.files("bacalhau_spot"))) / "docs"
    examples = docs / "examples"
    if not docs.is_dir():
        checkout = Path(__file__).resolve().parents[4]
        docs, examples = checkout / "docs", checkout / "examples"
    pages = {_name(path, docs): path.read_text(encoding="utf-8") for path in sorted(docs.rglob("*.md"))}
    return pages | {
        f"examples/{path.name}": path.read_text(encoding="utf-8") for path in sorted(examples.glob("*.yaml"))
    }


def _name(page: Path, folder: Path) -> str:
    return page.relative_to(folder).with_suffix("").as_posix().removesuffix("/README")
