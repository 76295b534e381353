"""Eight processes saving one small version each, over and over: how many a second, how long each, and is any lost?"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import quantiles

from benchmarks.measure import CommandError, run_untimed
from benchmarks.place import Place
from benchmarks.results import WritersResult

WRITERS = 8
CASES = {"writers-one-collection": "data", "writers-own-collections": "data-{writer}"}


@dataclass
class Ledger:
    """What one writer was told: the spec of each save that was reported done, with the text it saved."""

    saved: list[tuple[str, str]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def run(place: Place, name: str, duration_seconds: float) -> WritersResult:
    store = place.new("store")
    folders = [place.new(f"writer{number}") for number in range(WRITERS)]
    collections = [CASES[name].format(writer=number) for number in range(WRITERS)]
    start = time.monotonic()
    end = start + duration_seconds
    with ThreadPoolExecutor(WRITERS) as pool:
        save = partial(_save_until, place, store, end)
        ledgers = list(pool.map(save, folders, collections))
    elapsed_seconds = time.monotonic() - start
    saved = [entry for ledger in ledgers for entry in ledger.saved]
    seconds = [second for ledger in ledgers for second in ledger.seconds]
    errors = [place.bench.without_paths(error) for ledger in ledgers for error in ledger.errors]
    percentiles = quantiles(seconds, n=20) if len(seconds) > 1 else [0.0] * 19
    lost = sum(not _holds(place, store, spec, text) for spec, text in saved)
    lost += len(saved) - len({spec for spec, _ in saved})
    errors += _fsck_errors(place, store)
    rate = len(saved) / elapsed_seconds
    return WritersResult(
        name, WRITERS, elapsed_seconds, len(saved), rate, percentiles[9], percentiles[18], lost, errors
    )


def _save_until(place: Place, store: Path, end: float, folder: Path, collection: str) -> Ledger:
    ledger = Ledger()
    folder.mkdir()
    command = place.bench.artstore(store, "put", folder, "--name", collection)
    while time.monotonic() < end:
        text = f"{folder.name} {len(ledger.seconds)}"
        (folder / "value.txt").write_text(text)
        start = time.monotonic()
        try:
            printed = run_untimed(command)
        except CommandError as error:
            ledger.errors.append(str(error))
            break
        ledger.seconds.append(time.monotonic() - start)
        spec = re.search(rf"{collection}:v\d+", printed)
        ledger.saved.append((spec.group() if spec else f"{collection}:none", text))
    return ledger


def _holds(place: Place, store: Path, spec: str, text: str) -> bool:
    try:
        return run_untimed(place.bench.artstore(store, "cat", spec, "value.txt")) == text
    except CommandError:
        return False


def _fsck_errors(place: Place, store: Path) -> list[str]:
    try:
        run_untimed(place.bench.artstore(store, "fsck"))
    except CommandError as error:
        return [f"fsck: {error}"]
    return []
