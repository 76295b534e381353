"""The figures of benchmarks/README.md: which runs they are taken from."""

from pathlib import Path

from benchmarks.measure import Run
from benchmarks.results import PeerResult, Results, read
from benchmarks.table import Table, newest_tables, started


def run_of(workload: str, *tools: str, operation: str = "save", **environment: str) -> Results:
    taken = Run(1.0, 1.0, 0.0, 0, 0, None, 0.5)
    rows = [PeerResult(workload, tool, operation, f"{tool} save", runs=[taken]) for tool in tools]
    return Results({"scale": "1.0", **environment}, peers=rows)


def names(table: Table) -> list[str]:
    return [row.peer for row in table.rows]


def test_the_last_run_of_a_workload_makes_its_table_whole() -> None:
    older = run_of("small", "cp -r", "borg")
    other = run_of("big", "borg")
    newer = run_of("small", "cp -r", "oxen", scale="0.5")
    small, big = newest_tables([older, other, newer])
    assert (small.workload, names(small), big.workload, names(big)) == ("small", ["cp -r", "oxen"], "big", ["borg"])
    assert small.title == "small at 0.5 of its size, warm page cache"


def test_runs_are_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    run_of("small", "borg", started="2026-11-22 09:00:00").write(tmp_path / "2026-11-22-z.json")
    run_of("small", "borg", started="2026-11-22 10:00:00").write(tmp_path / "2026-11-22-a.json")
    run_of("small", "borg").write(tmp_path / "2026-11-21-b.json")
    ordered = sorted(tmp_path.iterdir(), key=lambda path: started(path.name, read(path)))
    assert [path.name[8:] for path in ordered] == ["21-b.json", "22-z.json", "22-a.json"]


def test_what_was_measured_with_remotes_is_in_no_table_of_peers() -> None:
    assert newest_tables([run_of("small, folder", "cp -r", operation="push")]) == []
