"""Botocore's models of AWS's services, cut down to the operations of this program.

EC2's model has 830 operations, of which the program calls about ninety: to read the rest takes longer than `list`. The
cut is made once from the installed botocore and kept in a file per service. The file's name has botocore's version and
a digest of the operations and of the files that it was made from. A file that is missing, broken or another user's is
made again; where it cannot be kept, the cut serves this process alone. A model that cannot be cut is botocore's.

Everything else is botocore's: the search path (`AWS_DATA_PATH`, `~/.aws/models`), endpoint rules, partitions, retries. A
client with an explicit API version has the whole model.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import botocore
from botocore.exceptions import DataNotFoundError
from botocore.loaders import Loader

from bacalhau_spot import files
from bacalhau_spot.cloud.operations import ALL_OPERATIONS, OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FORMAT: Final = 1  # of the files; another one makes them again
_MODEL: Final = "service-2"
_RULES: Final = "endpoint-rule-set-1"
_PAGES: Final = "paginators-1"
_ENDPOINTS: Final = "endpoints"
# The largest cut is EC2's, with 0.3 MB. botocore's own files are up to 1.3 MB.
_MAX_BYTES: Final = 8 << 20
_MAX_SOURCE_BYTES: Final = 64 << 20
_KEPT_S: Final = 30 * 24 * 3600.0  # files of other versions
# The prefix of a service's endpoint, where it is not its name (`endpointPrefix` of botocore's models).
_PREFIXES: Final = {
    "cloudwatch": "monitoring",
    "pricing": "api.pricing",
    "resourcegroupstaggingapi": "tagging",
    "service-quotas": "servicequotas",
}
_ENDPOINT_PREFIXES: Final = frozenset(_PREFIXES.get(service, service) for service in OPERATIONS)
# The documentation of this parameter has the bounds of a page (`cloud.limits`).
_DOCUMENTED: Final = "MaxResults"
# Exceptions for a model in another form than botocore's: of the user, in `~/.aws/models`.
_UNUSUAL: Final = (AttributeError, KeyError, TypeError, ValueError)


@functools.lru_cache(maxsize=4)
def service_models(folder: Path | None, search_path: str | None) -> ServiceModels:
    """The loader of this process. `search_path`: botocore's setting `data_path`; `folder`: as of `ServiceModels`."""
    paths = [os.path.expanduser(os.path.expandvars(path)) for path in (search_path or "").split(os.pathsep)]  # noqa: PTH111 - as botocore.loaders.create_loader
    return ServiceModels(folder, [path for path in paths if path])


class ServiceModels(Loader):  # type: ignore[misc]  # botocore is not typed
    """botocore's loader, which returns the cut models of known services. `folder`: for their files; None: no file."""

    def __init__(self, folder: Path | None, search_paths: Iterable[str] = ()) -> None:
        super().__init__(extra_search_paths=list(search_paths))
        self._folder = folder
        self._cuts: dict[str, dict[str, Any]] = {}
        self._whole_endpoints: dict[str, Any] | None = None

    def latest_version(self, service: str) -> str:
        """With this version, a client has the whole model."""
        return str(self.determine_latest_version(service, _MODEL))

    def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
        """As botocore's. Without a version, or for pages, that of the cut."""
        if service_name in OPERATIONS and (api_version is None or type_name == _PAGES):
            cut = self._cut(service_name)
            if type_name in cut and api_version in {None, cut["version"]}:
                return cut[type_name]
        if type_name == _MODEL and service_name not in OPERATIONS:
            self._complete_endpoints()
        return super().load_service_model(service_name, type_name, api_version)

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        """As botocore's: the data, and the path of the file that they are from."""
        if name == _ENDPOINTS and self._whole_endpoints is None:
            path = self._path(name)
            cut = self._cut(name)
            if path is not None and cut:
                return cut, str(path.with_name(name))
        found: tuple[Any, str] = super().load_data_with_path(name)
        return found

    def _complete_endpoints(self) -> None:
        """Add the endpoints of all services to the cut ones, which a session may have loaded already."""
        if self._whole_endpoints is not None:
            return
        self._whole_endpoints, _ = super().load_data_with_path(_ENDPOINTS)
        for partition, whole in zip(
            self._cuts.get(_ENDPOINTS, {}).get("partitions", ()),
            self._whole_endpoints["partitions"],
            strict=False,
        ):
            partition["services"].update(whole["services"])

    def _cut(self, name: str) -> dict[str, Any]:
        """The cut of a service, or of the endpoints; empty if it cannot be made."""
        if name not in self._cuts:
            self._cuts[name] = self._read_or_make(name)
        cut = self._cuts[name]
        # A user's model may have another prefix than botocore's.
        if name in OPERATIONS and cut and cut[_MODEL]["metadata"]["endpointPrefix"] not in _ENDPOINT_PREFIXES:
            self._complete_endpoints()
        return cut

    def _read_or_make(self, name: str) -> dict[str, Any]:
        try:
            key = self._key(name)
            path = self._folder / f"{name}-{botocore.__version__}-{key}.json" if self._folder else None
            cut = _read(path) if path is not None else None
            if cut is None:
                cut = self._make(name)
                _keep(path, cut)
        except (OSError, DataNotFoundError, *_UNUSUAL):  # botocore reports it, if it cannot be read at all
            return {}
        return cut

    def _key(self, name: str) -> str:
        """A digest of the operations and of the files of which the cut is made."""
        digest = hashlib.sha256(repr((_FORMAT, sorted(OPERATIONS.get(name, _ENDPOINT_PREFIXES)))).encode())
        for source in self._sources(name):
            found = self._path(source)
            content = files.read(found, max_bytes=_MAX_SOURCE_BYTES) if found is not None else b""
            digest.update(f"{source} {found and found.suffix} {len(content)} ".encode())
            digest.update(content)
        return digest.hexdigest()[:32]

    def _sources(self, name: str) -> Iterator[str]:
        if name == _ENDPOINTS:
            yield name
            return
        for kind in (_MODEL, _RULES, _PAGES):
            with contextlib.suppress(DataNotFoundError):  # not every service has pages
                place = f"{name}/{self.determine_latest_version(name, kind)}/{kind}"
                yield place
                yield from (f"{place}.{extras}-extras" for extras in self.extras_types)

    def _path(self, name: str) -> Path | None:
        """The file that botocore loads as `name`."""
        for folder in self.search_paths:
            for suffix in (".json", ".json.gz"):
                path = Path(folder) / f"{name}{suffix}"
                if path.is_file():
                    return path
        return None

    def _make(self, name: str) -> dict[str, Any]:
        whole = Loader(extra_search_paths=list(self.search_paths), include_default_search_paths=False)
        if name == _ENDPOINTS:
            return cut_endpoints(whole.load_data(name), _ENDPOINT_PREFIXES)
        model = whole.load_service_model(name, _MODEL)
        names = model["operations"] if name in ALL_OPERATIONS else OPERATIONS[name]
        cut = {
            "version": whole.determine_latest_version(name, _MODEL),
            _MODEL: cut_model(model, names),
            _RULES: whole.load_service_model(name, _RULES),
        }
        with contextlib.suppress(DataNotFoundError):
            if whole.determine_latest_version(name, _PAGES) == cut["version"]:
                cut[_PAGES] = whole.load_service_model(name, _PAGES)
        return cut


