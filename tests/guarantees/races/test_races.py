"""Races (the cases of group D), in real processes where more than one is at work."""

import os
import signal
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from artstore.backends import owner
from artstore.domain.digest import BLOB
from artstore.operations.upkeep.merge import maintenance_lock
from artstore.repository import Repository
from artstore.store.transaction import Transaction
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot
from tests.support.processes import LARGE, SPAWN, _save_own, together
from tests.support.reader import Reader

YEARS = 10 * 365 * 86400.0


def _put(root: str, source: str, name: str, times: int = 1) -> list[tuple[int, str, bool]]:
    with Repository(root) as repository:
        return [
            (saved.number, saved.id, saved.is_new) for saved in (repository.put(source, name) for _ in range(times))
        ]


# -- 59, 60, 61: savers ----------------------------------------------------------------------------


def test_two_savers_of_the_same_content_both_succeed_with_one_version_and_one_object(
    repo: Repository, tmp_path: Path
) -> None:
    """Case 59: one object, both succeed."""
    source = make_tree(tmp_path / "data", {"small": "small", "large": LARGE})
    results = together(_put, [(repo.root, str(source), "data")] * 4)
    assert [number for [(number, _, _)] in results] == [0] * 4
    assert sum(new for [(_, _, new)] in results) == 1
    elsewhere = together(_put, [(repo.root, str(source), f"twin{n}") for n in range(4)])
    assert all(new for [(_, _, new)] in elsewhere)
    assert len([path for path in (tmp_path / ".artifacts/objects/blobs").rglob("*") if path.is_file()]) == 1
    for name in ("data", *(f"twin{n}" for n in range(4))):
        repo.get(repo.find(name), str(tmp_path / "out" / name))
        assert snapshot(tmp_path / "out" / name) == snapshot(source)


def test_savers_of_one_collection_get_numbers_without_gaps_and_overwrite_nothing(repo: Repository) -> None:
    """Case 60: n and n+1."""
    results = together(_save_own, [(repo.root, "data", f"w{n}", 8) for n in range(4)])
    acknowledged = sorted(pair for result in results for pair in result)
    assert [number for number, _ in acknowledged] == list(range(32))
    assert acknowledged == [(version["number"], version["id"]) for version in repo.collection("data").live()]


def _move(root: str, number: int, times: int) -> int:
    with Repository(root) as repository:
        for turn in range(times):
            repository.set_aliases(f"data:v{number * times + turn}", ("best",))
    return times


def test_savers_that_move_one_alias_are_both_in_its_history(repo: Repository) -> None:
    """Case 61: both logged, each with the version that it really replaced; the last one holds."""
    _save_own(repo.root, "data", "w", 30)
    together(_move, [(repo.root, number, 10) for number in range(3)])
    moves = [c for entry in repo.history("data") for c in entry.changes if c["kind"] == "alias"]
    assert len({move["id"] for move in moves}) == len(moves) == 30
    assert [move["old"] for move in moves] == [None, *(move["id"] for move in moves[:-1])]
    assert repo.collection("data").aliases["best"] == moves[-1]["id"]


# -- 66: who is at work, and who only was ----------------------------------------------------------


def _hold(root: str, source: str, ready: Any) -> None:
    repository = Repository(root)
    draft = repository.draft()
    draft.add_folder(source)
    ready.put(str(draft._tx.owner))
    time.sleep(60)


def _started(root: str, source: Path) -> tuple[BaseProcess, str]:
    ready = SPAWN.Queue()
    process = SPAWN.Process(target=_hold, args=(root, str(source), ready))
    process.start()
    return process, ready.get(timeout=30)


def test_only_a_transaction_whose_owner_is_provably_dead_is_swept(repo: Repository, tmp_path: Path) -> None:
    """Case 66: dead pid, re-used pid, earlier boot are proof; another host or container, strangers and clocks are none."""
    process, killed = _started(repo.root, make_tree(tmp_path / "data", {"small": "small", "large": LARGE}))
    mine = owner.this_process()
    names = {
        "other host": str(mine._replace(host="elsewhere-0123456789ab", pid=process.pid or 0)),
        "other container": str(mine._replace(namespace="4026530000", pid=4194304)),
        "stranger": "somebody else's",
        "pid used again": str(mine._replace(start="1")),
        "no such pid": str(mine._replace(pid=4194304)),
        "earlier boot": str(mine._replace(boot="0" * 12, pid=1)),
    }
    folder = tmp_path / ".artifacts/tmp"
    for number, name in enumerate(names.values()):
        (folder / name).mkdir()
        os.utime(folder / name, (number * 1e9, number * 1e9))  # 1970 to 2128
    process.kill()
    process.join()
    waits = repo.gc(now=True).waits_for
    assert set(waits) == {names["other host"], names["other container"], names["stranger"]}
    assert killed not in os.listdir(folder)
    for name in waits:
        repo.gc(now=True, abandon=name, force=True)


