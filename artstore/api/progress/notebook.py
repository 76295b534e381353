"""Output in a notebook: a text that is shown in its cell, and may be replaced."""

import os
from contextlib import suppress

from artstore.api.terminal import in_notebook

_forked = False


def is_here() -> bool:
    """Whether this is the kernel of a notebook, and not a forked child of it."""
    return in_notebook() and not _forked


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
        data = {"text/plain": text, "text/html": f"<div>{markup}</div>"}
        with suppress(Exception):  # whatever it is, what is shown is not worth an error
            from IPython.display import display

            display(data, raw=True, display_id=self._id, update=self._is_shown)
        self._is_shown = True


def _escaped(text: str) -> str:
    import html  # only notebooks need it, and each command loads this module

    return f'<span style="white-space: pre-wrap; font-family: monospace">{html.escape(text)}</span>'


def _note_fork() -> None:
    global _forked
    _forked = True


os.register_at_fork(after_in_child=_note_fork)
