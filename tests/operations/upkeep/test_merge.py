"""Packs are merged by size class; a merge that fails or meets damage changes nothing."""

import os
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from artstore.backends.storage import FolderStorage
from artstore.domain.digest import BLOB, TREE, VERSION
from artstore.errors import StorageError
from artstore.operations.upkeep.merge import maintenance_lock, merge, merge_if_due, packs_due, size_class
from artstore.repository import Repository
from artstore.store import packs as package
from artstore.store.logs import Log
from artstore.store.objects import ObjectStore
from artstore.store.packs import FOOTER, HEADER, ROW
from artstore.store.paths import pack_path
from artstore.store.transaction import Transaction
from tests.support.maintenance import DAY, Distant, Elsewhere, blob, damage, gc, pack, packs, put
from tests.support.together import descriptors

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


def test_packs_that_another_handle_saved_after_the_listing_are_due_too(repo: Repository) -> None:
    names = {pack(repo, b"%d" % number) for number in range(8)}
    objects = ObjectStore(repo.storage)
    objects.packs.refresh()
    later = pack(repo, b"later")
    assert set(packs_due(objects)) == {*names, later}


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
    ordered = sorted(merged.index.rows(), key=lambda row: row.offset)
    assert [merged.object(row) for row in ordered if merged.object(row) != b"same"] == contents
    assert [merged.object(row) for row in ordered].count(b"same") == 1
    assert merged.index.pack_size == HEADER + sum(map(len, contents)) + 4 + 9 * ROW.size + FOOTER.size
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


def test_nothing_is_merged_while_another_process_does_maintenance(repo: Repository) -> None:
    for number in range(8):
        pack(repo, b"%d" % number)
    with maintenance_lock(repo.storage) as first:
        with maintenance_lock(repo.storage) as second:
            assert (first, second) == (True, False)
        merge_if_due(ObjectStore(repo.storage))
        assert len(packs(repo)) == 8
    merge_if_due(ObjectStore(repo.storage))
    assert len(packs(repo)) == 1


def test_a_merge_that_fails_is_left_to_a_later_save(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        pack(repo, b"%d" % number)

    def fails(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr("artstore.operations.upkeep.merge.merge", fails)
    merge_if_due(ObjectStore(repo.storage))
    assert len(packs(repo)) == 8


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
        assert re.fullmatch(r"merge\.left\.[0-9a-f]{12}\.after-[0-9a-f]{8}", run)
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
    kinds = [row.kind for row in sorted(repo.objects.packs.open(name).index.rows(), key=lambda row: row.offset)]
    assert kinds.index(TREE) == kinds.count(BLOB) == 15
    assert set(kinds[15:]) == {TREE, VERSION}
