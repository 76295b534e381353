"""Packages that are used only when they are installed, such as numpy and Pillow."""

import importlib
from typing import Any

from artstore.errors import NotFound


def needed(module: str, what: str, install: str | None = None) -> Any:
    """The module. Raises NotFound, which says that `what` needs it and how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = install or module.partition(".")[0]
        message = f"{what} needs {package}, which is not installed here"
        raise NotFound(message, hint=f"`pip install {package}`") from error


def package_of(value: Any) -> str:
    """The package that a value's class is from, such as `numpy`."""
    return type(value).__module__.partition(".")[0]
