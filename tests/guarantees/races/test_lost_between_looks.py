"""What goes between two looks: objects that a save relied on and somebody took, places that refuse, logs that others
write to all the time. Nothing is acknowledged that isn't there, and what was begun is taken back.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.backends.storage import FolderStorage
from artstore.domain.collection import Path as Collection
from artstore.domain.digest import BLOB, Digest
from artstore.domain.properties import Properties
from artstore.errors import (
    ArtstoreError,
    Conflict,
    DamagedLog,
    DamagedObject,
    InvalidValue,
    MissingObject,
    NoSpace,
    NotFound,
    StorageError,
    storage_error,
)
from artstore.operations.saving.reliance import Reliance
from artstore.repository import Repository
from artstore.store.packs import PackWriter
from artstore.store.refs import Refs
from artstore.store.relied import Relied
from artstore.store.transaction import Transaction
from artstore.store.trash import trashed
from artstore.sync import transfer
from tests.support.artifacts import draft, log
from tests.support.checks import check
from tests.support.folders import make_tree, snapshot

LARGE = b"0123456789abcdef" * (1 << 17)  # 2 MiB


def _saved(repo: Repository, tmp_path: Path, name: str = "a", **files: str | bytes) -> Path:
    source = make_tree(tmp_path / f"src-{name}", dict(files or {"f": "1", "large": LARGE}))
    repo.put(str(source), name)
    return source


def _take(root: Path, what: str) -> None:
    """As somebody does who doesn't ask."""
    for path in (root / "objects" / what).rglob("*"):
        if path.is_file():
            path.unlink()


# -- a write that failed -------------------------------------------------------------------------


