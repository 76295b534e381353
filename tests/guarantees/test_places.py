"""A short form of the matrix of places: `python -m tests.guarantees.places` is the whole."""

from pathlib import Path

import pytest

from tests.guarantees.places import KINDS, Missing, Outcome, report, silent, tried

pytestmark = [pytest.mark.long, pytest.mark.disk]


@pytest.mark.parametrize("name", [*KINDS, "silent"])
def test_every_command_answers_as_it_should_in_a_place_of_this_kind(tmp_path: Path, name: str) -> None:
    try:
        outcomes: list[Outcome] = list(silent(tmp_path / name) if name == "silent" else tried(name, tmp_path / name))
    except Missing as reason:
        pytest.skip(str(reason))
    assert [outcome for outcome in outcomes if outcome.wrong] == [], report({name: outcomes})
