"""Everyday commands in a large store, each as a whole process in turn with a start of the command line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.measure import Command, CommandError, Run, measure, run_untimed
from benchmarks.place import Place

LONG_SECONDS, LONG_ROUNDS = 2.0, 2
"""A command that takes so long is run so often only."""


@dataclass(frozen=True)
class Chore:
    """A command in a store; in its arguments `{run}` is the number of the run, `{middle}` and `{next}` those of items in
    the middle, `{beside}` the folder that the store lies in. `before` prepares a run, untimed.
    """

    label: str
    argv: tuple[str, ...]
    before: Callable[[Place, int], None]
    store: str


def _nothing(place: Place, run: int) -> None:
    pass


def _change_value(place: Place, run: int) -> None:
    folder = place.root / "folder"
    folder.mkdir(exist_ok=True)
    (folder / "value.txt").write_text(f"chore {run}\n")


def _save_value(place: Place, run: int) -> None:
    _change_value(place, run)
    run_untimed(place.bench.artstore(place.root / "store", "put", place.root / "folder", "--name", "data"))


def _remove_cache(place: Place, run: int) -> None:
    shutil.rmtree(place.root / "store" / "cache", ignore_errors=True)


def _chore(line: str, label: str = "", before: Callable[[Place, int], None] = _nothing, store: str = "store") -> Chore:
    return Chore(label or re.sub(r"\{[^}]*\}/?", "", line), tuple(line.split()), before, store)


UPKEEP = [_chore("du"), _chore("gc --dry-run"), _chore("fsck --quick"), _chore("fsck")]
PUT = _chore("put {beside}/folder --name another", "put into another", _change_value)
REMOVE = _chore("rm another:latest")

CHORES = {
    "versions": [
        _chore("ls"),
        _chore("ls data:v{middle}"),
        _chore("show data:v{middle}"),
        _chore("cat data:v{middle} value.txt"),
        _chore("diff data:v{middle} data:v{next}"),
        _chore("alias data:v{middle} chore-{run}"),
        _chore("tag data:v{middle} chore-{run}"),
        _chore("status {beside}/folder"),
        _chore("verify data {beside}/folder"),
        _chore("get data:v{middle} --root {beside}/got-{run}"),
        _chore("lineage data:v{middle}"),
        _chore("log data"),
        _chore("log data --json"),
        _chore("ls --where size<0"),
        _chore("prune data --keep last:5,aliased,tagged --dry-run"),
        _chore("put {beside}/folder --name data", "put into data", _change_value),
        PUT,
        REMOVE,
        *UPKEEP,
    ],
    "collections": [
        _chore("ls"),
        _chore("ls c0007"),
        _chore("show c0007"),
        _chore("log c0007"),
        _chore("cat c0007 d0000/f0000050.bin"),
        _chore("alias c0007:v0 chore-{run}"),
        _chore("status {beside}/hundred"),
        _chore("ls --where size<0"),
        _chore("prune --dry-run"),
        PUT,
        REMOVE,
        *UPKEEP,
    ],
    "runs": [
        _chore("runs ls"),
        _chore("runs ls", "runs ls without a cache", _remove_cache),
        _chore("runs show run-{middle:06d}"),
        _chore("runs show run-{middle:06d} --history"),
        _chore("runs ls --where config.number={middle}"),
        _chore("lineage model-0000:v7"),
        _chore("lineage data", "lineage of what all used"),
        _chore("ls"),
        _chore("show model-0000:v7"),
        _chore("log model-0000"),
        _chore("cat model-0000:v7 weights"),
        _chore("alias model-0000:v7 chore-{run}"),
        PUT,
        REMOVE,
        *UPKEEP,
    ],
    "pushes": [
        _chore("push", "push, up to date"),
        _chore("push", "push of one version", _save_value),
        _chore("fetch"),
        _chore("pull"),
        _chore("pull", "pull in the other clone", store="other"),
        _chore("status {beside}/folder"),
        _chore("show data"),
        _chore("cat data --from origin value.txt"),
        _chore("clone {beside}/remote {beside}/clone-{run}"),
        _chore("du origin"),
        _chore("gc origin --dry-run"),
        _chore("fsck origin --quick"),
    ],
    "files": [
        _chore("put {tree} --name data", "put, unchanged"),
        _chore("ls data"),
        _chore("ls data d0000"),
        _chore("ls data --recursive"),
        _chore("show data"),
        _chore("log data"),
        _chore("cat data d0000/f0000000.bin"),
        _chore("diff data:v0 data:v1"),
        _chore("alias data:v0 chore-{run}"),
        _chore("status {tree}"),
        _chore("verify data {tree}"),
        _chore("get data --root {beside}/got-{run}"),
        PUT,
        REMOVE,
        *UPKEEP,
    ],
}


@dataclass
class Done:
    """A command's runs in a store of so many items, the starts beside them, and the peak of its RssAnon."""

    work: str
    label: str
    command: str
    items: int
    runs: list[Run] = field(default_factory=list)
    starts: list[Run] = field(default_factory=list)
    peak_anon_bytes: int = 0
    error: str = ""

    @property
    def seconds(self) -> float:
        return median(run.seconds for run in self.runs)

    @property
    def processor_seconds(self) -> float:
        return median(map(_processor_seconds, self.runs))

    @property
    def seconds_over_start(self) -> float:
        """The ratio, by pairs."""
        return median(run.seconds / start.seconds for run, start in zip(self.runs, self.starts, strict=True))

    @property
    def processor_over_start(self) -> float:
        """The ratio, by pairs."""
        pairs = zip(map(_processor_seconds, self.runs), map(_processor_seconds, self.starts), strict=True)
        return median(run / start for run, start in pairs)

    @property
    def processor_seconds_per_item(self) -> float:
        """Beyond a start."""
        return max(0.0, self.processor_seconds - median(map(_processor_seconds, self.starts))) / self.items


def _processor_seconds(run: Run) -> float:
    return run.user_seconds + run.system_seconds


def do(place: Place, work: str, chore: Chore, items: int, first_run: int, **words: object) -> Done:
    """Once to warm up and to look at its memory, then in turn with a start. Runs are numbered from `first_run` on."""
    bench, beside = place.bench, place.root
    done, rounds = Done(work, chore.label, "", items), bench.settings.rounds

    def command(run: int) -> Command:
        chore.before(place, run)
        known = {"run": run, "middle": items // 2, "next": items // 2 + 1, "beside": beside, **words}
        return bench.artstore(beside / chore.store, *(word.format(**known) for word in chore.argv))

    try:
        warming = command(first_run)
        done.command = bench.shown(warming)
        first = measure(warming, memory=True)
        done.peak_anon_bytes = first.peak_anon_bytes or 0
        for turn in range(min(rounds, LONG_ROUNDS) if first.seconds > LONG_SECONDS else rounds):
            timed = command(first_run + 1 + turn)
            done.starts.append(measure(bench.start()))
            done.runs.append(measure(timed))
    except CommandError as error:
        done.error = bench.without_paths(str(error))
    return done


def once(place: Place, work: str, label: str, items: int, argv: tuple[str | Path, ...]) -> Done:
    """One run of a command that can't be repeated."""
    command = place.bench.artstore(place.root / "store", *argv)
    done = Done(work, label, place.bench.shown(command), items, starts=[measure(place.bench.start())])
    run = measure(command, memory=True)
    done.runs, done.peak_anon_bytes = [run], run.peak_anon_bytes or 0
    return done