def test_after_a_write_that_failed_a_transaction_takes_and_publishes_nothing(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what its pack holds."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Transaction(repo.objects) as tx:
        with monkeypatch.context() as patch:
            patch.setattr(PackWriter, "add", full)
            with pytest.raises(NoSpace):
                tx.add(BLOB, b"1")
        again: tuple[Callable[[], Any], ...] = (
            lambda: tx.add(BLOB, b"2"),
            lambda: tx.add_missing([(Digest(bytes(32)), memoryview(b"3"))]),
            tx.publish,
        )
        for attempt in again:
            with pytest.raises(StorageError, match="an earlier write of this transaction failed"):
                attempt()


def test_a_save_of_more_than_a_pack_takes_becomes_several(
    repo: Repository, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderStorage, "roll_at", 3000)
    source = _saved(repo, tmp_path, **{f"{number}": str(number) * 500 for number in range(20)})
    assert len(list((root / "objects/packs").iterdir())) > 3
    repo.put(str(source), "a", metadata={f"long{number}": str(number) * 5000 for number in range(4)})
    repo.get(repo.find("a"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)
    repo.remotes.add("nas", str(tmp_path / "nas"), make=True)
    repo.push()
    check(tmp_path / "nas")


def test_a_long_exchange_publishes_what_it_has_on_the_way(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_PUBLISH_EVERY", 1000)
    _saved(repo, tmp_path, **{f"{n}": str(n) * 800 for n in range(9)}, large=LARGE, larger=LARGE + b"1")
    repo.put(str(tmp_path / "src-a"), "a", metadata={"text": "x" * 1_500_000})
    repo.remotes.add("nas", str(tmp_path / "nas"), make=True)
    repo.push()
    check(tmp_path / "nas")
    clone, _ = Repository.clone(str(tmp_path / "nas"), str(tmp_path / "clone/.artifacts"))
    with clone:
        assert clone.properties(clone.find("a"))[1] == {"text": "x" * 1_500_000}


# -- objects that were relied on -----------------------------------------------------------------


@pytest.mark.damaged
@pytest.mark.parametrize("what", ["packs", "blobs"])
def test_a_save_that_relied_on_what_is_gone_is_not_acknowledged_and_leaves_no_version(
    repo: Repository, root: Path, tmp_path: Path, what: str
) -> None:
    source = _saved(repo, tmp_path)
    with repo.draft() as begun:
        begun.add_folder(str(source))
        _take(root, what)
        with pytest.raises(MissingObject, match="was collected while this relied on it") as error:
            begun.save(repo.path_of("b")[0])
    assert error.value.hint == "run the same command again"
    with pytest.raises(NotFound):
        repo.find("b")
    repo.put(str(source), "b")  # as the hint says
    repo.get(repo.find("b"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)


@pytest.mark.damaged
def test_what_such_a_save_said_of_a_version_that_was_there_is_unsaid(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    _saved(repo, tmp_path)
    path = repo.path_of("a")[0]
    for metadata in ({"k": 1}, None):
        copy = make_tree(tmp_path / f"copy {metadata}", {"f": "1", "large": LARGE})  # not known by its stat
        with repo.draft() as begun:
            begun.add_folder(str(copy))
            _take(root, "blobs")
            with pytest.raises(MissingObject):
                begun.save(path, properties=Properties(metadata=metadata))
        (version,) = repo.refs.read(path).versions.values()
        assert not version.get("metadata")
        repo.put(str(copy), "again")


_ALL = Properties(
    ("prod", "new"), ("good",), "text", {"k": 1}, 60, no_aliases=("old",), no_tags=("bad",), no_metadata=("gone",)
)


def _with_properties(repo: Repository, tmp_path: Path) -> tuple[Collection, dict[str, str], dict[str, Any]]:
    """A collection with two versions. Returns it, its aliases, and its newest version."""
    _saved(repo, tmp_path, f="0")
    first = repo.edit("a:v0", Properties(("prod",))).id
    _saved(repo, tmp_path)
    found = repo.edit("a:v1", Properties(("old",), ("bad",), metadata={"gone": 0}))
    assert found.state.aliases == {"prod": first, "old": found.id}
    return found.state.path, dict(found.state.aliases), _lasting(found.version)


def _lasting(version: Any) -> dict[str, Any]:
    """What a version's state holds, without the time of its last change."""
    return {field: value for field, value in version.items() if value not in (None, [], {}) and field != "updated"}


@pytest.mark.damaged
@pytest.mark.parametrize("of_new", [False, True])
def test_a_save_that_is_taken_back_changes_no_property_and_returns_the_aliases(
    repo: Repository, root: Path, tmp_path: Path, of_new: bool
) -> None:
    path, aliases, last = _with_properties(repo, tmp_path)
    files = {"f": "1", "large": LARGE, **({"more": "2"} if of_new else {})}
    with repo.draft() as begun:
        begun.add_folder(str(make_tree(tmp_path / "copy", files)))
        _take(root, "blobs")
        with pytest.raises(MissingObject):
            begun.save(path, properties=_ALL)
    state = repo.refs.read(path)
    assert state.aliases == aliases and state.latest is not None
    assert len(state.versions) == 2 + of_new
    assert _lasting(state.latest) == last


def test_what_somebody_sets_meanwhile_stays_when_a_save_is_taken_back(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _, last = _with_properties(repo, tmp_path)

    def lost(*_: object) -> None:
        with Repository(repo.root) as other:
            other.edit("a:v0", Properties(("new",), no_aliases=("prod",)))
            other.edit("a:v1", Properties(description="theirs", metadata={"k": 2}))
        raise MissingObject("gone")

    with repo.draft() as begun, monkeypatch.context() as patch, pytest.raises(MissingObject):
        begun.add_folder(str(make_tree(tmp_path / "copy", {"f": "1", "large": LARGE})))
        patch.setattr(Reliance, "ensure_saved", lost)
        begun.save(path, properties=_ALL._replace(aliases=("new", "both"), metadata={"k": 1, "mine": 1}))
    state = repo.refs.read(path)
    (first, _), now = state.versions, state.latest
    assert state.aliases == {"old": last["id"], "new": first}, "v0 got `new` meanwhile, and `both` is gone"
    assert now is not None and now["description"] == "theirs" and now["metadata"] == {"gone": 0, "k": 2}
    assert now["tags"] == ["bad"] and "ttl" not in now


def test_origins_of_a_save_that_is_taken_back_can_be_given_again(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long list of origins is a blob, which may be the one that is gone."""
    _saved(repo, tmp_path, f="1")
    path = repo.path_of("a")[0]
    origin = {**path.fields(), "number": 0, "id": repo.find("a").id, "path": "f"}

    def lost(*_: object) -> None:
        raise MissingObject("gone")

    with repo.draft() as begun, monkeypatch.context() as patch, pytest.raises(MissingObject):
        begun.add_bytes(b"1", "f")
        patch.setattr(Reliance, "ensure_saved", lost)
        begun.save(path, origins={"f": origin})
    assert repo.lookup.origins(repo.find("a")) == {}
    with repo.draft() as begun:
        begun.add_bytes(b"1", "f")
        begun.save(path, origins={"f": origin})
    assert repo.lookup.origins(repo.find("a")) == {"f": origin}


@pytest.mark.parametrize("what", ["edit", "link", "copy"])
def test_what_relied_on_objects_that_went_returns_aliases_and_tags(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    _with_properties(repo, tmp_path)
    repo.copy("a", "b")
    repo.link(repo.find("a:v0"), "registry-r/c", ("prod",))
    _saved(repo, tmp_path, f="3")
    repo.edit("a:v2", Properties(("prod", "next"), ("new",)))
    attempts: dict[str, tuple[str, Callable[[], Any]]] = {
        "edit": ("a:v1", lambda: repo.edit("a:v1", _ALL)),
        "link": ("registry-r/c", lambda: repo.link(repo.find("a:v1"), "registry-r/c", ("prod", "new"))),
        "copy": ("b", lambda: repo.copy("a", "b")),
    }
    name, attempt = attempts[what]
    before = repo.collection(name.partition(":")[0])
    said = {id: _lasting(version) for id, version in before.versions.items()}

    def lost(*_: object) -> None:
        raise MissingObject("gone")

    with monkeypatch.context() as patch, pytest.raises(MissingObject):
        patch.setattr(Transaction, "ensure", lost)
        attempt()
    now = repo.collection(name.partition(":")[0])
    assert now.aliases == before.aliases and now.number == before.number + 2
    assert {id: _lasting(now.versions[id]) for id in said} == said
    assert {version["id"] for version in now.live()} == {version["id"] for version in before.live()}


def test_a_finish_that_found_an_equal_version_and_is_taken_back_leaves_the_parts_waiting(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _saved(repo, tmp_path, f="1")
    path = repo.path_of("a")[0]
    with repo.draft() as begun:
        begun.add_bytes(b"1", "f")
        begun.save_part(path, "together", writer="one")

    def lost(*_: object) -> None:
        raise MissingObject("gone")

    with monkeypatch.context() as patch, pytest.raises(MissingObject):
        patch.setattr(Reliance, "ensure_saved", lost)
        repo.finish("a", "together")
    assert [part["writer"] for part in repo.refs.read(path).upserts["together"]] == ["one"]
    assert not repo.finish("a", "together").is_new and not repo.refs.read(path).upserts


@pytest.mark.damaged
def test_a_part_that_relied_on_what_is_gone_is_taken_back(repo: Repository, root: Path, tmp_path: Path) -> None:
    source = _saved(repo, tmp_path)
    path = repo.path_of("parts")[0]
    with repo.draft() as begun:
        begun.add_folder(str(source))
        _take(root, "blobs")
        with pytest.raises(MissingObject):
            begun.save_part(path, "together", writer="one")
    assert repo.refs.read(path).upserts.get("together", []) == []
    with repo.draft() as begun:
        begun.add_folder(str(source))
        begun.save_part(path, "together", writer="one")
    with repo.draft() as begun:
        begun.add_folder(str(source))
        _take(root, "blobs")
        with pytest.raises(MissingObject):
            begun.save_part(path, "together", writer="two")
    assert len(repo.refs.read(path).upserts["together"]) == 1, "the part of the first stays"


@pytest.mark.damaged
def test_an_edit_whose_long_value_went_is_undone(
    repo: Repository, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _saved(repo, tmp_path, f="1")
    _saved(repo, tmp_path, "b", f="2")
    long = {"text": "x" * 10_000}
    repo.edit("a:v0", Properties(metadata=long))
    real = Refs.change

    def taken(self: Refs, *args: Any, **more: Any) -> Any:
        _take(root, "packs")
        return real(self, *args, **more)

    with monkeypatch.context() as patch, pytest.raises(MissingObject):
        patch.setattr(Refs, "change", taken)
        repo.edit("b:v0", Properties(metadata=long))
    (version,) = repo.refs.read(repo.path_of("b")[0]).versions.values()
    assert not version.get("blobs")


def test_a_deleted_version_comes_back_with_its_long_properties_or_not_at_all(repo: Repository, tmp_path: Path) -> None:
    source = _saved(repo, tmp_path)
    texts = {"text": "x" * 1_500_000, "more": "y" * 5000}
    repo.put(str(source), "b", metadata=texts)
    repo.delete("b:v0")
    repo.gc()
    repo.undelete("b:v0")
    assert repo.properties(repo.find("b"))[1] == texts
    repo.delete("b:v0")
    repo.gc(now=True)
    with pytest.raises(MissingObject, match="can't be brought back"):
        repo.undelete("b:v0")


def test_a_draft_of_a_whole_version_begins_beside_damage_elsewhere(here: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        first = wandb.Artifact("refs", "dataset")
        first.add_reference((make_tree(here / "far", {"x": "1"}) / "x").as_uri())
        first.add_dir(str(make_tree(here / "in", {"sub/f": "1"})))
        first = log(first)
        other = log(draft("other", text="other"))
    with Repository(str(here / ".artifacts")) as repository:
        digest = repository.entry(repository.find("other"), "f")[3]
        pack = repository.objects.packs.holding(Digest(digest))
        assert pack is not None and other.name == "other:v0"
        repository.objects.damage.note(pack, Digest(digest))
        assert repository.objects.damage.is_known
        assert sorted(first.new_draft().manifest.entries) == ["sub/f", "x"]
        assert any("is damaged" in problem for problem in repository.fsck(quick=True).problems)
        assert repository.fsck().problems == [] and not repository.objects.damage.is_known, "it was right after all"


# -- collectors that don't stop ------------------------------------------------------------------


def test_a_save_beside_a_collector_that_never_stops_gives_up_with_a_sentence(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with repo.draft() as begun:
        begun.add_bytes(b"1", "f")
        monkeypatch.setattr(Relied, "restore_packs", lambda self: ({"objects/packs/x"}, []))
        with pytest.raises(MissingObject, match="a collector keeps taking what is saved in"):
            begun.save(repo.path_of("a")[0])
    monkeypatch.undo()
    with pytest.raises(NotFound):
        repo.find("a")


@contextmanager
def _deleted(repo: Repository, tmp_path: Path) -> Iterator[Transaction]:
    """A version in the trash."""
    _saved(repo, tmp_path)
    repo.delete("a:v0")
    repo.gc()
    with Transaction(repo.objects) as tx:
        yield tx


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES])
def test_what_can_not_be_taken_out_of_the_trash_is_gone_or_an_error(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A run that renames its trash again and again is looked for ten times; a place that refuses says so."""
    with _deleted(repo, tmp_path) as tx:
        (large,) = (Path(path).name for path in trashed(repo.objects.storage) if len(Path(path).name) == 64)

        def refuse(*_: object) -> bool:
            raise storage_error(error := OSError(number, os.strerror(number)), "link") from error

        with monkeypatch.context() as patch:
            patch.setattr(FolderStorage, "rescue", refuse)
            if number == errno.ENOENT:
                assert not tx.recover(BLOB, Digest(bytes.fromhex(large)), len(LARGE))
            else:
                with pytest.raises(StorageError, match="permission denied"):
                    tx.recover(BLOB, Digest(bytes.fromhex(large)), len(LARGE))
        assert tx.recover(BLOB, Digest(bytes.fromhex(large)), len(LARGE))


def test_what_is_taken_as_often_as_it_is_brought_back_is_gone(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _deleted(repo, tmp_path) as tx:
        (large,) = (Path(path).name for path in trashed(repo.objects.storage) if len(Path(path).name) == 64)
        monkeypatch.setattr(tx, "rely", lambda *_: False)
        assert not tx.recover(BLOB, Digest(bytes.fromhex(large)), len(LARGE))


@pytest.mark.damaged
def test_a_damaged_blob_that_can_not_be_moved_is_not_saved_over(
    repo: Repository, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _saved(repo, tmp_path)
    (blob,) = (path for path in (root / "objects/blobs").rglob("*") if path.is_file())
    os.truncate(blob, 5)
    monkeypatch.setattr(FolderStorage, "set_aside", lambda *_: False)
    copy = make_tree(tmp_path / "copy", {"f": "1", "large": LARGE})
    with pytest.raises(DamagedObject, match="is damaged and can't be replaced") as error:
        repo.put(str(copy), "b")
    assert error.value.hint is not None and error.value.hint.startswith("move ")
    assert source.exists()


# -- logs that others write to all the time ------------------------------------------------------


def test_a_change_that_loses_every_race_gives_up_with_a_sentence(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _saved(repo, tmp_path)
    repo.remotes.add("nas", str(tmp_path / "nas"), make=True)
    with monkeypatch.context() as patch:
        patch.setattr(Refs, "commit", lambda *_: None)
        attempts: tuple[tuple[Callable[[], Any], str], ...] = (
            (lambda: repo.put(str(source), "b"), "changes faster than this could be added"),
            (lambda: repo.rename("a", "b"), "changes faster than it could be renamed"),
        )
        for attempt, reason in attempts:
            with pytest.raises(Conflict, match=reason):
                attempt()
        (refused,) = repo.push().refused
        assert refused.problem is not None and "changes faster than this could be added" in str(refused.problem)
    assert [state.path.name for state in repo.collections()] == ["a"]
    assert repo.push().refused == []


def test_a_version_that_changes_all_the_time_is_not_moved(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from artstore.operations.changing.changes import Changes

    _saved(repo, tmp_path)
    assert repo.move("a", "b").path.name == "b", "a whole artifact is renamed"
    monkeypatch.setattr(Changes, "_delete_unchanged", lambda *_: False)
    with pytest.raises(Conflict, match="changes faster than it could be moved"):
        repo.move("b:v0", "c")
    assert repo.find("b:v0") is not None


def test_what_is_refused_says_why(repo: Repository, tmp_path: Path) -> None:
    source = _saved(repo, tmp_path, f="1")
    with pytest.raises(NotFound, match="there is no collection"):
        repo.refs.rename(Collection("local", "uncategorized", "none"), Collection("local", "uncategorized", "x"))
    with pytest.raises(InvalidValue, match="latest"):
        repo.edit("a", Properties(no_aliases=("latest",)))
    repo.delete("a:v0")
    repo.put(str(make_tree(source, {"f": "2"})), "a", type="artifact")
    repo.edit_collection("a", type="model")
    with pytest.raises(Conflict, match="has type 'model' now; the deleted version has 'artifact'"):
        repo.undelete("a:v0")


def test_tags_and_aliases_of_a_link_go_where_they_belong(repo: Repository, tmp_path: Path) -> None:
    _saved(repo, tmp_path, f="1")
    repo.link(repo.find("a"), "registry-models/prod")
    repo.set_tags("registry-models/prod", ("good",))
    assert repo.find("a").version["tags"] == ["good"], "a link shares its source's tags"
    repo.edit("registry-models/prod", Properties(aliases=("live",)))
    assert repo.find("registry-models/prod:live").state.path.name == "prod"
    with pytest.raises(NotFound):
        repo.find("a:live")


@pytest.mark.long
def test_of_more_than_a_hundred_names_the_oldest_leads_nowhere(repo: Repository, tmp_path: Path) -> None:
    """A redirect is followed a hundred times, so that a circle of forged ones ends."""
    _saved(repo, tmp_path, f="1")
    for number in range(101):
        repo.rename("a" if number == 0 else f"a{number - 1}", f"a{number}")
    assert repo.find("a2").state.path.name == "a100"
    with pytest.raises(NotFound):
        repo.find("a")


@pytest.mark.damaged
def test_who_asks_for_all_collections_is_told_of_one_that_can_not_be_read(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    _saved(repo, tmp_path, f="1")
    (root / "refs/local/uncategorized/a/00000001.json").write_bytes(b"{")
    with pytest.raises(DamagedLog):
        list(repo.collections())
    damaged: list[Any] = []
    assert list(repo.collections(damaged=damaged)) == [] and len(damaged) == 1
    folder = root / "runs/local/uncategorized/r"
    folder.mkdir(parents=True)
    (folder / "00000001.json").write_bytes(b"{")
    with pytest.raises(DamagedLog):
        list(repo.runs.all())
    assert list(repo.runs.all(damaged=damaged)) == [] and len(damaged) == 2


# -- two clones ----------------------------------------------------------------------------------


def test_what_was_renamed_here_takes_nothing_more_under_its_old_name(repo: Repository, tmp_path: Path) -> None:
    _saved(repo, tmp_path, f="1")
    repo.remotes.add("nas", str(tmp_path / "nas"), make=True)
    repo.push()
    clone, _ = Repository.clone(str(tmp_path / "nas"), str(tmp_path / "clone/.artifacts"))
    with clone:
        clone.rename("a", "b")
        assert clone.pull().refused == [], "the remote has nothing new under the old name"
        repo.put(str(make_tree(tmp_path / "src-a", {"f": "2"})), "a")
        repo.push()
        (refused,) = clone.pull().refused
        assert "was renamed to" in str(refused.problem) and "has a new v1" in str(refused.problem)
        assert isinstance(refused.problem, ArtstoreError) and "renames it there" in str(refused.problem.hint)
    check(tmp_path / "clone/.artifacts")
