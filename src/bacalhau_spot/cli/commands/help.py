"""`help`: the page of a command, or a page of the documentation. cli/__init__.py prints most pages without this module."""

from __future__ import annotations

from io import StringIO
from typing import Annotated

from cyclopts import Parameter

from bacalhau_spot.cli.commands.explain import explain
from bacalhau_spot.cli.runtime.environment import Runtime
from bacalhau_spot.cli.runtime.help_page import page_text
from bacalhau_spot.cli.runtime.result import Result
from bacalhau_spot.cli.runtime.shared_options import NO_OPTIONS, CommonOptions
from bacalhau_spot.ui import json_output, views


def help_(
    *words: Annotated[str, Parameter(name="COMMAND")],
    common: CommonOptions = NO_OPTIONS,
    runtime: Annotated[Runtime, Parameter(parse=False)],
) -> Result:
    """Print the help of a command, or a page of the documentation.

    Parameters
    ----------
    words
        A command, such as `create` or `config show`; or a topic, as for `explain`. Default: the list of commands.
    """
    page = page_text(["help", *words], StringIO(), environ=runtime.environ)
    topic = " ".join(words)
    if page is None:
        return explain(topic, common=common, runtime=runtime)
    return Result("help", view=views.raw(page), data=json_output.documentation_page_data(topic, page))
