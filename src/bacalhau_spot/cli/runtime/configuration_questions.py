"""The questions of `configure`, and of the first `create`: each answer is checked at once, and asked again if it is invalid."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from bacalhau_spot import config as configuration
from bacalhau_spot.core.model import Naming
from bacalhau_spot.core.partitions import PARTITIONS, closest_region, is_known
from bacalhau_spot.core.tags import tag_problems
from bacalhau_spot.errors import ExitCode, UserError
from bacalhau_spot.ui import prompts, views

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bacalhau_spot.cli.runtime.context import CommandContext

Answers = dict[str, object]

# The five questions about names: configuration key, prompt, default.
_NAMES: Final = Naming()
NAME_QUESTIONS: Final = (
    ("cluster.tag_key", "Key of the tag that all resources carry", _NAMES.tag_key),
    ("cluster.tag_value", "Cluster tag value, which names the cluster", _NAMES.tag_value),
    ("cluster.creator", "Creator (tag CreatedBy)", _NAMES.creator),
    ("cluster.resource_prefix", "Prefix of all names", _NAMES.resource_prefix),
    ("cluster.vpc_name", "Name of the VPCs", _NAMES.vpc_name),
)
_NONE: Final = "none"
_AUTO: Final = "auto"
_CLUSTER: Final = "cluster"
_REQUIREMENTS: Final = "requirements"
_REGION_COUNT: Final = "3"


# Why values that the configuration allows are asked for again: a new cluster would get no node by them.
Doubt = Callable[[Answers], str | None]


def _no_doubt(_values: Answers) -> str | None:
    return None


def ask_configuration(context: CommandContext, path: Path) -> Answers:
    """The values for a new configuration at `path`. A default that a file without the key has, too, is left out.

    Raises UserError (exit code 3) without a terminal, at the end of input and on Ctrl-C.
    """
    _require_terminal(context)
    interview = _Interview(context, path.parent)
    for question in (
        interview.orchestrator,
        interview.nodes,
        interview.regions,
        interview.instance_types,
        interview.ssh_key,
        interview.budget,
        interview.names_and_tags,
    ):
        question()
    return interview.answers


def configure_tags_and_names(context: CommandContext, check: Callable[[Answers], str | None]) -> Answers:
    """Ask the five questions about names on the terminal. `check` returns the problem of the configuration with the answer."""
    answers: Answers = {}
    for key, question, default in NAME_QUESTIONS:
        answer = prompts.ask_text(
            question,
            default=default,
            console=context.err,
            stdin=context.runtime.stdin,
            typed_ahead=True,
            check=partial(_name_problem, key, check=check),
        )
        if answer != default:
            answers[key] = answer
    return answers


def _name_problem(key: str, answer: str, *, check: Callable[[Answers], str | None]) -> str | None:
    """Why AWS would refuse the answer."""
    field = key.removeprefix("cluster.")
    problems = tag_problems(Naming(**{field: answer}))  # type: ignore[arg-type]  # one of the five text fields
    tag_problem = next((problem.message for problem in problems if problem.field == field), None)
    return tag_problem or check({key: answer})


def _require_terminal(context: CommandContext) -> None:
    if not context.runtime.interactive:
        raise UserError(
            f"configure has questions, and {context.runtime.no_answers}",
            hint="add --defaults for a file with the defaults; or --set key=value for each other value, such as "
            "--set orchestrator=managed --set nodes=4",
            exit_code=ExitCode.DECLINED,
        )


class _Interview:
    """Asks one question per method and collects the values."""

    def __init__(self, context: CommandContext, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self._defaults = configuration.defaults()
        self.answers: Answers = {}

    def orchestrator(self) -> None:
        self._explain(
            "Nodes join an orchestrator. managed: bacalhau-spot runs it, on one on-demand instance; own: you run it; "
            "cluster: the managed one of another cluster; none: the nodes receive no jobs."
        )
        word = self._ask(
            "Orchestrator: managed, own, cluster or none", default="managed", parse=_orchestrator_word
        )
        if word == "own":
            self._own_orchestrator()
        elif word == _CLUSTER:
            self._take(
                "Tag value of the cluster with the orchestrator",
                parse=lambda text: {"orchestrator.cluster": text},
            )
        else:
            self.answers["orchestrator"] = word

    def _own_orchestrator(self) -> None:
        self._take(
            "Its address, such as nats://orchestrator.example.com:4222",
            parse=lambda text: {"orchestrator": "own", "bacalhau.orchestrators": _addresses(text)},
        )
        self._take("Its token: a file, $NAME of a variable, or none", default=_NONE, parse=_token)
        host = self._ask(
            "Its API, from which `status` reads the nodes, such as https://orchestrator.example.com:1234, or none",
            default=_NONE,
            parse=_api_host,
        )
        self.answers |= _api_host(host)
        if host != _NONE:
            self._take("Its API key: $NAME of a variable, or none", default=_NONE, parse=_api_key)

    def nodes(self) -> None:
        default = str(self._defaults.nodes)
        parse = _unless(default, lambda text: {"nodes": text})
        self._take("Number of nodes", default=default, parse=parse, doubt=_no_nodes)

    def regions(self) -> None:
        answer = self._ask(
            "Regions: names, or auto and a number, such as auto 2 for the two cheapest",
            default=f"{_AUTO} {_REGION_COUNT}",
            parse=_regions,
            doubt=_unknown_region,
        )
        if answer == _AUTO:
            self._take("Number of regions", default=_REGION_COUNT, parse=_auto_regions)
        else:
            self.answers |= _regions(answer)

    def instance_types(self) -> None:
        default = ", ".join(self._defaults.instance_types)
        types = _unless(default, _instance_types)
        answer = self._ask(
            f"Instance types: names, or {_REQUIREMENTS} for vCPUs and memory",
            default=default,
            parse=types,
            doubt=_unknown_size,
        )
        self.answers |= types(answer)
        if answer == _REQUIREMENTS:
            vcpus = self._ask('vCPUs: 2, "2.." or "2..4"', default="2..", parse=_vcpus)
            self._take(
                'Memory in GiB: 4, "4.." or "4..16"',
                default="4..",
                parse=lambda text: _vcpus(vcpus) | {"requirements.memory_gib": _unquoted(text)},
            )

    def ssh_key(self) -> None:
        keys = self._public_keys()
        if len(keys) > 1:
            self._explain(f"Public SSH keys here: {', '.join(keys)}")
        self._take(
            "Public SSH key, or none (port 22 then stays closed)",
            default=keys[0] if keys else _NONE,
            parse=self._ssh_key,
        )

    def budget(self) -> None:
        self._take(
            "Maximum cost of the cluster in US dollars an hour, or none",
            default=_NONE,
            parse=_unless(_NONE, lambda text: {"budget_usd_per_hour": text.removeprefix("$")}),
        )

    def names_and_tags(self) -> None:
        answer = prompts.ask_text(
            "Names and tags: press Enter for the usual ones, or type y to change them",
            default="",
            console=self._context.err,
            stdin=self._context.runtime.stdin,
            typed_ahead=True,
            check=lambda text: None if text.lower() in _YES_OR_NO else "y, or Enter",
        )
        if answer.lower() in {"y", "yes"}:
            self.answers |= configure_tags_and_names(self._context, self._problem)

    def _take(
        self, question: str, *, parse: Callable[[str], Answers], default: str = "", doubt: Doubt = _no_doubt
    ) -> None:
        self.answers |= parse(self._ask(question, default=default, parse=parse, doubt=doubt))

    def _ask(
        self, question: str, *, default: str, parse: Callable[[str], Answers], doubt: Doubt = _no_doubt
    ) -> str:
        """An answer that `parse` turns into valid values. `doubt`: the problem of valid ones that launch nothing."""

        def check(text: str) -> str | None:
            if not text:
                return "is needed; Ctrl-C cancels"
            values = parse(text)
            return self._problem(values) or doubt(values)

        return prompts.ask_text(
            question,
            default=default,
            console=self._context.err,
            stdin=self._context.runtime.stdin,
            typed_ahead=True,
            check=check,
        )

    def _problem(self, values: Mapping[str, object]) -> str | None:
        runtime = self._context.runtime
        return configuration.answer_problem(
            {**self.answers, **values}, folder=self._folder, home=runtime.home, environ=runtime.environ
        )

    def _explain(self, text: str) -> None:
        self._context.err.print(views.sentence_text(text))

    def _public_keys(self) -> list[str]:
        """The valid public keys in ~/.ssh, the newest kinds first."""
        folder = self._context.runtime.home / ".ssh"
        try:
            found = sorted(path.name for path in folder.glob("*.pub"))
        except OSError:
            return []
        names = sorted(found, key=lambda name: _KINDS.index(name) if name in _KINDS else len(_KINDS))
        keys = [f"~/.ssh/{name}" for name in names]
        return [key for key in keys if self._problem({"public_ssh_key_path": key}) is None]

    def _ssh_key(self, text: str) -> Answers:
        if text == _NONE:
            return {"ssh_cidrs": _NONE}
        private = text.removesuffix(".pub")
        answers: Answers = {"public_ssh_key_path": text}
        home = self._context.runtime.home
        if private != text and configuration.names_a_file(private, folder=self._folder, home=home):
            answers["private_ssh_key_path"] = private
        return answers


_YES_OR_NO: Final = frozenset({"", "y", "yes", "n", "no"})
# The names of ssh-keygen's files, the most recent algorithm first.
_KINDS: Final = ("id_ed25519.pub", "id_ed25519_sk.pub", "id_ecdsa.pub", "id_ecdsa_sk.pub", "id_rsa.pub")


def _unless(default: str, parse: Callable[[str], Answers]) -> Callable[[str], Answers]:
    """No value for the default: the file keeps the commented line, and a later default applies."""
    return lambda text: {} if text == default else parse(text)


def _words(text: str) -> list[str]:
    return [word.strip("\"'") for word in re.split(r"[\s,\[\]]+", text) if word.strip("\"'")]


def _addresses(text: str) -> list[str]:
    """Several where each looks like an address; otherwise the answer as a whole, so that its problem quotes it."""
    words = _words(text)
    return words if all("." in word or ":" in word for word in words) else [text]


def _no_nodes(values: Answers) -> str | None:
    return "found 0; a new cluster has at least 1 node" if values.get("nodes") in {"0", 0} else None


def _unknown_region(values: Answers) -> str | None:
    """For a name that no partition has. One that AWS adds later is for `--set`."""
    named = values.get("regions")
    unknown = [name for name in named if not is_known(name)] if isinstance(named, list) else []
    if not unknown:
        return None
    close = closest_region(unknown[0], (name for partition in PARTITIONS for name in partition.regions))
    meant = f"did you mean {close}? " if close else ""
    newer = f"`bacalhau-spot configure --set 'regions=[{unknown[0]}]'` sets one that AWS has since added"
    return f'found "{unknown[0]}", which is not a known region; {meant}{newer}'


# The sizes of all instance types (EC2 user guide, "Amazon EC2 instance type naming conventions").
_SIZE: Final = re.compile(r"nano|micro|small|medium|large|[0-9]*xlarge|metal(-[0-9]+xl)?")
_SIZES: Final = ("nano", "micro", "small", "medium", "large", "xlarge", "metal")


def _unknown_size(values: Answers) -> str | None:
    """For a type whose size no type has; its family is AWS's to know."""
    named = values.get("instance_types")
    for name in named if isinstance(named, list) else []:
        family, _, size = str(name).partition(".")
        if not _SIZE.fullmatch(size):
            close = next(iter(difflib.get_close_matches(size, _SIZES, n=1)), "")
            meant = f"; did you mean {family}.{close}?" if close else ""
            return f'found "{name}"; no instance type has the size "{size}"{meant}'
    return None


