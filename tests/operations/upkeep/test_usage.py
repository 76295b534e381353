"""What versions take on disk: of that what they share, and what is packed."""

import random
from pathlib import Path

import pytest

from artstore.domain.digest import RECIPE
from artstore.errors import DamagedLog
from artstore.operations.upkeep.usage import VersionUsage
from artstore.repository import Repository
from tests.support.maintenance import gc, put, spoil_packed

MIB = 1 << 20
TEXT = b"".join(b"%d a line of a log\n" % number for number in range(100_000))
OTHER = b"".join(b"%d a line of another log\n" % number for number in range(100_000))


def noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def used(repo: Repository, spec: str) -> VersionUsage:
    return repo.usage_of(repo.find(spec))


def stored(repo: Repository) -> int:
    return sum(size for _, size in repo.storage.below("objects"))


def test_what_a_version_shares_and_what_is_its_own_add_up(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"large": noise(2 * MIB), "same": "s" * 1000, "d/f": "f" * 500})
    alone = used(repo, "data")
    assert alone.shared_bytes == 0 and 2 * MIB + 1500 < alone.own_bytes == alone.disk_bytes < 2 * MIB + 2500
    put(repo, tmp_path, "data", {"large": noise(2 * MIB), "same": "s" * 1000, "new": "n" * 300})
    old, new = used(repo, "data:v0"), used(repo, "data:v1")
    assert old.shared_bytes == new.shared_bytes == 2 * MIB + 1000
    assert old.disk_bytes == alone.disk_bytes and 500 < old.own_bytes < 1500 and 300 < new.own_bytes < 1300


@pytest.mark.parametrize("packed", [False, True], ids=["files", "packed"])
def test_what_is_its_own_is_what_gc_frees_once_it_is_deleted(repo: Repository, tmp_path: Path, packed: bool) -> None:
    put(repo, tmp_path, "data", {"large": TEXT, "both": noise(2 * MIB)})
    if packed:
        repo.pack()
    put(repo, tmp_path, "data", {"large": OTHER, "both": noise(2 * MIB)})
    if packed:
        repo.pack()
    own, before = used(repo, "data:v0").own_bytes, stored(repo)
    repo.delete("data:v0")
    gc(repo)
    freed = before - stored(repo)
    # Besides the objects, packs have headers and indexes.
    assert own <= freed < own + 2048 and (own < MIB) is packed


def test_what_links_and_runs_and_other_artifacts_have_is_shared(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"large": noise(2 * MIB)})
    put(repo, tmp_path, "copy", {"large": noise(2 * MIB)})
    assert used(repo, "data").shared_bytes >= 2 * MIB
    put(repo, tmp_path, "linked", {"f": "f" * 3000})
    repo.link(repo.find("linked"), "elsewhere")
    assert used(repo, "linked").shared_bytes > 3000


def test_equal_files_of_a_version_count_once(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"a": noise(2 * MIB), "b": noise(2 * MIB), "d/c": "c" * 900, "d/e": "c" * 900})
    assert (
        2 * MIB + 900 < used(repo, "data").disk_bytes < 2 * MIB + 2500 and repo.find("data").version["size"] > 4 * MIB
    )


def test_segments_of_packed_files_count_with_what_they_take(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"log": TEXT * 3})
    put(repo, tmp_path, "data", {"log": TEXT * 3 + b"and more"})
    plain = used(repo, "data:v1")
    assert plain.shared_bytes == 0 and plain.own_bytes > 3 * len(TEXT)
    repo.pack()
    packed = used(repo, "data:v1")
    assert packed.disk_bytes < plain.disk_bytes / 10 and packed.shared_bytes > packed.disk_bytes / 3
    assert packed.own_bytes > 0


def test_the_repository_tells_what_packing_saves(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"log": TEXT, "noise": noise(2 * MIB), "small": "small"})
    put(repo, tmp_path, "data", {"log": TEXT + b"and more", "short": OTHER[:MIB]})
    before = repo.usage()
    assert before.packed_bytes == before.saved_bytes == 0
    done = repo.pack()
    after = repo.usage()
    assert done.blobs == 3 and after.blobs == 1 and after.blob_bytes == 2 * MIB
    assert after.packed_bytes + after.saved_bytes == 2 * len(TEXT) + len(b"and more") + MIB
    # Packs have headers and indexes besides.
    assert 0 <= before.stored_bytes - after.stored_bytes - after.saved_bytes + 2048 < 4096


@pytest.mark.damaged
def test_a_recipe_that_is_damaged_ends_no_measurement_of_the_repository(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"log": TEXT * 3})
    repo.pack()
    whole = repo.usage()
    (name,) = [name for name in repo.objects.packs.names() if repo.objects.packs.has_frames(name)]
    rows = repo.objects.packs.open(name).index.rows()
    spoil_packed(Path(repo.root), next(row.offset for row in rows if row.kind == RECIPE) + 3)
    with Repository(repo.root) as again:
        found = again.usage()
    assert found.pack_bytes == whole.pack_bytes and found.packed_bytes > 0


@pytest.mark.damaged
def test_a_log_that_cannot_be_read_is_an_error_not_a_smaller_number(repo: Repository, tmp_path: Path) -> None:
    put(repo, tmp_path, "data", {"f": "f"})
    put(repo, tmp_path, "other", {"f": "f"})
    (log,) = [path for path in (Path(repo.root) / "refs").rglob("*.json") if path.parent.name == "other"]
    log.chmod(0o644)
    log.write_bytes(b"{")
    with Repository(repo.root) as again, pytest.raises(DamagedLog):
        used(again, "data")
