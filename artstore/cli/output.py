"""How the command line shows things: aligned tables, JSON, colours and a progress bar on terminals."""

import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from artstore.backends.storage import FolderStorage
from artstore.domain.names import printable
from artstore.domain.wording import human
from artstore.errors import Damage
from artstore.operations.automation.announcing import Announcer
from artstore.progress import Monitor
from artstore.repository import Repository
from artstore.store.settings import colours_wanted, find_root, require_root
from artstore.view import View

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (errors too).")

_GAP = "  "
MOST_ROWS = 100
"""Rows of a table that nobody asked for more of."""
_LEAST = 8
"""Columns that stay of a cell that is cut for a narrow terminal."""


from_option = click.option(
    "--from", "place", metavar="PLACE", help="What is at this remote, path or URL, instead of here."
)
remote_argument = click.argument("place", required=False, metavar="[REMOTE]")


def open_repository() -> Repository:
    return Repository(require_root())


def _ask(question: str) -> bool | None:
    """None where nobody can be asked, or nobody answers."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    try:
        return bool(click.confirm(question, err=True))
    except click.Abort:
        click.echo("", err=True)
        return None


Announcer.ask = staticmethod(_ask)


def open_view(place: str | None, *, writing: bool = False) -> View:
    """The repository here, or what is at another place (which needs none here)."""
    if place is None:
        return open_repository()
    from artstore.view import view_of

    root = find_root()
    here = FolderStorage(root) if root is not None and os.path.isfile(f"{root}/format") else None
    return view_of(place, here, writing=writing)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def day(timestamp: str) -> str:
    """An ISO time, to the minute."""
    return timestamp[:16].replace("T", " ")


def report_damage(damaged: list[Damage]) -> None:
    """After all that could be read was shown: what could not, and exit code 7."""
    if not damaged:
        return
    for error in damaged:
        click.echo(f"error: {error.message}", err=True)
    click.echo("hint: what is listed is whole; `artstore fsck` says more", err=True)
    click.get_current_context().exit(Damage.exit_code)


def paint(text: str, colour: str) -> str:
    """Coloured on a terminal, unless NO_COLOR is set."""
    return click.style(text, fg=colour) if sys.stdout.isatty() and colours_wanted() else text


def width_of(text: str) -> int:
    """Columns on a terminal: two for wide East Asian characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def terminal_width() -> int:
    """Columns."""
    import shutil  # 3 ms, and most output goes elsewhere

    return shutil.get_terminal_size().columns


def table(rows: Iterable[Sequence[str]], head: Sequence[str], right: Sequence[int] = ()) -> None:
    """Columns aligned, those in `right` to the right; on a terminal that is too narrow the widest of the others are cut."""
    lines = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(width_of(line[column]) for line in lines) for column in range(len(head))]
    if sys.stdout.isatty():
        _fit(widths, right, terminal_width())
    sides = [column in right for column in range(len(head))]
    click.echo("\n".join(printed_cells(line, widths, sides) for line in lines))


def fitted(widths: list[int], right: Sequence[bool]) -> list[int]:
    """Widths of columns, cut for a terminal that is too narrow."""
    if sys.stdout.isatty() and not all(right):
        _fit(widths, [i for i, flag in enumerate(right) if flag], terminal_width())
    return widths


def printed_cells(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    """One line of a table whose columns have these widths; what is wider is cut."""
    return _GAP.join(_cell(*cell) for cell in zip(cells, widths, right, strict=True)).rstrip()


def _fit(widths: list[int], right: Sequence[int], columns: int) -> None:
    while sum(widths) + len(_GAP) * (len(widths) - 1) > columns:
        widest = max(
            (column for column in range(len(widths)) if column not in right), key=lambda column: widths[column]
        )
        if widths[widest] <= _LEAST:
            return
        widths[widest] -= 1


def _cell(text: str, width: int, right: bool) -> str:
    if text.isascii() and len(text) <= width:
        return text.rjust(width) if right else text.ljust(width)
    has = width_of(text)
    if has > width:
        text = text[: 2 * width]  # a long one is not cut one by one
        while width_of(text) > width - 1:
            text = text[:-1]
        text += "…"
        has = width_of(text)
    pad = " " * (width - has)
    return pad + text if right else text + pad


class Bar(Monitor):
    """One line on stderr, at most ten times a second; nothing where stderr is no terminal, or in the first half second."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = sys.stderr.isatty()
        self._started = self._last = time.monotonic()
        self._drawn = False

    def changed(self) -> None:
        if not self._shown:
            return
        now = time.monotonic()
        if now - self._started < 0.5 or now - self._last < 0.1:
            return
        self._last, self._drawn = now, True
        parts = [self.step, f"{self.items:,}" if self.items else "", human(self.bytes) if self.bytes else ""]
        text = _GAP.join(part for part in parts if part)
        width = terminal_width() - 1
        sys.stderr.write("\r" + text[:width].ljust(width))
        sys.stderr.flush()

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            sys.stderr.write("\r" + " " * (terminal_width() - 1) + "\r")
            sys.stderr.flush()
