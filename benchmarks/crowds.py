"""Crowded stores, built once: `versions` has 10,000 in one collection, `collections` 1,000 saves, each into its own.

One process builds them, through the Python API: ten thousand processes would take half an hour.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import workloads
from benchmarks.measure import Command, run_untimed
from benchmarks.place import HERE, Place

SIZES = {"versions": 10_000, "collections": 1_000}


def size(place: Place) -> int:
    return max(100, int(SIZES[place.name] * place.bench.settings.scale))


def crowded_store(place: Place) -> Path:
    store = place.root / "store"
    if not store.exists():
        unfinished = place.new("store")
        argv = (place.bench.settings.python, "-m", "benchmarks.crowds", place.name, str(size(place)))
        run_untimed(Command((*argv, str(unfinished), str(place.new("folder"))), cwd=HERE.parent))
        unfinished.rename(store)
    return store


def _build(name: str, count: int, store: str, folder: Path) -> None:
    from artstore import Repository  # only the process that builds needs it

    (folder / "d0000").mkdir(parents=True)
    with Repository.init(store) as repository:
        for number in range(count):
            collection = "data"
            if name == "versions":
                (folder / "value.txt").write_text(f"{number}\n")
            else:
                collection = f"c{number:04d}"
                for file in workloads.plan("hundred", seed=number):
                    workloads.write(folder, file)
            repository.put(str(folder), collection)


if __name__ == "__main__":
    _build(sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
