"""Short crowds; the long ones are `python -m tests.guarantees.crowds.crowd`, whose first lines say how."""

import shutil
from pathlib import Path

import pytest

from tests.guarantees.crowds.crowd import counted, mixed


@pytest.mark.long
def test_every_acknowledged_operation_of_four_processes_is_there(tmp_path: Path) -> None:
    accounts = counted(tmp_path, 4, 20)
    assert accounts.problems == []
    assert accounts.acknowledged == 80


def test_every_acknowledged_operation_is_there_though_workers_were_killed(tmp_path: Path) -> None:
    accounts = counted(tmp_path, 4, 20, kill=True)
    assert accounts.problems == []
    assert accounts.acknowledged == 80


@pytest.mark.long
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes locks fail")
def test_every_acknowledged_operation_is_there_though_no_lock_works(tmp_path: Path) -> None:
    accounts = counted(tmp_path, 4, 20, no_locks=True)
    assert accounts.problems == []
    assert accounts.acknowledged == 80


@pytest.mark.long
def test_a_mixed_crowd_with_collectors_and_kills_loses_nothing(tmp_path: Path) -> None:
    accounts = mixed(tmp_path, 4, 5)
    assert accounts.problems == []
    assert accounts.acknowledged > 20
    assert accounts.done["gc"] and accounts.kills


def test_a_crowd_with_packers_loses_nothing_that_is_packed(tmp_path: Path) -> None:
    accounts = mixed(tmp_path, 3, 5, packers=True)
    assert accounts.problems == []
    assert accounts.packed


@pytest.mark.long
def test_a_large_crowd_with_packers_collectors_and_kills_loses_nothing(tmp_path: Path) -> None:
    accounts = mixed(tmp_path, 6, 25, packers=True)
    assert accounts.problems == []
    assert accounts.done["gc"] and accounts.packed > 5 and accounts.kills
