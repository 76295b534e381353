"""Pushes and pulls that were killed, lost a race, or met a collector: the next one completes them."""

import os
from pathlib import Path
from typing import Any

import pytest

import artstore
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import State
from artstore.domain.properties import Properties
from artstore.errors import Conflict, MissingObject
from artstore.repository import Repository
from artstore.store.packs import LARGE
from artstore.store.refs import Refs
from artstore.store.transaction import Transaction
from artstore.sync.exchange import ALL, ExchangeOptions
from artstore.sync.push import Push
from artstore.sync.runs import RunExchange
from tests.support.checks import check
from tests.support.exchange import BIG, FILES, cloned, got, logged, objects_of, only, outcomes, put, says
from tests.support.trouble import at_call, finish, run, start


@pytest.mark.parametrize("call", ["link", "fsync"])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_a_push_that_was_killed_goes_on_when_it_is_called_again(
    anna: Repository, nas: Path, tmp_path: Path, call: str, number: int
) -> None:
    put(anna, "a", FILES)
    put(anna, "b", {"f": "b"})
    kill = at_call(call, number, "os.kill(os.getpid(), signal.SIGKILL)")
    process = start(tmp_path / "anna", "push", setup=kill)
    process.communicate(timeout=60)
    check(nas)
    done = anna.push()
    assert not done.refused
    assert says(nas) == says(anna) and says(nas, "b") == says(anna, "b")
    with Repository(str(nas)) as there:
        there.gc(now=True)
        assert not [name for name in os.listdir(nas / "tmp") if not name.startswith("probe")]
    assert outcomes(anna.push()) == {"a": "up to date", "b": "up to date"}


@pytest.mark.parametrize("call", ["link", "fsync", "replace"])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_a_pull_that_was_killed_goes_on_when_it_is_called_again(
    anna: Repository, bob: Repository, nas: Path, tmp_path: Path, call: str, number: int
) -> None:
    put(anna, "a", FILES)
    put(anna, "b", {"f": "b"})
    anna.push()
    kill = at_call(call, number, "os.kill(os.getpid(), signal.SIGKILL)")
    start(tmp_path / "bob", "pull", setup=kill).communicate(timeout=60)
    check(Path(bob.root))
    with Repository(bob.root) as again:
        assert not again.pull().refused
        assert says(again) == says(nas) and says(again, "b") == says(nas, "b")
        assert got(again, "a") == got(anna, "a")
        again.gc(now=True)
        assert outcomes(again.pull()) == {"a": "up to date", "b": "up to date"}


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("mkdir", 2),
        ("rename", 1),
        ("link", 1),
        ("link", 2),
        ("link", 4),
        ("fsync", 6),
        ("fsync", 12),
        ("replace", 1),
        ("replace", 3),
    ],
)
def test_a_clone_that_was_killed_goes_on_when_it_is_called_again(
    anna: Repository, nas: Path, tmp_path: Path, call: str, number: int
) -> None:
    put(anna, "a", FILES)
    put(anna, "b", {"f": "b"})
    anna.push()
    kill = at_call(call, number, "os.kill(os.getpid(), signal.SIGKILL)")
    start(tmp_path, "clone", nas, "clone", setup=kill).communicate(timeout=60)
    again = run(tmp_path, "clone", nas, "clone")
    assert again.code == 0, again
    check(tmp_path / "clone/.artifacts")
    with Repository(str(tmp_path / "clone/.artifacts")) as clone:
        assert says(clone) == says(nas) and says(clone, "b") == says(nas, "b")
        assert clone.remotes.all()["origin"].url == str(nas)


