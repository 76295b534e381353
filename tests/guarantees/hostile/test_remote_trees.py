"""Trees and entries at a remote that we would not have written, and pushes and pulls that are withdrawn."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from artstore.domain.digest import BLOB, VERSION, Digest, digest_of
from artstore.domain.version import VersionRecord
from artstore.errors import (
    ArtstoreError,
    Damage,
    MissingObject,
)
from artstore.repository import Repository
from artstore.store.transaction import Transaction
from tests.support.checks import check
from tests.support.folders import snapshot
from tests.support.forge import EMPTY, Forger, directory, file, version_changes
from tests.support.hostile_remotes import LARGE, MIB, Two, state_of, whole_at_remote
from tests.support.trouble import limited, run

# -- what we would not have written --------------------------------------------------------------


def hostile_trees(forger: Forger) -> dict[str, tuple[Digest, int, int]]:
    """Root tree, bytes, files by name."""
    names = [
        b"..",
        b"../x",
        b"/etc/x",
        b"a/b",
        b"",
        b".",
        b"nul\0byte",
        b"a\\..\\..\\x",
        b"C:\\x",
        b".artifacts/x",
        b"n" * 256,
    ]
    trees = {f"name-{n}": (forger.tree(file(name)), 0, 1) for n, name in enumerate(names)}
    trees["below"] = (forger.tree(directory(b"d", forger.tree(file(b"..")), 0, 1)), 0, 1)
    trees["twice"] = (forger.tree(file(b"a"), file(b"a")), 0, 2)
    trees["unsorted"] = (forger.tree(file(b"b"), file(b"a")), 0, 2)
    trees["kind"] = (forger.tree((b"link", 7, 4, b"/etc")), 0, 1)
    trees["totals"] = (forger.tree(directory(b"d", forger.tree(file(b"f")), 9, 9)), 9, 9)
    trees["size"] = (forger.tree(file(b"f", digest_of(BLOB, b"six by"), 7)), 7, 1)
    trees["larger"] = (forger.tree(file(b"f", digest_of(BLOB, LARGE), 1 << 62)), 1 << 62, 1)
    trees["smaller"] = (forger.tree(file(b"f", digest_of(BLOB, LARGE), MIB)), MIB, 1)
    trees["itself"] = (forger.raw_tree(b"\x91" * 10), 0, 1)
    trees["bomb"] = (forger.raw_tree(b"\xdd\xff\xff\xff\xff"), 0, 1)
    trees["nested"] = (forger.raw_tree(b"\x91" * 100_000 + b"\xc0"), 0, 1)
    trees["blob"] = (digest_of(BLOB, b"six by"), 6, 1)
    deep = forger.tree(file(b"f"))
    for _ in range(300):
        deep = forger.tree(directory(b"d", deep, 0, 1))
    trees["deep"] = (deep, 0, 1)
    return trees


def test_trees_that_we_would_not_have_written_are_not_pulled(two: Two) -> None:
    """Case 24, 29: each alone, named or with all; ours stays as it was, and nothing is written outside."""
    forger = Forger(two.remote)
    forger.blob(b"")
    forger.blob(b"six by")
    trees = hostile_trees(forger)
    for name, (tree, size, files) in trees.items():
        forger.version(name, tree, size, files)
    before, outside = state_of(two.reader), sorted(p for p in two.tmp_path.iterdir())
    for name in trees:
        with Repository(two.reader) as repository, pytest.raises(Damage):
            refused = repository.pull(specs=[name]).refused
            raise refused[0].problem if refused and refused[0].problem else AssertionError(f"{name} was pulled")
        assert state_of(two.reader) == before, name
    with Repository(two.reader) as repository:
        refused = repository.pull().refused
        assert {moved.path.name for moved in refused} == set(trees), "the good one comes all the same"
        assert all(isinstance(moved.problem, Damage) for moved in refused)
        assert repository.find("good").version
    assert sorted(two.tmp_path.iterdir()) == outside
    check(Path(two.reader))


def test_a_tree_that_unfolds_without_end_is_pulled_in_no_time(two: Two) -> None:
    """Case 24: equal folders are looked at once."""
    forger = Forger(two.remote)
    forger.blob(b"")
    tree, count = forger.tree(file(b"f")), 1
    for _ in range(60):
        tree, count = forger.tree(directory(b"a", tree, 0, count), directory(b"b", tree, 0, count)), count * 2
    forger.version("folds", tree, 0, count)
    result = run(two.tmp_path, "pull", ARTSTORE_DIR=two.reader, timeout=60)
    assert result.code == 0, result


ENTRIES: dict[str, Callable[[Forger, str], object]] = {
    "climbs": lambda f, n: f.entry(n, version_changes("../../x", "0" * 64, EMPTY)[0]),
    "elsewhere": lambda f, n: f.entry(n, *version_changes("other", f.version("one", f.tree(), 0, 0), f.tree(), 0, 0)),
    "torn": lambda f, n: f.raw_entry(n, b'{"changes":['),
    "text": lambda f, n: f.raw_entry(n, b"not json"),
    "kind": lambda f, n: f.entry(n, {"kind": "execute", "change": "1" * 32, "command": "rm"}),
    "number": lambda f, n: f.entry(n, *version_changes(n, "0" * 64, f.tree(), number=-1)),
    "huge": lambda f, n: f.entry(n, *version_changes(n, f.version("two", f.tree(), 0, 0), f.tree(), 0, 0, 1 << 70)),
    "digest": lambda f, n: f.entry(n, *version_changes(n, "../../../../etc/passwd", f.tree())),
    "lies": lambda f, n: f.entry(n, *version_changes(n, f.version("two", f.tree(), 0, 0), f.tree(), 5, 5)),
    "prev": lambda f, n: f.entry(n, *version_changes(n, "0" * 64, f.tree()), prev="0" * 64),
    "from": lambda f, n: f.entry(n, {
        "kind": "moved from", "change": "2" * 32, "entity": "..", "project": "../..", "name": "/etc", "number": 1,
        "digest": "0" * 64,
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_that_we_would_not_have_written_are_not_pulled(two: Two, name: str) -> None:
    """Case 24, 29: names that climb, numbers that are none, versions that are not what the log says, unknown changes."""
    forger = Forger(two.remote)
    outside = sorted(two.tmp_path.iterdir())
    ENTRIES[name](forger, name)
    for other in ("one", "two"):
        shutil.rmtree(forger.folder(other), ignore_errors=True)
    with Repository(two.reader) as repository:
        try:
            refused = repository.pull().refused
        except ArtstoreError:
            is_refused = True
        else:
            is_refused = bool(refused)
        assert is_refused or not [state for state in repository.collections() if state.path.name not in ("own", "good")]
    assert sorted(two.tmp_path.iterdir()) == outside
    shutil.rmtree(forger.folder(name))
    shutil.rmtree(Path(two.reader, "remotes/origin/refs"), ignore_errors=True)
    two.pulls()


def test_strangers_names_in_a_remotes_folders_are_passed_over(two: Two) -> None:
    """Case 29: what is no log, pack or blob of ours."""
    strangers = ["refs/local/x", "refs/x", "refs/local/uncategorized/good/note.txt", "refs/.DS_Store", "objects/packs/x.pack",
                 "objects/packs/.tmp", "objects/blobs/zz/zz", "objects/blobs/00/" + "0" * 63, "refs/a/b/c/d/00000001.json",
                 "refs/local/uncategorized/good/00000001 (conflicted copy).json", "tmp/x/y", "trash/x/y", "bad/x",
                 "refs/local/uncategorized/good/1.json", "refs/local/uncategorized/good/\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661.json"]  # fmt: skip
    for name in strangers:
        path = two.remote / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"stranger")
    two.pulls()
    assert two.push() == []


@pytest.mark.parametrize("what", ["entry", "format", "number", "pack", "checkpoint"])
def test_a_remote_that_tells_of_enormous_things_costs_no_memory(two: Two, what: str) -> None:
    """Case 25, 29: 64 GiB of holes as an entry, as `format`, as a pack; a log that seems to have 99,999,999 entries."""
    if what == "number":
        (two.log / "99999999.json").write_bytes(b"{}")
    else:
        path = {
            "entry": two.log / "00000001.json", "format": two.remote / "format", "pack": two.pack,
            "checkpoint": two.log / "00000001.checkpoint",
        }[what]  # fmt: skip
        path.touch()
        os.truncate(path, 64 << 30)
    limit = limited("RLIMIT_AS", 2 << 30)
    result = run(two.tmp_path, "pull", setup=limit, ARTSTORE_DIR=two.reader, timeout=60)
    assert result.code == 0 if what == "checkpoint" else result.code in (7, 9, 10), result
    assert result.err.startswith("error: ") or what == "checkpoint", result
    check(Path(two.reader))


# -- a pull and a push that fail at the end ------------------------------------------------------


def test_a_push_that_had_to_be_withdrawn_can_be_repeated_and_takes_nothing_away_here(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 31, 65: what the withdrawal said at the remote is no deletion that others (or a pull) would take over."""
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "ensure", _collected)
        with pytest.raises(MissingObject):
            two.push()
    with Repository(two.reader) as repository:
        repository.pull()
        repository.get(repository.find("own:v0"), str(two.tmp_path / "out"))
    assert snapshot(two.tmp_path / "out") == snapshot(two.own)
    assert two.push() == []
    whole_at_remote(two.remote, two.own, "own", two.tmp_path)


