"""What much of everything costs: a million files, 10,000 versions, 1,000 collections, 100,000 runs, 1,000 pushes.

    python -m benchmarks.load [--scale 1.0] [--work FOLDER] [--only versions …]

Shows that the work stays linear (what an item costs in the last tenth beside the first ones) and that commands stay responsive:
each as a whole process beside a start of the command line, in the store when a tenth of the work was done, and when all was.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import workloads
from benchmarks.chores import CHORES, Done, do, once
from benchmarks.environment import describe
from benchmarks.growth import TENTHS, WORKS, Tenth, grow
from benchmarks.place import HERE, Bench, Settings
from benchmarks.run import tool

COUNTS = {"versions": 10_000, "collections": 1_000, "runs": 100_000, "pushes": 1_000, "files": 1_000_000}
FEWEST = 100
SECOND_STAGE = 50
"""Runs of commands in the whole store are numbered from here on."""


@dataclass
class Load:
    """What was found, and where."""

    environment: dict[str, str]
    tenths: list[Tenth] = field(default_factory=list)
    peaks: dict[str, int] = field(default_factory=dict)
    """of RssAnon, of the processes that did the work"""
    done: list[Done] = field(default_factory=list)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")


def _items(bench: Bench, work: str) -> int:
    """A multiple of ten."""
    return max(FEWEST, int(COUNTS[work] * bench.settings.scale) // TENTHS * TENTHS)


def _grown(bench: Bench, work: str, load: Load) -> None:
    """A tenth of the work, the commands, the rest of the work, the commands once more."""
    place, total = bench.place(work), _items(bench, work)
    place.root.mkdir()
    for first, end, run in ((0, total // TENTHS, 0), (total // TENTHS, total, SECOND_STAGE)):
        tenths, peak = grow(bench, work, place.root / "store", first, end, total)
        load.tenths += tenths
        load.peaks[work] = max(peak, load.peaks.get(work, 0))
        load.done += [do(place, work, chore, end, run) for chore in CHORES[work]]


def _files(bench: Bench, load: Load) -> None:
    """A tree of a tenth of the files, and one of all."""
    scale = bench.settings.scale
    for name, share in (("a tenth of the files", scale / TENTHS), ("files", scale)):
        place = bench.place(name)
        tree = workloads.make("million", place.root / "tree", share)
        for label in ("save", "save v2"):
            tree.age()
            load.done.append(once(place, "files", label, len(tree.files), ("put", tree.root, "--name", "data")))
            if label == "save":
                tree.next_version()
        load.done += [do(place, "files", chore, len(tree.files), 0, tree=tree.root) for chore in CHORES["files"]]


# -- tables --

WORK_COLUMNS = (
    "work, an item, items, syncs, ms: first tenth, second, last, last : second, processor ms: first tenth, second, last, "
    "last : second, RssAnon MB: first, last"
)
COMMAND_COLUMNS = (
    "work, command, ms: a tenth, all, × start, processor ms: a tenth, all, × start, "
    "processor µs an item: a tenth, all, RssAnon MB: a tenth, all"
)


def _head(columns: str) -> list[str]:
    names = columns.split(", ")
    return [_row(*names), "|---|---|" + "---:|" * (len(names) - 2)]


def _work_lines(load: Load) -> list[str]:
    lines = _head(WORK_COLUMNS)
    for work, series in dict.fromkeys((tenth.work, tenth.series) for tenth in load.tenths):
        found = [tenth for tenth in load.tenths if (tenth.work, tenth.series) == (work, series)]
        first, second, last = found[0], found[min(1, len(found) - 1)], found[-1]
        cells: list[object] = [work, series, sum(tenth.items for tenth in found), f"{last.syncs / last.items:.1f}"]
        for kind in ("seconds", "processor_seconds"):
            costs = [getattr(tenth, kind) / tenth.items * 1e3 for tenth in (first, second, last)]
            cells += [*(f"{cost:.1f}" for cost in costs), f"{costs[2] / costs[1]:.2f}"]
        lines.append(_row(*cells, *(f"{tenth.anon_bytes / 1e6:.0f}" for tenth in (first, last))))
    return lines


def _command_lines(load: Load) -> list[str]:
    lines = _head(COMMAND_COLUMNS)
    for work, label in dict.fromkeys((done.work, done.label) for done in load.done):
        found = [done for done in load.done if (done.work, done.label) == (work, label)]
        if problems := [done.error for done in found if done.error]:
            lines.append(_row(work, label, f"failed: {problems[0]}", *[""] * 9))
            continue
        whole = found[-1]
        cells = [f"{done.seconds * 1e3:.0f}" for done in found] + [f"{whole.seconds_over_start:.2f}"]
        cells += [f"{done.processor_seconds * 1e3:.0f}" for done in found] + [f"{whole.processor_over_start:.2f}"]
        cells += [f"{done.processor_seconds_per_item * 1e6:.1f}" for done in found]
        lines.append(_row(work, label, *cells, *(f"{done.peak_anon_bytes / 1e6:.0f}" for done in found)))
    return lines


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _print(load: Load) -> None:
    print("\n".join(_work_lines(load)))
    for work, peak in load.peaks.items():
        print(f"peak RssAnon of the process that made `{work}`: {peak / 1e6:.0f} MB")
    print("\n".join(_command_lines(load)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="size of the work, for a short run (1.0)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each command (5)")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir(), "artstore-load"), help="a new folder")
    parser.add_argument("--only", nargs="+", choices=COUNTS, default=list(COUNTS), help="of these (all)")
    parser.add_argument("--keep", action="store_true", help="leave the folder there")
    parser.add_argument("--name", default="load", help="of the result file, behind the date")
    parser.add_argument("--artstore", default="artstore", help="the command to measure")
    given = parser.parse_args()
    if given.work.exists():
        parser.error(f"{given.work} exists; --work names a new folder, which is removed at the end")
    settings = Settings(given.work.resolve(), given.scale, given.rounds, sys.executable, tool(given.artstore), None)
    bench, load = Bench(settings), Load(describe(settings))
    path = HERE / "results" / f"{time.strftime('%Y-%m-%d')}-{given.name}.json"
    try:
        for work in given.only:
            if work in WORKS:
                _grown(bench, work, load)
            else:
                _files(bench, load)
            load.write(path)
            print(f"{work}: done", file=sys.stderr, flush=True)
    finally:
        _print(load)
        if not given.keep:
            bench.close()
    print(f"written: {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
