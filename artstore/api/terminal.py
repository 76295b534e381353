"""What W&B's `termlog`, `termwarn` and `termerror` do: a line of the caller's on standard error."""

import sys
from contextlib import suppress
from typing import Any

from artstore.store.variables import is_silent

_said: set[str] = set()


def termlog(string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Print a line on standard error, unless WANDB_SILENT is set. With `repeat=False`, the same text only once."""
    _say("", string, newline, repeat, prefix)


def termwarn(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Print a warning on standard error, unless WANDB_SILENT is set. With `repeat=False`, the same text only once."""
    _say("warning: ", string, newline, repeat, prefix)


def termerror(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Print an error on standard error, unless WANDB_SILENT is set. With `repeat=False`, the same text only once."""
    _say("error: ", string, newline, repeat, prefix)


def termsetup(*_: Any, **__: Any) -> None:
    """Accepted as in W&B: WANDB_SILENT is all that counts here."""


def in_notebook() -> bool:
    """Whether this is IPython's shell of a notebook."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python is not None else None
    return "ZMQInteractiveShell" in (kind.__name__ for kind in type(shell).__mro__)  # Colab has a kind of its own


def _say(kind: str, text: str, newline: bool, repeat: bool, prefix: bool) -> None:
    line = f"artstore: {kind}{text}" if prefix else f"{kind}{text}"
    if is_silent() or (not repeat and line in _said):
        return
    if not repeat:
        _said.add(line)
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # closed, or a full disk: a message stops no run
            print(line, end="\n" if newline else "", file=sys.stderr, flush=True)
