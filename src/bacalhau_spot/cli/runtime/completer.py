"""The words that may follow on a command line, for the completion scripts of shells.

A shell asks at every Tab: only the standard library is imported, and nothing is asked but files of this machine. The commands
and options are those of the help pages; regions, instance types and keys of the configuration are in
`cli/completion_values.json`, which docs/generate.py writes; nodes and clusters are those that the last commands have seen
(`cli/state/known_nodes.py`).
"""

from __future__ import annotations

import json
import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

_CLI = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - pathlib takes milliseconds
_DOCS = (
    os.path.join(os.path.dirname(_CLI), "docs"),  # noqa: PTH118, PTH120 - of the package
    os.path.join(_CLI, "..", "..", "..", "docs"),  # noqa: PTH118 - of a source checkout
)
# The answer when the shell is to complete the names of files.
FILES = ":files"
_LIST = ",..."  # the end of a metavar of a list with commas
_SHARED = "Options of every command"
_ROOT_OPTIONS = (("--help", "the list of commands"), ("--version", "the version"))
_JSON = ("--json", "short for -o json")
_NODES = frozenset(
    {"ssh", "logs", "console", "remove", "replace", "sandbox interrupt", "sandbox rebalance"}
)  # commands with a node as their argument
_ORCHESTRATOR = frozenset({"ssh", "logs", "console"})
_TYPE = re.compile(
    r"\b[a-z][a-z0-9-]*\d[a-z0-9-]*\.(?:nano|micro|small|medium|(?:\d+)?x?large|metal(?:-\d+xl)?)\b"
)
_PROFILE = re.compile(r"^\s*\[(?:profile\s+)?([^\]\s]+)\s*\]", re.MULTILINE)
_CHOICES = re.compile(r"\[choices: (.*)\]")
_MAX_BYTES = 1 << 20
# Names come from tags, which others write, and bash puts a candidate into the line as it is: a name with characters that a
# shell interprets is not offered.
_WORD = re.compile(r"[\w.:/=+@,][\w.:/=+@,-]*")

Candidate = tuple[str, str]  # a word, and its description


def completion_lines(words: Sequence[str], *, environ: Mapping[str, str], cwd: str) -> list[str]:
    """The answer to `__complete SHELL …`: a candidate a line; for zsh and fish, with its description after a tab.

    `bash`: the line up to the cursor, and the part of the last word that readline replaces. Others: the words of the line
    without the program, the last one up to the cursor.
    """
    shell, *given = words or ("",)
    if not given:
        return []
    if shell == "bash":
        return _for_bash(given[0], "".join(given[1:2]), environ=environ, cwd=cwd)
    found = _Line(given[:-1], given[-1], environ=environ, cwd=cwd).matching()
    return [f"{value}\t{text}" if text else value for value, text in found.items()]


def _for_bash(text: str, typed: str, *, environ: Mapping[str, str], cwd: str) -> list[str]:
    """`text`: the line; `typed`: the part of its last word that an answer replaces."""
    given = _split(text)[1:] or [""]
    cut = len(given[-1]) - len(typed) if given[-1].endswith(typed) else 0
    found = _Line(given[:-1], given[-1], environ=environ, cwd=cwd).matching()
    return [value if value == FILES else value[cut:] for value in found]


def _split(line: str) -> list[str]:
    """The words of a line that may end in an open quotation; the last one is empty after a blank."""
    words, word, quote, begun = [], "", "", False
    letters = iter(line)
    for letter in letters:
        if letter == "\\" and quote != "'":
            word, begun = word + next(letters, ""), True
        elif quote:
            word, quote = (word, "") if letter == quote else (word + letter, quote)
        elif letter in "'\"":
            quote, begun = letter, True
        elif letter.isspace():
            words += [word] if begun else []
            word, begun = "", False
        else:
            word, begun = word + letter, True
    return [*words, word]