def test_objects_without_an_entry_are_used_by_the_next_push(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    planned = anna.push(dry_run=True)
    kill = at_call("link", 1, "os.kill(os.getpid(), signal.SIGKILL)", "'/refs/' in str(args[1])")
    start(tmp_path / "anna", "push", setup=kill).communicate(timeout=60)
    assert len(objects_of(nas)) == planned.objects and not list((nas / "refs").rglob("*.json"))
    done = anna.push()
    assert (done.objects, done.bytes) == (0, 0) and only(done).versions == ("a:v0",)


def test_what_one_entry_cannot_hold_is_told_in_several(
    anna: Repository, bob: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        put(anna, "a", {"f": str(n)}, metadata={"long": "x" * 3000})
    monkeypatch.setattr("artstore.domain.changes._PORTION", 8000)
    assert only(anna.push()).versions == tuple(f"a:v{n}" for n in range(6))
    assert only(bob.pull()).versions == tuple(f"a:v{n}" for n in range(6))
    for repository in (str(nas), bob.root):
        entries = sorted(Path(repository, "refs/local/uncategorized/a").glob("*.json"))
        assert len(entries) > 2 and all(entry.stat().st_size < 10_000 for entry in entries)
    assert says(bob) == says(nas) == says(anna)
    assert outcomes(anna.push()) == outcomes(bob.pull()) == outcomes(bob.push()) == {"a": "up to date"}


def test_a_push_that_loses_a_race_between_two_of_its_entries_goes_on_behind_what_came(
    anna: Repository, bob: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    for n in range(1, 5):
        put(anna, "a", {"f": str(n)}, metadata={"long": "x" * 3000})
    bob.set_tags("a:v0", ("his",))
    monkeypatch.setattr("artstore.domain.changes._PORTION", 4000)
    commit, committed = Refs.commit, []

    def beaten(refs: Refs, state: State, changes: list[Change]) -> State | None:
        committed.append(len(changes))
        if len(committed) == 2:
            bob.push()
        return commit(refs, state, changes)

    monkeypatch.setattr(Refs, "commit", beaten)
    assert only(anna.push()).versions == ("a:v1", "a:v2", "a:v3", "a:v4")
    anna.pull()
    bob.pull()
    assert says(bob) == says(nas) == says(anna)
    assert anna.find("a:v0").version["tags"] == ["his"] and anna.find("a").version["number"] == 4


def _in_several(anna: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four versions with long tags, of which two go into one entry."""
    for n in range(4):
        put(anna, "a", {"f": str(n)})
        anna.set_tags(f"a:v{n}", tuple(f"{n}-{k}-{'y' * 100}" for k in range(20)))
    monkeypatch.setattr("artstore.domain.changes._PORTION", 8000)


def test_who_reads_between_two_entries_of_a_push_finds_no_version_without_its_objects(
    anna: Repository, bob: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that was deleted here before it was ever pushed has none there: it must not live between."""
    _in_several(anna, monkeypatch)
    anna.delete("a:v0")
    commit, committed = Refs.commit, list[int]()

    def dying(refs: Refs, state: State, changes: list[Change]) -> State | None:
        committed.append(1)
        if len(committed) == 2:
            raise KeyboardInterrupt
        return commit(refs, state, changes)

    with monkeypatch.context() as dies:
        dies.setattr(Refs, "commit", dying)
        with pytest.raises(KeyboardInterrupt):
            anna.push()
    check(nas)
    assert not bob.pull().refused
    assert not anna.push().refused
    anna.pull()
    bob.pull()
    assert says(bob) == says(nas) == says(anna)
    assert outcomes(anna.push()) == outcomes(bob.pull()) == {"a": "up to date"}


def test_versions_of_an_entry_that_stands_are_withdrawn_when_the_rest_can_not_be_told_and_objects_are_gone(
    anna: Repository, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_several(anna, monkeypatch)
    commit, ensure, committed = Refs.commit, Transaction.ensure, list[int]()

    def refusing(refs: Refs, state: State, changes: list[Change]) -> State | None:
        committed.append(1)
        if len(committed) == 2:
            raise Conflict("planned anew, and refused")
        return commit(refs, state, changes)

    def gone(tx: Transaction) -> None:
        raise MissingObject("a collector took a pack") if tx.storage.root == str(nas) else ensure(tx)

    with monkeypatch.context() as fails:
        fails.setattr(Refs, "commit", refusing)
        fails.setattr(Transaction, "ensure", gone)
        with pytest.raises(MissingObject):
            anna.push()
    with Repository(str(nas)) as there:
        versions = there.refs.read(there.path_of("a")[0]).versions.values()
        assert versions and all("withdrawn" in version for version in versions)
    assert not anna.push().refused
    assert says(nas) == says(anna)


def test_a_collection_whose_versions_were_all_withdrawn_there_is_pulled_again_and_again(
    anna: Repository, bob: Repository, nas: Path
) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    with Repository(str(nas)) as there:
        path = there.path_of("a")[0]
        there.refs.change(path, lambda state: [new_change("withdraw", id=id, reason="gone") for id in state.versions])
        there.refs.change(path, lambda state: [new_change("delete collection", ids=[])])
    for _ in range(3):
        assert outcomes(bob.pull()) == {"a": "up to date"}


def test_runs_come_after_a_pull_that_was_killed_before_them_though_no_collection_moves_any_more(
    anna: Repository, bob: Repository, in_anna: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with artstore.init(id="maker"):
        logged("x", {"f": "1"}, type="dataset")
    put(anna, "other", {"f": "0"})
    anna.push()
    assert bob.pull("nas", ["other"]).runs == 0

    def dying(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as dies:
        dies.setattr(RunExchange, "pull", dying)
        with pytest.raises(KeyboardInterrupt):
            bob.pull()
    assert [bob.pull().runs, bob.pull().runs] == [1, 0]


@pytest.mark.parametrize(
    "notes", ['{"x": 5}', '{"x": [1, 2]}', '{"refs/local/uncategorized/a": [1, 2, 3, 4, 5, 6, 7, 8]}', "[]"]
)
def test_notes_that_are_not_ours_are_passed_over(anna: Repository, nas: Path, notes: str) -> None:
    put(anna, "a", {"f": "0"})
    anna.push()
    for name in ("same", "push", "pull", "runs-pushed"):
        Path(anna.root, f"remotes/nas/{name}.json").write_text(notes)
    assert outcomes(anna.push()) == {"a": "up to date"}
    put(anna, "a", {"f": "1"})
    assert outcomes(anna.push()) == {"a": "moved"} and says(nas) == says(anna)


def test_a_push_in_a_lost_race_is_planned_anew(anna: Repository, bob: Repository, nas: Path) -> None:
    """bob pushes while anna's push is between its plan and its entry."""
    put(anna, "a", {"f": "0"})
    anna.push()
    bob.pull()
    anna.edit("a", Properties(metadata={"hers": "x" * 9000}))
    bob.edit("a", Properties(metadata={"his": "y" * 9000}))
    remotes = anna.remotes
    with remotes.open("nas", writing=True) as remote:
        exchange = remotes.exchange("nas", remote, ExchangeOptions())
        commit, raced = remote.refs.commit, list[int]()

        def race(*args: Any) -> Any:
            if not raced:
                raced.append(1)
                bob.push()
            return commit(*args)

        remote.refs.commit = race  # type: ignore[method-assign]
        assert not Push(exchange).run([ALL]).refused
    anna.pull()
    bob.pull()
    assert says(anna) == says(bob) == says(nas)
    assert anna.properties(anna.find("a"))[1] == {"hers": "x" * 9000, "his": "y" * 9000}


def test_a_version_that_the_remote_deleted_and_collected_meanwhile_is_not_relied_on(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    """v1 shares most with v0, which goes between the push's look at the remote and its transaction there."""
    put(anna, "a", FILES)
    anna.push()
    put(anna, "a", FILES | {"a.txt": "second"})
    remotes = anna.remotes
    with remotes.open("nas", writing=True) as remote:
        exchange = remotes.exchange("nas", remote, ExchangeOptions())
        fetch, raced = exchange.fetch, list[int]()

        def race(scopes: Any) -> Any:
            found = fetch(scopes)
            if not raced:
                raced.append(1)
                with Repository(str(nas)) as there:
                    there.delete("a:v0")
                    assert there.gc(now=True).freed_bytes > LARGE
            return found

        exchange.fetch = race  # type: ignore[method-assign]
        Push(exchange).run([ALL])
    check(nas)
    with cloned(tmp_path, nas) as clone:
        assert got(clone, "a:v1") == got(anna, "a:v1")


def test_a_push_stores_again_what_is_known_to_be_damaged_there(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    anna.push()
    (blob,) = (nas / "objects/blobs").glob("*/*")
    blob.chmod(0o644)
    blob.write_bytes(b"X" + BIG[1:])
    with Repository(str(nas)) as there:
        assert there.fsck().problems
    put(anna, "a", FILES | {"a.txt": "second"})
    assert only(anna.push()).versions == ("a:v1",)
    with cloned(tmp_path, nas) as clone:
        assert got(clone, "a:v1") == got(anna, "a:v1")


def test_a_pull_fetches_again_what_is_known_to_be_damaged_here(anna: Repository, bob: Repository, nas: Path) -> None:
    put(anna, "a", FILES)
    anna.push()
    bob.pull()
    (blob,) = (Path(bob.root) / "objects/blobs").glob("*/*")
    blob.chmod(0o644)
    blob.write_bytes(b"X" + BIG[1:])
    assert bob.fsck().problems
    put(anna, "a", FILES | {"a.txt": "second"})
    anna.push()
    bob.pull()
    assert got(bob, "a:v1") == got(anna, "a:v1")


def test_two_pushes_at_one_time_both_go_through(anna: Repository, bob: Repository, nas: Path, tmp_path: Path) -> None:
    for repository, name in ((anna, "a"), (bob, "b")):
        for n in range(3):
            put(repository, name, FILES | {"n": f"{name}{n}"})
    both = [start(tmp_path / who, "push") for who in ("anna", "bob")]
    assert [finish(process).code for process in both] == [0, 0]
    assert says(nas, "a") == says(anna, "a") and says(nas, "b") == says(bob, "b")


def test_a_gc_at_the_remote_beside_a_push_takes_nothing_that_is_needed(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", FILES)
    anna.push()
    anna.delete("a:v0")
    anna.push()
    put(anna, "b", FILES)
    kill = at_call("link", 1, "time.sleep(1.5)", "'/refs/' in str(args[1])")
    process = start(tmp_path / "anna", "push", setup=kill)
    for _ in range(5):
        with Repository(str(nas)) as there:
            there.gc(now=True)
    assert finish(process).code == 0
    assert says(nas, "b") == says(anna, "b")
