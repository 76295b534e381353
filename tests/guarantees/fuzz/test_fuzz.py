"""Fuzzing in short, without atheris: every decoder over its seeds, some thousands of mutations of them, and what was found once."""

import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from artstore.domain import kinds
from artstore.domain import run as runs
from tests.guarantees.fuzz import seeds
from tests.guarantees.fuzz.mutation import mutated
from tests.guarantees.fuzz.targets import FOUND, TARGETS, Target, crash

MUTATIONS = 1000
LONGEST = 5.0  # s

each_target = pytest.mark.parametrize("name", TARGETS)


def _crash(target: Target, data: bytes) -> str | None:
    """As `crash`; taking too long is one, too."""
    began = time.process_time()
    found = crash(target, data)
    taken = time.process_time() - began
    return found if found or taken < LONGEST else f"it took {taken:.0f} s"


@each_target
def test_every_seed_is_decoded(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds():
        target.run(seed)


@each_target
def test_mutated_seeds_are_decoded_or_refused(name: str) -> None:
    target, rng = TARGETS[name], Random(name)
    pool, words = target.seeds(), target.words()
    for _ in range(MUTATIONS):
        data = mutated(rng.choice(pool), rng, words, target.shape, pool)
        assert _crash(target, data) is None, data
        if len(data) <= target.most:
            pool.append(data)


@each_target
def test_what_was_a_crash_once_is_none_now(name: str) -> None:
    target = TARGETS[name]
    for path in sorted((FOUND / name).glob("*")):
        assert _crash(target, path.read_bytes()) is None, path


def test_seeds_have_every_kind_of_change() -> None:
    assert seeds.COLLECTION.keys() == kinds.KINDS.keys()
    assert seeds.RUN.keys() == runs.KINDS.keys()


def test_a_decoder_that_breaks_its_promise_is_a_crash() -> None:
    broken = TARGETS["codec"]._replace(run=lambda data: data.decode("ascii"))
    assert crash(broken, b"x") is None
    found = crash(broken, b"\xff")
    assert found is not None and found.startswith("UnicodeDecodeError")


def test_the_command_says_which_targets_there_are(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.guarantees.fuzz", "--targets", "nothing"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 1
    assert done.stderr == f"there is no target nothing; there are {', '.join(TARGETS)}\n"
