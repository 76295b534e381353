"""A live pack that is only in the trash, because a collector was killed between its steps: it is here all the same."""

import os
import shutil
from pathlib import Path

import pytest

from artstore.operations.restoring.options import Restore
from artstore.operations.upkeep.collect import collect
from artstore.operations.upkeep.removal import Removal
from artstore.progress import Monitor
from artstore.repository import Repository
from artstore.store.packs import LARGE
from artstore.store.trash import trashed
from artstore.sync.transfer import NOTHING
from artstore.view import view_of
from tests.support.exchange import BIG, FILES, cloned, got, only, put, says
from tests.support.folders import make_tree, snapshot
from tests.support.maintenance import DAY, dead_owner, gc


def trash_all(root: Path) -> Path:
    """Leave all packs and large blobs as a collector does that is killed after it moved them: the folder of its run."""
    run = root / "trash" / f"gc.{dead_owner()}"
    run.mkdir()
    for path in [*(root / "objects/packs").iterdir(), *(root / "objects/blobs").glob("*/*")]:
        path.rename(run / path.name)
    return run


def test_a_pull_and_a_push_build_on_versions_whose_packs_are_in_the_trash(
    anna: Repository, bob: Repository, tmp_path: Path
) -> None:
    put(anna, "a", FILES)
    anna.push()
    bob.pull()
    trash_all(Path(bob.root))
    put(anna, "a", FILES | {"sub/b.txt": "newer"})
    anna.push()
    assert only(bob.pull()).outcome == "moved"
    put(bob, "a", FILES | {"sub/b.txt": "newest"})
    assert only(bob.push()).outcome == "moved"
    assert says(bob) == says(tmp_path / "nas")
    assert got(bob, "a:v0") == snapshot(make_tree(tmp_path / "same", FILES))


def test_a_gc_within_the_grace_period_puts_back_what_live_versions_need(anna: Repository, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    put(anna, "gone", {"gone.txt": "gone"})
    anna.delete("gone:v0")
    run = trash_all(Path(anna.root))
    assert len(os.listdir(run)) == 3
    assert gc(anna, grace=7 * DAY).freed_bytes == 0
    assert len(os.listdir(run)) == 1, "what no version needs waits until its grace period is over"
    assert list(Path(anna.root).glob("objects/blobs/*/*")), "the large blob is back"
    assert got(anna, "a") == snapshot(make_tree(tmp_path / "same", FILES))
    gc(anna)
    assert got(anna, "a") == snapshot(make_tree(tmp_path / "same", FILES))


def test_a_gc_of_a_bucket_puts_back_what_a_killed_one_took(anna: Repository, bucket_url: str, tmp_path: Path) -> None:
    anna.remotes.add("bucket", bucket_url, make=True)
    put(anna, "a", FILES)
    anna.push("bucket")
    with view_of(bucket_url, None, writing=True) as bucket:
        removal = Removal(bucket.objects, "gc")
        for name in bucket.objects.packs.refresh():
            assert removal.take_pack(name)
        for digest, _ in bucket.objects.large.files():
            assert removal.take_blob(digest)
        removal.abandon()
    with view_of(bucket_url, None, writing=True) as bucket:
        assert collect(bucket.objects, bucket.refs, bucket.runs, grace=7 * DAY, monitor=Monitor()).freed_bytes == 0
        assert trashed(bucket.storage) == []
    with cloned(tmp_path, bucket_url) as clone:
        assert got(clone, "a") == snapshot(make_tree(tmp_path / "same", FILES))


def test_a_partial_clone_is_filled_from_the_trash_of_its_remote(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    anna.push()
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        trash_all(nas)
        assert got(partial, "a") == snapshot(make_tree(tmp_path / "same", FILES))


def test_fsck_knows_what_a_remote_promised_while_the_trees_here_are_in_the_trash(
    anna: Repository, nas: Path, tmp_path: Path
) -> None:
    put(anna, "a", FILES)
    anna.push()
    with cloned(tmp_path, nas, "partial", selection=NOTHING) as partial:
        trash_all(Path(partial.root))
        assert partial.fsck().problems == []


def test_files_of_a_version_in_the_trash_are_replaced_without_force(anna: Repository, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    put(anna, "a", {"other.txt": "other"})
    target = make_tree(tmp_path / "out", FILES)
    trash_all(Path(anna.root))
    anna.get(anna.find("a:v1"), str(target), Restore(delete=True))
    assert set(snapshot(target)) == {"other.txt"}


def test_a_long_property_in_the_trash_is_sent_as_the_large_blob_that_it_is(anna: Repository, nas: Path) -> None:
    put(anna, "a", FILES, metadata={"long": "x" * (LARGE + 1)})
    trash_all(Path(anna.root))
    anna.push()
    sizes = sorted(path.stat().st_size for path in nas.glob("objects/blobs/*/*"))
    assert len(sizes) == 2 and sizes[0] > LARGE and sizes[1] == len(BIG)


@pytest.mark.damaged
def test_a_repair_finds_what_another_place_has_only_in_its_trash(anna: Repository, nas: Path, tmp_path: Path) -> None:
    put(anna, "a", FILES)
    anna.push()
    trash_all(nas)
    shutil.rmtree(tmp_path / "anna/src")
    for path in [*Path(anna.root).glob("objects/packs/*"), *Path(anna.root).glob("objects/blobs/*/*")]:
        path.unlink()
    assert anna.fsck(repair=True).problems == []
    assert got(anna, "a") == snapshot(make_tree(tmp_path / "same", FILES))
