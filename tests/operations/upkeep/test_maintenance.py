"""Maintenance: packs are merged by size class, and what no live version reaches is collected, by one routine that takes
bytes away.
"""

import os
import re
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from artstore.backends import owner
from artstore.backends.storage import FolderStorage
from artstore.domain.changes import new_change
from artstore.domain.codec import encode_rows
from artstore.domain.collection import State
from artstore.domain.digest import BLOB, TREE, VERSION, Digest, digest_of
from artstore.domain.tree import encode_folder
from artstore.errors import DamagedLog, MissingObject, NoSpace, NotFound, StorageError
from artstore.operations.upkeep.collect import (
    Collected,
    Plan,
    collect,
    foresee,
    plan,
    recheck_bad,
    rewrite_bad,
    set_broken_aside,
    waiting_trash,
)
from artstore.operations.upkeep.mark import Marks
from artstore.operations.upkeep.merge import merge, packs_due, size_class
from artstore.operations.upkeep.removal import Everything, Removal, is_left_over, open_transactions, sweep
from artstore.progress import Monitor
from artstore.repository import Repository
from artstore.store import packs as package
from artstore.store.large import blob_path
from artstore.store.logs import Log
from artstore.store.objects import ObjectStore
from artstore.store.packs import FOOTER, HEADER, ROW
from artstore.store.packset import pack_path
from artstore.store.transaction import Transaction
from tests.conftest import make_tree
from tests.support.forge import Forger
from tests.support.together import descriptors

DAY = 86400.0
MIB = 1 << 20
LARGE = b"L" * (MIB + 1)


def blob(data: bytes) -> Digest:
    return digest_of(BLOB, data)


def pack(repo: Repository, *contents: bytes, age: float = 0.0) -> str:
    """Publish a pack of these blobs; its name."""
    path = Forger(Path(repo.root)).pack(*((BLOB, content) for content in contents))
    os.utime(path, (time.time() - age,) * 2)
    return path.stem


def put(repo: Repository, tmp_path: Path, name: str, files: dict[str, str | bytes | None], **more: Any) -> None:
    repo.put(str(make_tree(tmp_path / "src" / os.urandom(4).hex(), files)), name, **more)


def packs(repo: Repository) -> set[str]:
    return {name[:-5] for name in os.listdir(repo.storage.path("objects/packs"))}


def gc(repo: Repository, grace: float = 0.0, *, dry_run: bool = False) -> Collected:
    act = foresee if dry_run else collect
    return act(repo.objects, repo.refs, repo.runs, grace=grace, monitor=Monitor())


def marks(repo: Repository, **more: Any) -> Marks:
    return Marks(repo.objects, repo.refs, repo.runs, Monitor(), **more)


def stored_bytes(repo: Repository) -> int:
    return sum(size for folder in ("objects", "trash") for _, size in repo.storage.below(folder))


def dead_owner(**parts: str) -> str:
    """The name of a process of this host that has ended."""
    child = subprocess.Popen(["true"])
    child.wait()
    return str(owner.this_process()._replace(pid=child.pid))


def damage(repo: Repository, name: str, content: bytes) -> None:
    """Change a byte of an object in a pack."""
    path = Path(repo.storage.path(pack_path(name)))
    data = path.read_bytes()
    assert content in data
    path.chmod(0o644)
    path.write_bytes(data.replace(content, b"?" + content[1:]))


class Elsewhere(FolderStorage):
    """A folder as on a network file system: nobody's death can be proved from here by a boot, and listings may be old."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.local = self.coherent = False


class Distant(FolderStorage):
    """A folder that says it is far away."""

    distant = True


# -- which packs are merged ----------------------------------------------------------------------


def test_no_checkpoint_decides_what_is_collected_of_a_collection_that_was_renamed_either(
    repo: Repository, tmp_path: Path
) -> None:
    """Its versions stand in the old name's log, whose checkpoint has lost one."""
    put(repo, tmp_path, "old", {"f": "0"})
    put(repo, tmp_path, "old", {"f": "1"})
    for n in range(70):
        repo.set_tags("old:v1", (f"t{n}",))
    folder = repo.path_of("old")[0].folder
    log = Log(repo.storage, folder)
    found = log.checkpoint(log.listing())
    assert found is not None
    repo.rename("old", "new")
    number, digest, state = found
    state["versions"] = [version for version in state["versions"] if version["number"] == 1]
    log.save_checkpoint(number, digest, state)
    assert gc(repo).versions == 2
    Path(repo.root, folder, f"{number:08}.checkpoint").unlink()
    assert [repo.find(f"new:v{n}").version["number"] for n in (0, 1)] == [0, 1]


@pytest.mark.parametrize("more", range(4))
def test_an_empty_object_lies_where_another_begins_and_is_none_of_its_damage(
    repo: Repository, tmp_path: Path, more: int
) -> None:
    """Whichever of the two comes first in the index."""
    for n in range(2):
        put(repo, tmp_path, "a", {"empty": "", "f": f"content {more}", "only once": f"{n}"})
        repo.delete("a:v0") if n == 0 else None
    done = gc(repo)
    assert done.problems == () and done.freed_bytes > 0
    for n in range(8):
        put(repo, tmp_path, "b", {"empty": "", "f": f"content {more}", "more": f"{n}"})
    merge(repo.objects)
    assert not repo.objects.damage.is_known and repo.fsck().problems == []


def test_size_classes_are_powers_of_eight_from_64_kib_to_32_mib() -> None:
    sizes = [1, 64 << 10, (64 << 10) + 1, 512 << 10, 4 << 20, (4 << 20) + 1, (32 << 20) - 1, 32 << 20]
    assert [size_class(size) for size in sizes] == [0, 0, 1, 1, 2, 3, 3, None]


