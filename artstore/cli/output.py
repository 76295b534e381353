"""How the command line shows things: aligned tables, sizes, times, JSON, and a progress bar on terminals."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from artstore.names import printable
from artstore.progress import Monitor
from artstore.repository import Repository
from artstore.settings import require_root
from artstore.sizes import count, human, moment

__all__ = ["Bar", "count", "day", "human", "json_option", "moment", "open_repository", "print_json", "table"]

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (errors too).")


def open_repository() -> Repository:
    return Repository(require_root())


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def day(timestamp: str) -> str:
    """An entry's time, to the minute."""
    return timestamp[:16].replace("T", " ")


def table(rows: Iterable[Sequence[str]], head: Sequence[str], right: Sequence[int] = ()) -> None:
    """Columns aligned, those in `right` to the right; the last one is not padded."""
    lines = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


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
        text = "  ".join(part for part in parts if part)
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r" + text[:width].ljust(width))
        sys.stderr.flush()

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            sys.stderr.write("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r")
            sys.stderr.flush()
