"""`artstore pack`: small files are compressed together with their neighbours, and everything reads them as before."""

import errno
import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from artstore.domain import frames
from artstore.domain.digest import BLOB, digest_of
from artstore.errors import DamagedObject, NoSpace
from artstore.operations.upkeep import grouping
from artstore.operations.upkeep.merge import merge
from artstore.repository import Repository
from artstore.store.framed import Frame, FramedIndex
from artstore.store.groups import GROUP
from artstore.store.objects import ObjectStore
from artstore.store.packs import Row
from artstore.store.paths import pack_path
from tests.support.folders import make_tree, snapshot
from tests.support.maintenance import gc, spoil_packed
from tests.support.reader import Reader

Files = dict[str, str | bytes | None]
STRANGE: Files = {
    "empty": b"",
    "one byte": b"x",
    "own frame": b"a line of a table\n" * 20_000,
    "noise": random.Random(1).randbytes(200_000),
}


def text(number: int, size: int = 4000) -> bytes:
    """Text that is like that of other numbers, and has something of its own."""
    words = random.Random(number)
    lines = [b"def function_%d(argument: int) -> int:\n    return argument\n" % words.randrange(99) for _ in range(99)]
    return b"".join([b"# %d\n" % number, *lines])[:size]


def texts(count: int, first: int = 0) -> Files:
    return {f"{number // 50:03}/{number:05}.py": text(first + number) for number in range(count)}


def framed(objects: ObjectStore) -> list[FramedIndex]:
    found = (objects.packs.open(name).index for name in sorted(objects.packs.refresh()))
    return [index for index in found if isinstance(index, FramedIndex)]


def frames_of(repo: Repository) -> list[Frame]:
    return [frame for index in framed(repo.objects) for frame in index.frames()]


def stored_bytes(repo: Repository) -> int:
    return sum(size for _, size in repo.storage.below("objects"))


def payload(files: Files) -> int:
    return sum(len(data) for data in files.values() if isinstance(data, bytes))


@pytest.fixture
def grouped(repo: Repository, tmp_path: Path) -> Repository:
    """One version of 300 small files of text and a few strange ones, packed."""
    repo.put(str(make_tree(tmp_path / "in", texts(300) | STRANGE)), "data")
    assert repo.pack().small_blobs == 303
    return repo


def test_small_files_of_text_take_a_quarter_or_less(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "in", texts(500))), "data")
    before = stored_bytes(repo)
    done = repo.pack()
    assert (done.small_blobs, done.small_bytes, done.problems) == (500, before, ())
    assert stored_bytes(repo) == done.small_stored_bytes == before - done.freed_bytes < 0.27 * payload(texts(500))


def test_every_file_comes_back_as_it_was(grouped: Repository, tmp_path: Path) -> None:
    found = grouped.find("data")
    grouped.get(found, str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "in")
    assert b"".join(grouped.content(grouped.entry(found, "002/00149.py"))) == text(149)
    assert not Reader(Path(grouped.root)).check()


def test_only_blobs_are_in_groups_and_a_blob_as_large_as_a_group_is_alone(grouped: Repository) -> None:
    (index,) = framed(grouped.objects)
    assert {row.kind for row in index.rows()} == {BLOB}
    sizes = [frame.raw for frame in index.frames()]
    assert {360_000, 200_000} <= set(sizes) and max(sizes) == 360_000
    assert all(GROUP <= size < GROUP + 4000 for size in sorted(set(sizes) - {360_000, 200_000})[1:])


def test_packing_again_changes_nothing_and_later_files_get_a_pack_of_their_own(
    grouped: Repository, tmp_path: Path
) -> None:
    before = snapshot(Path(grouped.root) / "objects")
    assert grouped.pack().small_blobs == 0
    assert snapshot(Path(grouped.root) / "objects") == before
    grouped.put(str(make_tree(tmp_path / "more", texts(100, 1000))), "more")
    assert grouped.pack().small_blobs == 100 and len(framed(grouped.objects)) == 2


