"""Output of the command line: aligned tables, JSON and colours."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import click

from artstore.backends.storage import FolderStorage
from artstore.cli.streams import Long
from artstore.domain.names import printable
from artstore.domain.wording import cut, human, width_of
from artstore.errors import Damage
from artstore.operations.automation.announcing import Announcer
from artstore.repository import Repository
from artstore.store.settings import colours_wanted, find_root, is_repository, require_root
from artstore.view import View

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (errors too).")

_GAP = "  "
MOST_ROWS = 100
"""How many rows of a table are shown by default."""
_LEAST = 8
"""The least width to which a cell is cut on a narrow terminal."""


from_option = click.option("--from", "place", metavar="PLACE", help="Read from this remote, path or URL instead.")
remote_argument = click.argument("place", required=False, metavar="[REMOTE]")


def open_repository() -> Repository:
    return Repository(require_root())


def _ask(question: str) -> bool | None:
    """The user's answer to a yes-or-no question. None without a terminal, or without an answer."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    try:
        return bool(click.confirm(question, err=True))
    except click.Abort:
        click.echo("", err=True)
        return None


Announcer.ask = staticmethod(_ask)


def open_view(place: str | None, *, writing: bool = False) -> View:
    """Open the repository here, or the one at `place`, which doesn't need one here."""
    if place is None:
        return open_repository()
    from artstore.view import view_of

    root = find_root()
    here = FolderStorage(root) if root is not None and is_repository(root) else None
    return view_of(place, here, writing=writing)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2))


def answer(as_json: bool, value: Any, *lines: str) -> None:
    """Print what a command did: the value as JSON, or the lines as text."""
    if as_json:
        print_json(value)
    else:
        for line in lines:
            click.echo(line)


def print_each(values: Iterable[Any]) -> None:
    """Print a list as JSON, one value on each line, as they come."""
    out = Long()
    out.write("[")
    for number, value in enumerate(values):
        out.write(("," if number else "") + "\n  " + json.dumps(value))
    out.write("\n]\n")


def fields(lines: dict[str, str], width: int) -> None:
    """Print names and texts below one another, except empty texts. The names take `width` columns."""
    for key, text in lines.items():
        if text:
            click.echo(f"{key:{width}} " + f"\n{'':{width}} ".join(map(printable, text.split("\n"))))


def claimed(value: dict[str, Any]) -> str:
    """The user and the host that made something, as its `user` and `host` claim: `by ada on laptop`.

    If a server verified an author, that is shown as well, and these are marked as claimed.
    """
    who = f"by {value['user']}" if value["user"] else ""
    where = f"on {value['host']}" if value["host"] else ""
    mark = "(claimed)" if value["author"] and (who or where) else ""
    return " ".join(filter(None, (who, where, mark)))


def with_authors(
    rows: Sequence[tuple[str, ...]], head: tuple[str, ...], authors: Sequence[str | None]
) -> tuple[Sequence[tuple[str, ...]], tuple[str, ...]]:
    """Rows and head of a table that has a column BY, with a column of verified authors before it if there are any.

    It is a column of its own because a claimed name can be any text, even one that looks verified.
    """
    if not any(authors):
        return rows, head
    at = head.index("BY")
    several = [(*row[:at], author or "-", *row[at:]) for row, author in zip(rows, authors, strict=True)]
    return several, (*head[:at], "AUTHOR", "CLAIMED BY", *head[at + 1 :])


def listing(
    as_json: bool,
    values: Any,
    rows: Sequence[Sequence[str]],
    head: Sequence[str],
    nothing: str,
    right: Sequence[int] = (),
) -> None:
    """Print a list: the values as JSON, or the rows as a table. Without any row, say `nothing` on standard error."""
    if as_json:
        print_json(values)
    elif rows:
        table(rows, head, right)
    else:
        click.echo(nothing, err=True)


def folder_shown(folder: str) -> str:
    """A folder as it is shown: relative to the working folder if it is below it."""
    try:
        short = os.path.relpath(folder)
    except FileNotFoundError:  # the working folder was deleted
        return printable(folder)
    return printable(folder if short.startswith("..") else short)


def day(timestamp: str, *, to_second: bool = False) -> str:
    """An ISO time in UTC, cut to the minute or second; on a terminal in the local time zone."""
    if sys.stdout.isatty():
        from datetime import datetime

        with suppress(ValueError):
            timestamp = datetime.fromisoformat(timestamp).astimezone().isoformat()
    return timestamp[: 19 if to_second else 16].replace("T", " ")


def time_head(word: str) -> str:
    """The head of a column of times."""
    return word if sys.stdout.isatty() else f"{word} (UTC)"


def report_damage(damaged: list[Damage]) -> None:
    """If anything is damaged, print what and exit with 7. Called after everything readable was shown."""
    if not damaged:
        return
    for error in damaged:
        click.echo(f"error: {error.message}", err=True)
    click.echo("hint: everything listed is undamaged; `artstore fsck` shows details", err=True)
    click.get_current_context().exit(Damage.exit_code)


def paint(text: str, colour: str) -> str:
    """The text, coloured if standard output is a terminal and NO_COLOR isn't set."""
    return click.style(text, fg=colour) if sys.stdout.isatty() and colours_wanted() else text


def terminal_width() -> int:
    """The terminal's width, in columns."""
    import shutil  # takes 3 ms, and most output doesn't go to a terminal

    return shutil.get_terminal_size().columns


def table(rows: Iterable[Sequence[str]], head: Sequence[str], right: Sequence[int] = ()) -> None:
    """Print rows below `head`, with aligned columns.

    The columns in `right` are aligned to the right. On a terminal that is too narrow, the widest other columns are cut.
    """
    lines = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(width_of(line[column]) for line in lines) for column in range(len(head))]
    if sys.stdout.isatty():
        _fit(widths, right, terminal_width())
    sides = [column in right for column in range(len(head))]
    click.echo("\n".join(printed_cells(line, widths, sides) for line in lines))


def fitted(widths: list[int], right: Sequence[bool]) -> list[int]:
    """The widths of columns, reduced if the terminal is too narrow for them."""
    if sys.stdout.isatty() and not all(right):
        _fit(widths, [i for i, flag in enumerate(right) if flag], terminal_width())
    return widths


def printed_cells(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    """One line of a table whose columns have these widths. Wider cells are cut."""
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
    text = cut(text, width)
    pad = " " * (width - width_of(text))
    return pad + text if right else text + pad


def hint_at_packing(freed: int) -> None:
    """Say about how many bytes packing would free, unless they are 0."""
    if freed:
        click.echo(f"hint: `artstore pack` would free about {human(freed)}", err=True)