def _api_host(text: str) -> Answers:
    return {} if text == _NONE else {"bacalhau.api.host": text}


def _api_key(text: str) -> Answers:
    return {} if text == _NONE else {"bacalhau.api.key_env": text.removeprefix("$")}


def _orchestrator_word(text: str) -> Answers:
    """`own` and `cluster` are checked with the next question."""
    return {} if text in {"own", _CLUSTER} else {"orchestrator": text}


def _token(text: str) -> Answers:
    if text == _NONE:
        return {}
    return {"bacalhau.token_env": text[1:]} if text.startswith("$") else {"bacalhau.token_file": text}


def _regions(text: str) -> Answers:
    """`auto 3` is a number of regions; `auto` alone is followed by a question."""
    words = _words(text)
    if words[:1] != [_AUTO]:
        return {"regions": words}
    return _auto_regions(" ".join(words[1:])) if len(words) > 1 else {}


def _auto_regions(text: str) -> Answers:
    return {"regions": {_AUTO: {"count": int(text) if text.isdecimal() else text}}}


def _instance_types(text: str) -> Answers:
    return {} if text == _REQUIREMENTS else {"instance_types": _words(text)}


def _vcpus(text: str) -> Answers:
    """With a memory that is always valid: the two belong together."""
    return {"requirements.vcpus": _unquoted(text), "requirements.memory_gib": "1.."}


def _unquoted(text: str) -> str:
    return text.strip("\"'")
