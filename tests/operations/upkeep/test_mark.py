"""What a live version needs is marked, and nothing else."""

import os
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.changes import new_change
from artstore.domain.codec import encode_rows
from artstore.domain.collection import State
from artstore.domain.digest import BLOB, TREE, Digest, digest_of
from artstore.domain.tree import encode_folder
from artstore.errors import DamagedLog, MissingObject, NotFound
from artstore.operations.upkeep.mark import Marks
from artstore.progress import Monitor
from artstore.repository import Repository
from artstore.store.logs import Log
from artstore.store.paths import pack_path
from tests.support.folders import make_tree
from tests.support.forge import Forger
from tests.support.maintenance import LARGE, blob, gc, marks, pack, packs, put


def test_all_that_a_live_version_needs_is_marked_and_nothing_else(repo: Repository, tmp_path: Path) -> None:
    files = {"a": "a", "d/b": "b", "d/e/c": "c", "big": LARGE, "empty": None}
    put(repo, tmp_path, "data", files, description="d" * 5000, metadata={"k": "v" * 5000})
    put(repo, tmp_path, "gone", {"x": "gone"})
    repo.delete_collection("gone")
    pack(repo, b"nobody's")
    found = marks(repo)
    needed = {blob(content) for content in (b"a", b"b", b"c", LARGE, b"d" * 5000, b'"' + b"v" * 5000 + b'"\n')}
    version = repo.find("data")
    trees = {version.tree, *(repo.entry(version, path)[3] for path in ("d", "d/e", "empty"))}
    assert found.reachable - {bytes.fromhex(version.version["id"])} == needed | trees
    assert bytes.fromhex(version.version["id"]) in found and blob(b"gone") not in found
    assert found.versions == 1


def test_a_folder_in_parts_is_marked_with_all_its_parts(repo: Repository, root: Path) -> None:
    trees: dict[Digest, bytes] = {}

    def add(data: bytes) -> Digest:
        digest = digest_of(TREE, data)
        trees[digest] = data
        return digest

    folder = encode_folder([(b"%05d" % number, 0, 0, blob(b"")) for number in range(16_385)], add)
    Forger(root).pack((BLOB, b""), *((TREE, data) for data in trees.values()))
    id = Forger(root).version("data", folder.digest, folder.size, folder.files)
    assert len(trees) > 2 and marks(repo).reachable == {*trees, blob(b""), bytes.fromhex(id)}


def test_a_reference_holds_nothing_here(repo: Repository, root: Path) -> None:
    forge = Forger(root)
    forge.blob(b"")
    tree = forge.tree((b"f", 0, 0, blob(b"")), (b"r", 4, None, "s3://b/k", "etag", "x", None))
    id = forge.version("data", tree, 0, 2)
    assert marks(repo).reachable == {tree, blob(b""), bytes.fromhex(id)}


def test_parts_of_a_version_that_is_not_finished_are_marked(repo: Repository, tmp_path: Path) -> None:
    with repo.draft() as draft:
        draft.add_folder(str(make_tree(tmp_path / "part", {"f": "part"})))
        draft.save_part(repo.path_of("data")[0], "up", writer="me")
    assert blob(b"part") in marks(repo)
    assert marks(repo).versions == 0


def test_the_history_of_a_run_is_marked(here: Path) -> None:
    import artstore

    root = str(here / ".artifacts")
    with artstore.init() as run:
        for step in range(200):
            run.log({"loss": step})
    with Repository(root) as repository:
        (state,) = repository.runs.all()
        (digest,) = state.blobs()
        found = marks(repository)
        assert found.reachable == {digest}
        with artstore.init() as run:
            for step in range(300):
                run.log({"loss": step})
        found.refresh()
        assert len(found.reachable) == 2


def test_blobs_that_only_the_properties_of_a_collection_name_are_marked(repo: Repository, root: Path) -> None:
    forge = Forger(root)
    forge.blob(b"")
    forge.version("data", forge.tree((b"f", 0, 0, blob(b""))))
    for text in (b'"value"\n', b"a description"):
        forge.blob(text)
    forge.entry("data", new_change("metadata", id=None, set={}, blobs={"k": blob(b'"value"\n').hex()}, remove=[]))
    forge.entry("data", new_change("description", id=None, old=None, new=None, blob=blob(b"a description").hex()))
    found = marks(repo)
    assert blob(b'"value"\n') in found and blob(b"a description") in found


def test_no_checkpoint_is_believed(repo: Repository, tmp_path: Path) -> None:
    """It would tell what lives from another fold than that of the entries."""
    put(repo, tmp_path, "data", {"f": "one"})
    state = repo.collection("data")
    forged = State(state.path)
    forged.number, forged.digest = state.number, state.digest
    Log(repo.storage, state.path.folder).save_checkpoint(state.number, str(state.digest), forged.plain())
    with pytest.raises(NotFound):
        repo.collection("data")
    assert blob(b"one") in marks(repo)
    os.unlink(repo.storage.path(f"{state.path.folder}/{state.number:08}.checkpoint"))


