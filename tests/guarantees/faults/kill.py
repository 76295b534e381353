"""The kill matrix: each command is killed before each call that touches the store, its source or its target.

    python -m tests.guarantees.faults.kill [--commands put-first,gc] [--every N] [--point CALL:NUMBER:PADDING]

After each kill: fsck and the independent reader find nothing, every acknowledged version reads back equal, the same
command then works, and so does `gc --now`, which leaves nothing behind.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.guarantees.faults import strace
from tests.guarantees.faults.commands import COMMANDS
from tests.guarantees.faults.place import Findings
from tests.guarantees.faults.strace import Point
from tests.guarantees.faults.trial import Prepared, aftermath, in_parallel, prepare, scratch_folder, workers


class Outcome(NamedTuple):
    command: str
    point: Point
    reached: bool
    """False when the command ended before: its threads share the work differently each time"""
    findings: Findings


def try_kill(prepared: Prepared, point: Point) -> Outcome:
    with prepared.fresh() as place:
        done = strace.inject(prepared.command.arguments(place), place, point, "signal=KILL")
        wrong = [] if done.reached or not done.code else [f"without a kill: {done}"]
        return Outcome(prepared.name, point, done.reached, aftermath(prepared, place).and_wrong(wrong))


def kills(names: list[str], scratch: Path, every: int = 1, only: str | None = None) -> Iterator[Outcome]:
    """Kill at every N-th point of each command, beginning with another point for each."""
    with workers() as pool:
        jobs: list[tuple[object, ...]] = []
        for number, (prepared, points) in enumerate(in_parallel(pool, prepare, [(name, scratch) for name in names])):
            chosen = [point for point in points if only is None or str(point).startswith(only + " ")]
            jobs += [(prepared, point) for point in chosen[number % every :: every]]
        yield from in_parallel(pool, try_kill, jobs)


def report(outcomes: list[Outcome]) -> str:
    lines = [f"{'COMMAND':14} {'CALLS TRIED':>11} {'NOT REACHED':>11} {'LOST':>5} {'WRONG':>5}"]
    for name in dict.fromkeys(outcome.command for outcome in outcomes):
        of = [outcome for outcome in outcomes if outcome.command == name]
        tried = sum(outcome.reached for outcome in of)
        lost, wrong = (sum(bool(outcome.findings[field]) for outcome in of) for field in (0, 1))
        lines.append(f"{name:14} {tried:11} {len(of) - tried:11} {lost:5} {wrong:5}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--commands", default=",".join(COMMANDS), help="which, by commas (default: all)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th call")
    parser.add_argument("--point", help="only this call, as a report names it")
    parser.add_argument("--folder", help="where to work (default: the system's folder for temporary files)")
    options = parser.parse_args()
    if reason := strace.missing():
        sys.exit(reason)
    outcomes = []
    with scratch_folder(options.folder) as scratch:
        for outcome in kills(options.commands.split(","), scratch, options.every, options.point):
            outcomes.append(outcome)
            for problem in (*outcome.findings.lost, *outcome.findings.wrong):
                print(f"{outcome.command} {outcome.point}: {problem}", flush=True)
    print(report(outcomes))
    return int(any(outcome.findings for outcome in outcomes) or not outcomes)


if __name__ == "__main__":
    sys.exit(main())
