"""Pages of joined and partitioned tables: what they show, also of hostile ones."""

import html
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.commands import QUIET, environment
from tests.support.pages import Served, serve

pytest.importorskip("numpy")
pytest.importorskip("PIL")
MAKE = r"""
import json
import numpy as np
import artstore as wandb
def table(columns, rows):
    return json.dumps({"columns": columns, "data": rows, "column_types": {}}).encode()
def picture(n):
    return wandb.Image(np.full((8, 8, 3), n % 250, "uint8"))
HOSTILE = "<img src=x onerror=alert(1)>"
artifact = wandb.Artifact("results", "evaluation")
seen = wandb.Table(columns=["image", "digit", "picture"], data=[[f"{n}.png", n, picture(n)] for n in range(150)])
true = wandb.Table(columns=["name", "digit"], data=[[f"{n}.png", -n] for n in (*range(2, 152), 3)])
artifact.add(wandb.JoinedTable(seen, true, ["image", "name"]), "both")
artifact.add(wandb.JoinedTable(
    wandb.Table(columns=["picture", "one"], data=[[picture(7), 1]]),
    wandb.Table(columns=["picture", "two"], data=[[picture(7), 2], [picture(8), 3]]), "picture"), "pictures")
for day in ("mon", "tue"):
    artifact.add(wandb.Table(columns=["day", "picture"], data=[[day, picture(n)] for n in range(60)]), f"days/{day}")
artifact.add(wandb.PartitionedTable("days"), "days/week")
told = {
    "days/other.table.json": table(["x"], [[1]]), "days/torn.table.json": b'{"columns": [', "none.partitioned-table.json": {"parts_path": "../none"},
    "odd.partitioned-table.json": {"parts_path": 3}, "list.joined-table.json": [], HOSTILE + ".table.json": table([HOSTILE], [[HOSTILE]]),
    "gone.joined-table.json": {"join_key": "day", "table1": "days/mon.table.json", "table2": HOSTILE + "/gone.table.json"},
    "loop.joined-table.json": {"join_key": "day", "table1": "loop.joined-table.json", "table2": "days/mon.table.json"},
    "keyless.joined-table.json": {"join_key": HOSTILE, "table1": "days/mon.table.json", "table2": HOSTILE + ".table.json"},
    "weeks.joined-table.json": {"join_key": "day", "table1": "days/week.partitioned-table.json", "table2": "days/week.partitioned-table.json"},
    "same.table.json": table(["key", "n"], [[1, n] for n in range(1100)]), "many.table.json": table(["key"], [[n] for n in range(100_001)]),
    "pairs.joined-table.json": {"join_key": "key", "table1": "same.table.json", "table2": "same.table.json"},
    "large.joined-table.json": {"join_key": "key", "table1": "same.table.json", "table2": "many.table.json"},
    "parts.partitioned-table.json": {"parts_path": "parts"}, **{f"parts/{n:04}.table.json": table(["n"], [[n]]) for n in range(1001)},
}
for name, value in told.items():
    with artifact.new_file(name, mode="wb") as out:
        out.write(value if isinstance(value, bytes) else json.dumps(value).encode())
artifact.save()
with wandb.init(project="p", id="sampled") as run:
    run._recording.add_file("week.partitioned-table.json", b'{"parts_path": "/parts/"}')
    for n in range(2):
        run._recording.add_file(f"parts/{n}.table.json", table(["n"], [[f"row {n}"]]))
"""
FILES = "/files/local/uncategorized/results/0?path="


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("grouped")
    told = environment(folder, ARTSTORE_DIR=str(folder / ".artifacts"), **QUIET)
    subprocess.run([sys.executable, "-c", MAKE], check=True, env=told, cwd=folder)
    yield from serve(folder, folder)


def said(served: Served, path: str) -> str:
    response, body = served.ask(path)
    assert response.status == 200, body
    assert b"<img src=x" not in body
    return body.decode()


def grid(text: str) -> tuple[list[str], list[list[str]]]:
    """The columns and rows of the table on a page, as texts; of a picture, its tag."""
    head = [re.sub("<[^>]+>", "", cell) for cell in re.findall("<th .*?>(.*?)</th>", text)]
    rows = [re.findall("<td.*?>(.*?)</td>", row, re.S) for row in re.findall("<tr><td.*?</tr>", text, re.S)]
    return [html.unescape(name) for name in head], rows


