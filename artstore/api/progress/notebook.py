"""Output in a notebook: a text that is shown in its cell, and may be replaced."""

import html
import os
import sys
from contextlib import suppress
from typing import Any

_forked = False


def shell() -> Any:
    """The IPython shell of a notebook's kernel. None in a script, on a terminal, or in a forked child of a kernel."""
    ipython = sys.modules.get("IPython")
    found = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return found if hasattr(found, "kernel") and not _forked else None


def show(text: str) -> None:
    """Show a text."""
    InNotebook().end(text)


class InNotebook:
    """Progress of one operation in a notebook: a bar with a text, which becomes a text only."""

    def __init__(self) -> None:
        self._id = os.urandom(8).hex()
        self._is_shown = False

    def show(self, text: str, fraction: float | None) -> None:
        """Show how far it is."""
        value = "" if fraction is None else f' value="{fraction:.3f}"'
        self._put(text, f'<progress max="1"{value}></progress> {_escaped(text)}')

    def end(self, text: str) -> None:
        """Show a text instead."""
        self._put(text, _escaped(text))

    def _put(self, text: str, markup: str) -> None:
        from IPython.display import display

        data = {"text/plain": text, "text/html": f"<div>{markup}</div>"}
        with suppress(Exception):  # whatever it is, what is shown is not worth an error
            display(data, raw=True, display_id=self._id, update=self._is_shown)
        self._is_shown = True


def _escaped(text: str) -> str:
    return f'<span style="white-space: pre-wrap; font-family: monospace">{html.escape(text)}</span>'


def _note_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_note_fork)
