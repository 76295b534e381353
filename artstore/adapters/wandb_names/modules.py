"""The modules of W&B's package that others import from: each hands its names through to artstore's own.

A module holds no copies. `wandb.sdk.wandb_run.Run` is `artstore.Run`, and `wandb.run` is the active run each time.
"""

import importlib
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, cast

from artstore.adapters.wandb_names.table import ABSENT, ALL, MODULES, VERSION

NAME = "wandb"
_PUBLIC = importlib.import_module("artstore")


def stand_in(name: str, module: dict[str, Any]) -> None:
    """Make a module, given by its name and globals, hand through the names of W&B's module of that name.

    `name` begins with `wandb` or with `artstore`: `artstore.sdk.wandb_run` has what `wandb.sdk.wandb_run` has.
    """
    root, _, path = name.partition(".")
    if not any(isinstance(finder, _Finder) and finder.root == root for finder in sys.meta_path):
        # Below artstore, its own modules come first: `artstore.errors` is in a file.
        sys.meta_path.insert(0 if root == NAME else len(sys.meta_path), _Finder(root))
    if path:
        known = MODULES[path]
        module["__all__"] = list(known)
        module.setdefault("__path__", [])
    else:
        module["__version__"] = VERSION
        module["__all__"] = [name for name in dir(_PUBLIC) if not name.startswith("_")]
    module["__getattr__"] = lambda attribute: _handed(name, path, attribute)
    module["__dir__"] = lambda: _names_here(path)


def _handed(name: str, path: str, attribute: str) -> Any:
    """A name of a module. Raises AttributeError, with all names that it has, for one that artstore lacks."""
    below = f"{path}.{attribute}" if path else attribute
    if attribute in MODULES.get(path, ()):
        home, _, own = MODULES[path][attribute].rpartition(".")
        return getattr(importlib.import_module(home), own)
    if below in MODULES:
        return importlib.import_module(f"{name}.{attribute}")
    if attribute.startswith("__"):
        raise AttributeError(f"module '{name}' has no attribute '{attribute}'")
    if below in ABSENT:
        raise AttributeError(f"{name} is artstore's here, which has no '{attribute}': {ABSENT[below]}")
    if path in ALL:
        return getattr(importlib.import_module(ALL[path]), attribute)
    here = ", ".join(_names_here(path)) or "no names"
    raise AttributeError(f"{name} is artstore's here, which has no '{attribute}': it has {here}")


def _names_here(path: str) -> list[str]:
    """The names of a module, and the modules below it."""
    start = f"{path}." if path else ""
    below = {module[len(start) :].partition(".")[0] for module in MODULES if module.startswith(start)}
    public = dir(importlib.import_module(ALL[path])) if path in ALL else []
    return sorted({*MODULES.get(path, ()), *public, *below} - {""})


class _Finder:
    """Finds and makes W&B's modules below a package, such as `wandb`: they are in no file.

    It has the methods of a finder and of a loader. Their base classes aren't needed, and take 20 ms to import.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Raises ModuleNotFoundError for a module that artstore never has, and for any below `wandb` that it lacks."""
        root, _, module = fullname.partition(".")
        if root != self.root or not module:
            return None
        if module in MODULES:
            return importlib.machinery.ModuleSpec(fullname, cast(Any, self), is_package=True)
        for missing, reason in ABSENT.items():
            if f"{module}.".startswith(f"{missing}."):  # without `name`, so that Python doesn't replace the message
                raise ModuleNotFoundError(f"{fullname} is not here: {reason}")
        if root != NAME or module == "__main__":
            return None
        above = module.rpartition(".")[0]
        what = f"{fullname} is not here: wandb is artstore here"
        raise ModuleNotFoundError(
            f"{what}, and {fullname.rpartition('.')[0]} has {', '.join(_names_here(above))}", name=fullname
        )

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return None  # Python makes it

    def exec_module(self, module: ModuleType) -> None:
        stand_in(module.__name__, vars(module))
