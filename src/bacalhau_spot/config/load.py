"""The text of config.yaml -> ClusterSpec."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bacalhau_spot.config import external_files, field_types, published, rules, schema
from bacalhau_spot.config.check import ValidationResult, check_text
from bacalhau_spot.config.locations import (
    KeyPath,
    MigrationNote,
    dotted,
    lookup,
    raise_problems,
)
from bacalhau_spot.config.to_spec import to_spec
from bacalhau_spot.config.yaml_document import UnreadableError
from bacalhau_spot.core.model import OrchestratorMode, OrchestratorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bacalhau_spot.core.model import ClusterSpec


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and its origin. `sources`: for each key, `file:line`, variable or file; a missing key has its
    default. `path` None: there is no file. `unread`: keys whose file or variable could not be read.
    """

    spec: ClusterSpec
    notes: tuple[MigrationNote, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None
    unread: frozenset[str] = frozenset()


def load_text(
    text: str, *, path: Path, environ: Mapping[str, str], home: Path, lenient: bool = False
) -> Loaded:
    """As `config_file.load`, of a text that may not have been written to `path` yet."""
    try:
        checked = check_text(text)
    except UnreadableError as error:
        raise raise_problems(path.name, [error.problem], where=str(path)) from None
    materials = external_files.read_all(checked.data, base=path.parent, home=home, environ=environ)
    notes = list(checked.notes(path.name))
    if lenient:
        notes += [
            MigrationNote(text, checked.where(path.name, checked.conversion.origin(key)))
            for key, text in materials.failures
        ]
    else:
        checked.add((key, False, text) for key, text in materials.failures)
    if checked.problems or checked.config is None:
        raise raise_problems(path.name, checked.problems, where=str(path))
    spec = to_spec(
        checked.config,
        materials.texts,
        naming=rules.naming(checked.data.get("cluster")),
        expand=lambda name: str(external_files.expand(name, base=path.absolute().parent, home=home)),
    )
    if not lenient:
        _check_size(checked, spec, path.name, where=str(path))
    notes += _remarks(checked, path.name)
    unread = frozenset(map(_read_key, (key for key, _ in materials.failures)))
    return Loaded(spec, tuple(notes), _sources(checked, path.name), path, unread)


def _check_size(checked: ValidationResult, spec: ClusterSpec, file: str, *, where: str) -> None:
    """Raises UserError for a configuration that the orchestrator's machine cannot get."""
    problem = spec.orchestrator.reconcile and published.size_problem(spec.orchestrator.reconcile)
    if problem:
        checked.add([(published.KEY, False, problem)])
        raise raise_problems(file, checked.problems, where=where)


def _read_key(path: KeyPath) -> str:
    """The key whose value a file or variable holds: `bacalhau.token` for `token_file`, `instance.files` for one of them."""
    named = dotted(tuple(part for part in path[:2] if isinstance(part, str)))
    return named if named == "bacalhau.ca_file" else named.removesuffix("_file").removesuffix("_env")


def _remarks(checked: ValidationResult, file: str) -> list[MigrationNote]:
    """Warnings about valid settings."""
    notes: list[MigrationNote] = []

    def remark(path: KeyPath, text: str) -> None:
        notes.append(MigrationNote(text, checked.where(file, checked.conversion.origin(path))))

    cidrs = checked.data.get("ssh_cidrs")
    for number, cidr in enumerate(cidrs if isinstance(cidrs, list) else ()):
        if str(cidr).endswith("/0"):
            remark(
                ("ssh_cidrs", number),
                f"{cidr} opens SSH to the whole internet; `caller` opens it to you only",
            )
    for number in _commands_of_notices(checked):
        text = "the orchestrator's machine sends no notices with a command, only with a webhook"
        remark(("notify", number, "command"), text)
    addresses = lookup(checked.data, ("bacalhau", "orchestrators"))
    for number, address in enumerate(addresses if isinstance(addresses, list) else ()):
        if not str(address).rstrip("/").rpartition(":")[2].isdigit():
            remark(
                ("bacalhau", "orchestrators", number),
                f"{address} has no port; {field_types.DEFAULT_PORT} is used",
            )
    return notes


def _commands_of_notices(checked: ValidationResult) -> list[int]:
    """The receivers of notices that the orchestrator's machine does not have; none if it does not run `reconcile`."""
    if not isinstance(lookup(checked.data, published.KEY), dict):
        return []
    receivers = enumerate(checked.data.get("notify") or ())
    return [number for number, found in receivers if isinstance(found, dict) and found.get("command")]


def _sources(checked: ValidationResult, file: str) -> dict[str, str]:
    names: dict[str, str] = {}

    def walk(data: object, path: KeyPath) -> None:
        for key, value in data.items() if isinstance(data, dict) else ():
            here = (*path, key)
            names[dotted(here)] = checked.where(file, checked.conversion.origin(here))
            walk(value, here)

    walk(checked.data, ())
    for key, prefix in (("token_env", "$"), ("token_file", "token file ")):
        name = lookup(checked.data, ("bacalhau", key))
        if name is not None:
            names["bacalhau.token"] = f"{prefix}{name}"
    for key in ("key", "user", "password"):
        name = lookup(checked.data, ("bacalhau", "api", f"{key}_env"))
        if name is not None:
            names[f"bacalhau.api.{key}"] = f"${name}"
    return names


def defaults() -> ClusterSpec:
    """The configuration of a run without a file: as that of `configure --defaults`, with a managed orchestrator."""
    spec = to_spec(schema.Config(), {}, naming=rules.naming(None), expand=str)
    return replace(spec, orchestrator=OrchestratorSpec(OrchestratorMode.MANAGED))
