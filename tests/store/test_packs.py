"""Packs, the table over them, and the store that reads them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from artstore.domain.digest import BLOB, TREE, Digest, ObjectKind, digest_of
from artstore.errors import Damage, MissingObject
from artstore.operations.upkeep.collect import collect
from artstore.operations.upkeep.merge import merge, size_class
from artstore.progress import Monitor
from artstore.repository import Repository
from artstore.store import index
from artstore.store.objects import ObjectStore
from artstore.store.packfile import check_rows, open_pack
from artstore.store.packs import FOOTER, HEADER, ROW, Pack, PackIndex, PackWriter, search
from artstore.store.paths import pack_path
from artstore.store.transaction import Transaction
from tests.support.folders import make_tree
from tests.support.forge import Forger


def write(path: Path, contents: list[bytes]) -> tuple[str, bytes]:
    writer = PackWriter(str(path))
    for content in contents:
        writer.add(BLOB, digest_of(BLOB, content), content)
    return writer.finish().hex(), path.read_bytes()


def opened(name: str, data: bytes) -> Pack:
    return open_pack(name, len(data), lambda offset, length: data[offset : offset + length])


def test_a_pack_holds_its_objects_back_to_back_and_finds_each(tmp_path: Path) -> None:
    contents = [b"", b"a", b"b" * 5000, *(b"%d" % i for i in range(3000))]
    name, data = write(tmp_path / "p", contents)
    pack = opened(name, data)
    assert (
        len(data) == HEADER + sum(map(len, contents)) + len(contents) * ROW.size + FOOTER.size == pack.index.pack_size
    )
    for content in contents * 2:
        number = pack.index.find(digest_of(BLOB, content))
        assert number is not None and pack.object(pack.index.row(number)) == content
    assert pack.index.find(digest_of(BLOB, b"other")) is None
    assert pack.index.find(digest_of(TREE, b"a")) is None
    assert check_rows(pack) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda rows: rows[::-1], "its index is out of order"),
        (lambda rows: [(d, 9, *rest) for d, _, *rest in rows], "it holds an object of unknown kind 9"),
        (lambda rows: [(d, kind, 1, *rest) for d, kind, _, *rest in rows], "its index has fields that should be zero"),
        (lambda rows: [(*rest, offset + 1) for *rest, offset in rows], "its objects don't fill it without gaps"),
        (lambda rows: rows[:1], "its objects don't fill it without gaps"),
    ],
)
def test_rows_that_we_would_not_have_written_are_told_though_their_digest_is_right(
    tmp_path: Path, change: Callable[[list[Any]], list[Any]], why: str
) -> None:
    _, data = write(tmp_path / "p", [b"a", b"b"])
    rows = change(list(ROW.iter_unpack(data[HEADER + 2 : -FOOTER.size])))
    header, table = data[:HEADER], b"".join(ROW.pack(*row) for row in rows)
    pack = Pack(PackIndex("forged", header, table, HEADER + 2), lambda offset, length: b"", lambda: None)
    assert check_rows(pack) == why


def test_two_packs_of_the_same_objects_have_different_names(tmp_path: Path) -> None:
    assert write(tmp_path / "a", [b"x"])[0] != write(tmp_path / "b", [b"x"])[0]


def test_a_change_of_any_byte_outside_the_objects_is_noticed_on_opening(tmp_path: Path) -> None:
    name, data = write(tmp_path / "p", [b"hello", b"world"])
    for place in [*range(HEADER), *range(HEADER + 10, len(data))]:
        with pytest.raises(Damage):
            opened(name, data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    for length in range(len(data)):
        with pytest.raises(Damage):
            opened(name, data[:length])
    with pytest.raises(Damage):
        opened(name, data + b"x")


def test_search_finds_the_place_among_uniform_and_among_clustered_digests() -> None:
    for digests in (
        [digest_of(BLOB, b"%d" % i) for i in range(2000)],
        [bytes(24) + i.to_bytes(8, "big") for i in range(2000)],
    ):
        ordered = sorted(digests)
        rows = b"".join(ordered)
        for number, digest in enumerate(ordered):
            assert search(rows, 0, 32, len(ordered), digest) == number
        assert search(rows, 0, 32, len(ordered), b"\xff" * 32) == 2000
        assert search(rows, 0, 32, len(ordered), bytes(32)) == 0
        assert search(b"", 0, 32, 0, bytes(32)) == 0


def test_the_table_knows_every_copy_in_every_pack(tmp_path: Path) -> None:
    packs = [opened(*write(tmp_path / str(n), [b"both", b"%d" % n])) for n in range(3)]
    table = index.build(pack.index for pack in packs)
    assert {name for name, _ in table.places(digest_of(BLOB, b"both"))} == {pack.name for pack in packs}
    again = index.decode(table.encode())
    assert again is not None
    for n, pack in enumerate(packs):
        ((name, row),) = again.places(digest_of(BLOB, b"%d" % n))
        assert name == pack.name and pack.index.row(row).digest == digest_of(BLOB, b"%d" % n)
    assert list(again.places(digest_of(BLOB, b"none"))) == []
    for cut in range(0, len(table.encode()), 7):
        assert index.decode(table.encode()[:cut]) is None


def save(repo: Repository, tmp_path: Path, name: str, content: str) -> None:
    repo.put(str(make_tree(tmp_path / "src" / name, {"file": content, "same": "same"})), name)


def test_eight_packs_of_a_size_class_become_one_and_everything_still_reads(repo: Repository, tmp_path: Path) -> None:
    for n in range(7):
        save(repo, tmp_path, f"c{n}", f"content {n}")
    assert len(repo.objects.packs.refresh()) == 7
    save(repo, tmp_path, "c7", "content 7")
    assert len(repo.objects.packs.refresh()) == 1
    for n in range(8):
        found = repo.find(f"c{n}")
        assert b"".join(repo.content(repo.entry(found, "file"))) == b"content %d" % n
    assert repo.storage.names("trash") == []


def test_a_merge_leaves_the_trash_while_another_transaction_is_open(repo: Repository, tmp_path: Path) -> None:
    with Transaction(ObjectStore(repo.storage)):
        for n in range(8):
            save(repo, tmp_path, f"c{n}", f"content {n}")
        assert len(repo.objects.packs.refresh()) == 1
        (run,) = repo.storage.names("trash")
        assert len(repo.storage.names(f"trash/{run}")) == 8 and run.startswith("merge.left.")
    collect(repo.objects, repo.refs, repo.runs, grace=0, monitor=Monitor())
    assert repo.storage.names("trash") == []


def test_a_reader_that_opened_before_a_merge_reads_on_and_one_that_listed_before_finds_the_new_pack(
    repo: Repository, tmp_path: Path
) -> None:
    save(repo, tmp_path, "first", "first")
    digests = [digest_of(BLOB, b"first"), digest_of(BLOB, b"content 3")]
    reader = ObjectStore(repo.storage)
    assert reader.read(BLOB, digests[0]) == b"first"
    for n in range(7):
        save(repo, tmp_path, f"c{n}", f"content {n}")
    assert len(repo.objects.packs.refresh()) == 1
    assert reader.read(BLOB, digests[0]) == b"first"
    assert reader.read(BLOB, digests[1]) == b"content 3"


def test_size_classes_are_powers_of_eight() -> None:
    sizes = [1, 64 << 10, (64 << 10) + 1, 512 << 10, 4 << 20, (4 << 20) + 1, (32 << 20) - 1, 32 << 20]
    assert [size_class(size) for size in sizes] == [0, 0, 1, 1, 2, 3, 3, None]


def test_a_save_that_merges_packs_loads_no_collector(repo: Repository, root: Path, tmp_path: Path) -> None:
    for n in range(7):
        save(repo, tmp_path, f"c{n}", f"content {n}")
    code = (
        "import sys; from artstore.repository import Repository\n"
        "with Repository(sys.argv[1]) as repo: repo.put(sys.argv[2], 'c7')\n"
        "print(*(name for name in ('merge', 'mark', 'collect') if f'artstore.operations.upkeep.{name}' in sys.modules))"
    )
    source = make_tree(tmp_path / "last", {"file": "content 7"})
    loaded = subprocess.run(
        [sys.executable, "-c", code, root, source], check=True, capture_output=True, text=True
    ).stdout
    assert loaded == "merge\n" and len(repo.objects.packs.refresh()) == 1


@pytest.mark.damaged
def test_an_object_of_unknown_kind_is_wrong_and_stops_a_merge_without_an_error(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    """A later artstore, or a forger, wrote it: nobody here can check it, so nobody takes its pack away."""
    for n in range(7):
        save(repo, tmp_path, f"c{n}", f"content {n}")
    forged = Forger(root).pack((cast("ObjectKind", 9), b"strange", digest_of(BLOB, b"strange")))
    objects = ObjectStore(repo.storage)
    assert merge(objects) == 0
    pack = objects.packs.open(forged.stem)
    (row,) = pack.index.rows()
    assert (pack.object(row), pack.peek(0)) == (None, None)
    assert list(pack.window([row]).objects()) == [(row, None)]


def test_what_is_nowhere_is_missing(repo: Repository) -> None:
    with pytest.raises(MissingObject, match="blob 010101010101 is missing"):
        repo.objects.read(BLOB, Digest(b"\1" * 32))


@pytest.mark.damaged
def test_a_damaged_copy_is_noted_and_the_next_save_of_its_content_heals(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    save(repo, tmp_path, "a", "precious")
    (name,) = repo.objects.packs.refresh()
    path = root / pack_path(name)
    data = path.read_bytes()
    place = data.index(b"precious")
    os.chmod(path, 0o644)
    path.write_bytes(data[:place] + b"P" + data[place + 1 :])
    fresh = Repository(str(root))
    with pytest.raises(Damage, match="is damaged"):
        fresh.objects.read(BLOB, digest_of(BLOB, b"precious"))
    assert fresh.objects.damage.is_known
    saved = fresh.put(str(tmp_path / "src" / "a"), "a")
    assert not saved.is_new and saved.new_objects == 1
    assert fresh.objects.read(BLOB, digest_of(BLOB, b"precious")) == b"precious"
    fresh.gc(now=True)
    assert fresh.fsck().problems == []
    assert [n for n in fresh.storage.names("bad") if ".pack." in n]