def test_a_dry_run_tells_about_what_packing_does(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "in", texts(1000))), "data")
    before = snapshot(Path(repo.root) / "objects")
    foreseen = repo.pack(dry_run=True)
    assert snapshot(Path(repo.root) / "objects") == before
    done = repo.pack()
    assert (foreseen.small_blobs, foreseen.small_bytes) == (done.small_blobs, done.small_bytes)
    assert abs(foreseen.small_stored_bytes - done.small_stored_bytes) < 0.05 * done.small_bytes


def test_small_files_that_do_not_shrink_stay_where_they_are(repo: Repository, tmp_path: Path) -> None:
    noise = random.Random(1)
    repo.put(str(make_tree(tmp_path / "in", {f"{n}": noise.randbytes(4096) for n in range(300)})), "data")
    before = snapshot(Path(repo.root) / "objects")
    assert repo.pack().small_blobs == 0
    assert snapshot(Path(repo.root) / "objects") == before


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from(["text", "noise", "zeros"])), max_size=60))
def test_nothing_ever_takes_more_than_before(tmp_path: Path, sizes: list[tuple[int, str]]) -> None:
    noise = random.Random(1)
    make = {"text": lambda n: text(n, n), "noise": noise.randbytes, "zeros": bytes}
    files: Files = {f"{number}": make[kind](size) for number, (size, kind) in enumerate(sizes)}
    shutil.rmtree(tmp_path, ignore_errors=True)
    with Repository.init(str(tmp_path / ".artifacts")) as repo:
        repo.put(str(make_tree(tmp_path / "in", files)), "data")
        before = stored_bytes(repo)
        repo.pack()
        assert stored_bytes(repo) <= before
        assert not repo.fsck().problems


