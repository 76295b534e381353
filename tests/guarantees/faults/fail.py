"""The failure matrix: each call that touches the store, its source or its target fails once, or from then on.

    python -m tests.guarantees.faults.fail [--commands put-first,gc] [--errors EIO,ENOSPC] [--every N] [--point CALL:NUMBER:PADDING]

The command either succeeds in full or ends with one of our errors: an exit code of errors.py and one sentence. After
each: what the kill matrix asks for.
"""

import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from artstore.errors import Damage
from tests.guarantees.faults import strace
from tests.guarantees.faults.place import Place
from tests.guarantees.faults.process import Result, in_child
from tests.guarantees.faults.strace import Point
from tests.guarantees.faults.trial import (
    Outcome,
    Prepared,
    aftermath,
    arguments,
    in_parallel,
    played,
    prepare,
    scratch_folder,
    table,
    workers,
)

_NAMES = {
    "openat", "link", "linkat", "symlinkat", "rename", "renameat", "renameat2",
    "unlink", "unlinkat", "rmdir", "mkdir", "mkdirat",
}  # fmt: skip
_WRITES = {"write", "writev", "pwrite64", "copy_file_range", "ftruncate", "fsync", "fdatasync", "syncfs"}
POSSIBLE = {
    "EIO": set(strace.CALLS),
    "ENOSPC": _NAMES | _WRITES,  # btrfs needs space to remove, too
    "EACCES": _NAMES | {"newfstatat", "statx"},
    "EROFS": _NAMES | _WRITES,  # ext4 turns read-only after an error of its own
    "EMFILE": {"openat"},
}
"""Which calls answer so, by their manual pages and by what file systems do."""


class Failure(NamedTuple):
    point: Point
    error: str
    from_then_on: bool

    def __str__(self) -> str:
        return f"{self.error}{'+' if self.from_then_on else ''} at {self.point}"


def failures(points: list[Point], errors: list[str], every: int) -> list[Failure]:
    """Every possible failure at each point; every N-th of them."""
    possible = [(p, error) for p in points for error in errors if p.call in POSSIBLE[error]]
    return [Failure(p, error, on) for p, error in possible for on in (False, True)][::every]


def try_failure(prepared: Prepared, failure: Failure) -> Outcome:
    with prepared.fresh() as place:
        done = prepared.inject(place, failure.point, f"error={failure.error}", from_then_on=failure.from_then_on)
        mute = failure.from_then_on and failure.point.call in ("write", "writev")
        wrong = [*how_it_ended(prepared, place, done, mute=mute), *done.beside]
        return Outcome(
            prepared.name, failure, done.reached, done.code == 0, aftermath(prepared, place).and_wrong(wrong)
        )


def how_it_ended(prepared: Prepared, place: Place, done: Result, *, mute: bool = False) -> list[str]:
    """What is wrong with the end of a command that met a failure; `mute`: it may not have been able to say anything."""
    if done.code == 0:
        return [f"exit 0, but {problem}" for problem in in_child(lambda: prepared.command.done(place))]
    if "Traceback" in done.err or not (done.code == 1 or 3 <= done.code <= 10):
        return [f"exit {done.code}: {_last_lines(done.err)}"]
    if prepared.command.mends and done.code == Damage.exit_code and "problem: " in done.out:
        return []  # it says what it could not mend
    lines = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
    if mute and not lines:
        return []
    good = lines and re.match(r"error: \S", lines[0]) and all(re.match(r"hint: \S|  ", line) for line in lines[1:])
    return [] if good else [f"exit {done.code}, but not one error: {_last_lines(done.err)}"]


def _last_lines(text: str) -> str:
    """The end of a message; of a traceback also where it came from."""
    places = re.findall(r'artstore/(\S+\.py)", line (\d+)', text)
    where = f" [{' '.join(':'.join(place) for place in places[-4:])}]" if places else ""
    return " | ".join(text.strip().splitlines()[-2:])[-300:] + where


def fails(
    names: list[str], scratch: Path, errors: list[str] | None = None, every: int = 1, only: str | None = None
) -> Iterator[Outcome]:
    with workers() as pool:
        jobs: list[tuple[object, ...]] = []
        for prepared, points in in_parallel(pool, prepare, [(name, scratch) for name in names]):
            chosen = [point for point in points if only is None or str(point).startswith(only + " ")]
            jobs += [(prepared, failure) for failure in failures(chosen, errors or list(POSSIBLE), every)]
        yield from in_parallel(pool, try_failure, jobs)


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--errors", default=",".join(POSSIBLE), help="which, by commas (default: all)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th failure")
    parser.add_argument("--point", help="only this call, as a report names it")
    options = parser.parse_args()
    if reason := strace.missing():
        sys.exit(reason)
    with scratch_folder(options.folder) as scratch:
        chosen = options.commands.split(","), scratch, options.errors.split(","), options.every, options.point
        return played(fails(*chosen), partial(table, "FAILURES TRIED", succeeded=True))


if __name__ == "__main__":
    sys.exit(main())