class _Line:
    """A command line up to the cursor."""

    def __init__(self, before: Sequence[str], current: str, *, environ: Mapping[str, str], cwd: str) -> None:
        self._current, self._environ, self._cwd = current, environ, cwd
        self._pages: dict[str, Any] = _packaged("help_pages.json")["pages"]
        self._options: dict[str, str] = {}  # the last value of each option
        self._chain = ""  # the command
        self._arguments: list[str] = []
        self._expected = ""  # the option whose value is to come
        self._ended = False  # after `--`
        for word in before:
            self._read(word)

    def _read(self, word: str) -> None:
        if self._ended:
            return
        if self._expected:
            self._options[self._expected], self._expected = word, ""
        elif word == "--":
            self._ended = True
        elif word.startswith("-"):
            self._read_option(word)
        elif not self._arguments and f"{self._chain} {word}".strip() in self._pages:
            self._chain = f"{self._chain} {word}".strip()
        else:
            self._arguments.append(word)

    def _read_option(self, word: str) -> None:
        name, sign, value = word.partition("=")
        row = self._row(name)
        first = row["name"].split()[0] if row else name
        self._options[first] = value
        if row and _metavar(row) and not sign:
            self._expected = first

    def matching(self) -> dict[str, str]:
        """The candidates that begin as the current word does, with their descriptions."""
        found = self._candidates()
        return {value: text for value, text in found if value.startswith(self._current) or value == FILES}

    def _candidates(self) -> Iterable[Candidate]:
        if self._ended:
            return [(FILES, "")]
        if self._expected:
            return self._values(self._row(self._expected), self._current)
        if self._current.startswith("-"):
            name, sign, value = self._current.partition("=")
            if not sign:
                return self._option_names()
            found = self._values(self._row(name), value)
            return [(word if word == FILES else f"{name}={word}", text) for word, text in found]
        return [*self._commands(), *self._argument_values()]

    # Options

    def _rows(self) -> list[dict[str, Any]]:
        """Of the command; before a command, the options of every command."""
        page = self._pages[self._chain]
        panels = [panel for panel in page["panels"] if not panel["commands"]]
        if not panels:
            panels = [panel for panel in self._pages["clusters"]["panels"] if panel["title"] == _SHARED]
        return [row for panel in panels for row in panel["rows"]]

    def _row(self, option: str) -> dict[str, Any] | None:
        return next((row for row in self._rows() if option in row["name"].split()), None)

    def _option_names(self) -> list[Candidate]:
        found = [
            (word, _summary(row))
            for row in self._rows()
            for word in row["name"].split()
            if word.startswith("--")
        ]
        return [
            *found,
            _JSON,
            *(_ROOT_OPTIONS if not self._chain else (("--help", "the help of the command"),)),
        ]

    def _values(self, row: dict[str, Any] | None, current: str) -> list[Candidate]:
        """The values of an option, up to `current`."""
        if row is None:
            return []
        metavar = _metavar(row)
        if not metavar.endswith(_LIST):
            return self._of_metavar(row, metavar.removesuffix("..."), current)
        before, comma, last = current.rpartition(",")
        used = set(before.split(","))
        found = self._of_metavar(row, metavar.removesuffix(_LIST), last)
        return [(f"{before}{comma}{word}", text) for word, text in found if word not in used]

    def _of_metavar(self, row: dict[str, Any], metavar: str, current: str) -> list[Candidate]:
        choices = _choices(row)
        if choices:
            return _plain(choices)
        if row["name"].split()[0] == "--cluster":
            return self._clusters()
        if row["name"].split()[0] == "--profile":
            return self._profiles()
        sources: dict[str, Callable[[str], list[Candidate]]] = {
            "REGION": lambda _: _plain(_values("regions")),
            "TYPE": self._types,
            "FAMILY": lambda _: _plain(_values("types")),
            "KEY=VALUE": _settings,
            "COMMAND": lambda _: _plain(name for name in self._pages if name and " " not in name),
            "COLUMN": lambda _: _plain(_values("columns").get(self._chain, ())),
            "FILE": lambda _: [(FILES, "")],
            "FOLDER": lambda _: [(FILES, "")],
        }
        source = sources.get(metavar)
        return source(current) if source else []

    # Commands and arguments

    def _commands(self) -> list[Candidate]:
        before = self._arguments if self._chain == "help" else [*self._chain.split()]
        if self._arguments and self._chain != "help":
            return []
        prefix = "".join(f"{word} " for word in before)
        names = (name for name in self._pages if name.startswith(prefix) and name)
        return [
            (name.removeprefix(prefix), " ".join(self._pages[name]["text"][:1]))
            for name in names
            if " " not in name.removeprefix(prefix)
        ]

    def _argument_values(self) -> list[Candidate]:
        if self._chain in _NODES:
            return self._nodes()
        if self._chain == "explain" and not self._arguments:
            return _plain(_topics())
        if self._chain == "completion" and not self._arguments:
            return _plain(("bash", "zsh", "fish"))
        return []

    # What is known on this machine

    def _known(self, what: str) -> dict[str, Any]:
        """A file of `cli/state/known_nodes.py`; empty if it cannot be read."""
        sandbox = ["sandbox"] if "--sandbox" in self._options else []
        state = self._environ.get("XDG_STATE_HOME", "")
        base = state if os.path.isabs(state) else os.path.join(self._home(), ".local", "state")  # noqa: PTH117, PTH118 - as above
        path = os.path.join(base, "bacalhau-spot", *sandbox, "cache", f"{what}.json")  # noqa: PTH118
        try:
            content = json.loads(_text(path))
        except (ValueError, RecursionError):
            return {}
        entries = content.items() if isinstance(content, dict) else ()
        return {name: entry.get("value") for name, entry in entries if isinstance(entry, dict)}

    def _nodes(self) -> list[Candidate]:
        """Of the named cluster, or of all."""
        entries = self._known("known_nodes")
        chosen = self._options.get("--cluster")
        found = [("orchestrator", "the managed one")] if self._chain in _ORCHESTRATOR else []
        for cluster, nodes in entries.items():
            if chosen in {None, cluster} and isinstance(nodes, dict):
                found += [
                    (node, _printable(f"{zone} {cluster}"))
                    for node, zone in nodes.items()
                    if _WORD.fullmatch(node) and node not in self._arguments
                ]
        return found

    def _clusters(self) -> list[Candidate]:
        names = {**self._known("known_nodes"), **self._known("known_clusters")}
        return _plain(name for name in names if _WORD.fullmatch(name))

    def _profiles(self) -> list[Candidate]:
        path = self._environ.get("AWS_CONFIG_FILE") or os.path.join(self._home(), ".aws", "config")  # noqa: PTH118
        return _plain(
            name
            for name in _PROFILE.findall(_text(path))
            if _WORD.fullmatch(name) and name not in {"sso-session", "services"}
        )

    def _types(self, current: str) -> list[Candidate]:
        """Those of the configuration; a family, or its sizes."""
        configured = [
            (name, "in the configuration") for name in dict.fromkeys(_TYPE.findall(self._configuration()))
        ]
        types = _values("types")
        family, dot, _ = current.partition(".")
        if dot:
            return [*configured, *((f"{family}.{size}", "") for size in types.get(family, "").split())]
        return [*configured, *((f"{name}.", "") for name in types)]

    def _configuration(self) -> str:
        """The text of the file that a command would use (config/find.py)."""
        given = self._options.get("--config") or self._environ.get("BACALHAU_SPOT_CONFIG")
        if given:
            return _text(os.path.join(self._cwd, os.path.expanduser(given)))  # noqa: PTH111, PTH118
        folder = os.path.abspath(self._cwd)  # noqa: PTH100
        while True:
            path = os.path.join(folder, "config.yaml")  # noqa: PTH118
            if os.path.isfile(path):  # noqa: PTH113
                return _text(path)
            above = os.path.dirname(folder)  # noqa: PTH120
            if above == folder or os.path.exists(os.path.join(folder, ".git")):  # noqa: PTH110, PTH118
                return ""
            folder = above

    def _home(self) -> str:
        return self._environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111


