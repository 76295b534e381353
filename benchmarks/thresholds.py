"""From which size on a blob should be a file of its own: save and restore with thresholds of 1, 4 and 16 MiB.

`python -m benchmarks.thresholds FOLDER`
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks import workloads

MODULES = [
    "store.packs",
    "store.objects",
    "store.transaction",
    "operations.saving.scan",
    "operations.saving.reading",
    "operations.restoring.compare",
    "operations.restoring.writing",
    "store.statcache",
    "operations.upkeep.fsck",
    "repository",
]
RUN = """
import importlib, sys, time
for name in {modules!r}:
    module = importlib.import_module("artstore." + name)
    if hasattr(module, "LARGE"):
        module.LARGE = {limit}
from artstore.repository import Repository
source, store, out = sys.argv[1:]
with Repository.init(store) as repository:
    start = time.perf_counter()
    repository.put(source, "data")
    saved = time.perf_counter()
    repository.get(repository.find("data"), out)
    print(saved - start, time.perf_counter() - saved)
"""


def measure(source: Path, work: Path, limit: int, number: int) -> tuple[float, float]:
    """Seconds of a save and of a restore, each into new folders."""
    code = RUN.format(modules=MODULES, limit=limit)
    store, out = work / f"store{number}", work / f"out{number}"
    command = [sys.executable, "-c", code, str(source), str(store), str(out)]
    subprocess.run(["sync"], check=True)  # or each run pays for what the one before left to be written
    save, restore = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(save), float(restore)


def main() -> None:
    work = Path(sys.argv[1])
    scales = {"images": 0.15, "medium": 0.3, "mixed": 1.0}
    print("| workload | threshold | save, s | restore, s |\n|---|---|---|---|")
    number = 0
    for name, scale in scales.items():
        workloads.make(name, work / name, scale)
        runs: dict[int, list[tuple[float, float]]] = {1: [], 4: [], 16: []}
        for turn in range(3):
            for limit in (*list(runs)[turn:], *list(runs)[:turn]):
                number += 1
                runs[limit].append(measure(work / name, work, limit << 20, number))
        for limit, times in runs.items():
            save, restore = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"| `{name}` × {scale} | {limit} MiB | {save:.2f} | {restore:.2f} |", flush=True)
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