def test_a_withdrawn_push_is_repeated_by_the_next_push(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 31, 65: as the hint says, the same command again."""
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "ensure", _collected)
        with pytest.raises(MissingObject):
            two.push()
    assert two.push() == []
    whole_at_remote(two.remote, two.own, "own", two.tmp_path)


def test_a_next_version_that_tells_another_size_of_a_blob_of_the_one_before_is_refused(two: Two) -> None:
    """Case 5: what lies here is not asked for again, so its size is compared with what lies here."""
    forge = Forger(two.remote)
    blob = forge.blob(b"one")
    forge.version("lies", forge.tree((b"f", 0, 3, blob)), size=3)
    assert two.pull() == []
    tree = forge.tree((b"f", 0, 4, blob))
    record = VersionRecord(tree, 4, 1, "artifact", 1_700_000_000_000_000_001, None, ()).encode()
    forge.pack((VERSION, record))
    _, added = version_changes("lies", digest_of(VERSION, record).hex(), tree, 4, 1, number=1)
    forge.entry("lies", added)
    assert "another size" in str(two.refuses_to_pull(Damage))


def test_a_folder_of_the_version_before_under_another_name_is_looked_at_when_its_totals_differ(two: Two) -> None:
    """Case 5, 17: what has the same digest and size needn't have the count of files that is told."""
    forge = Forger(two.remote)
    inner = forge.tree(file(b"f", forge.blob(b"one"), 3))
    forge.version("lies", forge.tree(directory(b"d", inner, 3, 1)), size=3)
    assert two.pull() == []
    for name, number in ((b"e", 1), (b"d", 1)):
        tree = forge.tree(directory(name, inner, 3, 999))
        record = VersionRecord(tree, 3, 999, "artifact", 1_700_000_000_000_000_001, None, ()).encode()
        forge.pack((VERSION, record))
        _, added = version_changes("lies", digest_of(VERSION, record).hex(), tree, 3, 999, number=number)
        path = forge.entry("lies", added)
        assert "has other totals" in str(two.refuses_to_pull(Damage))
        path.unlink()
        shutil.rmtree(Path(two.reader, "remotes"))
        with Repository(two.reader) as repository:
            repository.fetch()


def test_a_pull_that_had_to_be_withdrawn_can_be_repeated_and_takes_nothing_away_there(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 65: the other way round, a push after it must not delete the version at the remote."""
    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "ensure", _collected)
        with pytest.raises(MissingObject):
            two.pull()
    two.push()
    whole_at_remote(two.remote, two.source, "good", two.tmp_path)
    two.pulls()


def _collected(self: Transaction) -> None:
    raise MissingObject("collected meanwhile")