def test_packs_are_due_when_a_size_class_has_eight_and_the_oldest_come_first(repo: Repository) -> None:
    names = [pack(repo, b"%d" % number, age=100.0 * number) for number in range(7)]
    assert packs_due(ObjectStore(repo.storage)) == []
    names.append(pack(repo, b"7", age=700.0))
    assert packs_due(ObjectStore(repo.storage)) == names[::-1]


def test_the_smallest_class_that_is_due_comes_first(repo: Repository) -> None:
    small = {pack(repo, b"%d" % number) for number in range(8)}
    middle = {pack(repo, bytes([number]) * (70 << 10)) for number in range(9)}
    assert set(packs_due(ObjectStore(repo.storage))) == small
    for name in small:
        os.unlink(repo.storage.path(pack_path(name)))
    assert set(packs_due(ObjectStore(repo.storage))) == middle


def test_at_most_64_packs_are_merged_at_once(repo: Repository) -> None:
    for number in range(66):
        pack(repo, b"%d" % number)
    assert len(packs_due(ObjectStore(repo.storage))) == 64


def test_packs_that_came_after_the_listing_are_not_due(repo: Repository) -> None:
    names = {pack(repo, b"%d" % number) for number in range(8)}
    objects = ObjectStore(repo.storage)
    objects.packs.refresh()
    pack(repo, b"later")
    assert set(packs_due(objects)) == names


def test_packs_from_32_mib_on_stay(repo: Repository) -> None:
    paths = [Path(repo.storage.path(pack_path(f"{number:064}"))) for number in range(8)]
    for path in paths:
        path.touch()
        os.truncate(path, 32 << 20)
    assert packs_due(ObjectStore(repo.storage)) == []
    small = {pack(repo, b"%d" % number) for number in range(8)}
    assert set(packs_due(ObjectStore(repo.storage))) == small
    for path in paths:
        path.unlink()


def test_at_a_distant_place_no_pack_is_asked_for_its_age(repo: Repository) -> None:
    class Silent(Distant):
        def stamp(self, path: str) -> float | None:
            raise AssertionError("a request for each pack")

    names = [pack(repo, b"%d" % number, age=100.0 * number) for number in range(8)]
    assert packs_due(ObjectStore(Silent(repo.root), cache=FolderStorage(repo.root))) == sorted(names)


# -- merging -------------------------------------------------------------------------------------


def test_a_merge_leaves_one_pack_with_each_object_once_in_the_order_of_the_old_ones(repo: Repository) -> None:
    contents = [b"content %d" % number for number in range(8)]
    for number, content in enumerate(contents):
        pack(repo, content, b"same", age=800.0 - 100 * number)
    objects = ObjectStore(repo.storage)
    assert merge(objects) == 8
    (name,) = packs(repo)
    assert objects.packs.names() == {name}
    merged = objects.packs.open(name)
    ordered = sorted(merged.rows(), key=lambda row: row.offset)
    assert [merged.object(row) for row in ordered if merged.object(row) != b"same"] == contents
    assert [merged.object(row) for row in ordered].count(b"same") == 1
    assert merged.size == HEADER + sum(map(len, contents)) + 4 + 9 * ROW.size + FOOTER.size
    assert os.listdir(repo.storage.path("trash")) == os.listdir(repo.storage.path("tmp")) == []


def test_merging_goes_on_as_long_as_a_class_has_eight_packs(repo: Repository) -> None:
    for number in range(71):
        pack(repo, b"%d" % number)
    assert merge(ObjectStore(repo.storage)) == 64 + 8
    assert len(packs(repo)) == 1
    assert merge(ObjectStore(repo.storage)) == 0


def test_seven_packs_stay(repo: Repository) -> None:
    names = {pack(repo, b"%d" % number) for number in range(7)}
    assert merge(ObjectStore(repo.storage)) == 0
    assert packs(repo) == names


@pytest.mark.damaged
def test_packs_with_damage_stay_out_of_a_merge(repo: Repository) -> None:
    names = [pack(repo, b"content %d" % number) for number in range(10)]
    damage(repo, names[8], b"content 8")
    repo.objects.damage.note(names[8], blob(b"content 8"))
    path = Path(repo.storage.path(pack_path(names[9])))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    objects = ObjectStore(repo.storage)
    assert merge(objects) == 8
    assert len(packs(repo)) == 3 and {names[8], names[9]} < packs(repo)
    assert objects.read(BLOB, blob(b"content 3")) == b"content 3"


@pytest.mark.damaged
def test_a_merge_that_meets_damage_changes_nothing(repo: Repository) -> None:
    names = {pack(repo, b"content %d" % number) for number in range(8)}
    damage(repo, min(names), b"content")
    before = descriptors()
    with closing(ObjectStore(repo.storage)) as objects:
        assert merge(objects) == 0
    assert packs(repo) == names and descriptors() == before
    assert os.listdir(repo.storage.path("trash")) == os.listdir(repo.storage.path("tmp")) == []


def test_a_merge_that_can_not_read_a_pack_changes_nothing(repo: Repository) -> None:
    names = {pack(repo, b"%d" % number) for number in range(8)}

    class Failing(FolderStorage):
        def reader(self, path: str) -> Any:
            size, read, close = super().reader(path)

            def fail(offset: int, length: int) -> bytes:
                if offset == HEADER:
                    raise OSError(5, "Input/output error")
                return read(offset, length)

            return size, fail, close

    assert merge(ObjectStore(Failing(repo.root))) == 0
    assert packs(repo) == names


