"""The failure matrix by places in the code: wherever the package calls the operating system, each answer it may get.

    python -m tests.guarantees.faults.sites [--commands put-first,gc] [--once] [--only CALL@MODULE:LINE]

`fail` takes the calls as the kernel sees them, and of a loop every one; this takes the lines that make them, each when it
is first reached and, where it is reached again, the last time. So it meets all of them in minutes, and needs no strace.
"""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.guarantees.faults import process
from tests.guarantees.faults.fail import how_it_ended
from tests.guarantees.faults.place import Place
from tests.guarantees.faults.process import Result
from tests.guarantees.faults.strace import environment
from tests.guarantees.faults.trial import (
    COMMANDS,
    Outcome,
    Prepared,
    aftermath,
    arguments,
    in_parallel,
    played,
    prepared_place,
    scratch_folder,
    workers,
)

_NAMES = ("EIO", "ENOSPC", "EACCES")
ANSWERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("open", "stat", "lstat"), ("EIO", "EACCES", "ENOENT")),
    **dict.fromkeys(("fstat", "listdir", "scandir", "pread", "preadv", "read", "readv", "lseek", "readlink"), ("EIO",)),
    **dict.fromkeys(("write", "writev", "pwrite", "copy_file_range", "ftruncate", "fsync"), ("EIO", "ENOSPC")),
    **dict.fromkeys(("mkdir", "makedirs", "symlink", "rename", "replace", "unlink", "rmdir"), _NAMES),
    **dict.fromkeys(("utime", "chmod", "fchmod", "chown", "statvfs"), ("EIO", "EACCES")),
    "link": (*_NAMES, "EPERM", "EMLINK"),
}
"""What each call may be told, by the manual pages. ENOENT where others may have been faster; EPERM and EMLINK where there
are no links, or no more of them.
"""

TOLD_APART = ("EIO", "ENOENT", "EPERM")
"""After these the code goes on in ways of their own; the others it takes as it does EIO, and says so in other words."""


class Site(NamedTuple):
    """A line of the package that makes a call."""

    call: str
    module: str
    line: int

    def __str__(self) -> str:
        return f"{self.call}@{self.module}:{self.line}"


class Failure(NamedTuple):
    site: Site
    time: int
    """the how-manieth time that the line is reached"""
    error: str

    def __str__(self) -> str:
        return f"{self.error} at {self.site}, time {self.time}"


def watch(meet: Callable[[Site], None]) -> None:
    """From now on, in this process, `meet` is asked before each call that the package makes."""
    for name in ANSWERS:
        setattr(os, name, partial(_called, meet, name, getattr(os, name)))


def _called(meet: Callable[[Site], None], name: str, real: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    caller = sys._getframe(1)
    if (module := caller.f_globals.get("__name__", "")).startswith("artstore"):
        meet(Site(name, module, caller.f_lineno))
    return real(*args, **kwargs)


def _run(prepared: Prepared, place: Place, meet: Callable[[Site], None]) -> Result:
    folder = place.folder.parent
    arguments = prepared.command.arguments(place)
    return process.start(arguments, environment(place), folder, before=lambda: watch(meet)).result()


def sites(prepared: Prepared) -> dict[Site, int]:
    """The lines that a command reaches, in order, and how often."""
    with prepared.fresh() as place:
        told = place.folder.parent / "sites"
        out = told.open("w", buffering=1)
        _run(prepared, place, lambda site: print(*site, file=out))
        out.close()
        counts: dict[Site, int] = {}
        for line in told.read_text().splitlines():
            call, module, number = line.split()
            site = Site(call, module, int(number))
            counts[site] = counts.get(site, 0) + 1
        return counts


def failures(counts: dict[Site, int]) -> Iterator[Failure]:
    for site, count in counts.items():
        for error in ANSWERS[site.call]:
            yield Failure(site, 1, error)
        if count > 1:
            yield Failure(site, count, ANSWERS[site.call][0])


class _Once:
    """Answers with the failure when its time has come, and leaves a mark that it did."""

    def __init__(self, failure: Failure, mark: Path) -> None:
        self._failure = failure
        self._mark = mark.open("wb", buffering=0)
        self._seen = 0

    def __call__(self, site: Site) -> None:
        if site == self._failure.site:
            self._seen += 1
            if self._seen == self._failure.time:
                self._mark.write(b"x")
                number = getattr(errno, self._failure.error)
                raise OSError(number, os.strerror(number))


def try_failure(prepared: Prepared, failure: Failure) -> Outcome:
    with prepared.fresh() as place:
        mark = place.folder.parent / "mark"
        done = _run(prepared, place, _Once(failure, mark))
        wrong = how_it_ended(prepared, place, done)
        reached = mark.stat().st_size > 0
        return Outcome(prepared.name, failure, reached, done.code == 0, aftermath(prepared, place).and_wrong(wrong))


def prepare(name: str, scratch: Path) -> tuple[Prepared, list[Failure]]:
    prepared = prepared_place(name, scratch)
    return prepared, list(failures(sites(prepared)))


def fails(names: list[str], scratch: Path, *, once: bool = False, only: str | None = None) -> Iterator[Outcome]:
    """Each command with each of its failures; `once`: of a line only those that the code tells apart, when it is first
    reached, in the first command that does.
    """
    with workers() as pool:
        jobs: list[tuple[object, ...]] = []
        known: set[Site] = set()
        for prepared, found in in_parallel(pool, prepare, [(name, scratch) for name in names]):
            chosen = [failure for failure in found if only is None or re.search(only, str(failure))]
            if once:
                chosen = [f for f in chosen if f.site not in known and f.time == 1 and f.error in TOLD_APART]
                known |= {failure.site for failure in found}
            jobs += [(prepared, failure) for failure in chosen]
        yield from in_parallel(pool, try_failure, jobs)


def report(outcomes: list[Outcome]) -> str:
    reached = sum(outcome.reached for outcome in outcomes)
    wrong = sum(bool(outcome.findings) for outcome in outcomes)
    return f"{len(outcomes)} failures tried, {reached} reached, {wrong} with findings"


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--once", action="store_true", help="as the tests do: a line in one command, some answers")
    parser.add_argument("--only", help="only failures whose name in a report matches this pattern")
    parser.set_defaults(commands=",".join(name for name, command in COMMANDS.items() if not command.is_served))
    options = parser.parse_args()
    with scratch_folder(options.folder) as scratch:
        return played(fails(options.commands.split(","), scratch, once=options.once, only=options.only), report)


if __name__ == "__main__":
    sys.exit(main())
