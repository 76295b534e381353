"""Warnings that show the line of the script, wherever in this package they come from."""

import sys
import warnings


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, at the line of the first caller that isn't in this package or in Python's library."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_inner(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _is_inner(module: str) -> bool:
    root = module.partition(".")[0]
    return root == "artstore" or root in sys.stdlib_module_names
