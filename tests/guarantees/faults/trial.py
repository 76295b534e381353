"""One trial: a fresh copy of a prepared place, a fault, and all that must hold afterwards."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

from tests.guarantees.faults import strace
from tests.guarantees.faults.commands import COMMANDS, Command
from tests.guarantees.faults.place import Findings, Ledger, Place
from tests.guarantees.faults.process import Result, import_all, in_child
from tests.guarantees.faults.strace import Point

T = TypeVar("T")
WORKERS = 2


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
        return strace.run(self.command.arguments(place), place)


def prepare(name: str, scratch: Path) -> tuple[Prepared, list[Point]]:
    """Make a command's place, and list its calls."""
    prepared = prepared_place(name, scratch)
    with prepared.fresh() as copy:
        return prepared, strace.points(prepared.command.arguments(copy), copy)


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
        if done.code or (problems := in_child(lambda: prepared.command.done(copy))):
            raise RuntimeError(f"{name} fails without any fault: {done if done.code else problems}")
    return prepared


def aftermath(prepared: Prepared, place: Place) -> Findings:
    """After a fault: nothing is lost or damaged, the same command works, gc works, and nothing stays behind."""
    command, ledger = prepared.command, prepared.ledger
    found = [] if command.mends else [in_child(lambda: place.check(ledger).and_wrong(command.halfway(place)))]
    again = prepared.run(place)
    if again.code and command.already not in again.err:
        found.append(Findings([], [f"the same command again: exit {again.code}, {again.err.strip()}"]))
    found.append(in_child(lambda: place.check(ledger).and_wrong(command.done(place))))
    for where in [[], [str(place.remote)]] if place.remote.exists() else [[]]:
        gc = strace.run(["gc", "--now", *where], place)
        if gc.code or "because of open work" in gc.out or "problem:" in gc.out:
            found.append(Findings([], [f"gc --now: exit {gc.code}, {gc.out}{gc.err}".strip()]))
    found.append(in_child(lambda: place.check(ledger).and_wrong(command.done(place) + _left_over(command, place))))
    return Findings(_unique(item.lost for item in found), _unique(item.wrong for item in found))


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