def test_versions_can_be_left_out_and_blobs_be_kept_to_ask_what_if(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"f": "one"})
    put(repo, tmp_path, "data", {"f": "two"})
    first = repo.find("data:v0")
    found = marks(repo, without={f"{first.state.path.folder}@{first.version['id']}"}, kept={blob(b"kept")})
    assert blob(b"one") not in found and blob(b"two") in found and blob(b"kept") in found
    assert found.versions == 1


def test_a_refresh_adds_what_came_and_takes_nothing_out(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"f": "one"})
    put(repo, tmp_path, "other", {"f": "one"})
    found = marks(repo)
    assert found.versions == 2
    put(repo, tmp_path, "data", {"f": "two"})
    repo.delete("data:v0")
    put(repo, tmp_path, "third", {"f": "three"})
    reads = []
    read_folder = repo.refs.read_folder
    repo.refs.read_folder = lambda folder, **more: (reads.append(folder), read_folder(folder, **more))[1]  # type: ignore[method-assign,assignment]
    found.refresh()
    assert all(blob(text) in found for text in (b"one", b"two", b"three"))
    assert found.versions == 3
    assert [folder.rpartition("/")[2] for folder in reads] == ["data", "third"], (
        "a log that stands still is not read again"
    )


def test_the_monitor_counts_trees(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"a": "a", "d/b": "b", "e/c": "c"})
    monitor = Monitor()
    Marks(repo.objects, repo.refs, repo.runs, monitor)
    assert monitor.items == 3


@pytest.mark.damaged
def test_nothing_is_collected_without_refs(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"f": "one"})
    before = packs(repo)
    os.rename(repo.storage.path("refs"), repo.storage.path("elsewhere"))
    with pytest.raises(DamagedLog, match="^refs/ is missing: nothing is collected") as error:
        gc(repo)
    assert error.value.hint == "restore it from a copy"
    assert packs(repo) == before and os.listdir(repo.storage.path("tmp")) == []


@pytest.mark.damaged
@pytest.mark.parametrize("kind", ["tree", "version"])
def test_nothing_is_collected_while_a_live_version_can_not_be_read(repo: Repository, root: Path, kind: str) -> None:
    tree = encode_rows([(b"f", 0, 0, blob(b""))])
    dead, trees = pack(repo, b"dead"), Forger(root).pack((TREE, tree))
    before = packs(repo)
    Forger(root).version("data", digest_of(TREE, tree))
    (version,) = packs(repo) - before
    os.unlink(trees if kind == "tree" else repo.storage.path(pack_path(version)))
    with pytest.raises(MissingObject, match=f"^{kind} .* is missing"):
        gc(repo)
    assert dead in packs(repo)


def test_a_version_that_was_deleted_and_collected_since_its_log_was_read_is_no_damage(
    repo: Repository, tmp_path: Path
) -> None:
    put(repo, tmp_path, "data", {"f": "one"})
    stale = repo.collection("data")
    repo.delete("data:v0")
    gc(repo)
    put(repo, tmp_path, "data", {"f": "two"})
    read_folder, times = repo.refs.read_folder, iter(range(100))

    def read(folder: str, *place: Any, **more: Any) -> Any:
        if more and next(times) < 2:
            put(repo, tmp_path, "data", {"f": os.urandom(4).hex()})  # the log moves on meanwhile
            return stale
        return read_folder(folder, *place, **more)

    repo.refs.read_folder = read  # type: ignore[method-assign,assignment]
    assert blob(b"two") in marks(repo)
    assert next(times) == 3


def test_a_version_that_stays_missing_is_damage_however_often_its_log_moves_on(
    repo: Repository, tmp_path: Path
) -> None:
    put(repo, tmp_path, "data", {"f": "one"})
    stale = repo.collection("data")
    repo.delete("data:v0")
    gc(repo)
    times = []

    def read(folder: str, *place: Any, **more: Any) -> Any:
        times.append(folder)
        name = f"{len(os.listdir(repo.storage.path(folder))) + 1:08}.json"
        Path(repo.storage.path(f"{folder}/{name}")).touch()
        return stale

    repo.refs.read_folder = read  # type: ignore[method-assign,assignment]
    with pytest.raises(MissingObject):
        marks(repo)
    assert len(times) == 10
    for path in Path(repo.storage.path(times[0])).iterdir():
        if not path.stat().st_size:
            path.unlink()


def test_gc_du_and_fsck_count_the_same_versions_links_too(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"f": "one"})
    put(repo, tmp_path, "data", {"f": "two"})
    repo.link(repo.find("data:v0"), "reg/data")
    repo.delete("data:v1")
    assert [repo.gc().versions, repo.usage().versions, repo.fsck().versions] == [2, 2, 2]
