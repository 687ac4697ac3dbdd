"""Each kind of command line imports only the libraries that it needs: the slow ones come after the first words, or not at all."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import bacalhau_spot

ROOT = Path(bacalhau_spot.__file__).parent

AWS = frozenset({"boto3", "botocore", "awscrt", "s3transfer"})
CONFIGURATION = frozenset({"pydantic", "pydantic_core", "ruamel"})
# The parts of the CLI and terminal libraries for help pages, documents and live displays.
HEAVY = frozenset(
    {
        "cyclopts.help",
        "docstring_parser",
        "markdown_it",
        "pygments",
        "rich.markdown",
        "rich.syntax",
        "rich.live",
    }
)
OTHERS = frozenset({"cryptography", "moto", "plotille", "altair"})
SLOW = AWS | CONFIGURATION | HEAVY | OTHERS
# What even the first words and a page do not wait for.
LIBRARIES = SLOW | {
    "cyclopts",
    "rich",
    "attrs",
    "attr",
    "urllib3",
    "asyncio",
    "ssl",
    "inspect",
    "dataclasses",
    "typing_extensions",
}


def imported(line: str, names: frozenset[str], folder: Path, *, code: int, columns: str = "") -> set[str]:
    """Which of `names` the program has imported when it ends with exit code `code`, in a process of its own."""
    program = (
        "import sys\n"
        "from bacalhau_spot.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        f"    sys.__stdout__.write('imported: ' + ' '.join({set(names)!r} & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *line.split(" ")] if line else [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
        env={
            "HOME": str(folder),
            "AWS_CONFIG_FILE": str(folder / "none"),
            "PATH": "/usr/bin:/bin",
            "COLUMNS": columns,
        },
    )
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return set(result.stdout.rpartition("imported: ")[2].split())


@pytest.mark.parametrize(
    "line",
    [
        *("", "--help", "--version", "-V", "version", "help", "help create", "create --help", "list -h"),
        *("sandbox set --help", "config --help"),
        *("__complete fish list --region ", "__complete fish ssh ", "__complete fish offers --type c7g."),
        *("__complete fish configure --set ", "__complete fish status --columns "),
    ],
)
def test_a_page_waits_for_no_library(tmp_path: Path, line: str) -> None:
    assert imported(line, LIBRARIES, tmp_path, code=0) == set()


@pytest.mark.parametrize(
    "line",
    [
        "crate",  # unknown command
        "--install-completion",  # unknown option
        "config shw",
        "list --regin us-east-1",  # unknown option of a command
        "create --wait forever",  # invalid value
        "status -o xml",
        "ssh --region",  # missing value
        "create",  # no configuration
        "create --config nowhere.yaml",
        "status --config nowhere.yaml",
        "destroy --config nowhere.yaml",
        "reconcile",
        "scale 3",
    ],
)
def test_a_refusal_waits_for_nothing_slow(tmp_path: Path, line: str) -> None:
    """Neither AWS's library nor the configuration's, nor a help page's."""
    assert imported(line, SLOW, tmp_path, code=2) == set()


def test_an_unknown_command_imports_no_command(tmp_path: Path) -> None:
    """Not even to suggest the right one."""
    commands = frozenset(
        f"bacalhau_spot.cli.commands.{path.stem}" for path in (ROOT / "cli" / "commands").glob("*.py")
    )
    assert imported("crate", commands | {"asyncio"}, tmp_path, code=2) == set()
    assert imported("explain clock", SLOW | {"asyncio"}, tmp_path, code=0) == set()


@pytest.mark.parametrize("columns", ["24", "50", "69"])
def test_a_page_in_a_narrow_window_waits_for_no_library(tmp_path: Path, columns: str) -> None:
    """It was left to the CLI library once, which takes ten times as long."""
    assert imported("create --help", LIBRARIES, tmp_path, code=0, columns=columns) == set()


def test_the_first_words_wait_for_nothing() -> None:
    """They are out before any library is imported: the reader sees at once that something is going on."""
    program = (
        "import sys\n"
        "class Stream:\n"
        "    def write(self, text):\n"
        f"        slow = {set(LIBRARIES)!r} & set(sys.modules)\n"
        "        sys.stdout.write(text + repr(sorted(slow)))\n"
        "        sys.stdout.flush()\n"
        "        import os; os._exit(0)\n"
        "    def flush(self): pass\n"
        "sys.stderr = Stream()\n"
        "from bacalhau_spot.cli import run\n"
        "run(['create', '--sandbox'])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert result.stdout == "bacalhau-spot create · sandbox: not AWS\n[]"


@pytest.mark.parametrize("package", ["config", "ui.views", "ui.json_output"])
def test_a_lazy_package_has_the_names_that_it_declares(package: str) -> None:
    """For the type checker, for `*`, and at run time."""
    module = importlib.import_module(f"bacalhau_spot.{package}")
    tree = ast.parse(Path(module.__file__ or "").read_text())
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    declared = {
        f"{node.module}.{name.name}"
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    lazy = {
        f"{importlib.util.resolve_name(where, module.__name__)}.{name}"
        for name, where in module.lazy_names.items()
    }
    assert lazy == declared
    assert set(module.lazy_names) <= set(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        assert type(value) is not type(module), name  # a function, though its module may have the same name
    with pytest.raises(AttributeError, match="nonsense"):
        _ = module.nonsense
