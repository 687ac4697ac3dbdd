"""The JSON Schemas of `-o json` and the reference in docs/output.md, from the models in `bacalhau_spot.ui.json_output`.

Descriptions are the docstrings of a model and those below its keys. pydantic is not used: it refuses Python 3.11's TypedDict,
and its schemas would have to be rewritten to draft 7, to files that refer to each other, and to closed objects.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from enum import Enum
from itertools import pairwise
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from bacalhau_spot.core.launch.events import Event
from bacalhau_spot.core.launch.instance_phases import Phase
from bacalhau_spot.core.orchestrator.smoke_test import Outcome
from bacalhau_spot.ui.json_output import (
    clusters,
    configuration,
    console,
    cost,
    create,
    deletion,
    doctor,
    env,
    event_name,
    explain,
    extension,
    history,
    iam_policy,
    images,
    logs,
    node_change,
    notices,
    offers,
    prices,
    prune,
    reconcile,
    report,
    sandbox,
    smoke_test,
    ssh,
    status,
)
from bacalhau_spot.ui.json_output.envelope import EnvelopeOutput
from bacalhau_spot.ui.json_output.values import Time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
OUTPUT = "output.schema.json"
EVENT = "event.schema.json"
# The envelope's file has the models that several commands share; each other module has a file of its own.
_SHARED = {"values", "envelope", "create", "deletion"}
_DEFINITIONS = "#/definitions/"
_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
    Any: {},
}

# The types of a command's data. Models only have a definition of their own.
COMMANDS: dict[str, tuple[Any, ...]] = {
    "create": (create.CreatePlanOutput, create.CreateOutput),
    "list": (create.ListOutput,),
    "destroy": (deletion.DeletionOutput, deletion.DestroyPreviewOutput),
    "nuke": (deletion.DeletionOutput, deletion.NukePreviewOutput, deletion.DeletionOrderOutput),
    "status": (status.StatusOutput,),
    "clusters": (clusters.ClustersOutput,),
    "cost": (cost.CostOutput,),
    "prices": (prices.PricesOutput,),
    "history": (history.HistoryOutput,),
    "report": (report.ReportOutput,),
    "offers": (offers.OffersOutput, offers.BacktestOutput),
    "image bake": (images.BakeOutput,),
    "image list": (images.ImagesOutput,),
    "image delete": (images.ImageDeletionOutput,),
    "extend": (extension.ExtensionOutput,),
    "remove": (node_change.NodeChangeOutput,),
    "replace": (node_change.NodeChangeOutput,),
    "scale": (node_change.NodeChangeOutput,),
    "prune": (prune.PruneOutput,),
    "reconcile": (reconcile.ReconcileOutput,),
    "env": (env.EnvOutput,),
    "smoke-test": (smoke_test.SmokeTestOutput,),
    "ssh": (ssh.SshOutput, ssh.SshLinesOutput),
    "console": (console.ConsoleOutput,),
    "logs": (logs.LogsOutput,),
    "doctor": (doctor.DoctorOutput,),
    "notify-test": (notices.NotifyTestOutput,),
    "explain": (explain.ExplainOutput,),
    "help": (explain.ExplainOutput,),
    "version": (explain.VersionOutput,),
    "completion": (explain.CompletionOutput,),
    "iam-policy": (iam_policy.IamPolicyOutput,),
    "configure": (configuration.ConfigureOutput,),
    "config show": (configuration.ConfigShowOutput,),
    "config upgrade": (configuration.ConfigUpgradeOutput,),
    "config schema": (configuration.SchemaOutput,),
    "sandbox start": (sandbox.SandboxStartOutput,),
    "sandbox stop": (sandbox.SandboxStopOutput,),
    "sandbox status": (sandbox.SandboxStatusOutput, sandbox.SandboxStoppedOutput),
    "sandbox set": (sandbox.SwitchesOutput,),
    "sandbox interrupt": (sandbox.SandboxInterruptOutput,),
    "sandbox rebalance": (sandbox.SandboxRebalanceOutput,),
}
# The headings of the reference.
GROUPS = (
    ("`create`", ("create",)),
    ("`list`", ("list",)),
    ("`status`", ("status",)),
    ("`clusters`", ("clusters",)),
    ("`ssh`, `logs` and `console`", ("ssh", "logs", "console")),
    ("`destroy` and `nuke`", ("destroy", "nuke")),
    ("`extend`", ("extend",)),
    ("`image`", ("image bake", "image list", "image delete")),
    ("`remove`, `replace` and `scale`", ("remove", "replace", "scale")),
    ("`prune`", ("prune",)),
    ("`reconcile`", ("reconcile",)),
    ("`env` and `smoke-test`", ("env", "smoke-test")),
    ("`cost`", ("cost",)),
    ("`prices`", ("prices",)),
    ("`history`", ("history",)),
    ("`report`", ("report",)),
    ("`offers`", ("offers",)),
    ("`doctor` and `iam-policy`", ("doctor", "iam-policy")),
    ("`notify-test`", ("notify-test",)),
    ("`explain`, `help`, `version` and `completion`", ("explain", "help", "version", "completion")),
    (
        "`configure`, `config …`, `sandbox …`",
        tuple(name for name in COMMANDS if name.startswith(("config", "sandbox"))),
    ),
)


def schemas() -> dict[str, Schema]:
    """Every schema by its file name."""
    models = list(_reachable((EnvelopeOutput, *(kind for kinds in COMMANDS.values() for kind in kinds))))
    by_file: dict[str, list[Any]] = {}
    for model in models:
        by_file.setdefault(_file(model), []).append(model)
    return {
        **{name: _file_schema(name, members) for name, members in by_file.items()},
        EVENT: event_schema(),
    }


def texts() -> dict[str, str]:
    """The schemas as they stand in their files."""
    return {
        name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas().items()
    }


def _file_schema(name: str, models: list[Any]) -> Schema:
    """Of the envelope, of one command's data, or the definitions of several commands' data."""
    command = _command_of(name)
    roots = (EnvelopeOutput,) if name == OUTPUT else COMMANDS[command] if command else ()
    subject = command or ("output" if name == OUTPUT else name.partition(".")[0])
    schema: Schema = {"$schema": DRAFT, "$id": name, "title": f"bacalhau-spot: {subject}"}
    if len(roots) == 1:
        schema |= object_schema(roots[0])
        models = [model for model in models if model is not roots[0]]
    elif roots:
        schema["anyOf"] = [type_schema(root, file=name) for root in roots]
    if name == OUTPUT:
        schema["allOf"] = [_condition(command, kinds) for command, kinds in COMMANDS.items()]
    if models:
        schema["definitions"] = {_definition(model): object_schema(model) for model in models}
    return schema


def _command_of(file: str) -> str:
    """The only command whose data has the schema in `file`; empty for several, or none."""
    users = [
        command
        for command, kinds in COMMANDS.items()
        if file in {_file(kind) for kind in kinds if is_typeddict(kind)}
    ]
    return users[0] if len(users) == 1 and file != OUTPUT else ""


def _is_root(model: Any) -> bool:
    """Whether it is the whole data of the command to which its file belongs."""
    command = _command_of(_file(model))
    return bool(command) and COMMANDS[command] == (model,)


def _condition(command: str, kinds: tuple[Any, ...]) -> Schema:
    whole = next((_file(kind) for kind in kinds if is_typeddict(kind) and _command_of(_file(kind))), "")
    forms = [{"$ref": whole}] if whole else [type_schema(kind, file=OUTPUT) for kind in kinds]
    return {
        "if": {"properties": {"command": {"const": command}}},
        "then": {"properties": {"data": {"anyOf": [*forms, {"type": "null"}]}}},
    }


def event_schema() -> Schema:
    """A form per event, and the last line's."""
    last = {
        "description": f"the last line: the keys of {OUTPUT}, after `event`",
        "type": "object",
        "required": ["event", *_keys(EnvelopeOutput)],
        "properties": {"event": {"const": "result"}},
    }
    return {
        "$schema": DRAFT,
        "$id": EVENT,
        "title": "bacalhau-spot: a line of -o ndjson",
        "oneOf": [*map(_event, get_args(Event)), last],
    }