def test_a_pack_that_goes_meanwhile_is_left_out_of_a_merge(repo: Repository) -> None:
    names = [pack(repo, b"%d" % number) for number in range(8)]

    class Beside(FolderStorage):
        def reader(self, path: str) -> Any:
            if path == pack_path(names[3]):
                raise FileNotFoundError(path)
            return super().reader(path)

    assert merge(ObjectStore(Beside(repo.root))) == 7
    assert len(packs(repo)) == 2 and names[3] in packs(repo)


def test_the_new_pack_is_durable_before_an_old_one_is_taken(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        pack(repo, b"%d" % number)
    did: list[str] = []
    sync_file = package.sync_file
    monkeypatch.setattr(package, "sync_file", lambda *args: (did.append("sync the pack"), sync_file(*args)))

    class Noting(FolderStorage):
        def publish(self, staged: str, path: str) -> bool:
            did.append("name it")
            return super().publish(staged, path)

        def sync_names(self, folders: list[str]) -> None:
            did.append(f"sync {folders}")
            super().sync_names(folders)

        def take(self, path: str, folder: str) -> bool:
            did.append("take")
            return super().take(path, folder)

    assert merge(ObjectStore(Noting(repo.root))) == 8
    assert did == ["sync the pack", "name it", "sync ['objects/packs']", *["take"] * 8]


@pytest.mark.damaged
def test_one_whole_pack_among_broken_ones_is_not_rewritten(repo: Repository) -> None:
    names = sorted(pack(repo, b"content %d" % number) for number in range(8))
    for name in names[1:]:
        repo.objects.damage.note(name, blob(b"something"))
    assert merge(ObjectStore(repo.storage)) == 0
    assert packs(repo) == set(names)


def test_a_merge_leaves_its_trash_to_others_while_somebody_is_at_work(repo: Repository) -> None:
    with Transaction(ObjectStore(repo.storage)):
        for number in range(8):
            pack(repo, b"%d" % number)
        assert merge(ObjectStore(repo.storage)) == 8
        (run,) = os.listdir(repo.storage.path("trash"))
        assert re.fullmatch(r"merge\.left\.[0-9a-f]{12}", run)
        assert len(os.listdir(repo.storage.path(f"trash/{run}"))) == 8
    for number in range(8):
        pack(repo, b"more %d" % number)
    assert merge(ObjectStore(repo.storage)) == 9
    assert os.listdir(repo.storage.path("trash")) == [], "the next merge, with nobody at work, unlinks both"


@pytest.mark.parametrize(("days", "left"), [(13.5, 2), (14.5, 1)])
def test_on_a_network_file_system_merged_packs_wait_for_14_days(repo: Repository, days: float, left: int) -> None:
    storage = Elsewhere(repo.root)
    for number in range(8):
        pack(repo, b"%d" % number)
    assert merge(ObjectStore(storage)) == 8
    (run,) = os.listdir(repo.storage.path("trash"))
    assert len(os.listdir(repo.storage.path(f"trash/{run}"))) == 8
    os.utime(repo.storage.path(f"trash/{run}"), (time.time() - days * DAY,) * 2)
    for number in range(8):
        pack(repo, b"more %d" % number)
    assert merge(ObjectStore(storage)) == 9
    assert len(os.listdir(repo.storage.path("trash"))) == left


def test_a_merge_whose_new_pack_is_taken_away_at_once_gives_the_old_ones_back(repo: Repository) -> None:
    names = {pack(repo, b"%d" % number) for number in range(8)}

    class Beside(FolderStorage):
        def take(self, path: str, folder: str) -> bool:
            for name in packs(repo) - names:
                os.unlink(repo.storage.path(pack_path(name)))
            return super().take(path, folder)

    assert merge(ObjectStore(Beside(repo.root))) == 0
    assert packs(repo) == names
    assert os.listdir(repo.storage.path("trash")) == []


def test_what_a_failed_merge_moved_is_given_back_by_the_next_gc(repo: Repository, tmp_path: Path) -> None:
    for number in range(7):
        put(repo, tmp_path, f"c{number}", {"f": f"content {number}"})
    pack(repo, b"the eighth")

    class Failing(FolderStorage):
        taken = 0

        def take(self, path: str, folder: str) -> bool:
            self.taken += 1
            if self.taken == 4:
                for name in os.listdir(self.path("objects/packs")):
                    if os.stat(self.path(f"objects/packs/{name}")).st_size > 1000:
                        os.unlink(self.path(f"objects/packs/{name}"))  # the new pack: all depends on the old ones
                raise StorageError("the disk failed")
            return super().take(path, folder)

    with pytest.raises(StorageError, match="the disk failed"):
        merge(ObjectStore(Failing(repo.root)))
    (run,) = os.listdir(repo.storage.path("trash"))
    assert run.startswith("merge.left.") and len(os.listdir(repo.storage.path(f"trash/{run}"))) == 3
    gc(repo)
    assert os.listdir(repo.storage.path("trash")) == []
    assert [repo.objects.read(BLOB, blob(b"content %d" % number)) for number in range(7)]


def test_at_a_distant_place_trees_and_versions_lie_behind_the_blobs(repo: Repository, tmp_path: Path) -> None:
    for number in range(7):
        put(repo, tmp_path, f"c{number}", {"f": f"content {number}", "d/g": f"more {number}"})
    pack(repo, b"the eighth")
    far = ObjectStore(Distant(repo.root), cache=FolderStorage(str(tmp_path)))
    assert merge(far) == 8
    (name,) = packs(repo)
    kinds = [row.kind for row in sorted(repo.objects.packs.open(name).rows(), key=lambda row: row.offset)]
    assert kinds.index(TREE) == kinds.count(BLOB) == 15
    assert set(kinds[15:]) == {TREE, VERSION}


# -- marking -------------------------------------------------------------------------------------


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
    assert found.versions == 4
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


# -- planning ------------------------------------------------------------------------------------


def planned(repo: Repository) -> Plan:
    return plan(repo.objects, marks(repo))


def keep(repo: Repository, root: Path, *contents: bytes) -> None:
    """A live version that needs these blobs, in a pack of its own."""
    tree = Forger(root).tree(*((b"%d" % n, 0, len(data), blob(data)) for n, data in enumerate(contents)))
    Forger(root).version("kept", tree, sum(map(len, contents)), len(contents))


def test_a_pack_that_holds_nothing_live_goes_and_one_that_holds_nothing_dead_stays(
    repo: Repository, root: Path
) -> None:
    live, dead = pack(repo, b"live"), pack(repo, b"dead")
    keep(repo, root, b"live")
    found = planned(repo)
    assert found.dead_packs == [dead] and live not in found.rewrites
    assert found.freed_bytes == os.stat(repo.storage.path(pack_path(dead))).st_size
    assert found.dead_bytes_kept == 0 and found.problems == []


@pytest.mark.parametrize(("dead_bytes", "rewritten"), [(99, False), (100, False), (101, True)])
def test_a_pack_is_rewritten_when_more_than_half_of_its_bytes_are_dead(
    repo: Repository, root: Path, dead_bytes: int, rewritten: bool
) -> None:
    name = pack(repo, b"l" * 100, b"d" * dead_bytes)
    keep(repo, root, b"l" * 100)
    found = planned(repo)
    assert [*found.rewrites] == ([name] if rewritten else [])
    assert found.dead_bytes_kept == (0 if rewritten else dead_bytes)
    before = stored_bytes(repo)
    done = gc(repo)
    assert (found.freed_bytes, found.dead_bytes_kept) == (done.freed_bytes, done.dead_bytes_kept)
    assert before - stored_bytes(repo) == done.freed_bytes == (dead_bytes + ROW.size if rewritten else 0)
    assert repo.objects.read(BLOB, blob(b"l" * 100))


def test_large_blobs_that_nobody_needs_go(repo: Repository, root: Path, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"f": LARGE})
    Forger(root).large(LARGE + b"dead")
    found = planned(repo)
    assert found.dead_blobs == [blob(LARGE + b"dead")] and found.freed_bytes == len(LARGE) + 4
    assert gc(repo).freed_bytes == found.freed_bytes
    assert [digest for digest, _ in repo.objects.large.all()] == [blob(LARGE)]


