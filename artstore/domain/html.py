"""Small HTML for notebooks: escaped text in tables, no script, no style sheet."""

from collections.abc import Iterable
from html import escape

from artstore.domain.names import printable

MOST_ROWS = 100


def page(title: str, body: str) -> str:
    return f"<div><strong>{escape(title)}</strong>{body}</div>"


def definition_rows(rows: Iterable[tuple[str, str]]) -> str:
    """A table of two columns. It shows MOST_ROWS rows, and the number of rows left out."""
    rows = list(rows)
    shown = ((escape(printable(key)), escape(printable(value))) for key, value in rows[:MOST_ROWS])
    cells = [f"<tr><th>{key}</th><td>{value}</td></tr>" for key, value in shown]
    if len(rows) > MOST_ROWS:
        cells.append(f"<tr><th></th><td>and {len(rows) - MOST_ROWS:,} more</td></tr>")
    return f"<table>{''.join(cells)}</table>" if cells else ""


def grid(columns: list[str], rows: list[list[str]], count: int) -> str:
    """A table with a head, these first rows, and the number of rows left out; `count` is the number of all rows."""
    head = "".join(f"<th>{escape(printable(name))}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    more = f"<p>and {count - len(rows):,} more rows</p>" if count > len(rows) else ""
    return f"<table><tr>{head}</tr>{body}</table>{more}"
