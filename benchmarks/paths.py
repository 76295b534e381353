"""Reading by `artstore://` paths beside fsspec's LocalFileSystem over the same files: 10,000 times each, in turn.

    python -m benchmarks.paths --work FOLDER [--scale 1.0] [--rounds 5]

64 KiB at random places of the workload `big` (verified before), by `cat_file` and in one open file; 10,000 whole files of
`small`, by `cat_file` and by `open`. Prints the median of the ratios of each round, and the seconds of the last.
"""

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec

from benchmarks import workloads

READS, LENGTH = 10_000, 64 << 10


def ranges(fs: Any, base: str, places: list[tuple[str, int]]) -> None:
    for name, offset in places:
        assert len(fs.cat_file(f"{base}/{name}", offset, offset + LENGTH)) == LENGTH


def one_file(fs: Any, base: str, places: list[tuple[str, int]]) -> None:
    with fs.open(f"{base}/{places[0][0]}") as file:
        for _, offset in places:
            file.seek(offset)
            assert len(file.read(LENGTH)) == LENGTH


def whole(fs: Any, base: str, names: list[str]) -> None:
    for name in names:
        fs.cat_file(f"{base}/{name}")


def opened(fs: Any, base: str, names: list[str]) -> None:
    for name in names:
        with fs.open(f"{base}/{name}") as file:
            file.read()


def timed(read: Callable[..., None], *arguments: Any) -> float:
    started = time.perf_counter()
    read(*arguments)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder to make the files and the repository in")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    for name in ("big", "small"):
        if not (work / name).exists():
            workloads.make(name, work / name, given.scale)
            subprocess.run([sys.executable, "-m", "artstore", "put", name, "--name", name], cwd=work, check=True)
    store, local = fsspec.filesystem("artstore", root=str(work)), fsspec.filesystem("file")
    rng = random.Random(1)
    large = [path for path in sorted((work / "big").rglob("*")) if path.is_file() and path.stat().st_size > 2 * LENGTH]
    chosen = [rng.choice(large) for _ in range(READS)]
    places = [(str(p.relative_to(work / "big")), rng.randrange(p.stat().st_size - LENGTH)) for p in chosen]
    size = large[0].stat().st_size
    inside = [(str(large[0].relative_to(work / "big")), rng.randrange(size - LENGTH)) for _ in range(READS)]
    small = [str(p.relative_to(work / "small")) for p in sorted((work / "small").rglob("*")) if p.is_file()]
    names = [rng.choice(small) for _ in range(READS)]
    for path in large:  # verified before, and in the page cache, for both
        store.cat_file(f"big:v0/{path.relative_to(work / 'big')}", 0, 1)
    rows: list[tuple[str, Callable[..., None], str, Any]] = [
        ("64 KiB of big, by cat_file", ranges, "big", places),
        ("64 KiB of one open file of big", one_file, "big", inside),
        ("whole files of small, by cat_file", whole, "small", names),
        ("whole files of small, by open", opened, "small", names),
    ]
    for text, read, name, wanted in rows:
        ratios = []
        for _ in range(given.rounds):
            ours = timed(read, store, f"{name}:latest", wanted)
            theirs = timed(read, local, str(work / name), wanted)
            ratios.append(ours / theirs)
        print(f"{text:36} {statistics.median(ratios):5.2f} × LocalFileSystem   ({ours:.2f} s, {theirs:.2f} s)")


if __name__ == "__main__":
    main()
