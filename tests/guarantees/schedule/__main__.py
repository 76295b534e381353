"""Many schedules of real saves, copies, deletions, collections and merges, step by step, with crashes: what must hold, holds.

    python -m tests.guarantees.schedule [--schedules 20000] [--seed N] [--casts TEXT] [--mutation NUMBER|all]
    python -m tests.guarantees.schedule --casts 'plain: saver collector' --replay 'saver 12, collector 40 dies, saver' [--mutation NUMBER]

Without a mutation all schedules are played, divided among the casts, and every violation is told with the schedule that shows
it. With one (1 to 9, as the models name them) they end with the first violation: one has to be found, by the search or, where
that takes too many changes of turns, by the schedule that is known to show it. `--replay` plays one schedule and tells its
steps. Schedules are the same whenever the seed is (and strings hash the same, which is seen to).
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from random import Random

from tests.guarantees.schedule.explore import play, randomly, schedule_of, systematic, told
from tests.guarantees.schedule.mutations import KNOWN, mutated
from tests.guarantees.schedule.packing_model import NO_SECOND_LOOK, ONE_COPY, PACKS_ONCE
from tests.guarantees.schedule.protocol_model import MUTATIONS as OF_SAVING
from tests.guarantees.schedule.stage import Played, Stage

MUTATIONS = (*OF_SAVING, PACKS_ONCE, NO_SECOND_LOOK, ONE_COPY)

Cast = tuple[str, tuple[str, ...]]

_OF_TWO = 8
"""How many times more schedules a cast of two gets: there three preemptions and crashes can nearly all be tried."""

CASTS: list[Cast] = [
    ("plain", ("saver", "collector")),
    ("plain", ("saver", "deleter", "collector")),
    ("plain", ("saver", "deleter", "collector", "collector")),
    ("plain", ("heir", "deleter", "collector")),
    ("plain", ("copier", "deleter", "collector")),
    ("plain", ("linker", "deleter", "collector")),
    ("plain", ("mover", "collector", "collector")),
    ("plain", ("renamer", "saver", "collector")),
    ("plain", ("editor", "deleter", "collector")),
    ("plain", ("adder", "deleter", "collector")),
    ("plain", ("heir", "saver", "deleter", "collector", "collector")),
    ("plain", ("mover", "copier", "adder", "collector")),
    ("rule", ("keeper", "namer", "collector")),
    ("rule", ("keeper", "unruler", "collector")),
    ("large", ("saver", "deleter", "collector", "collector")),
    ("large", ("copier", "deleter", "collector")),
    ("half", ("copier", "collector", "collector")),
    ("half", ("saver", "deleter", "collector")),
    ("deleted", ("saver", "collector")),
    ("deleted", ("saver", "collector", "collector")),
    ("deleted", ("undeleter", "collector", "collector")),
    ("trash", ("undeleter", "collector", "collector")),
    ("trash", ("saver", "undeleter", "collector")),
    ("packs", ("merger", "collector")),
    ("packs", ("copier", "merger", "merger")),
    ("packs", ("merger", "merger", "collector")),
    ("packs", ("saver", "merger", "deleter", "collector")),
    ("packs", ("heir", "merger", "collector")),
    ("packs", ("mover", "merger", "merger", "collector")),
    ("steps", ("forgetter", "collector", "heir")),
    ("steps", ("forgetter", "collector", "collector")),
    ("steps", ("forgetter", "heir", "collector", "collector")),
    ("files", ("packer", "saver")),
    ("files", ("packer", "collector")),
    ("files", ("packer", "saver", "deleter", "collector")),
    ("files", ("packer", "packer", "collector")),
    ("files", ("packer", "heir", "deleter", "collector")),
    ("segments", ("packer", "forgetter", "collector")),
    ("segments", ("packer", "saver", "forgetter", "collector")),
    ("segments", ("packer", "copier", "forgetter", "collector", "collector")),
    ("packed", ("saver", "deleter", "collector")),
    ("packed", ("heir", "deleter", "collector", "collector")),
    ("packed", ("saver", "forgetter", "collector")),
    ("packed", ("copier", "deleter", "collector")),
    ("twice", ("collector", "collector")),
    ("twice", ("saver", "deleter", "collector", "collector")),
    ("texts", ("packer", "saver")),
    ("texts", ("packer", "collector")),
    ("texts", ("packer", "merger", "collector")),
    ("texts", ("packer", "saver", "deleter", "collector")),
    ("texts", ("packer", "packer", "collector")),
    ("texts", ("packer", "heir", "deleter", "collector")),
    ("texts", ("packer", "copier", "forgetter", "collector")),
    ("groups", ("merger", "collector")),
    ("groups", ("merger", "saver", "deleter", "collector")),
    ("groups", ("merger", "merger", "packer")),
]


def schedules(stage: Stage, casts: list[Cast], most: int, seed: int) -> Iterator[tuple[Cast, Played]]:
    """Of each cast two thirds with few preemptions, the rest random."""
    weights = [_OF_TWO if len(cast) == 2 else 1 for _, cast in casts]
    for weight, (scene, cast) in zip(weights, casts, strict=True):
        share = most * weight // sum(weights)
        random = Random(f"{seed} {scene} {cast}")
        for played in systematic(stage, scene, cast, share * 2 // 3, random):
            share -= 1
            yield (scene, cast), played
        for played in randomly(stage, scene, cast, share, random):
            yield (scene, cast), played


def violation(cast: Cast, played: Played) -> str:
    problems = "".join(f"    {problem}\n" for problem in dict.fromkeys(played.problems))
    return f"{name_of(cast)}\n  {told(schedule_of(played), played.names)}\n{problems}"


def name_of(cast: Cast) -> str:
    return f"{cast[0]}: {' '.join(cast[1])}"


def sound(stage: Stage, casts: list[Cast], most: int, seed: int) -> bool:
    """Play all; a line for each cast when it is through."""
    totals = [0, 0, 0]
    print(f"{'CAST':55} {'SCHEDULES':>9} {'STEPS':>9} {'VIOLATIONS':>10}")
    for cast, all_played in groupby(schedules(stage, casts, most, seed), key=itemgetter(0)):
        counts = [0, 0, 0]
        for _, played in all_played:
            counts = [counts[0] + 1, counts[1] + len(played.trace), counts[2] + bool(played.problems)]
            if played.problems:
                print(violation(cast, played), flush=True)
        print(f"{name_of(cast):55} {counts[0]:9,} {counts[1]:9,} {counts[2]:10,}", flush=True)
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
    print(f"{'all':55} {totals[0]:9,} {totals[1]:9,} {totals[2]:10,}")
    return totals[2] == 0


def caught(stage: Stage, casts: list[Cast], most: int, seed: int, mutation: str) -> bool:
    """By a search; where that finds nothing, by the schedule that is known to show it."""
    number = 0
    with mutated(mutation):
        for cast, played in schedules(stage, casts, most, seed):
            number += 1
            if played.problems:
                print(f"{mutation}: caught by schedule {number}\n{violation(cast, played)}", flush=True)
                return True
        scene, roles, text = KNOWN[mutation]
        played = play(stage, scene, roles, text)
    how = "CAUGHT ONLY by the known one" if played.problems else "NOT CAUGHT, not by the known one either"
    print(f"{mutation}: {number} schedules, {how}\n{violation((scene, roles), played)}", flush=True)
    return bool(played.problems)


def replay(stage: Stage, cast: Cast, text: str, mutation: str | None) -> bool:
    with mutated(mutation):
        played = play(stage, *cast, text)
    for step in played.trace:
        print(f"{played.names[step.actor]:12} {step.call:8} {' '.join(step.reads + step.writes)}")
    print(violation(cast, played))
    return not played.problems


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schedules", type=int, default=20_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--casts", default="", metavar="TEXT", help="only those whose name begins so")
    parser.add_argument("--mutation", metavar="NUMBER", choices=[*map(str, range(1, len(MUTATIONS) + 1)), "all"])
    parser.add_argument("--replay", metavar="SCHEDULE")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.guarantees.schedule", *sys.argv[1:]])
    casts = [cast for cast in CASTS if name_of(cast).startswith(given.casts)]
    chosen = MUTATIONS if given.mutation == "all" else [MUTATIONS[int(given.mutation) - 1]] if given.mutation else []
    begun = time.process_time()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        stage = Stage(Path(folder), given.seed)
        if given.replay:
            well = replay(stage, casts[0], given.replay, chosen[0] if chosen else None)
        elif chosen:
            well = not [m for m in chosen if not caught(stage, casts, given.schedules, given.seed, m)]
        else:
            well = sound(stage, casts, given.schedules, given.seed)
    print(f"{time.process_time() - begun:.0f} s of processor time")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
