"""The kill matrix: each command is killed before each call that touches the store, its source or its target.

    python -m tests.guarantees.faults.kill [--commands put-first,gc] [--every N] [--changes] [--point CALL:NUMBER:PADDING]

After each kill: fsck and the independent reader find nothing, every acknowledged version reads back equal, the same
command then works, and so does `gc --now`, which leaves nothing behind.
"""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.guarantees.faults import strace
from tests.guarantees.faults.process import in_child
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


def try_kill(prepared: Prepared, point: Point) -> Outcome:
    with prepared.fresh() as place:
        done = prepared.inject(place, point, "signal=KILL")
        wrong = [] if done.reached or not done.code else [f"without a kill: {done}"]
        if done.code == 0:
            wrong += [f"exit 0, but {problem}" for problem in in_child(lambda: prepared.command.done(place))]
        findings = aftermath(prepared, place).and_wrong(wrong)
        return Outcome(prepared.name, point, done.reached, done.code == 0, findings)


def kills(
    names: list[str], scratch: Path, every: int = 1, only: str | None = None, *, changes: bool = False
) -> Iterator[Outcome]:
    """Kill at every N-th point of each command, beginning with another point for each.

    `changes`: at calls that change something. A kill before a call that reads leaves what one before the next change does.
    """
    with workers() as pool:
        jobs: list[tuple[object, ...]] = []
        for number, (prepared, points) in enumerate(in_parallel(pool, prepare, [(name, scratch) for name in names])):
            chosen = [point for point in points if only is None or str(point).startswith(only + " ")]
            chosen = [point for point in chosen if not changes or point.call not in strace.READING]
            jobs += [(prepared, point) for point in chosen[number % every :: every]]
        yield from in_parallel(pool, try_kill, jobs)


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th call")
    parser.add_argument("--changes", action="store_true", help="only calls that change something, and answers")
    parser.add_argument("--point", help="only this call, as a report names it")
    options = parser.parse_args()
    if reason := strace.missing():
        sys.exit(reason)
    with scratch_folder(options.folder) as scratch:
        outcomes = kills(options.commands.split(","), scratch, options.every, options.point, changes=options.changes)
        return played(outcomes, partial(table, "CALLS TRIED", succeeded=False))


if __name__ == "__main__":
    sys.exit(main())
