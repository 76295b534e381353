"""The real code of saves, collections and merges, step by step: no schedule loses anything, and each safeguard is needed.

The long form is `python -m tests.guarantees.schedule`, whose first lines say how.
"""

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.guarantees.schedule.explore import play, randomly, schedule_of, systematic, told
from tests.guarantees.schedule.mutations import KNOWN, mutated
from tests.guarantees.schedule.protocol_model import MERGER_UNLINKS, NO_RECHECK
from tests.guarantees.schedule.stage import Stage
from tests.support.commands import environment


@pytest.mark.parametrize("mutation", KNOWN)
def test_real_code_loses_something_in_one_schedule_when(mutation: str, tmp_path: Path) -> None:
    scene, cast, schedule = KNOWN[mutation]
    stage = Stage(tmp_path)
    assert play(stage, scene, cast, schedule).problems == []
    with mutated(mutation):
        problems = play(stage, scene, cast, schedule).problems
    assert any(" is missing" in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("mutation", "scene", "cast"),
    [
        (NO_RECHECK, "plain", ("saver", "collector")),
        (MERGER_UNLINKS, "packs", ("merger", "collector")),
        (MERGER_UNLINKS, "texts", ("packer", "collector")),
    ],
)
def test_a_search_of_all_schedules_with_one_preemption_finds_that(
    mutation: str, scene: str, cast: tuple[str, ...], tmp_path: Path
) -> None:
    with mutated(mutation):
        assert any(played.problems for played in systematic(Stage(tmp_path), scene, cast, 120, Random(1)))


@pytest.mark.parametrize(
    ("scene", "cast"),
    [
        ("files", ("packer", "saver")),
        ("segments", ("packer", "forgetter", "collector")),
        ("texts", ("packer", "saver")),
        ("texts", ("packer", "merger", "deleter", "collector")),
        ("groups", ("merger", "saver", "deleter", "collector")),
    ],
)
def test_a_packer_or_merger_loses_nothing_beside_others(scene: str, cast: tuple[str, ...], tmp_path: Path) -> None:
    played = list(systematic(Stage(tmp_path), scene, cast, 30, Random(1)))
    assert [problem for one in played for problem in one.problems] == []
    gone = {step.writes[0] for one in played for step in one.trace if step.call == "rename"}
    assert any(
        path.startswith("objects/blobs/" if scene in ("files", "segments") else "objects/packs/") for path in gone
    )


def test_a_collector_that_stores_a_step_anew_loses_nothing_beside_others(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    played = list(systematic(stage, "steps", ("forgetter", "collector", "heir"), 30, Random(1)))
    played += systematic(stage, "steps", ("forgetter", "collector", "collector"), 30, Random(2))
    assert [problem for one in played for problem in one.problems] == []


@pytest.mark.parametrize("other", ["namer", "unruler"])
def test_a_rule_deletes_nothing_that_it_keeps_by_the_time_it_is_applied(other: str, tmp_path: Path) -> None:
    played = list(systematic(Stage(tmp_path), "rule", ("keeper", other), 60, Random(1)))
    assert [problem for one in played for problem in one.problems] == []
    assert len(played) > 10 and any(one.errors for one in played) is (other == "namer")


def test_a_schedule_that_was_told_is_played_again_step_by_step(tmp_path: Path) -> None:
    stage, cast = Stage(tmp_path), ("saver", "merger", "deleter", "collector")
    for first in randomly(stage, "packs", cast, 10, Random(7)):
        again = play(stage, "packs", cast, told(schedule_of(first), first.names))
        assert (again.trace, again.fates) == (first.trace, first.fates)


@pytest.mark.long
def test_no_schedule_of_real_savers_removers_and_movers_loses_anything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.guarantees.schedule", "--schedules", "400"]
    path = str(Path(__file__).parents[3])
    done = subprocess.run(
        command, cwd=path, env=environment(tmp_path, PYTHONPATH=path), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.splitlines()[-2].split()
    assert words[0] == "all" and int(words[1]) > 250 and words[3] == "0", done.stdout