def test_a_lock_that_somebody_holds_or_left_stops_neither_save_nor_gc(
    repo: Repository, process_cli: Cli, tmp_path: Path
) -> None:
    """Case 66: the one lock only saves work."""
    for number in range(8):
        _save_own(repo.root, f"data{number}", "w", 1)
    with maintenance_lock(repo.storage) as free:
        assert free
        assert process_cli("put", make_tree(tmp_path / "data", {"a": "a"}), "--name", "beside").code == 0
        repo.delete("data0:v0")
        assert process_cli("gc", "--now").code == 0
    (tmp_path / ".artifacts/cache/maintenance.lock").write_text("held by nobody")
    assert process_cli("put", make_tree(tmp_path / "data", {"a": "b"}), "--name", "beside").code == 0


# -- 67: clocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", [0.0, 2**31 + 5.0, 4e9])
def test_version_order_is_by_number_whatever_the_clock_says(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, clock: float
) -> None:
    """Case 67: 1970, 2038 and later, and back."""
    for now in (time.time(), clock, time.time() - YEARS):
        monkeypatch.setattr(time, "time_ns", lambda now=now: int(now * 1e9))
        monkeypatch.setattr(time, "time", lambda now=now: now)
        _save_own(repo.root, "data", f"at {now}", 1)
    monkeypatch.undo()
    assert [version["number"] for version in repo.collection("data").live()] == [0, 1, 2]
    assert repo.find("data").version["number"] == 2


@pytest.mark.parametrize("ahead", [YEARS, -YEARS])
def test_the_grace_period_is_measured_by_the_stores_own_clock(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """Case 67: this host's clock is years off; what was just taken stays, and a dry run says so."""
    _save_own(repo.root, "data", "w", 1)
    repo.delete("data:v0")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + ahead)
    assert repo.gc().trashed_bytes > 0
    planned = repo.gc(dry_run=True).freed_bytes
    assert (planned, repo.gc().freed_bytes) == (0, 0)


def test_trash_from_the_future_counts_as_new(repo: Repository, tmp_path: Path) -> None:
    """Case 67: future times count as age 0."""
    _save_own(repo.root, "data", "w", 1)
    repo.delete("data:v0")
    repo.gc()
    [run] = (tmp_path / ".artifacts/trash").iterdir()
    os.utime(run, (time.time() + YEARS, time.time() + YEARS))
    assert repo.gc().freed_bytes == 0
    assert repo.undelete("data:v0").version["number"] == 0


def test_a_name_that_another_host_just_made_is_synced_though_the_clocks_differ(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 67: whoever relies on a fresh pack syncs its folder; this host's clock is a day ahead of the store's."""
    source = make_tree(tmp_path / "data", {"small": "small"})
    repo.put(str(source), "data")
    synced: list[str] = []
    monkeypatch.setattr(repo.storage, "sync_names", lambda folders: synced.extend(folders))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 86400)
    with Transaction(repo.objects) as tx:
        assert tx.rely(BLOB, repo.entry(repo.find("data"), "small")[3], 5)
        tx.publish()
    assert "objects/packs" in synced


# -- 68: threads and forks -------------------------------------------------------------------------


def test_threads_that_save_together_each_get_a_version(repo: Repository) -> None:
    """Case 68: one transaction per call; neither the working directory nor the umask is touched."""
    umask, here, results = os.umask(0o077), os.getcwd(), list[tuple[int, str]]()

    def save(number: int) -> None:
        results.extend(_save_own(repo.root, "data", f"t{number}", 5))

    try:
        threads = [threading.Thread(target=save, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (os.umask(0o077), os.getcwd()) == (0o077, here)
    finally:
        os.umask(umask)
    assert sorted(number for number, _ in results) == list(range(30))


def test_a_child_forked_in_the_middle_of_a_save_harms_neither_and_may_save_itself(
    repo: Repository, tmp_path: Path
) -> None:
    """Case 68: the child closes what it inherited; the parent's transaction stays, and no lock is inherited."""
    source = make_tree(tmp_path / "data", {f"{n}": f"{n}" * 2000 for n in range(20)} | {"large": LARGE})
    with maintenance_lock(repo.storage), repo.draft() as draft:
        draft.add_folder(str(source))
        child = os.fork()
        if not child:
            code = 1
            try:
                draft.close()
                _save_own(repo.root, "child", "child", 1)
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        sleeper = os.fork()
        if not sleeper:
            time.sleep(60)
            os._exit(0)
        draft.save(repo.path_of("data")[0])
    with Repository(repo.root) as other, maintenance_lock(other.storage) as free:
        assert free
    os.kill(sleeper, signal.SIGKILL)
    os.waitpid(sleeper, 0)
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)
    reader = Reader(repo.root)
    assert {reader.state(*log)["names"][2] for log in reader.logs} == {"data", "child"}
