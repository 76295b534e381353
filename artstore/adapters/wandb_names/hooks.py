"""Modules that are imported if they are there, and functions that are called once a module was imported."""

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from artstore.errors import InvalidValue


def get_module(name: str, required: str | bool | None = None, lazy: bool = True) -> Any:
    """A module, or None if it can't be imported. With `required`, raises an error of that text instead."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if not required:
            return None
        what = required if isinstance(required, str) else f"{name} is not installed here"
        raise InvalidValue(what, hint=f"`pip install {name.partition('.')[0]}`") from error


class _Watcher(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Calls functions after certain modules were imported."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Callable[[], Any]]] = {}
        self._own: dict[str, importlib.abc.Loader] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.waiting:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            self._own[fullname], spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._own[spec.name].create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        own = self._own.pop(module.__name__)
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = own
        own.exec_module(module)
        for call in self.waiting.pop(module.__name__, []):
            call()


_watcher = _Watcher()


def add_import_hook(fullname: str, on_import: Callable[[], Any]) -> None:
    """Call `on_import` after a module is imported: at once if it is already."""
    if fullname in sys.modules:
        on_import()
        return
    if _watcher not in sys.meta_path:
        sys.meta_path.insert(0, _watcher)
    _watcher.waiting.setdefault(fullname, []).append(on_import)