def test_a_second_copy_is_as_dead_as_what_nobody_reaches(repo: Repository, root: Path) -> None:
    names = sorted(pack(repo, b"twice", b"%d" % number * 3) for number in range(2))
    keep(repo, root, b"twice")
    found = planned(repo)
    assert found.dead_packs == [names[1]]
    gc(repo)
    assert repo.objects.read(BLOB, blob(b"twice")) == b"twice"
    assert names[1] not in packs(repo)


@pytest.mark.damaged
def test_a_second_copy_is_needed_where_the_first_turns_out_damaged(repo: Repository, root: Path) -> None:
    names = sorted(pack(repo, b"twice") for _ in range(2))
    keep(repo, root, b"twice")
    damage(repo, names[0], b"twice")
    assert planned(repo).dead_packs == []
    gc(repo)
    assert ObjectStore(FolderStorage(repo.root)).read(BLOB, blob(b"twice")) == b"twice"


def test_a_second_copy_is_needed_where_the_first_can_not_be_read(repo: Repository, root: Path) -> None:
    first = min(pack(repo, b"twice") for _ in range(2))
    keep(repo, root, b"twice")

    class Failing(FolderStorage):
        def reader(self, path: str) -> Any:
            size, read, close = super().reader(path)

            def fail(offset: int, length: int) -> bytes:
                if path == pack_path(first) and (offset, length) == (HEADER, 5):
                    raise OSError(5, "Input/output error")
                return read(offset, length)

            return size, fail, close

    assert plan(ObjectStore(Failing(repo.root)), marks(repo)).dead_packs == []


def test_at_a_distant_place_copies_are_not_looked_at(repo: Repository, root: Path, tmp_path: Path) -> None:
    for _ in range(2):
        pack(repo, b"twice")
    keep(repo, root, b"twice")
    far = ObjectStore(Distant(repo.root), cache=FolderStorage(str(tmp_path)))
    assert plan(far, Marks(far, repo.refs, repo.runs, Monitor())).dead_packs == []


@pytest.mark.damaged
def test_a_pack_that_is_not_what_its_name_says_is_set_aside(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"f": "one"})
    name = pack(repo, b"dead")
    path = Path(repo.storage.path(pack_path(name)))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert b"".join(repo.content(repo.entry(repo.find("data"), "f"))) == b"one"
    with Repository(repo.root) as fresh:
        fresh.objects.packs.holding(blob(b"anything"))  # a look into each pack notes it
        assert fresh.objects.damage.broken == {name}
        done = gc(fresh)
    assert done.problems == (f"pack {name[:12]} has a damaged footer; it is set aside in bad/",)
    (aside,) = os.listdir(repo.storage.path("bad"))
    assert re.fullmatch(rf"{name}\.pack\.[0-9a-f]{{8}}", aside) and name not in packs(repo)
    assert gc(repo).problems == ()


