"""What no live version reaches is collected: the plan, the collection, packs written anew."""

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from artstore.backends.owner import this_process
from artstore.backends.storage import FolderStorage
from artstore.domain.changes import new_change
from artstore.domain.codec import encode_rows
from artstore.domain.digest import BLOB, TREE, digest_of
from artstore.errors import NoSpace, NotFound, Refused, StorageError
from artstore.operations.upkeep.collect import (
    Collected,
    Plan,
    abandon_transaction,
    collect,
    plan,
    recheck_bad,
    rewrite_bad,
    set_broken_aside,
    waiting_trash,
)
from artstore.operations.upkeep.mark import Marks
from artstore.operations.upkeep.removal import Removal
from artstore.progress import Monitor
from artstore.repository import Repository
from artstore.store.objects import ObjectStore
from artstore.store.packs import FOOTER, HEADER, ROW
from artstore.store.paths import pack_path
from artstore.store.transaction import Transaction
from tests.support.forge import Forger
from tests.support.maintenance import (
    DAY,
    LARGE,
    MIB,
    Distant,
    Elsewhere,
    blob,
    damage,
    dead_owner,
    gc,
    marks,
    pack,
    packs,
    put,
)


def stored_bytes(repo: Repository) -> int:
    return sum(size for folder in ("objects", "trash") for _, size in repo.storage.below(folder))


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
    assert [digest for digest, _ in repo.objects.large.files()] == [blob(LARGE)]


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


def test_on_a_full_disk_what_is_wholly_dead_goes_and_nothing_is_rewritten(repo: Repository, root: Path) -> None:
    name = pack(repo, b"live", b"d" * 1000)
    dead = pack(repo, b"e" * 1000)
    keep(repo, root, b"live")

    class Full(FolderStorage):
        def publish(self, staged: str, path: str) -> bool:
            raise NoSpace("there is no space left")

    done = collect(ObjectStore(Full(repo.root)), repo.refs, repo.runs, grace=0, monitor=Monitor())
    assert done.problems == (f"pack {name[:12]} is kept as it is: there is no space left",)
    assert name in packs(repo) and dead not in packs(repo) and done.freed_bytes > 1000
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
    assert new != some and [row.digest for row in repo.objects.packs.open(new).index.rows()] == [blob(b"good")]
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


# -- abandoned transactions ----------------------------------------------------------------------


def test_a_transaction_is_abandoned_by_its_name_and_only_with_force_while_its_process_is_at_work(
    repo: Repository,
) -> None:
    mine, left = str(this_process()), dead_owner()
    for name in (mine, left, "unknown"):
        repo.storage.make_folder(f"tmp/{name}/inner")
    for name in ("nothing", f"{left}/inner", "", "."):
        with pytest.raises(NotFound, match=re.escape(f"there is no transaction '{name}'")):
            abandon_transaction(repo.storage, name, force=True, dry_run=False)
    with pytest.raises(Refused, match=f"process {os.getpid()} is at work here: its save would fail") as refused:
        abandon_transaction(repo.storage, mine, force=False, dry_run=False)
    assert refused.value.hint == "end that process first, or abandon it with --force"
    abandon_transaction(repo.storage, left, force=False, dry_run=True)
    assert set(repo.storage.names("tmp")) == {mine, left, "unknown"}
    for name in (left, "unknown"):
        abandon_transaction(repo.storage, name, force=False, dry_run=False)
    abandon_transaction(repo.storage, mine, force=True, dry_run=False)
    assert repo.storage.names("tmp") == []


def test_a_collection_sets_space_aside_for_a_full_disk(repo: Repository) -> None:
    reserve = Path(repo.storage.path("cache/reserve"))
    reserve.unlink()
    repo.gc()
    assert reserve.stat().st_size == 192 << 10
