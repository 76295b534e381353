"""The trash of merges and collections: whose it is, when it is emptied, what is given back."""

import os
import re
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from artstore.backends import owner
from artstore.backends.storage import FolderStorage
from artstore.errors import StorageError
from artstore.operations.upkeep.collect import (
    waiting_trash,
)
from artstore.operations.upkeep.removal import Everything, Removal, is_left_over, open_transactions, sweep
from artstore.repository import Repository
from artstore.store.objects import ObjectStore
from artstore.store.packs import FOOTER, HEADER, ROW
from artstore.store.paths import blob_path, pack_path
from artstore.store.transaction import Transaction
from tests.support.commands import Cli
from tests.support.forge import Forger
from tests.support.maintenance import LARGE, Elsewhere, blob, dead_owner, gc, marks, pack, packs


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


# -- transactions that trash waits for --


def test_trash_waits_for_those_that_were_at_work_when_it_was_moved_and_for_no_later_ones(
    repo: Repository, root: Path
) -> None:
    """So nobody keeps collectors from deleting for ever, with one transaction after another."""
    Forger(root).large(LARGE)
    with ExitStack() as first, ExitStack() as second, ExitStack() as third:
        early = [first.enter_context(Transaction(repo.objects)).owner for _ in range(2)]
        removal = Removal(repo.objects, "gc")
        removal.take_blob(blob(LARGE))
        removed = removal.finish(marks(repo), keep_mine=True)
        assert removed.waits_for == () and removed.kept_bytes == len(LARGE), "its grace period begins"
        second.enter_context(Transaction(repo.objects))
        first.close()
        later = third.enter_context(Transaction(repo.objects)).owner
        (run,) = os.listdir(repo.storage.path("trash"))
        assert sorted(run.partition(".after-")[2].split("-")) == sorted(one.random for one in early)
        assert repo.gc(now=True).freed_bytes == len(LARGE)
        pack(repo, b"one")
        assert repo.gc(now=True).waits_for == tuple(sorted(map(str, open_transactions(repo.storage))))
        second.close()
        assert repo.gc(now=True).waits_for == (str(later),)


def test_a_gc_that_frees_some_of_the_trash_says_what_the_rest_waits_for(repo: Repository, cli: Cli, root: Path) -> None:
    Forger(root).large(LARGE)
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(Transaction(repo.objects))
        assert "\nnothing was freed, because of open work: process " in cli("gc", "--now").out
        second.enter_context(Transaction(repo.objects))
        first.close()
        pack(repo, b"one")
        out = cli("gc", "--now").out
        assert "\nnot all was freed, because of open work: process " in out and not out.startswith("freed 0 B")


def test_trash_waits_for_an_upgrade_also_for_one_that_began_later(repo: Repository, root: Path) -> None:
    Forger(root).large(LARGE)
    removal = Removal(repo.objects, "gc")
    removal.take_blob(blob(LARGE))
    removal.finish(marks(repo), keep_mine=True)
    os.mkdir(repo.storage.path("tmp/upgrade"))
    assert repo.gc(now=True).waits_for == ("upgrade",)
    os.rmdir(repo.storage.path("tmp/upgrade"))
    assert repo.gc(now=True).freed_bytes == len(LARGE)


@pytest.mark.parametrize("case", ["not coherent", "too many", "of a stranger", "killed"])
def test_trash_that_can_not_say_what_it_waits_for_waits_for_all(repo: Repository, root: Path, case: str) -> None:
    Forger(root).large(LARGE)
    objects = ObjectStore(Elsewhere(repo.root)) if case == "not coherent" else repo.objects
    with ExitStack() as stack:
        for _ in range(17 if case == "too many" else 1):
            stack.enter_context(Transaction(objects))
        if case == "of a stranger":
            os.mkdir(repo.storage.path("tmp/a-folder-of-somebody"))
        removal = Removal(objects, "gc")
        removal.take_blob(blob(LARGE))
        if case == "killed":
            removal.abandon()
        else:
            removal.finish(marks(repo), keep_mine=True)
        (run,) = os.listdir(repo.storage.path("trash"))
        assert re.fullmatch(r"gc\.left\.[0-9a-f]{12}", run)
    if case == "of a stranger":
        os.rmdir(repo.storage.path("tmp/a-folder-of-somebody"))
    with Transaction(repo.objects) as later:
        assert repo.gc(now=True).waits_for == (str(later.owner),)
    assert repo.gc(now=True).freed_bytes == len(LARGE)


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