def cut_model(model: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The model with these operations only, with the shapes that they and the errors use, without documentation."""
    wanted = frozenset(names)
    operations = {name: row for name, row in model["operations"].items() if name in wanted}
    used = _used_shapes(operations, model["shapes"])
    return {
        **{
            key: value for key, value in model.items() if key not in {"operations", "shapes", "documentation"}
        },
        "operations": _without_documentation(operations),
        "shapes": _without_documentation({n: row for n, row in model["shapes"].items() if n in used}),
    }


def _used_shapes(operations: Mapping[str, Any], shapes: Mapping[str, Any]) -> set[str]:
    # Any operation may return any error of the service.
    todo = [*_shapes_in(operations), *(name for name, shape in shapes.items() if shape.get("exception"))]
    used: set[str] = set()
    while todo:
        name = todo.pop()
        if name not in used:
            used.add(name)
            todo += _shapes_in(shapes[name])
    return used


def cut_endpoints(endpoints: Mapping[str, Any], prefixes: frozenset[str]) -> dict[str, Any]:
    """The partitions with these services only."""
    return {
        **endpoints,
        "partitions": [
            {
                **partition,
                "services": {name: row for name, row in partition["services"].items() if name in prefixes},
            }
            for partition in endpoints["partitions"]
        ],
    }


def _shapes_in(row: Any) -> Iterator[str]:
    """The names of the shapes to which a part of a model refers."""
    if isinstance(row, dict):
        if isinstance(row.get("shape"), str):
            yield row["shape"]
        for value in row.values():
            yield from _shapes_in(value)
    elif isinstance(row, list):
        for value in row:
            yield from _shapes_in(value)


def _without_documentation(row: Any) -> Any:
    if isinstance(row, list):
        return [_without_documentation(value) for value in row]
    if not isinstance(row, dict):
        return row
    return {
        key: value if key == _DOCUMENTED else _without_documentation(value)
        for key, value in row.items()
        if key != "documentation" or not isinstance(value, str)
    }


def _read(path: Path) -> dict[str, Any] | None:
    """A kept cut; None if there is none, or if it is broken or may be another user's."""
    try:
        if not _is_private(path.parent) or not _is_private(path):
            return None
        content = files.read(path, max_bytes=_MAX_BYTES)
    except OSError:
        return None
    digest, _, body = content.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    cut: dict[str, Any] = json.loads(body)
    return cut


def _is_private(path: Path) -> bool:
    """Whether nobody else may write it: a changed model changes the calls."""
    status = path.lstat()
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _keep(path: Path | None, cut: Mapping[str, Any]) -> None:
    if path is None:
        return
    body = json.dumps(cut, separators=(",", ":"))
    with contextlib.suppress(OSError):  # it is made again by the next command
        files.private_folder(path.parent)
        files.write(path, f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}")
        _remove_old(path)


def _remove_old(kept: Path) -> None:
    """The files of other versions that have not been made again for a month."""
    for path in kept.parent.glob("*.json"):
        if path != kept and time.time() - path.stat().st_mtime > _KEPT_S:
            path.unlink(missing_ok=True)