def _event(model: Any) -> Schema:
    schema = object_schema(model)
    stamp = {"event": {"const": event_name(model)}, "at": type_schema(Time, file=EVENT)}
    schema["properties"] = stamp | schema["properties"]
    schema["required"] = list(schema["properties"])
    for value in schema["properties"].values():
        _count(value)
    return schema


def _count(schema: Schema) -> None:
    """No number of an event is negative: core's types do not say so."""
    if schema.get("type") in ("integer", "number"):
        schema["minimum"] = 0
    items = schema.get("items", [])
    for item in items if isinstance(items, list) else [items]:
        _count(item)


def object_schema(model: Any) -> Schema:
    """Of a model: closed, and with every key that is not `NotRequired`."""
    about = {"description": description} if (description := _description(model)) else {}
    keys, notes = _keys(model), _notes(model)
    properties = {
        key: type_schema(kind, file=_file(model)) | ({"description": notes[key]} if key in notes else {})
        for key, kind in keys.items()
    }
    required = [key for key, kind in keys.items() if get_origin(kind) is not NotRequired]
    return {
        **about,
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
    }


def type_schema(kind: Any, *, file: str) -> Schema:
    """Of a type in a model, for the schema in `file`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        if _is_root(kind) and _file(kind) != file:
            return {"$ref": _file(kind)}
        return {"$ref": f"{_file(kind) if _file(kind) != file else ''}{_DEFINITIONS}{_definition(kind)}"}
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return _choice([member.value for member in kind])
    if origin is None:
        return dict(_SCALARS[kind])
    if origin is Literal:
        return _choice(list(arguments))
    if origin is Annotated:
        schema = type_schema(arguments[0], file=file)
        for keywords in arguments[1:]:
            schema |= keywords.keywords
        return schema
    inner = [type_schema(each, file=file) for each in arguments if each is not Ellipsis]
    if origin is NotRequired:
        return inner[0]
    return _union(inner) if origin in {Union, UnionType} else _container(origin, inner, arguments)


def _choice(values: list[Any]) -> Schema:
    return {"const": values[0]} if len(values) == 1 else {"enum": values}


def _container(origin: Any, inner: list[Schema], arguments: tuple[Any, ...]) -> Schema:
    if origin is tuple and Ellipsis not in arguments:
        return {"type": "array", "items": inner, "minItems": len(inner), "maxItems": len(inner)}
    if origin in {list, tuple}:
        return {"type": "array", "items": inner[0]}
    return {"type": "object", **({"additionalProperties": inner[1]} if inner[1] else {})}


def _union(forms: list[Schema]) -> Schema:
    """In one schema where null is the only other form."""
    null = {"type": "null"}
    others = [form for form in forms if form != null]
    if len(others) == len(forms) or len(others) > 1 or "$ref" in others[0]:
        return {"anyOf": forms}
    form = dict(others[0])
    if "type" in form:
        form["type"] = [form["type"], "null"]
    if "enum" in form:
        form["enum"] = [*form["enum"], None]
    return form


def _reachable(
    kinds: Iterable[Any], seen: set[Any] | None = None, *, without: Collection[Any] = ()
) -> Iterator[Any]:
    """The models in `kinds`, in the order of their first use, but none of `without` and of those in them."""
    seen = set() if seen is None else seen
    for kind in kinds:
        if not is_typeddict(kind):
            yield from _reachable(get_args(kind), seen, without=without)
        elif kind not in seen and kind not in without:
            seen.add(kind)
            yield kind
            yield from _reachable(_keys(kind).values(), seen, without=without)


def _file(model: Any) -> str:
    module = model.__module__.rpartition(".")[2]
    return OUTPUT if module in _SHARED else f"{module.replace('_', '-')}.schema.json"


def _definition(model: Any) -> str:
    """`RegionPlanOutput` is defined as `region_plan`."""
    return event_name(model).removesuffix("-output").replace("-", "_")


def _keys(model: Any) -> dict[str, Any]:
    return get_type_hints(model, localns={"Phase": Phase, "Outcome": Outcome}, include_extras=True)


def _description(model: Any) -> str:
    return _docstring(_class(model).body[0])


def _notes(model: Any) -> dict[str, str]:
    """The docstrings below the keys, those of the bases among them."""
    notes: dict[str, str] = {}
    for base in _class(model).bases:  # a TypedDict has none of its own when the program runs
        parent = getattr(sys.modules[model.__module__], ast.unparse(base))
        notes |= _notes(parent) if is_typeddict(parent) else {}
    body = _class(model).body
    for key, text in pairwise(body):
        if isinstance(key, ast.AnnAssign) and isinstance(key.target, ast.Name) and _docstring(text):
            notes[key.target.id] = _docstring(text)
    return notes


def _class(model: Any) -> ast.ClassDef:
    tree = ast.parse(inspect.getsource(model))
    return next(statement for statement in tree.body if isinstance(statement, ast.ClassDef))


def _docstring(statement: ast.stmt) -> str:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
        case _:
            return ""


def envelope_reference() -> str:
    return "\n".join(_table(EnvelopeOutput))


def reference() -> str:
    """A heading for each group of commands with its own models, and at the end the shared ones."""
    users: dict[Any, set[str]] = {}
    for heading, commands in GROUPS:
        for model in _models(commands):
            users.setdefault(model, set()).add(heading)
    lines: list[str] = []
    for heading, commands in GROUPS:
        roots = dict.fromkeys(kind for command in commands for kind in COMMANDS[command])
        lines += [f"## {heading}", ""]
        for root in roots:
            names = [f"`{command}`" for command in commands if root in COMMANDS[command]]
            lines += _root(root, ", ".join(names))
        for model in _models(commands):
            if users[model] == {heading} and model not in roots:
                lines += _section(model)
    lines += ["## Shared objects", ""]
    envelope_models = [model for model in _reachable([EnvelopeOutput]) if model is not EnvelopeOutput]
    for model in (*envelope_models, *(model for model, places in users.items() if len(places) > 1)):
        lines += _section(model)
    return "\n".join(lines).rstrip()


def _models(commands: Sequence[str]) -> list[Any]:
    """In the data of these commands. The data of another command within it has a place of its own."""
    roots = [kind for command in commands for kind in COMMANDS[command]]
    others = [kind for kinds in COMMANDS.values() for kind in kinds if is_typeddict(kind) and _is_root(kind)]
    return [*_reachable(roots, without=[kind for kind in others if kind not in roots])]


def _root(kind: Any, commands: str) -> list[str]:
    if not is_typeddict(kind):
        return [f"**{commands}**: {type_schema(kind, file=OUTPUT)['description']}.", ""]
    about = _description(kind)
    return [f"**{commands}**{f': {about}' if about else ''}", "", *_table(kind), ""]


def _section(model: Any) -> list[str]:
    about = _description(model)
    return [f"### {_heading(_definition(model))}", "", *([about, ""] if about else []), *_table(model), ""]


def _heading(definition: str) -> str:
    """No command's heading is the same, so that an address has one place."""
    return f"{definition.replace('_', ' ')} object"