@pytest.mark.damaged
def test_what_is_wrong_with_one_pack_does_not_keep_the_others(repo: Repository, root: Path) -> None:
    torn, failing, gone, *dead = sorted(pack(repo, b"dead %d" % number) for number in range(6))
    forge, tree = Forger(root), encode_rows([(b"f", 0, 3, blob(b"one"))])
    while (path := forge.pack((TREE, tree))).stem < failing:
        path.unlink()  # it is to be looked for in the failing one first
    forge.blob(b"one")
    forge.version("data", digest_of(TREE, tree), 3)
    needed = packs(repo) - {torn, failing, gone, *dead}
    path = Path(repo.storage.path(pack_path(torn)))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    class Failing(FolderStorage):
        def reader(self, path: str) -> Any:
            if path == pack_path(failing):
                raise OSError(5, "Input/output error")
            if path == pack_path(gone):
                raise FileNotFoundError(path)
            return super().reader(path)

    done = collect(ObjectStore(Failing(repo.root)), repo.refs, repo.runs, grace=0, monitor=Monitor())
    assert f"pack {failing[:12]} can't be read (input/output error); it is kept" in done.problems
    assert "a pack could not be read (input/output error), so others are kept" in done.problems
    assert not packs(repo) & set(dead) and needed | {failing} <= packs(repo)


# -- collecting ----------------------------------------------------------------------------------


def test_what_was_deleted_goes_and_what_lives_stays(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"f": "one", "big": LARGE})
    put(repo, tmp_path, "gone", {"f": "two" * 1000, "big": LARGE + b"two"})
    repo.delete_collection("gone")
    before = stored_bytes(repo)
    would = gc(repo, dry_run=True)
    assert stored_bytes(repo) == before and os.listdir(repo.storage.path("trash")) == []
    done = gc(repo)
    assert done == would
    assert done == Collected(1, before - stored_bytes(repo), 0, 0, (), 0, ()) and done.freed_bytes > MIB
    assert os.listdir(repo.storage.path("trash")) == os.listdir(repo.storage.path("tmp")) == []
    assert b"".join(repo.content(repo.entry(repo.find("data"), "f"))) == b"one"
    assert gc(repo).freed_bytes == 0


def test_with_a_grace_period_the_bytes_wait_in_the_trash(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "gone", {"f": "two" * 1000, "big": LARGE})
    repo.delete_collection("gone")
    before = stored_bytes(repo)
    assert gc(repo, grace=DAY, dry_run=True) == Collected(0, 0, before, 0, (), 0, ())
    assert gc(repo, grace=DAY) == Collected(0, 0, before, 0, (), 0, ())
    (run,) = os.listdir(repo.storage.path("trash"))
    assert run.startswith("gc.left.") and stored_bytes(repo) == before
    assert repo.objects.read(BLOB, blob(b"two" * 1000)), "who had begun to read reads on"
    assert gc(repo, grace=DAY).freed_bytes == waiting_trash(repo.objects, DAY) == 0
    os.utime(repo.storage.path(f"trash/{run}"), (time.time() - DAY - 9,) * 2)
    assert waiting_trash(repo.objects, DAY) == gc(repo, grace=DAY, dry_run=True).freed_bytes == before
    assert gc(repo, grace=DAY).freed_bytes == before
    assert stored_bytes(repo) == 0


def test_a_rewritten_pack_counts_what_it_leaves(repo: Repository, root: Path) -> None:
    pack(repo, b"l" * 100, b"d" * 1000)
    keep(repo, root, b"l" * 100)
    done = gc(repo, grace=DAY)
    assert (done.freed_bytes, done.trashed_bytes) == (0, 1000 + ROW.size)
    before = stored_bytes(repo)
    assert gc(repo).freed_bytes == before - stored_bytes(repo) == HEADER + 1100 + 2 * ROW.size + FOOTER.size


def test_nothing_is_unlinked_while_somebody_is_at_work(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "gone", {"f": "one"})
    repo.delete_collection("gone")
    before = stored_bytes(repo)
    with Transaction(ObjectStore(repo.storage)) as tx:
        done = gc(repo)
        assert done == Collected(0, 0, before, 0, (str(tx.owner),), 0, ())
    assert gc(repo).freed_bytes == before


def test_what_a_dead_process_left_is_swept(repo: Repository) -> None:
    os.mkdir(repo.storage.path(f"tmp/{dead_owner()}"))
    assert gc(repo).swept == 1
    assert os.listdir(repo.storage.path("tmp")) == []


@pytest.mark.parametrize("when", ["as it is moved", "after refs were read again"])
def test_what_becomes_needed_while_it_is_in_the_trash_is_given_back(
    repo: Repository, tmp_path: Path, when: str
) -> None:
    """A version comes back, by its log alone, after the collector has marked."""
    put(repo, tmp_path, "data", {"f": "one", "big": LARGE})
    id = repo.find("data").version["id"]
    repo.delete("data:v0")
    before = {path for path, _ in repo.storage.below("objects")}

    def bring_back() -> None:
        if not repo.collection("data").live():
            repo.refs.change(repo.path_of("data")[0], lambda _: [new_change("undelete", id=id)])

    class Beside(FolderStorage):
        def take(self, path: str, folder: str) -> bool:
            taken = super().take(path, folder)
            if when == "as it is moved" and not os.listdir(self.path("objects/packs")):
                bring_back()
            return taken

        def folders(self, folder: str) -> list[str]:
            if when == "after refs were read again":
                bring_back()
            return super().folders(folder)

    objects = ObjectStore(Beside(repo.root))
    needed = Marks(objects, repo.refs, repo.runs, Monitor())
    todo = plan(objects, needed)
    removal = Removal(objects, "gc")
    for name in todo.dead_packs:
        removal.take_pack(name)
    for digest in todo.dead_blobs:
        removal.take_blob(digest)
    assert removal.finish(needed, keep_mine=False) == (0, 0, len(before), ())
    assert {path for path, _ in repo.storage.below("objects")} == before
    assert objects.packs.names() == packs(repo)
    assert os.listdir(repo.storage.path("trash")) == []