def note(text: str) -> str:
    found = re.search('<p class="hint">(.*?)</p>', text)
    return html.unescape(re.sub("<[^>]+>", "", found[1])) if found else ""


def test_a_joined_table_is_shown_by_its_key_with_rows_of_both_sides(served: Served) -> None:
    first = said(served, FILES + "both.joined-table.json")
    columns, rows = grid(first)
    assert columns == ["image = name", "digit (1)", "picture", "digit (2)"] and len(rows) == 100
    assert [rows[at][::3] for at in (0, 2, 3, 4)] == [["0.png", ""], ["2.png", "-2"], ["3.png", "-3"], ["3.png", "-3"]]
    assert '<img src="/image/local/uncategorized/results/0?path=media%2Fimages%2F' in rows[0][2]
    assert note(first) == "Joined by image = name: t1_both.table.json, t2_both.table.json."
    assert 'href="/files/local/uncategorized/results/0?path=t2_both.table.json"' in first and "1–100" in first
    _, rest = grid(said(served, FILES + "both.joined-table.json&start=100"))
    assert [row[0] for row in rest[-3:]] == ["149.png", "150.png", "151.png"] and rest[-1] == [
        "151.png",
        "",
        "",
        "-151",
    ]
    assert len(rest) == 53
    _, last = grid(said(served, FILES + "both.joined-table.json&sort=1&order=down"))
    assert last[0][0] == "149.png"


def test_tables_are_joined_by_pictures_with_the_same_bytes(served: Served) -> None:
    columns, rows = grid(said(served, FILES + "pictures.joined-table.json"))
    assert columns == ["picture", "one", "two"] and [row[1:] for row in rows] == [["1", "2"], ["", "3"]]


def test_a_partitioned_table_has_the_rows_of_its_parts_and_tells_which_can_not_be_read(served: Served) -> None:
    first = said(served, FILES + "days/week.partitioned-table.json")
    columns, rows = grid(first)
    assert columns == ["day", "picture"] and [row[0] for row in rows] == ["mon"] * 60 + ["tue"] * 40
    assert "<img src=" in rows[99][1] and "can't be read" not in first
    rest = said(served, FILES + "days/week.partitioned-table.json&start=100")
    assert len(grid(rest)[1]) == 20
    assert note(rest) == (
        "The tables in days, one after the other: days/mon.table.json, days/other.table.json, days/torn.table.json, "
        "days/tue.table.json. The part 'days/other.table.json' has other columns: left out. 'days/torn.table.json' can't "
        "be read: 'days/torn.table.json' is not JSON: Expecting value: line 1 column 2 (char 1)."
    )
    of_a_run = said(served, "/run-files/local/p/sampled?path=week.partitioned-table.json")
    assert grid(of_a_run) == (["n"], [["row 0"], ["row 1"]])


def test_tables_that_are_missing_or_refer_to_themselves_are_noted(served: Served) -> None:
    gone = said(served, FILES + "gone.joined-table.json")
    assert len(grid(gone)[1]) == 60 and "onerror=alert(1)>/gone.table.json' is not stored here." in note(gone)
    assert note(said(served, FILES + "none.partitioned-table.json")) == (
        "The tables in ../none, one after the other. There are no tables in '../none'."
    )
    assert "has no column '<img src=x onerror=alert(1)>' to join by." in note(
        said(served, FILES + "keyless.joined-table.json")
    )
    for name in ("loop.joined", "list.joined", "odd.partitioned"):
        assert '<pre tabindex="0"' in said(served, f"{FILES}{name}-table.json"), "is shown as JSON"
    assert len(grid(said(served, FILES + "weeks.joined-table.json"))[1]) == 100


def test_a_join_of_endless_pairs_and_endless_parts_are_bounded(served: Served) -> None:
    pairs = said(served, FILES + "pairs.joined-table.json&start=999990")
    assert len(grid(pairs)[1]) == 10 and note(pairs).endswith("The first 1,000,000 rows are shown.")
    large = said(served, FILES + "large.joined-table.json")
    assert grid(large)[1][5] == ["1", "5"]
    assert note(large).endswith("'many.table.json' has more than 100,000 rows or 32 MiB, so it is not joined.")
    parts = said(served, FILES + "parts.partitioned-table.json&start=900")
    assert [row[0] for row in grid(parts)[1]] == [str(n) for n in range(900, 1000)] and "Next" not in parts
    assert "and 980 more. Of 1,001 parts the first 1,000 are read." in note(parts)
