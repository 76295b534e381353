"""Names given under a claim, where there are neither hard links nor exclusive renames: whoever dies or stands still."""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from artstore.backends import naming
from artstore.backends.naming import rename_claimed
from artstore.backends.owner import this_process
from artstore.repository import Repository
from tests.support.folders import make_tree
from tests.support.trouble import without_links


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "claims").mkdir()
    (tmp_path / "new").write_text("new")
    return tmp_path


def give(place: Path, source: str = "new") -> None:
    rename_claimed(str(place / source), str(place / "name"), lambda: str(place / "claims"))


def test_a_taken_name_is_refused_and_the_file_stays(place: Path) -> None:
    (place / "name").write_text("old")
    with pytest.raises(FileExistsError):
        give(place)
    assert ((place / "name").read_text(), (place / "new").read_text()) == ("old", "new")
    assert os.listdir(place / "claims") == []


def test_a_name_that_is_taken_while_the_claim_is_made_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.mkdir
    monkeypatch.setattr(os, "mkdir", lambda path: (real(path), (place / "name").write_text("old")))
    with pytest.raises(FileExistsError):
        give(place)
    assert ((place / "name").read_text(), (place / "new").read_text()) == ("old", "new")
    assert os.listdir(place / "claims") == []


def test_the_claim_of_a_dead_process_is_taken_away_at_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dies = (
        f"import os; from artstore.backends import naming; real = os.rename\n"
        f"def rename(source, target):\n    if target.endswith('name'): os._exit(9)\n    real(source, target)\n"
        f"os.rename = rename; naming.rename_claimed({str(place / 'old')!r}, {str(place / 'name')!r}, lambda: {str(place / 'claims')!r})"
    )
    (place / "old").write_text("old")
    assert subprocess.run([sys.executable, "-c", dies]).returncode == 9
    assert len(os.listdir(place / "claims")) == 1
    monkeypatch.setattr(naming, "_PATIENCE", 3600.0)
    give(place)
    assert (place / "name").read_text() == "new" and os.listdir(place / "claims") == []


def test_an_empty_claim_is_taken_away_after_a_while(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "_PATIENCE", 0.05)
    real = os.mkdir
    monkeypatch.setattr(os, "mkdir", lambda path: (real(path), monkeypatch.setattr(os, "mkdir", real), real(path)))
    give(place)  # the first claim is made twice: as by somebody who died between making it and moving a file into it
    assert (place / "name").read_text() == "new" and os.listdir(place / "claims") == []


def test_a_process_that_stood_still_under_its_claim_gives_no_name(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It wakes up when another process has taken its claim away, and given the name."""
    monkeypatch.setattr(naming, "_PATIENCE", 0.05)
    (place / "slow").write_text("slow")
    real, before, after = os.rename, threading.Event(), threading.Event()

    def rename(source: str, target: str) -> None:
        if threading.current_thread() is sleeper and target.endswith("name"):
            before.set()
            after.wait(10)
        real(source, target)

    failed: list[OSError] = []

    def sleep() -> None:
        try:
            give(place, "slow")
        except OSError as error:
            failed.append(error)

    sleeper = threading.Thread(target=sleep)
    monkeypatch.setattr(os, "rename", rename)
    sleeper.start()
    before.wait(10)
    give(place)
    (place / "name").unlink()  # and it is free again
    after.set()
    sleeper.join()
    assert "another process went first" in str(failed) and not (place / "name").exists()


def test_of_two_files_that_met_in_one_claim_exactly_one_gets_the_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second takes the first one's empty claim away and makes its own, into which the first moves its file."""
    (place / "other").write_text("other")
    mkdir, rename, met = os.mkdir, os.rename, set[tuple[str, int]]()
    claimed, moved = threading.Barrier(2), threading.Barrier(2)

    def meet(what: str, barrier: threading.Barrier) -> None:
        me = (what, threading.get_ident())
        if me not in met:
            met.add(me)
            barrier.wait(10)

    def claiming(path: str) -> None:
        if len(met) < 2 and os.path.isdir(path):
            os.rmdir(path)
        mkdir(path)
        meet("claimed", claimed)

    def moving(source: str, target: str) -> None:
        rename(source, target)
        if "/claims/" in target:
            meet("moved", moved)

    monkeypatch.setattr(os, "mkdir", claiming)
    monkeypatch.setattr(os, "rename", moving)
    won: list[str] = []

    def race(name: str) -> None:
        with suppress(FileExistsError):
            give(place, name)
            won.append(name)

    racers = [threading.Thread(target=race, args=[name]) for name in ("new", "other")]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(met) == 4 and len(won) == 1 and (place / "name").read_text() == won[0]
    assert os.listdir(place / "claims") == []


def test_a_repository_works_without_links_and_exclusive_renames(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert str(this_process()).count(".") == 5  # a claim's file is named so, and dots are all that exFAT sees in it
    without_links(monkeypatch)
    source = make_tree(tmp_path / "src", {"a": "1", "b/c": "2" * (1 << 20)})
    for number in range(10):  # merges, too
        (source / "a").write_text(str(number))
        assert repo.put(str(source), "data").number == number
    repo.delete("data:v3")
    repo.gc(now=True)
    repo.get(repo.find("data:v9"), str(tmp_path / "back"))
    assert (tmp_path / "back/a").read_text() == "9"
