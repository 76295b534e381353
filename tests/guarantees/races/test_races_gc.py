"""Races with collectors (cases 62 to 64 of group D)."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from artstore.backends import owner
from artstore.domain.changes import new_change
from artstore.domain.collection import Path as Collection
from artstore.domain.digest import BLOB
from artstore.errors import ArtstoreError, DamagedObject, NotFound
from artstore.operations.upkeep.mark import Marks
from artstore.progress import Monitor
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot
from tests.support.processes import LARGE, _save_own, together


def test_gc_beside_a_saver_takes_nothing_that_it_relies_on(repo: Repository, process_cli: Cli, tmp_path: Path) -> None:
    """Case 62: the saver had found the objects when the only version that held them was deleted."""
    source = make_tree(tmp_path / "data", {"small": "small", "large": LARGE})
    repo.put(str(source), "data")
    with repo.draft() as draft:
        draft.add_folder(str(source))
        assert process_cli("rm", "data:v0").code == 0
        waits = process_cli("gc", "--now")
        assert (
            waits.code == 0
            and "because of open work" in waits.out
            and f"process {os.getpid()} on this host" in waits.out
        )
        draft.save(repo.path_of("again")[0])
    assert process_cli("gc", "--now").code == 0
    repo.get(repo.find("again"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)


def _save_and_delete(root: str, source: str, name: str, seconds: float) -> int:
    """As in real life, the same content comes and goes; each acknowledged save is read back at once.

    Takes longer on a busy machine: a few saves it must be.
    """
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until or count <= 5:
        with Repository(root) as repository:
            saved = repository.put(source, name)
            for digest in {entry[3] for _, entry in repository.walk(repository.find(name).tree)}:
                repository.objects.read(BLOB, digest)
            repository.delete(f"{name}:v{saved.number}")
            count += 1
    return count


def _collect(root: str, seconds: float) -> int:
    until, freed = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        with Repository(root) as repository:
            freed += repository.gc(now=True).freed_bytes
    return freed


def test_what_is_saved_beside_collectors_can_be_read_at_once(repo: Repository, tmp_path: Path) -> None:
    """Case 62: about to be collected, re-used, and there when the save is acknowledged."""
    source = make_tree(tmp_path / "data", {"small": "small", "large": LARGE})
    saves = together(
        _race,
        [
            ("save", repo.root, str(source), "a", 3.0),
            ("save", repo.root, str(source), "b", 3.0),
            ("gc", repo.root, 3.0),
            ("gc", repo.root, 3.0),
        ],
    )
    assert not [result for result in saves if isinstance(result, Exception)], saves
    assert saves[0] > 5 and saves[1] > 5


def _race(kind: str, *arguments: Any) -> int:
    return _save_and_delete(*arguments) if kind == "save" else _collect(*arguments)


def test_gc_takes_nothing_of_a_version_that_is_renamed_while_it_looks(repo: Repository) -> None:
    """Case 62 with a rename: saved when the collector had read the old name's log, and moved when it had read the new one's."""
    _save_own(repo.root, "a-old", "first", 1)
    old, new = (Collection("local", "uncategorized", name) for name in ("a-old", "b-new"))
    refs = repo.refs

    def begin() -> str:
        """The first half of a rename; its change id."""
        source = refs.read_to_append(old)
        begun = new_change("moved from", **_names(old), number=source.number, digest=source.digest)
        named = new_change("collection", **_names(new), type=source.type)
        assert refs.commit(refs.read_to_append(new, follow=False), [named, begun])
        return str(begun["change"])

    begin()  # which loses the race against the save below, and so has to begin again
    with Repository(repo.root) as collector:
        read_folder, tokens = collector.refs.read_folder, list[str]()

        def read(folder: str, *arguments: Any, **options: Any) -> Any:
            state = read_folder(folder, *arguments, **options)
            if folder == old.folder and not tokens:
                _save_own(repo.root, "a-old", "second", 1)
                tokens.append(begin())
            return state

        collector.refs.read_folder = read  # type: ignore[method-assign]
        marks = Marks(collector.objects, collector.refs, collector.runs, Monitor())
        moved = {"kind": "moved to", "change": tokens[0], **_names(new)}
        assert refs.commit(refs.read(old, follow=False), [moved])
        marks.refresh()
        live = refs.read(new).live()
        assert [version["number"] for version in live] == [0, 1]
        for version in live:
            assert bytes.fromhex(version["id"]) in marks, f"v{version['number']} is live, and gc would take it"


def _names(path: Collection) -> dict[str, str]:
    return {"entity": path.entity, "project": path.project, "name": path.name}


def _gc(root: str, host: str | None) -> tuple[int, tuple[str, ...]]:
    if host:
        owner._host = lambda: host  # type: ignore[assignment]  # as another machine on the same folder
    with Repository(root) as repository:
        result = repository.gc(now=True)
        return result.freed_bytes, result.waits_for


@pytest.mark.parametrize("host", [None, "elsewhere-0123456789ab"])
def test_two_collectors_at_once_are_both_safe_and_a_later_one_finds_nothing(
    repo: Repository, tmp_path: Path, host: str | None
) -> None:
    """Case 63: gc beside gc, on one host and on two."""
    kept = make_tree(tmp_path / "kept", {"small": "kept", "large": LARGE})
    for number in range(4):
        gone = make_tree(tmp_path / f"gone{number}", {"small": f"gone {number}" * 99, "large": LARGE + bytes([number])})
        repo.put(str(gone), "gone")
    repo.put(str(kept), "kept")
    repo.delete_collection("gone")
    results = together(_gc, [(repo.root, None), (repo.root, host)])
    assert not [result for result in results if isinstance(result, ArtstoreError)], results
    repo.gc(now=True)
    assert repo.gc(now=True).freed_bytes == 0
    usage = repo.usage()
    assert (usage.blobs, usage.trash_bytes) == (1, 0)
    repo.get(repo.find("kept"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(kept)


def test_a_version_deleted_and_collected_is_read_from_the_trash_within_the_grace_period(
    repo: Repository, process_cli: Cli, tmp_path: Path
) -> None:
    """Case 64: by a reader that had begun, and again by the same reader."""
    source = make_tree(tmp_path / "data", {f"{n}": f"{n}" for n in range(20)} | {"large": LARGE})
    repo.put(str(source), "data")
    found = repo.find("data")
    repo.get(found, str(tmp_path / "before"))
    assert process_cli("rm", "data:v0").code == 0 and process_cli("gc").code == 0
    repo.objects.packs.refresh()
    for turn in ("first", "second"):
        repo.get(found, str(tmp_path / turn))
        assert snapshot(tmp_path / turn) == snapshot(source)
        for digest in {entry[3] for _, entry in repo.walk(found.tree) if entry[2] < len(LARGE)}:
            assert repo.objects.read(BLOB, digest)


def test_a_reader_in_the_trash_beside_collectors_that_rename_it_finds_everything(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 64: between a look at the trash and the look into a run's folder, the run ended (which renames its folder)."""
    repo.put(str(make_tree(tmp_path / "data", {"small": "small", "large": LARGE})), "data")
    found = repo.find("data")
    small, large = (repo.entry(found, path) for path in ("small", "large"))
    repo.delete("data:v0")
    repo.gc()
    names = repo.storage.names

    def names_then_rename(folder: str) -> list[str]:
        listed = names(folder)
        if folder == "trash":
            for number, run in enumerate(listed):
                os.rename(
                    repo.storage.path(f"trash/{run}"),
                    repo.storage.path(f"trash/gc.left.{number}{time.monotonic_ns():x}"),
                )
                monkeypatch.undo()
        return listed

    with Repository(repo.root) as reader:
        for entry in (small, large):
            monkeypatch.setattr(reader.storage, "names", names_then_rename)
            assert b"".join(reader.content(entry)) in (b"small", LARGE)


def test_a_version_collected_for_good_while_it_is_read_is_gone_and_not_damaged(
    repo: Repository, process_cli: Cli, tmp_path: Path
) -> None:
    """Case 64: after the grace period the reader is told that the version was deleted."""
    repo.put(str(make_tree(tmp_path / "data", {"small": "small", "large": LARGE})), "data")
    with Repository(repo.root) as reader:
        found = reader.find("data")
        assert process_cli("rm", "data:v0").code == 0 and process_cli("gc", "--now").code == 0
        with pytest.raises(ArtstoreError) as caught:
            reader.get(found, str(tmp_path / "out"))
    assert not isinstance(caught.value, DamagedObject)
    assert isinstance(caught.value, NotFound) and "deleted" in str(caught.value)