def _metavar(row: Mapping[str, Any]) -> str:
    """Empty for a flag."""
    last = str(row["name"].split()[-1])
    return "" if last.startswith("-") else last


def _choices(row: Mapping[str, Any]) -> list[str]:
    found = next((_CHOICES.match(text) for text, style in row["more"] if style == "choices"), None)
    return [word.strip() for word in found[1].split(",")] if found else []


def _summary(row: Mapping[str, Any]) -> str:
    return row["text"][0].replace("`", "") if row["text"] else ""


def _printable(text: str) -> str:
    """A description in one line, without characters that a terminal obeys."""
    return "".join(letter for letter in text if letter.isprintable())


def _plain(names: Iterable[str]) -> list[Candidate]:
    return [(name, "") for name in names]


def _settings(current: str) -> list[Candidate]:
    """A key of the configuration with `=`, or its values."""
    keys = _values("keys")
    key, sign, _ = current.partition("=")
    if sign:
        return [(f"{key}={value}", "") for value in keys.get(key, ())]
    return [(f"{name}=", "") for name in keys]


def _topics() -> list[str]:
    """The pages of the documentation."""
    for folder in _DOCS:
        if os.path.isdir(folder):  # noqa: PTH112
            return sorted(
                entry.name.removesuffix(".md") for entry in os.scandir(folder) if entry.name.endswith(".md")
            )
    return []


def _values(what: str) -> Any:
    return _packaged("completion_values.json")[what]


def _packaged(name: str) -> dict[str, Any]:
    with open(os.path.join(_CLI, name), encoding="utf-8") as file:  # noqa: PTH118, PTH123
        content: dict[str, Any] = json.load(file)
    return content


def _text(path: str) -> str:
    """Empty if the file cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read(_MAX_BYTES)
    except OSError:
        return ""
