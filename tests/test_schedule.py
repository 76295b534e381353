"""The real code of saves, collections and merges, step by step: no schedule loses anything, and each safeguard is needed.

The long form is `python -m tests.schedule`, whose first lines say how.
"""

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.conftest import environment
from tests.protocol_model import MERGER_UNLINKS, MUTATIONS, NO_RECHECK, NO_SECOND_READ, SHARED_TRASH, TRANSACTIONS_FIRST
from tests.schedule.explore import following, parse, randomly, schedule_of, told
from tests.schedule.mutations import mutated
from tests.schedule.stage import Played, Stage, distinct

KNOWN = {
    NO_RECHECK: ("plain", "saver deleter collector", "saver to link refs, deleter, collector, saver"),
    NO_SECOND_READ: (
        "deleted", "saver collector",
        "saver to link refs, collector to stat tmp, saver 1, saver dies, collector",
    ),
    TRANSACTIONS_FIRST: (
        "deleted", "saver collector",
        "collector to rename objects, saver to link refs, collector to unlink trash, saver 1, saver dies, collector",
    ),
    SHARED_TRASH: (
        "plain", "saver deleter collector collector",
        "collector to listdir trash/shared, collector 1, collector to listdir trash/shared, collector 1, deleter, "
        "saver to link refs, collector2 to rename objects, saver, collector2 2, collector, collector2",
    ),
    MERGER_UNLINKS: ("packs", "merger collector", "merger to mkdir trash, collector, merger"),
}  # fmt: skip
"""A schedule for each safeguard that shows what it is for."""


def played(folder: Path, mutation: str) -> Played:
    scene, roles, schedule = KNOWN[mutation]
    cast = tuple(roles.split())
    return Stage(folder).play(scene, cast, following(parse(schedule, distinct(cast))))


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_real_code_loses_something_in_one_schedule_when(mutation: str, tmp_path: Path) -> None:
    assert played(tmp_path / "whole", mutation).problems == []
    with mutated(mutation):
        problems = played(tmp_path / "mutated", mutation).problems
    assert any(" is missing" in problem for problem in problems), problems


def test_a_schedule_that_was_told_is_played_again_step_by_step(tmp_path: Path) -> None:
    stage, cast = Stage(tmp_path), ("saver", "merger", "deleter", "collector")
    for first in randomly(stage, "packs", cast, 10, Random(7)):
        again = stage.play("packs", cast, following(parse(told(schedule_of(first), first.names), first.names)))
        assert (again.trace, again.fates) == (first.trace, first.fates)


def test_no_schedule_of_real_savers_removers_and_movers_loses_anything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.schedule", "--schedules", "280"]
    path = str(Path(__file__).parents[1])
    done = subprocess.run(
        command, cwd=path, env=environment(tmp_path, PYTHONPATH=path), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 280 " in done.stdout