@pytest.mark.damaged
def test_a_damaged_object_is_kept_as_evidence_when_its_pack_is_rewritten(repo: Repository, root: Path) -> None:
    name, live = pack(repo, b"content", b"live" * 100), b"live" * 100
    keep(repo, root, live)
    damage(repo, name, b"content")
    repo.objects.damage.note(name, blob(b"content"))
    assert gc(repo).problems == ()
    assert name not in packs(repo)
    (aside,) = [entry for entry in os.listdir(repo.storage.path("bad")) if ".pack." in entry]
    assert re.fullmatch(rf"{name}\.pack\.[0-9a-f]{{8}}", aside)
    assert repo.objects.read(BLOB, blob(live)) == live
    dead = pack(repo, b"damaged, and dead")
    damage(repo, dead, b"damaged")
    repo.objects.damage.note(dead, blob(b"damaged, and dead"))
    gc(repo)
    assert [entry for entry in os.listdir(repo.storage.path("bad")) if entry.startswith(f"{dead}.pack.")]


@pytest.mark.damaged
def test_a_copy_that_is_noted_as_damaged_is_not_carried_over(repo: Repository, root: Path) -> None:
    name, other = sorted(pack(repo, b"twice", b"live") for _ in range(2))
    keep(repo, root, b"twice", b"live")
    damage(repo, name, b"twice")
    repo.objects.damage.note(name, blob(b"twice"))
    assert [row.digest for row in planned(repo).rewrites[name]] == [blob(b"live")]
    assert gc(repo).problems == ()
    assert name not in packs(repo) and other in packs(repo)
    with Repository(repo.root) as fresh:
        assert {fresh.objects.read(BLOB, blob(content)) for content in (b"twice", b"live")} == {b"twice", b"live"}


@pytest.mark.damaged
def test_damage_that_is_met_while_rewriting_keeps_the_pack_and_is_told(repo: Repository, root: Path) -> None:
    name = pack(repo, b"live", b"d" * 1000)
    keep(repo, root, b"live")
    damage(repo, name, b"live")
    done = gc(repo)
    digest = blob(b"live")
    assert done.problems == (f"pack {name[:12]} is kept as it is: object {digest.hex()[:12]} in it is damaged",)
    assert name in packs(repo)
    assert repo.objects.damage.copies() == {(name, digest)}


def test_a_full_disk_ends_a_collection_and_loses_nothing(repo: Repository, root: Path) -> None:
    name = pack(repo, b"live", b"d" * 1000)
    keep(repo, root, b"live")

    class Full(FolderStorage):
        def publish(self, staged: str, path: str) -> bool:
            raise NoSpace("there is no space left")

    with pytest.raises(NoSpace):
        collect(ObjectStore(Full(repo.root)), repo.refs, repo.runs, grace=0, monitor=Monitor())
    assert name in packs(repo)
    assert os.listdir(repo.storage.path("tmp")) == []


def test_a_pack_that_can_not_be_rewritten_is_kept_and_told(repo: Repository, root: Path) -> None:
    name = pack(repo, b"live", b"d" * 1000)
    keep(repo, root, b"live")

    class Failing(FolderStorage):
        def publish(self, staged: str, path: str) -> bool:
            raise StorageError("the disk failed")

    done = collect(ObjectStore(Failing(repo.root)), repo.refs, repo.runs, grace=0, monitor=Monitor())
    assert done.problems == (f"pack {name[:12]} is kept as it is: the disk failed",)
    assert name in packs(repo)


@pytest.mark.damaged
def test_a_note_of_damage_that_is_none_goes_and_one_that_is_true_stays(repo: Repository, root: Path) -> None:
    right, wrong, unread = pack(repo, b"right"), pack(repo, b"wrong"), pack(repo, b"unread")
    keep(repo, root, b"right", b"wrong", b"unread")
    damage(repo, wrong, b"wrong")
    for name, content in ((right, b"right"), (wrong, b"wrong"), (unread, b"unread"), ("0" * 64, b"gone")):
        repo.objects.damage.note(name, blob(content))

    class Failing(FolderStorage):
        def reader(self, path: str) -> Any:
            if path == pack_path(unread):
                raise OSError(5, "Input/output error")
            return super().reader(path)

    objects = ObjectStore(Failing(repo.root))
    recheck_bad(objects)
    assert objects.damage.copies() == {(wrong, blob(b"wrong")), (unread, blob(b"unread"))}
    assert ObjectStore(FolderStorage(repo.root)).damage.copies() == objects.damage.copies()


def test_a_collection_looks_first_whether_what_is_noted_as_damaged_is_so(repo: Repository, root: Path) -> None:
    name = pack(repo, b"live")
    keep(repo, root, b"live")
    repo.objects.damage.note(name, blob(b"live"))
    assert gc(repo) == Collected(1, 0, 0, 0, (), 0, ())
    assert os.listdir(repo.storage.path("bad")) == [] and name in packs(repo)


@pytest.mark.damaged
def test_packs_with_damage_are_written_anew_without_it_and_kept_as_evidence(repo: Repository, root: Path) -> None:
    some, all_, whole = pack(repo, b"bad", b"good"), pack(repo, b"wholly"), pack(repo, b"whole")
    for name, content in ((some, b"bad"), (all_, b"wholly")):
        damage(repo, name, content)
        repo.objects.damage.note(name, blob(content))
    assert rewrite_bad(repo.objects) == sorted([some, all_])
    (new,) = packs(repo) - {whole}
    assert new != some and [row.digest for row in repo.objects.packs.open(new).rows()] == [blob(b"good")]
    assert {entry[:64] for entry in os.listdir(repo.storage.path("bad")) if ".pack." in entry} == {some, all_}
    assert os.listdir(repo.storage.path("trash")) == os.listdir(repo.storage.path("tmp")) == []


