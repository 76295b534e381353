"""One suite for every kind of place: what `Storage` promises, over a folder, a bucket in memory and a real S3 server."""

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from artstore.backends.places import open_storage
from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.digest import BLOB, digest_of
from artstore.errors import InvalidValue, StorageError
from artstore.store.layout import make
from tests.support.marks import mostly_long
from tests.support.servers import SeaweedFS
from tests.support.together import in_threads
from tests.support.trouble import without_links

MIB = 1 << 20
KINDS = ["folder", "foreign folder", "folder without links", "memory", "s3"]
BUCKETS = ["memory", "s3"]

Again = Callable[[], Storage]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def again(kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Again:
    """Opens the same empty place each time, as another process would."""
    if "folder" in kind:
        if kind == "folder without links":
            without_links(monkeypatch)
        make(str(tmp_path / "place"))
        return lambda: open_storage(str(tmp_path / "place"), foreign=kind == "foreign folder")
    pytest.importorskip("obstore")
    (tmp_path / "scratch").mkdir()
    url = f"memory://{os.urandom(8).hex()}/some/path"
    if kind == "s3":
        server: SeaweedFS = request.getfixturevalue("server")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        url = f"s3://{server.bucket}/{os.urandom(8).hex()}?endpoint={server.endpoint}&region={server.region}"
    return lambda: open_storage(url, scratch=str(tmp_path / "scratch"))


@pytest.fixture
def storage(again: Again) -> Storage:
    return again()


def pack_of(letter: str) -> str:
    return f"objects/packs/{letter * 64}.pack"


def blob_of(data: bytes) -> str:
    name = digest_of(BLOB, data).hex()
    return f"objects/blobs/{name[:2]}/{name}"


def stored(storage: Storage, path: str, data: bytes) -> str:
    """Publish a file; its path."""
    with_folder = storage.claim(f"tmp/{os.urandom(4).hex()}")
    staged = Path(with_folder, "1")
    staged.write_bytes(data)
    staged.chmod(0o444)
    assert storage.publish(str(staged), path)
    storage.sync_names([path.rpartition("/")[0]])
    storage.remove_folder(f"tmp/{Path(with_folder).name.partition('.')[0]}")
    return path


def run_of(storage: Storage, name: str = "gc.left.1") -> str:
    """A collector's folder in the trash."""
    storage.claim(f"trash/{name}")
    return f"trash/{name}"


def copied(storage: Storage, path: str, tmp_path: Path) -> bytes:
    target = os.open(tmp_path / "copy", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        digest, size = storage.copy_out(path, target)
        data = os.pread(target, size + 1, 0)
        assert (digest, size) == (digest_of(BLOB, data), len(data))
        return data
    finally:
        os.close(target)


# -- small files ---------------------------------------------------------------------------------


def test_a_path_in_a_bucket_is_taken_as_it_is(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: SeaweedFS = request.getfixturevalue("server")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    above, options = os.urandom(8).hex(), f"endpoint={server.endpoint}&region={server.region}"
    paths = ["a b", "a%20b", "a+b", "a#b", "a", "ü"]
    for path in paths:
        place = open_storage(f"s3://conformance/{above}/{path}?{options}", scratch=str(tmp_path))
        assert place.create("name", path.encode()) and place.root == f"s3://conformance/{above}/{path}"
    whole = open_storage(f"s3://conformance/{above}?{options}", scratch=str(tmp_path))
    assert {path: whole.read(f"{path}/name") for path in paths} == {path: path.encode() for path in paths}


@pytest.mark.parametrize("url", ["s3://b#c/d", "s3://b c/d", "s3://b/c//d", "s3://b/../d", "s3://b[x", "s3://b/c?d"])
def test_a_url_that_names_no_place_in_a_bucket_is_refused(url: str) -> None:
    pytest.importorskip("obstore")
    with pytest.raises(InvalidValue):
        open_storage(f"{url}?endpoint=http://127.0.0.1:1" if "?" not in url else url)


def test_what_was_created_is_listed_sized_and_read(storage: Storage) -> None:
    assert storage.create("refs/a/1.json", b"one") and storage.create("refs/a/2.json", b"")
    assert sorted(storage.names("refs/a")) == sorted(storage.steady_names("refs/a")) == ["1.json", "2.json"]
    assert (storage.size("refs/a/1.json"), storage.size("refs/a/2.json")) == (3, 0)
    assert (storage.read("refs/a/1.json"), storage.read("refs/a/2.json")) == (b"one", b"")


def test_what_is_absent_is_told_by_name_and_not_by_a_failure(storage: Storage) -> None:
    assert storage.names("refs/none") == storage.folders("refs/none") == [] and storage.below("refs/none") == []
    assert storage.size("refs/none") is None and storage.stamp("refs/none") is None
    for path in ("refs/none", "refs/none/below", pack_of("0"), blob_of(b"")):
        with pytest.raises(FileNotFoundError):
            storage.read(path)
        with pytest.raises(FileNotFoundError):
            storage.read(path, 1, 2)
    storage.create("refs/there", b"1")
    with pytest.raises(FileNotFoundError):
        list(storage.read_each(["refs/there", "refs/none"]))


def test_names_of_a_file_are_none(storage: Storage) -> None:
    """A stranger's file where a log's folder should be."""
    storage.create("refs/file", b"1")
    assert storage.names("refs/file") == []


@pytest.mark.parametrize("stored_file", [False, True], ids=["small file", "stored file"])
def test_ranges_are_read_and_end_where_the_file_ends(storage: Storage, stored_file: bool) -> None:
    path = pack_of("a") if stored_file else "refs/file"
    _ = stored(storage, path, b"0123456789") if stored_file else storage.create(path, b"0123456789")
    assert storage.read(path, 2, 3) == b"234"
    assert storage.read(path, 7) == b"789"
    assert storage.read(path, 0, 10) == storage.read(path, 0) == b"0123456789"
    assert storage.read(path, 8, 100) == b"89", "longer than what is left"
    assert storage.read(path, 3, 0) == b""
    for length in (0, 1, 100, None):
        assert storage.read(path, 10, length) == b"", f"at its end, {length}"
        assert storage.read(path, 11, length) == b"", f"behind its end, {length}"


@pytest.mark.parametrize("stored_file", [False, True], ids=["small file", "stored file"])
def test_ranges_of_an_empty_file_are_empty(storage: Storage, stored_file: bool) -> None:
    path = pack_of("a") if stored_file else "refs/file"
    _ = stored(storage, path, b"") if stored_file else storage.create(path, b"")
    assert storage.read(path) == storage.read(path, 0, 0) == storage.read(path, 0, 5) == storage.read(path, 3) == b""


def test_many_are_read_in_the_order_asked_for(storage: Storage) -> None:
    for number in range(30):
        storage.create(f"refs/{number}", b"%d" % number)
    order = [f"refs/{number}" for number in (*range(29, -1, -1), 3, 3)]
    assert list(storage.read_each(order)) == [path[5:].encode() for path in order]
    assert list(storage.read_each([])) == []


def test_a_name_that_is_taken_is_refused(storage: Storage, again: Again) -> None:
    assert storage.create("refs/log/1", b"first")
    assert not storage.create("refs/log/1", b"second")
    assert not again().create("refs/log/1", b"third")
    assert storage.read("refs/log/1") == b"first"


@pytest.mark.parametrize(
    "kind", mostly_long(KINDS, "folder", "foreign folder", "folder without links", "memory"), indirect=True
)
def test_of_eight_that_create_one_name_exactly_one_wins(again: Again) -> None:
    places = [again() for _ in range(8)]
    for turn in range(5):
        path = f"refs/log/{turn}"
        won = in_threads(*((place.create, path, b"%d" % n) for n, place in enumerate(places)))
        assert sorted(won) == [False] * 7 + [True], won
        assert places[0].read(path) == b"%d" % won.index(True)


def test_what_is_created_is_seen_whole_or_not_at_all(storage: Storage, again: Again) -> None:
    data, reader, seen = b"x" * (256 << 10), again(), set[int]()
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for name in reader.names("refs/whole"):
                seen.add(len(reader.read(f"refs/whole/{name}")))

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(20):
        storage.create(f"refs/whole/{number}", data)
    time.sleep(0.05)
    done.set()
    thread.join()
    assert seen == {len(data)}


def test_a_cache_is_replaced_whole(storage: Storage) -> None:
    storage.replace("cache/a/table", b"long before")
    storage.replace("cache/a/table", b"short", sync=True)
    assert storage.read("cache/a/table") == b"short"
    assert storage.names("cache/a") == ["table"] and storage.folders("tmp") == []


def test_removing_twice_does_no_harm(storage: Storage) -> None:
    storage.create("refs/a", b"1")
    storage.create("refs/b", b"2")
    assert storage.remove("refs/a")
    storage.remove("refs/a")
    storage.remove("refs/none/at all")
    assert storage.names("refs") == ["b"]
    assert storage.create("refs/a", b"3"), "its name is free"


def test_folders_and_files_are_told_apart(storage: Storage) -> None:
    storage.create("refs/a/b/1", b"12")
    storage.create("refs/2", b"123")
    storage.claim("refs/claimed")
    assert sorted(storage.names("refs")) == ["2", "a", "claimed"] and "claimed" in storage.folders("refs")
    assert "2" not in storage.folders("refs")
    assert sorted(storage.below("refs")) == [("refs/2", 3), ("refs/a/b/1", 2)]
    assert storage.below("refs/a/b") == [("refs/a/b/1", 2)]
    assert storage.size("refs/a") is None, "a folder is no file"


def test_folders_whose_names_begin_alike_are_not_mixed(storage: Storage) -> None:
    for name in ("log", "log2", "log.old", "lo"):
        storage.create(f"refs/{name}/1", name.encode())
    assert storage.names("refs/log") == ["1"]
    assert storage.below("refs/log") == [("refs/log/1", 3)]
    storage.remove_folder("refs/log")
    assert sorted(storage.below("refs")) == [("refs/lo/1", 2), ("refs/log.old/1", 7), ("refs/log2/1", 4)]


AWKWARD = [
    "a%20b",
    "a b",
    "100%",
    "%2e%2e",
    "%25",
    "ü%C3%BC",
    "a+b&c=d?e#f",
    "with'quote\"",
    "~tilde,;:@!$()*[]",
    "日本",
]


def test_names_with_percent_signs_and_spaces_come_back_as_they_are(storage: Storage) -> None:
    for number, name in enumerate(AWKWARD):
        assert storage.create(f"refs/{name}/in {name}", b"%d" % number), name
    assert sorted(storage.names("refs")) == sorted(AWKWARD)
    assert sorted(storage.below("refs")) == sorted((f"refs/{name}/in {name}", 1) for name in AWKWARD)
    for number, name in enumerate(AWKWARD):
        assert storage.names(f"refs/{name}") == [f"in {name}"]
        assert storage.read(f"refs/{name}/in {name}") == next(storage.read_each([f"refs/{name}/in {name}"]))
        assert storage.read(f"refs/{name}/in {name}") == b"%d" % number
        assert storage.size(f"refs/{name}/in {name}") == 1
        assert not storage.create(f"refs/{name}/in {name}", b"again")
    storage.remove("refs/a%20b/in a%20b")
    assert storage.names("refs/a%20b") == [] and storage.names("refs/a b") == ["in a b"]


def test_a_folder_of_1500_names_is_listed_whole(storage: Storage) -> None:
    wanted = [f"{number:08}.json" for number in range(1500)]

    def write(names: list[str]) -> None:
        for name in names:
            storage.replace(f"refs/log/{name}", b"1")

    results = in_threads(*((write, wanted[n::8]) for n in range(8)))
    assert results == [None] * 8
    assert sorted(storage.names("refs/log")) == sorted(storage.steady_names("refs/log")) == wanted
    assert sorted(storage.below("refs")) == [(f"refs/log/{name}", 1) for name in wanted]
    storage.remove_folder("refs/log")
    assert storage.below("refs") == []


def test_stamps_go_by_the_places_own_clock(storage: Storage) -> None:
    before = storage.now(probe=True)
    storage.create("refs/new", b"")
    storage.claim("trash/gc.x")
    after = storage.now(probe=True)
    for path in ("refs/new", "trash/gc.x"):
        stamp = storage.stamp(path)
        assert stamp is not None and int(before) <= stamp <= after + 1, (before, stamp, after)


# -- who is at work ------------------------------------------------------------------------------


def test_a_folder_is_claimed_once(storage: Storage, again: Again) -> None:
    here = storage.claim("tmp/me")
    assert os.path.isdir(here) and os.listdir(here) == []
    for place in (storage, again()):
        with pytest.raises(FileExistsError):
            place.claim("tmp/me")
        assert place.folders("tmp") == ["me"] and "me" in place.names("tmp")
        assert place.names("tmp/me") == [] and place.stamp("tmp/me") is not None
    storage.remove_folder("tmp/me")
    storage.remove_folder("tmp/me")
    assert again().folders("tmp") == [] and not os.path.exists(here)
    assert storage.claim("tmp/me")


def test_a_folder_with_all_in_it_is_removed(storage: Storage) -> None:
    here = storage.claim("tmp/me")
    Path(here, "1").write_bytes(b"1")
    Path(here, "2").mkdir()
    storage.replace("tmp/me/below/3", b"3")
    storage.remove_folder("tmp/me")
    assert storage.below("tmp/me") == [] and not os.path.exists(here)


def test_a_folder_of_the_trash_gets_another_name_with_all_in_it(storage: Storage) -> None:
    run = run_of(storage, "gc.one")
    stored(storage, pack_of("a"), b"a")
    stored(storage, blob_of(b"b"), b"b")
    assert storage.take(pack_of("a"), run) and storage.take(blob_of(b"b"), run)
    assert storage.rename_folder(run, "trash/gc.two")
    assert storage.folders("trash") == ["gc.two"]
    assert sorted(storage.names("trash/gc.two")) == sorted([f"{'a' * 64}.pack", digest_of(BLOB, b"b").hex()])
    assert storage.stamp("trash/gc.two") is not None and storage.stamp(run) is None
    assert not storage.rename_folder(run, "trash/gc.three"), "it is gone"
    _, read, close = storage.reader(f"trash/gc.two/{'a' * 64}.pack")
    assert read(0, 1) == b"a"
    close()
    assert storage.names("objects/packs") == []


# -- stored files --------------------------------------------------------------------------------


def test_a_published_file_is_there_under_its_name(storage: Storage, again: Again, tmp_path: Path) -> None:
    pack, blob = stored(storage, pack_of("a"), b"pack"), stored(storage, blob_of(b"blob"), b"blob")
    for place in (storage, again()):
        assert place.names("objects/packs") == place.steady_names("objects/packs") == [f"{'a' * 64}.pack"]
        assert sorted(place.below("objects")) == sorted([(pack, 4), (blob, 4)])
        assert place.below("objects/packs") == [(pack, 4)] and place.below("objects/blobs") == [(blob, 4)]
        assert place.sizes([pack, blob, pack_of("b"), blob_of(b"c")]) == {pack: 4, blob: 4}
        assert (place.size(pack), place.size(blob), place.size(pack_of("b"))) == (4, 4, None)
        assert (place.read(pack), place.read(blob)) == (b"pack", b"blob")
        assert list(place.read_each([pack, blob])) == [b"pack", b"blob"]
        assert copied(place, pack, tmp_path) == b"pack"


def test_sizes_of_many_and_of_none(storage: Storage) -> None:
    paths = [stored(storage, blob_of(b"%d" % n), b"%d" % n) for n in range(12)]
    assert storage.sizes(paths) == {path: 1 if n < 10 else 2 for n, path in enumerate(paths)}
    assert storage.sizes([]) == {}
    assert storage.sizes([blob_of(b"none"), *paths[:1]]) == {paths[0]: 1}


def test_a_stored_file_is_read_by_descriptor_and_by_reader(storage: Storage) -> None:
    path = stored(storage, pack_of("a"), bytes(range(100)))
    fd = storage.open(path)
    assert os.fstat(fd).st_size == 100 and os.pread(fd, 3, 97) == bytes([97, 98, 99])
    assert stat.S_ISREG(os.fstat(fd).st_mode)
    os.close(fd)
    size, read, close = storage.reader(path)
    assert size == 100 and read(10, 3) == bytes([10, 11, 12])
    assert read(95, 100) == bytes(range(95, 100)) and read(0, 0) == b""
    assert read(100, 5) == b"", "at its end"
    close()
    for call in (storage.open, storage.reader):
        with pytest.raises(FileNotFoundError):
            call(pack_of("b"))
    target = os.open("/dev/null", os.O_RDWR)
    with pytest.raises(FileNotFoundError):
        storage.copy_out(pack_of("b"), target)
    os.close(target)


def test_what_was_taken_is_absent_to_savers_and_readable_to_readers(
    storage: Storage, again: Again, tmp_path: Path
) -> None:
    pack, run = stored(storage, pack_of("a"), b"pack"), run_of(storage)
    assert storage.take(pack, run)
    assert not storage.take(pack, run), "it is gone"
    trashed = f"{run}/{'a' * 64}.pack"
    for place in (storage, again()):
        assert place.names("objects/packs") == [] and place.below("objects") == [] and place.sizes([pack]) == {}
        assert place.size(pack) is None
        assert place.below("trash")[0][0] == trashed and place.names(run) == [f"{'a' * 64}.pack"]
        assert place.only_here(trashed) == 4
        assert copied(place, trashed, tmp_path) == b"pack"
        size, read, close = place.reader(trashed)
        assert (size, read(2, 2)) == (4, b"ck")
        close()
        fd = place.open(trashed)
        assert os.pread(fd, 9, 0) == b"pack"
        os.close(fd)
    assert not storage.take(pack_of("f"), run)


def test_a_taken_file_is_sized_and_read_as_any_other(storage: Storage) -> None:
    run = run_of(storage)
    storage.take(stored(storage, pack_of("a"), b"pack"), run)
    trashed = f"{run}/{'a' * 64}.pack"
    assert storage.size(trashed) == 4, "who reads a whole large blob asks for it"
    assert storage.read(trashed) == b"pack" and storage.read(trashed, 1, 2) == b"ac"


def test_a_reader_that_had_begun_goes_on_when_the_file_is_taken(storage: Storage, again: Again) -> None:
    pack = stored(storage, pack_of("a"), b"0123456789")
    _, read, close = again().reader(pack)
    storage.take(pack, run_of(storage))
    assert read(3, 4) == b"3456"
    close()


def test_what_was_taken_is_given_back(storage: Storage, again: Again) -> None:
    pack, run = stored(storage, pack_of("a"), b"pack"), run_of(storage)
    storage.take(pack, run)
    again().give_back(f"{run}/{'a' * 64}.pack", pack)
    for place in (storage, again()):
        assert place.names("objects/packs") == [f"{'a' * 64}.pack"] and place.sizes([pack]) == {pack: 4}
        assert place.read(pack) == b"pack" and place.names(run) == []


def test_what_was_taken_is_rescued_by_a_link_or_not_at_all(storage: Storage, again: Again) -> None:
    """Where it returns True the file stays, whatever its run does; where it returns False nothing was changed."""
    pack, run = stored(storage, pack_of("a"), b"pack"), run_of(storage)
    trashed = f"{run}/{'a' * 64}.pack"
    storage.take(pack, run)
    rescued = again().rescue(trashed, pack)
    assert rescued == isinstance(storage, FolderStorage)
    assert storage.size(pack) == (4 if rescued else None)
    assert storage.only_here(trashed) == (0 if rescued else 4), "what is linked elsewhere frees nothing"
    storage.purge(trashed)
    assert again().size(pack) == (4 if rescued else None)


def test_a_purge_frees_what_was_taken_and_nothing_else(storage: Storage, again: Again) -> None:
    first, second, run = stored(storage, pack_of("a"), b"aaa"), stored(storage, pack_of("b"), b"bb"), run_of(storage)
    storage.take(first, run)
    assert again().purge(f"{run}/{'a' * 64}.pack") == 3
    assert storage.purge(f"{run}/{'a' * 64}.pack") == 0, "twice"
    for place in (storage, again()):
        assert place.names(run) == [] and place.names("objects/packs") == [f"{'b' * 64}.pack"]
        assert place.read(second) == b"bb"
        with pytest.raises(FileNotFoundError):
            again().read(first)
    storage.remove_folder(run)
    assert storage.below("trash") == [] and storage.folders("trash") == []


def test_a_copy_stored_again_survives_the_purge_of_the_taken_one(
    storage: Storage, again: Again, tmp_path: Path
) -> None:
    """The collector marks, a saver stores the same name again, the collector deletes exactly what it marked."""
    data = b"blob" * 100
    path, run = stored(storage, blob_of(data), data), run_of(storage)
    trashed = f"{run}/{path.rpartition('/')[2]}"
    assert storage.take(path, run)
    stored(again(), path, data)
    assert again().size(path) == len(data) and storage.size(path) == len(data)
    storage.purge(trashed)
    for place in (storage, again()):
        assert place.size(path) == len(data) and copied(place, path, tmp_path) == data
        assert place.sizes([path]) == {path: len(data)}


def test_a_name_that_is_there_is_not_published_over(storage: Storage, tmp_path: Path) -> None:
    """A file system says that the name is taken; in a bucket there is one copy more. In neither is a byte lost."""
    data = b"blob"
    path = stored(storage, blob_of(data), data)
    (tmp_path / "second").write_bytes(data)
    fresh = storage.publish(str(tmp_path / "second"), path)
    assert fresh != isinstance(storage, FolderStorage)
    assert storage.below("objects") == [(path, 4)] and storage.read(path) == data
    run = run_of(storage)
    storage.take(path, run)
    assert storage.size(path) is None, "all copies are taken"
    storage.purge(f"{run}/{path.rpartition('/')[2]}")
    with pytest.raises(FileNotFoundError):
        storage.read(path)


def test_a_reader_finds_another_copy_when_the_one_it_knew_is_purged(storage: Storage, again: Again) -> None:
    data = b"blob" * 10
    path, reader, run = stored(storage, blob_of(data), data), again(), run_of(storage)
    assert reader.size(path) == len(data), "now it knows the first copy"
    storage.take(path, run)
    stored(again(), path, data)
    storage.purge(f"{run}/{path.rpartition('/')[2]}")
    assert reader.read(path) == data


def test_what_two_runs_hold_at_once_is_freed_once(storage: Storage, again: Again) -> None:
    """Two collectors that claim one folder: on a file system one is told that it is gone."""
    path, run = stored(storage, pack_of("a"), b"pack"), run_of(storage, "gc.left.x")
    storage.take(path, run)
    one, other = again(), again()
    results = in_threads((one.rename_folder, run, "trash/gc.one"), (other.rename_folder, run, "trash/gc.other"))
    assert True in results and not [r for r in results if isinstance(r, Exception)], results
    freed = [place.purge(f"trash/{name}/{'a' * 64}.pack") for place, name in ((one, "gc.one"), (other, "gc.other"))]
    assert sorted(freed) == [0, 4]
    assert again().below("trash") == [] and again().names("objects/packs") == []


def test_a_damaged_file_is_set_aside_and_its_name_is_free(storage: Storage) -> None:
    data = b"blob"
    path = stored(storage, blob_of(data), b"blub")
    assert storage.set_aside(path, "bad/x.1")
    assert not storage.set_aside(path, "bad/x.2"), "it is gone"
    assert storage.size(path) is None and storage.read("bad/x.1") == b"blub" and storage.names("bad") == ["x.1"]
    stored(storage, path, data)
    assert storage.read(path) == data


def test_evidence_is_kept_when_the_file_is_taken_and_purged(storage: Storage) -> None:
    path, run = stored(storage, pack_of("a"), b"pack"), run_of(storage)
    storage.keep(path, "bad/a.pack.1")
    storage.keep(pack_of("b"), "bad/b.pack.1")
    assert storage.names("bad") == ["a.pack.1"] and storage.size(path) == 4
    storage.take(path, run)
    storage.purge(f"{run}/{'a' * 64}.pack")
    assert storage.read("bad/a.pack.1") == b"pack"


@pytest.mark.parametrize("size", [0, 1, 11 * MIB, 30 * MIB + 1])
def test_a_large_file_goes_and_comes_in_parts(
    storage: Storage, again: Again, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """S3's least part is 5 MiB."""
    pytest.importorskip("obstore")
    monkeypatch.setattr("artstore.backends.bucket.storage.PART", 5 * MIB)
    monkeypatch.setattr("artstore.backends.bucket.storage._PIECE", 4 * MIB)
    data = os.urandom(min(size, 1 << 16)) * (size // (1 << 16) + 1)
    data = data[:size]
    path, sent, told = blob_of(data), list[int](), list[int]()
    (tmp_path / "staged").write_bytes(data)
    assert storage.publish(str(tmp_path / "staged"), path, sent.append)
    assert sum(sent) == (size if storage.distant else 0), "a folder needs no bytes sent"
    assert len(sent) == (0 if not storage.distant else 4 if size > 20 * MIB else 1), (
        "a part each, the last four together"
    )
    target = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT)
    assert again().copy_out(path, target, told.append) == (digest_of(BLOB, data), size)
    os.close(target)
    assert (tmp_path / "out").read_bytes() == data and sum(told) == size
    assert again().size(path) == size


def test_a_foreign_folder_is_not_read_through_symlinks(tmp_path: Path) -> None:
    make(str(tmp_path / "place"))
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret")
    storage = FolderStorage(str(tmp_path / "place"), foreign=True)
    os.symlink(outside, tmp_path / "place/refs/link")
    os.symlink(outside / "file", tmp_path / "place/refs/file")
    os.rmdir(tmp_path / "place/objects/packs")
    os.symlink(outside, tmp_path / "place/objects/packs")
    for path in ("refs/link/file", "refs/file", "objects/packs/file"):
        with pytest.raises((StorageError, OSError)):
            storage.read(path)
        with pytest.raises((StorageError, OSError)):
            storage.open(path)
    for folder in ("refs/link", "objects/packs"):
        with pytest.raises(StorageError):
            storage.names(folder)
    with pytest.raises(StorageError):
        storage.create("refs/link/new", b"")
    assert os.listdir(outside) == ["file"]
