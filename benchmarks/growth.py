"""Work done item by item in one process, each tenth of it measured: wall clock, processor time, syncs, anonymous memory.

Syncs are counted instead of waited for: how long one takes is the disk's affair, and a hundred thousand runs need millions.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import workloads
from benchmarks.measure import Command, measure
from benchmarks.place import HERE, Bench

if TYPE_CHECKING:
    from artstore import Repository

TENTHS = 10
PULL_EVERY, RUNS_A_MODEL, STEPS = 100, 100, 3


@dataclass
class Tenth:
    """What some items of one kind cost: those numbered from `first` on."""

    work: str
    series: str
    first: int
    items: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    syncs: int = 0
    anon_bytes: int = 0
    """that the process held at the end"""


@dataclass
class Meter:
    """Adds up what each series costs, and counts the syncs that it keeps from happening."""

    work: str
    out: Path
    syncs: int = 0
    open: dict[str, Tenth] = field(default_factory=dict)

    @contextmanager
    def timed(self, series: str, number: int) -> Iterator[None]:
        tenth = self.open.setdefault(series, Tenth(self.work, series, number))
        before = time.perf_counter(), time.process_time(), self.syncs
        yield
        tenth.items += 1
        tenth.seconds += time.perf_counter() - before[0]
        tenth.processor_seconds += time.process_time() - before[1]
        tenth.syncs += self.syncs - before[2]

    def count_sync(self, descriptor: int) -> None:
        self.syncs += 1

    def end_tenth(self) -> None:
        with self.out.open("a") as out:
            for tenth in self.open.values():
                tenth.anon_bytes = _own_anon_bytes()
                out.write(json.dumps(asdict(tenth)) + "\n")
        self.open = {}


def grow(bench: Bench, work: str, store: Path, first: int, end: int, total: int) -> tuple[list[Tenth], int]:
    """Do the items from `first` to `end` in a process of its own; each tenth of `total`, and the peak of its RssAnon."""
    out = store.parent / f"growth-{first}.jsonl"
    argv = (
        bench.settings.python,
        "-m",
        "benchmarks.growth",
        work,
        str(store),
        *map(str, (first, end, total)),
        str(out),
    )
    run = measure(Command(argv, cwd=HERE.parent), memory=True)
    return [Tenth(**json.loads(line)) for line in out.read_text().splitlines()], run.peak_anon_bytes or 0


# -- in that process --


def _versions(meter: Meter, repository: Repository, number: int) -> None:
    """Another version of one small file."""
    folder = Path(repository.root).parent / "folder"
    folder.mkdir(exist_ok=True)
    (folder / "value.txt").write_text(f"{number}\n")
    with meter.timed("save", number):
        repository.put(str(folder), "data")


def _collections(meter: Meter, repository: Repository, number: int) -> None:
    """100 files of 4 KiB into a new collection."""
    folder = Path(repository.root).parent / "hundred"
    (folder / "d0000").mkdir(parents=True, exist_ok=True)
    for file in workloads.plan("hundred", seed=number):
        workloads.write(folder, file)
    with meter.timed("save", number):
        repository.put(str(folder), f"c{number:04d}")


def _runs(meter: Meter, repository: Repository, number: int) -> None:
    """A run with config, three steps, a summary; it uses one version, the same for all, and logs one of its own."""
    from artstore.api import recording

    if number == 0:
        with repository.draft() as draft:
            draft.add_bytes(b"data", "data")
            draft.save(repository.path_of("data")[0], type="dataset")
    path = repository.path_of(f"model-{number // RUNS_A_MODEL:04d}")[0]
    with meter.timed("version", number):
        with repository.draft() as draft:
            draft.add_bytes(f"weights {number}".encode(), "weights")
            saved = draft.save(path, type="model")
        if number % RUNS_A_MODEL == 0:
            repository.tidy()
    used, logged = repository.find("data"), repository.version(saved.path, saved.id)
    with meter.timed("run", number):
        config = {"number": number, "lr": 1 / (number + 1), "layers": [64, 64]}
        run = recording.start(repository.root, id=f"run-{number:06d}", config=config)
        run.used(used)
        for step in range(STEPS):
            run.log({"_step": step, "_runtime": 0.1 * step, "_timestamp": time.time(), "loss": 1 / (step + 1)})
        run.logged(logged)
        run.finish(0, {"loss": 1 / STEPS, "number": number})


def _pushes(meter: Meter, repository: Repository, number: int) -> None:
    """A small save and a push; another clone pulls now and then."""
    from artstore.repository import Repository

    remote, other = (Path(repository.root).parent / name for name in ("remote", "other"))
    if number == 0:
        repository.remotes.add("origin", str(remote), make=True)
    _versions(meter, repository, number)
    with meter.timed("push", number):
        repository.push()
    if number == 0:
        Repository.clone(str(remote), str(other))[0].close()
    if number % PULL_EVERY == PULL_EVERY - 1:
        with Repository(str(other)) as clone, meter.timed("pull", number):
            clone.pull()


WORKS: dict[str, Callable[[Meter, Repository, int], None]] = {
    "versions": _versions,
    "collections": _collections,
    "runs": _runs,
    "pushes": _pushes,
}


def _own_anon_bytes() -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def _do(work: str, store: str, first: int, end: int, total: int, out: Path) -> None:
    from artstore.api.handles import opened
    from artstore.repository import Repository

    meter = Meter(work, out)
    os.fsync = meter.count_sync  # type: ignore[assignment]
    Repository.init(store).close()
    for number in range(first, end):
        WORKS[work](meter, opened(store), number)
        if number + 1 == end or (number + 1) % max(1, total // TENTHS) == 0:
            meter.end_tenth()


if __name__ == "__main__":
    WORK, STORE, FIRST, END, TOTAL, OUT = sys.argv[1:]
    _do(WORK, STORE, int(FIRST), int(END), int(TOTAL), Path(OUT))