def test_nothing_is_written_anew_without_notes_of_damage(repo: Repository) -> None:
    names = {pack(repo, b"one"), pack(repo, b"two")}
    assert rewrite_bad(repo.objects) == [] and packs(repo) == names
    assert set_broken_aside(repo.objects) == []


@pytest.mark.damaged
def test_a_pack_that_can_not_be_written_anew_stays(repo: Repository) -> None:
    noted, torn = pack(repo, b"bad", b"good"), pack(repo, b"torn")
    for content in (b"bad", b"good"):
        damage(repo, noted, content)
    repo.objects.damage.note(noted, blob(b"bad"))  # and that the other is damaged, too, is found on the way
    repo.objects.damage.note(torn, blob(b"torn"))
    path = Path(repo.storage.path(pack_path(torn)))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with Repository(repo.root) as fresh:
        assert rewrite_bad(fresh.objects) == []
        assert packs(repo) == {noted, torn}
        fresh.objects.packs.holding(blob(b"anything"))
        assert set_broken_aside(fresh.objects) == [torn]


@pytest.mark.damaged
def test_a_repair_that_fails_leaves_its_trash_to_others(repo: Repository) -> None:
    for content in (b"one", b"two"):
        name = pack(repo, content)
        damage(repo, name, content)
        repo.objects.damage.note(name, blob(content))

    class Failing(FolderStorage):
        def take(self, path: str, folder: str) -> bool:
            if os.listdir(self.path(folder)):
                raise StorageError("the disk failed")
            return super().take(path, folder)

    with pytest.raises(StorageError, match="the disk failed"):
        rewrite_bad(ObjectStore(Failing(repo.root)))
    (run,) = os.listdir(repo.storage.path("trash"))
    assert run.startswith("merge.left.")


@pytest.mark.damaged
def test_on_a_network_file_system_what_was_written_anew_waits_in_the_trash(repo: Repository) -> None:
    name = pack(repo, b"bad", b"good")
    damage(repo, name, b"bad")
    repo.objects.damage.note(name, blob(b"bad"))
    assert rewrite_bad(ObjectStore(Elsewhere(repo.root))) == [name]
    (run,) = os.listdir(repo.storage.path("trash"))
    assert os.listdir(repo.storage.path(f"trash/{run}")) == [f"{name}.pack"]


def test_a_failed_collection_leaves_its_trash_to_the_next(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "gone", {"f": "one", "big": LARGE})
    repo.delete_collection("gone")

    class Failing(FolderStorage):
        def take(self, path: str, folder: str) -> bool:
            if path.startswith("objects/blobs"):
                raise StorageError("the disk failed")
            return super().take(path, folder)

    with pytest.raises(StorageError, match="the disk failed"):
        collect(ObjectStore(Failing(repo.root)), repo.refs, repo.runs, grace=0, monitor=Monitor())
    (run,) = os.listdir(repo.storage.path("trash"))
    assert run.startswith("gc.left.")
    gc(repo)
    assert stored_bytes(repo) == 0 and os.listdir(repo.storage.path("trash")) == []


def test_the_monitor_says_that_it_marks(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"f": "one"})
    monitor = Monitor()
    collect(repo.objects, repo.refs, repo.runs, grace=0, monitor=monitor)
    assert (monitor.step, monitor.items) == ("marking", 1)


# -- the trash -----------------------------------------------------------------------------------


def test_trash_is_left_over_when_its_run_has_ended_or_its_process_is_dead(repo: Repository) -> None:
    me, dead = str(owner.this_process()), dead_owner()
    stranger = str(owner.this_process()._replace(host="elsewhere-0123456789ab"))
    for reason in ("gc", "merge"):
        assert is_left_over(repo.storage, f"{reason}.left.0123456789ab")
        assert is_left_over(repo.storage, f"{reason}.{dead}")
        assert not is_left_over(repo.storage, f"{reason}.{me}")
        assert not is_left_over(repo.storage, f"{reason}.{stranger}")
        assert not is_left_over(repo.storage, f"{reason}.left")
        assert not is_left_over(repo.storage, f"{reason}.nobody")
    assert not is_left_over(repo.storage, "other.left.0123456789ab")
    rebooted = str(owner.this_process()._replace(boot="0123456789ab"))
    assert is_left_over(repo.storage, f"gc.{rebooted}") and not is_left_over(Elsewhere(repo.root), f"gc.{rebooted}")


def test_only_transactions_of_the_provably_dead_do_not_count(repo: Repository) -> None:
    me, other = str(owner.this_process()), str(owner.this_process())
    stranger = str(owner.this_process()._replace(host="elsewhere-0123456789ab"))
    rebooted = str(owner.this_process()._replace(boot="0123456789ab"))
    for name in (me, other, stranger, rebooted, dead_owner(), "a-folder-of-somebody"):
        os.mkdir(repo.storage.path(f"tmp/{name}"))
    assert open_transactions(repo.storage) == sorted([me, other, stranger, "a-folder-of-somebody"])
    assert open_transactions(repo.storage, but=me) == sorted([other, stranger, "a-folder-of-somebody"])
    assert rebooted in open_transactions(Elsewhere(repo.root))
    assert sweep(Elsewhere(repo.root)) == 1
    assert sweep(repo.storage) == 1
    assert sorted(os.listdir(repo.storage.path("tmp"))) == sorted([me, other, stranger, "a-folder-of-somebody"])
    for name in os.listdir(repo.storage.path("tmp")):
        os.rmdir(repo.storage.path(f"tmp/{name}"))


