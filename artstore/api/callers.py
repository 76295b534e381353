"""Warnings that show the line of the script, wherever in this package they come from."""

import sys
import warnings


def warn_caller(message: str) -> None:
    """Warn, at the line of the first caller that isn't in this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("artstore."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