def _table(model: Any) -> list[str]:
    schema = object_schema(model)
    rows = [
        f"| `{key}` | {_form_text(form)} | {form.get('description', '')} |"
        for key, form in schema["properties"].items()
    ]
    return ["| key | value | |", "|---|---|---|", *rows]


def _form_text(form: Schema) -> str:
    """A schema in words."""
    if "$ref" in form and "#" not in form["$ref"]:
        command = _command_of(form["$ref"])
        return f"the data of [`{command}`](#{command})"
    if "$ref" in form:
        name = _heading(form["$ref"].rpartition("/")[2])
        return f"[{name}](#{name.replace(' ', '-')})"
    if "anyOf" in form:
        return " or ".join(map(_form_text, form["anyOf"]))
    if "const" in form or "enum" in form:
        values = form.get("enum", [form.get("const")])
        words = (value if isinstance(value, str) else json.dumps(value) for value in values)
        return ", ".join(f"`{word}`" if word else "empty" for word in words)
    names = form.get("type", "any value")
    words = [_type_text(name, form) for name in (names if isinstance(names, list) else [names])]
    return " or ".join(words)


def _type_text(name: str, form: Schema) -> str:
    if name == "array":
        return f"list of {_form_text(form['items'])}"
    if name == "object":
        return (
            f"object of {_form_text(form['additionalProperties'])}"
            if "additionalProperties" in form
            else name
        )
    if name == "string" and "pattern" in form:
        return "time" if "format" in form else "checksum" if "64" in form["pattern"] else "decimal"
    return name


def event_reference() -> str:
    """A row an event."""
    rows = []
    for model in get_args(Event):
        notes = _notes(model)
        keys = [f"`{key}`{f' ({notes[key]})' if key in notes else ''}" for key in _keys(model)]
        rows.append(f"| `{event_name(model)}` | {', '.join(keys)} | {_description(model)} |")
    return "\n".join(["| event | keys | |", "|---|---|---|", *rows])