def test_what_is_another_users_is_swept_by_him(repo: Repository) -> None:
    first, second = dead_owner(), dead_owner()
    for name in (first, second):
        os.mkdir(repo.storage.path(f"tmp/{name}"))

    class Shared(FolderStorage):
        def names(self, folder: str) -> list[str]:
            return sorted(super().names(folder), key=lambda name: name != first)

        def remove_folder(self, folder: str) -> None:
            if folder.endswith(first):
                raise StorageError("permission denied")
            super().remove_folder(folder)

    assert sweep(Shared(repo.root)) == 1
    assert os.listdir(repo.storage.path("tmp")) == [first]
    sweep(repo.storage)


def trashed(repo: Repository, run: str, data: bytes, age: float = 0.0) -> None:
    """A large blob in the trash of a run."""
    folder = Path(repo.storage.path(f"trash/{run}"))
    folder.mkdir(exist_ok=True)
    (folder / blob(data).hex()).write_bytes(data)
    os.utime(folder, (time.time() - age,) * 2)


def test_a_merge_takes_over_the_trash_of_merges_and_gc_that_of_all_runs(repo: Repository) -> None:
    for reason, expected in (("merge", {"gc.left.1", "merge.other"}), ("gc", {"merge.other"})):
        trashed(repo, "gc.left.1", b"one")
        trashed(repo, "merge.left.1", b"two")
        trashed(repo, "merge.other", b"three")
        removal = Removal(repo.objects, reason)  # type: ignore[arg-type]
        removal.claim_older(0)
        removed = removal.finish(marks(repo), keep_mine=False)
        assert removed.freed_bytes == (3 if reason == "merge" else 6)
        assert set(os.listdir(repo.storage.path("trash"))) == expected


def test_trash_is_taken_over_when_its_grace_is_over(repo: Repository) -> None:
    trashed(repo, "gc.left.old", b"old", age=61)
    trashed(repo, "gc.left.young", b"young", age=50)
    assert waiting_trash(repo.objects, 60) == 3 and waiting_trash(repo.objects, 0) == 8
    removal = Removal(repo.objects, "gc")
    removal.claim_older(60)
    assert removal.finish(marks(repo), keep_mine=False).freed_bytes == 3
    assert os.listdir(repo.storage.path("trash")) == ["gc.left.young"]
    gc(repo)


def test_trash_of_a_run_at_work_is_not_counted(repo: Repository) -> None:
    run = f"gc.{owner.this_process()}"
    trashed(repo, run, b"mine")
    trashed(repo, "gc.left.1", b"left")
    assert waiting_trash(repo.objects, 0) == 4
    (Path(repo.storage.path("trash")) / run).rename(repo.storage.path("trash/gc.left.2"))
    gc(repo)


def test_who_takes_is_told_whether_it_was_there(repo: Repository) -> None:
    name = pack(repo, b"one")
    Forger(Path(repo.root)).large(LARGE)
    removal = Removal(repo.objects, "gc")
    assert removal.take_pack(name) and not removal.take_pack(name)
    assert removal.take_blob(blob(LARGE)) and not removal.take_blob(blob(LARGE))
    removed = removal.finish(marks(repo), keep_mine=True)
    assert removed == (0, len(LARGE) + HEADER + 3 + ROW.size + FOOTER.size, 0, ())
    gc(repo)


def test_all_is_given_back_to_a_merge_unless_it_lies_elsewhere(repo: Repository, root: Path) -> None:
    only, copied, other = pack(repo, b"only"), pack(repo, b"copied"), pack(repo, b"copied")
    Forger(root).large(LARGE)
    removal = Removal(repo.objects, "merge")
    for name in (only, copied):
        removal.take_pack(name)
    removal.take_blob(blob(LARGE))
    Path(repo.storage.path(f"{removal._mine}/stranger")).write_bytes(b"x")
    removed = removal.finish(Everything(), keep_mine=False)
    assert removed.given_back == 2
    assert packs(repo) == {only, other}
    assert os.path.exists(repo.storage.path(blob_path(blob(LARGE))))
    assert os.listdir(repo.storage.path("trash")) == []


def test_what_is_there_again_is_not_given_back_a_second_time(repo: Repository, root: Path) -> None:
    forge = Forger(root)
    path = forge.large(LARGE)
    name = pack(repo, b"one")
    removal = Removal(repo.objects, "gc")
    removal.take_blob(blob(LARGE))
    removal.take_pack(name)
    forge.large(LARGE)
    run = os.listdir(repo.storage.path("trash"))[0]
    os.link(repo.storage.path(f"trash/{run}/{name}.pack"), repo.storage.path(pack_path(name)))
    removed = removal.finish(Everything(), keep_mine=False)
    assert removed.given_back == 0 and removed.freed_bytes == len(LARGE), "the pack's bytes are held by its other name"
    assert path.exists() and packs(repo) == {name}


@pytest.mark.damaged
def test_a_damaged_copy_is_no_reason_to_give_a_pack_back(repo: Repository) -> None:
    noted, broken = pack(repo, b"noted"), pack(repo, b"broken")
    repo.objects.damage.note(noted, blob(b"noted"))
    path = Path(repo.storage.path(pack_path(broken)))
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    removal = Removal(repo.objects, "merge")
    for name in (noted, broken):
        removal.take_pack(name)
    assert removal.finish(Everything(), keep_mine=False).given_back == 0
    assert packs(repo) == set()