def test_reading_files_in_order_decodes_each_group_once(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.put(str(make_tree(tmp_path / "in", texts(300))), "data")
    repo.pack()
    decoded = list[int]()
    decode = frames.decode
    monkeypatch.setattr("artstore.store.framed.decode", lambda *how: (decoded.append(how[3]), decode(*how))[1])
    with Repository(repo.root) as fresh:
        fresh.get(fresh.find("data"), str(tmp_path / "out"))
    assert len(decoded) <= len(frames_of(repo)) + len(list((tmp_path / "in").iterdir())), "once more where folders meet"


def test_a_save_that_began_before_is_whole_after_packing(repo: Repository, tmp_path: Path) -> None:
    repo.put(str(make_tree(tmp_path / "in", texts(100))), "data")
    with Repository(repo.root) as other, other.draft() as draft:
        draft.add_folder(str(tmp_path / "in"))
        done = repo.pack()
        assert done.small_blobs == 100 and done.trashed_bytes and len(done.waits_for) == 1
        draft.save(other.path_of("again")[0])
    gc(repo)
    assert not Reader(Path(repo.root)).check() and not repo.fsck().problems


# -- gc and merges --


def test_gc_keeps_frames_of_which_half_lives_and_groups_what_lives_of_the_others(
    repo: Repository, tmp_path: Path
) -> None:
    """Of 300 files the last 90 live, and every fourth of the others."""
    kept = {path: data for number, (path, data) in enumerate(texts(300).items()) if number >= 210 or number % 4 == 0}
    repo.put(str(make_tree(tmp_path / "in", texts(300))), "data")
    repo.pack()
    repo.put(str(make_tree(tmp_path / "kept", kept)), "kept")
    repo.delete("data:v0")
    (index,), before = framed(repo.objects), stored_bytes(repo)
    living = {digest_of(BLOB, data) for data in kept.values() if isinstance(data, bytes)}
    part = {
        frame.check: sum(row.size for row in members(index, frame) if row.digest in living) / frame.raw
        for frame in index.frames()
    }
    assert min(part.values()) < 0.5 and max(part.values()) == 1
    freed = gc(repo).freed_bytes
    now = {frame.check for frame in frames_of(repo)}
    assert {check for check in part if part[check] >= 0.5} < now and not {c for c in part if part[c] < 0.5} & now
    assert stored_bytes(repo) == before - freed < before
    assert not Reader(Path(repo.root)).check() and not repo.fsck().problems


def test_gc_leaves_a_pack_of_groups_alone_of_which_half_lives(repo: Repository, tmp_path: Path) -> None:
    kept = {path: data for number, (path, data) in enumerate(texts(300).items()) if number % 3}
    repo.put(str(make_tree(tmp_path / "in", texts(300))), "data")
    repo.pack()
    repo.put(str(make_tree(tmp_path / "kept", kept)), "kept")
    repo.delete("data:v0")
    before, stored = frames_of(repo), sum(frame.stored for frame in frames_of(repo))
    assert 0.2 * stored < gc(repo).dead_bytes_kept < 0.4 * stored + 9999, "a third of the groups, and old trees"
    assert frames_of(repo) == before


def test_gc_groups_what_lives_anew_where_most_is_dead(grouped: Repository, tmp_path: Path) -> None:
    kept = {path: data for number, (path, data) in enumerate(texts(300).items()) if number % 10 == 0}
    grouped.put(str(make_tree(tmp_path / "kept", kept)), "kept")
    grouped.delete("data:v0")
    foreseen, before = gc(grouped, dry_run=True), stored_bytes(grouped)
    freed = gc(grouped).freed_bytes
    assert stored_bytes(grouped) == before - freed and abs(freed - foreseen.freed_bytes) < 0.1 * before
    assert [frame.raw for frame in frames_of(grouped)] == [payload(kept)], "one group has all that lives"
    assert frames_of(grouped)[0].stored < 0.4 * payload(kept)
    assert not Reader(Path(grouped.root)).check() and not grouped.fsck().problems


def eight_packs(repo: Repository, tmp_path: Path) -> None:
    for number in range(8):
        repo.put(str(make_tree(tmp_path / f"in{number}", texts(45, 100 * number))), f"data{number}")
        assert repo.pack().small_blobs == 45


def test_a_merge_copies_full_groups_unopened_and_joins_small_ones(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eight_packs(repo, tmp_path)
    full = {frame.check for frame in frames_of(repo) if frame.raw >= GROUP}
    thin = sum(frame.raw for frame in frames_of(repo) if frame.raw < GROUP // 2)
    assert len(full) == 8 and thin > GROUP
    objects, opened = ObjectStore(repo.storage), list[int]()
    decode = frames.decode
    monkeypatch.setattr("artstore.store.framed.decode", lambda *how: (opened.append(how[3]), decode(*how))[1])
    merge(objects)
    (index,) = framed(objects)
    assert sum(opened) == thin
    assert full < {frame.check for frame in index.frames()} and len(list(index.frames())) == 8 + -(-thin // GROUP)
    assert not Reader(Path(repo.root)).check() and not repo.fsck().problems


def test_packs_with_recipes_of_the_same_blob_are_not_merged(repo: Repository, tmp_path: Path) -> None:
    table = b"".join(b"%d a line of a log\n" % number for number in range(400_000))
    with Repository.init(str(tmp_path / "other/.artifacts")) as other:
        for one in (repo, other):
            one.put(str(make_tree(tmp_path / one.root.replace("/", "_"), {"log": table})), "log")
            one.pack()
        (twin,) = framed(other.objects)
        shutil.copy(other.storage.path(pack_path(twin.name)), repo.storage.path(pack_path(twin.name)))
    eight_packs(repo, tmp_path)
    merge(objects := ObjectStore(repo.storage))
    assert objects.packs.refresh() > {twin.name} or len(framed(objects)) == 2
    gc(repo)
    assert not repo.fsck().problems


# -- damage --


def members(index: FramedIndex, frame: Frame) -> list[Row]:
    return [row for row in index.rows() if row.offset == frame.offset]


@pytest.mark.damaged
def test_damage_of_a_group_is_noted_for_each_file_in_it_and_the_next_save_stores_them_again(
    grouped: Repository, tmp_path: Path
) -> None:
    (index,) = framed(grouped.objects)
    frame = next(frame for frame in index.frames() if frame.raw not in (360_000, 200_000))
    inside = {row.digest for row in members(index, frame)}
    spoil_packed(Path(grouped.root), frame.offset + frame.stored // 2)
    with Repository(grouped.root) as reading:
        with pytest.raises(DamagedObject, match="is damaged"):
            reading.objects.read(BLOB, min(inside))
        assert reading.objects.damage.inside(index.name) == inside
        shutil.rmtree(Path(reading.root) / "cache")
    with Repository(grouped.root) as saving:
        saving.put(str(tmp_path / "in"), "again")
        saving.get(saving.find("data"), str(tmp_path / "out"))
        assert snapshot(tmp_path / "out") == snapshot(tmp_path / "in")
        assert not saving.fsck(repair=True).problems


@pytest.mark.damaged
def test_another_copy_of_a_file_in_a_damaged_group_is_read(grouped: Repository, tmp_path: Path) -> None:
    with Repository.init(str(tmp_path / "other/.artifacts")) as other:
        other.put(str(tmp_path / "in"), "data")
        (name,) = other.objects.packs.refresh()
        shutil.copy(other.storage.path(pack_path(name)), grouped.storage.path(pack_path(name)))
    (index,) = framed(grouped.objects)
    spoil_packed(Path(grouped.root), next(index.frames()).offset + 9)
    with Repository(grouped.root) as reading:
        reading.get(reading.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "in")
    gc(grouped)


@pytest.mark.damaged
@pytest.mark.parametrize(("kind", "least"), [("noise", 0.9), ("text", 0.5)])
def test_a_repair_gets_back_what_can_be_decoded_before_the_damage(
    repo: Repository, tmp_path: Path, kind: str, least: float
) -> None:
    noise = random.Random(1)
    files: Files = {f"a{number:03}": text(number) for number in range(40)}
    if kind == "noise":
        files |= {f"b{number:03}": noise.randbytes(3000) for number in range(45)}
    else:
        files |= {f"b{number:03}": text(number, 3900) for number in range(64)}
    source = make_tree(tmp_path / "in", files)
    repo.put(str(source), "data")
    assert repo.pack().small_blobs == len(files)
    shutil.rmtree(source)
    index = framed(repo.objects)[0]
    frame = max(index.frames(), key=lambda frame: (frame.stored, frame.offset))
    inside = members(index, frame)
    spoil_packed(Path(repo.root), frame.offset + frame.stored - 40)
    with Repository(repo.root) as reading:
        assert len(reading.fsck().problems) >= len(inside)
        report = reading.fsck(repair=True)
        lost = {row.digest for row in inside} - reading.objects.sizes([row.digest for row in inside]).keys()
        assert len(lost) <= (1 - least) * len(inside) and any(
            "stored again, from bad/" in told for told in report.mended
        )
        assert len(report.problems) == len(lost)


def test_a_pack_that_cannot_be_read_is_a_problem(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.put(str(make_tree(tmp_path / "in", texts(100))), "code")
    (name,) = repo.objects.packs.refresh()

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(grouping, "opened", failing)
    failed = repo.pack()
    assert failed.small_blobs == 0
    assert failed.problems == (
        f"pack {name[:12]} can't be read (input/output error); small files in it stay as they are",
    )
    monkeypatch.undo()
    assert repo.pack().small_blobs == 100


def test_a_full_disk_is_told_and_the_old_packs_stay(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.put(str(make_tree(tmp_path / "in", texts(100))), "data")
    before = snapshot(Path(repo.root) / "objects")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("artstore.store.packs.PackWriter.flush", full)
    with pytest.raises(NoSpace):
        repo.pack()
    assert snapshot(Path(repo.root) / "objects") == before
