"""One trial: a fresh copy of a prepared place, a fault, and all that must hold afterwards."""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

from tests.guarantees.faults import served, strace
from tests.guarantees.faults.commands import COMMANDS as LOCAL
from tests.guarantees.faults.commands import Command
from tests.guarantees.faults.packed_commands import COMMANDS as PACKED
from tests.guarantees.faults.place import Findings, Ledger, Place
from tests.guarantees.faults.process import Result, import_all, in_child
from tests.guarantees.faults.served_commands import COMMANDS as SERVED
from tests.guarantees.faults.strace import Point

T = TypeVar("T")
WORKERS = 2
COMMANDS = {**LOCAL, **PACKED, **SERVED}


class Prepared(NamedTuple):
    """A command's place as prepared once, with the ledger beside it."""

    name: str
    folder: Path

    @property
    def command(self) -> Command:
        return COMMANDS[self.name]

    @property
    def ledger(self) -> Ledger:
        return Ledger.load(self.folder / "ledger")

    @contextmanager
    def fresh(self) -> Iterator[Place]:
        """A copy of the place that nobody touched, removed afterwards."""
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            place = Place(self.folder / "place").copy(Path(scratch, "place"))
            in_child(lambda: self.command.warm(place))
            yield place

    def run(self, place: Place) -> Result:
        """The command without any fault."""
        return (served if self.command.is_served else strace).run(self.command.arguments(place), place)

    def points(self, place: Place) -> list[Point]:
        """Every call at which a fault may be injected."""
        return strace.points(self._traced(place), place)

    def inject(self, place: Place, point: Point, fault: str, *, from_then_on: bool = False) -> Result:
        """The command, or the server to which it talks, with a fault."""
        return strace.inject(self._traced(place), point, fault, from_then_on=from_then_on)

    def _traced(self, place: Place) -> strace.Traced:
        run = served.traced if self.command.is_served else strace.traced
        return partial(run, self.command.arguments(place), place)


def prepare(name: str, scratch: Path) -> tuple[Prepared, list[Point]]:
    """Make a command's place, and list its calls."""
    prepared = prepared_place(name, scratch)
    with prepared.fresh() as copy:
        return prepared, prepared.points(copy)


def prepared_place(name: str, scratch: Path) -> Prepared:
    """Make a command's place, and see that it works there."""
    prepared = Prepared(name, scratch / name)
    place, ledger = Place(prepared.folder / "place"), Ledger({}, {}, {})
    place.folder.mkdir(parents=True)

    def make() -> None:
        prepared.command.prepare(place, ledger)
        ledger.save(prepared.folder / "ledger")

    in_child(make)
    with prepared.fresh() as copy:
        done = prepared.run(copy)
        if done.code or (problems := in_child(lambda: _undone(prepared.command, copy))):
            raise RuntimeError(f"{name} fails without any fault: {done if done.code else problems}")
    return prepared


def aftermath(prepared: Prepared, place: Place) -> Findings:
    """After a fault: nothing is lost or damaged, the same command works, gc works, and nothing stays behind."""
    command, ledger = prepared.command, prepared.ledger
    found = [] if command.mends else [in_child(lambda: place.check(ledger).and_wrong(command.halfway(place)))]
    again = prepared.run(place)
    if again.code and command.already not in again.err:
        found.append(Findings([], [f"the same command again: exit {again.code}, {again.err.strip()}"]))
    found.append(in_child(lambda: place.check(ledger).and_wrong(_undone(command, place))))
    for where in [[], [str(place.remote)]] if place.remote.exists() else [[]]:
        gc = strace.run(["gc", "--now", *where], place)
        if gc.code or "because of open work" in gc.out or "problem:" in gc.out:
            found.append(Findings([], [f"gc --now: exit {gc.code}, {gc.out}{gc.err}".strip()]))
    found.append(in_child(lambda: place.check(ledger).and_wrong(_undone(command, place) + _left_over(command, place))))
    return Findings(_unique(item.lost for item in found), _unique(item.wrong for item in found))


def _undone(command: Command, place: Place) -> list[str]:
    """What is wrong after a command ran without a fault."""
    return command.done(place) + command.again(place)


def _left_over(command: Command, place: Place) -> list[str]:
    """But for the evidence that a repair keeps."""
    return [left for left in place.left_over() if not (command.mends and "/bad/" in left)]


def _unique(lists: Iterable[list[str]]) -> list[str]:
    return list(dict.fromkeys(text for items in lists for text in items))


@contextmanager
def scratch_folder(below: str | None = None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir=below))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def workers() -> Iterator[ProcessPoolExecutor]:
    """Processes that may fork: spawned anew, with one thread each."""
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"), initializer=import_all) as pool:
        yield pool


def in_parallel(pool: ProcessPoolExecutor, work: Callable[..., T], jobs: list[tuple[object, ...]]) -> Iterator[T]:
    """Results in the jobs' order."""
    yield from (future.result() for future in [pool.submit(work, *job) for job in jobs])


class Outcome(NamedTuple):
    """How one trial of a matrix went."""

    command: str
    fault: object
    """the call at which the command was killed, or the failure that it met"""
    reached: bool
    """False when the command ended before: its threads share the work differently each time"""
    succeeded: bool
    findings: Findings


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """The options that all matrices have; `doc` is the matrix's own docstring."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--commands", default=",".join(COMMANDS), help="which, by commas (default: all)")
    parser.add_argument("--folder", help="where to work (default: the system's folder for temporary files)")
    return parser


def played(outcomes: Iterable[Outcome], report: Callable[[list[Outcome]], str]) -> int:
    """Print each finding as it comes, and the report; the exit code: 1 for findings, and where nothing was tried."""
    seen = []
    for outcome in outcomes:
        seen.append(outcome)
        for problem in (*outcome.findings.lost, *outcome.findings.wrong):
            print(f"{outcome.command} {outcome.fault}: {problem}", flush=True)
    print(report(seen))
    return int(any(outcome.findings for outcome in seen) or not seen)


def table(tried: str, outcomes: list[Outcome], *, succeeded: bool) -> str:
    """A row for each command; the column of what was tried has this title."""
    wide = max(11, len(tried))
    lines = [f"{'COMMAND':14} {tried:>{wide}} {'NOT REACHED':>11}{' SUCCEEDED' * succeeded} {'LOST':>5} {'WRONG':>5}"]
    for name in dict.fromkeys(outcome.command for outcome in outcomes):
        of = [outcome for outcome in outcomes if outcome.command == name]
        reached = [outcome for outcome in of if outcome.reached]
        lost, wrong = (sum(bool(outcome.findings[field]) for outcome in of) for field in (0, 1))
        ended = f"{sum(outcome.succeeded for outcome in reached):10}" if succeeded else ""
        lines.append(f"{name:14} {len(reached):{wide}} {len(of) - len(reached):11}{ended} {lost:5} {wrong:5}")
    return "\n".join(lines)
