"""Packages that import a module when one of its names is used: a command waits only for its own part of them."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class LazyPackage(ModuleType):
    """A package with names of its modules, which may also be the names of the modules themselves."""

    lazy_names: Mapping[str, str]

    def __setattr__(self, name: str, value: object) -> None:
        # The import system binds each module that it imports to the package: `views.cost_view` stays the function.
        if not (isinstance(value, ModuleType) and name in self.lazy_names):
            super().__setattr__(name, value)


def import_when_used(package: str, names: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` (PEP 562) of the package with this name.

    `names`: by the relative name of their module, such as `.load`.
    """
    this = sys.modules[package]
    modules = {name: module for module, group in names.items() for name in group}
    this.__dict__["lazy_names"] = modules
    this.__class__ = LazyPackage

    def attribute(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(modules[name], package), name)
        setattr(this, name, value)
        return value

    return attribute
