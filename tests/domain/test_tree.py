"""Trees: order, splitting, walking, comparing; and that nothing is read that we would not have written."""

import os
from collections.abc import Iterable

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from artstore.domain.codec import encode_rows
from artstore.domain.digest import TREE, Digest, digest_of
from artstore.domain.tree import (
    DIRECTORY,
    FILE,
    PART,
    SPLIT_ABOVE,
    Entry,
    Folder,
    decode_tree,
    diff,
    encode_folder,
    find,
    folder_page,
    read_folder,
    split,
    walk,
)
from artstore.errors import Damage

D = bytes(range(32))


class Store(dict[Digest, bytes]):
    """Trees in memory."""

    def add(self, data: bytes) -> Digest:
        digest = digest_of(TREE, data)
        self[digest] = data
        return digest

    def folder(self, entries: Iterable[Entry]) -> Folder:
        return encode_folder(sorted(entries), self.add)


def file(name: str, content: str = "") -> Entry:
    return (name.encode(), FILE, len(content), blake3(content.encode()).digest())


def directory(store: Store, name: str, entries: Iterable[Entry]) -> Entry:
    folder = store.folder(entries)
    return (name.encode(), DIRECTORY, folder.size, folder.digest, folder.files)


def test_a_folder_reads_back_as_it_was_with_its_totals() -> None:
    store = Store()
    sub = directory(store, "sub", [file("b", "22"), file("c", "333")])
    root = store.folder([file("a", "1"), sub])
    assert (root.size, root.files) == (6, 3)
    assert read_folder(root.digest, store.__getitem__) == (file("a", "1"), sub)
    assert [path for path, _ in walk(root.digest, store.__getitem__)] == [b"a", b"sub", b"sub/b", b"sub/c"]


def test_equal_folders_have_one_digest_whatever_the_order_of_adding() -> None:
    store = Store()
    assert store.folder([file("a"), file("b")]) == store.folder([file("b"), file("a")])


@pytest.mark.parametrize(
    "entries",
    [
        [file("b"), file("a")],
        [file("a"), file("a")],
        [(b"", FILE, 0, D)],
        [(b"..", FILE, 0, D)],
        [(b"a/b", FILE, 0, D)],
        [(b"a\0", FILE, 0, D)],
        [(b"a\\..\\b", FILE, 0, D)],
        [(b"\\a", FILE, 0, D)],
        [(b"x" * 256, FILE, 0, D)],
        [("a", FILE, 0, D)],
        [(b"a", 9, 0, D)],
        [(b"a", -1, 0, D)],
        [(b"a", True, 0, D)],
        [(b"a", FILE, -1, D)],
        [(b"a", FILE, 1 << 63, D)],
        [(b"a", FILE, True, D)],
        [(b"a", FILE, 0, D[:31])],
        [(b"a", FILE, 0, D.hex())],
        [(b"a", FILE, 0, D, 1)],
        [(b"a", DIRECTORY, 0, D)],
        [(b"a", DIRECTORY, 0, D, -1)],
        [(b"a", PART, 0, D, 0), (b"b", FILE, 0, D)],
        [(b"a", 4, None, "uri", "etag", "x")],
        [(b"a", 4, None, b"uri", "etag", "x", None)],
        ["a"],
        [[]],
    ],
    ids=repr,
)
def test_a_tree_that_we_would_not_have_written_is_refused(entries: list[Entry]) -> None:
    data = encode_rows(entries)
    with pytest.raises(Damage):
        decode_tree(data, digest_of(TREE, data))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc0", b"\x80", b"\x91", b"\x90\x00", b"\xdc\x00\x00", b"\xdd\xff\xff\xff\xff", b"\xc1", b"\x91" * 5000],
)
def test_bytes_that_are_no_tree_are_refused(data: bytes) -> None:
    with pytest.raises(Damage):
        decode_tree(data, digest_of(TREE, data))


def many(count: int) -> list[Entry]:
    return sorted((b"f%06d" % i, FILE, 1, D) for i in range(count))


def test_a_folder_is_split_above_the_limit_and_reads_back_whole() -> None:
    store = Store()
    for count in (SPLIT_ABOVE, SPLIT_ABOVE + 1, 50_000):
        root = store.folder(many(count))
        assert read_folder(root.digest, store.__getitem__) == tuple(many(count))
        parts = decode_tree(store[root.digest], root.digest)
        assert (parts[0][1] == PART) == (count > SPLIT_ABOVE)


def test_one_more_file_in_a_split_folder_changes_one_part_and_the_root() -> None:
    store = Store()
    store.folder(many(50_000))
    before = set(store)
    store.folder([*many(50_000), (b"f000123x", FILE, 1, D)])
    assert len(set(store) - before) == 2


def test_a_page_of_a_folder_begins_at_a_name_and_reads_only_the_parts_that_hold_it() -> None:
    store, read = Store(), list[Digest]()

    def reading(digest: Digest) -> bytes:
        read.append(digest)
        return store[digest]

    entries = many(50_000)
    root = store.folder(entries)
    for start, most in ((b"", 10), (b"f", 10), (b"f000005", 3), (b"f030000", 100), (b"f0299995", 40_000), (b"g", 10)):
        read.clear()
        page = folder_page(root.digest, reading, start, most)
        assert page == [entry for entry in entries if entry[0] >= start][:most], start
        assert most > 1_000 or len(read) <= 3
    small = store.folder(entries[:100])
    assert folder_page(small.digest, reading, b"f000090", 5) == entries[90:95]


def test_a_page_of_a_folder_whose_part_has_other_totals_is_refused() -> None:
    store = Store()
    root = store.folder(many(50_000))
    parts = [tuple(part) for part in decode_tree(store[root.digest], root.digest)]
    name, kind, size, digest, files = parts[0]
    lying = store.add(encode_rows([(name, kind, size + 1, digest, files), *parts[1:]]))
    with pytest.raises(Damage, match="wrong totals"):
        folder_page(lying, store.__getitem__, b"", 10)


def refuse(store: Store, parts: list[Entry]) -> None:
    digest = store.add(encode_rows(parts))
    with pytest.raises(Damage):
        read_folder(digest, store.__getitem__)


def test_a_folder_that_is_cut_otherwise_than_we_would_is_refused() -> None:
    store = Store()
    runs = split(many(50_000))

    def part(run: Iterable[Entry]) -> Entry:
        run = list(run)
        return (run[0][0], PART, len(run), store.add(encode_rows(run)), len(run))

    good = [part(run) for run in runs]
    assert len(read_folder(store.add(encode_rows(good)), store.__getitem__)) == 50_000
    refuse(store, [part([*runs[0], *runs[1]]), *good[2:]])
    refuse(store, [part(runs[0][:10]), part(runs[0][10:]), *good[1:]])
    refuse(store, [part(many(10))])
    refuse(store, [*good[:-1], (good[-1][0], PART, 5, good[-1][3], good[-1][4])])
    refuse(store, [(b"a", *good[0][1:]), *good[1:]])
    refuse(store, [(good[0][0], PART, len(good), store.add(encode_rows(good)), len(good))])


def test_totals_that_lie_are_refused() -> None:
    store = Store()
    sub = directory(store, "sub", [file("a", "1")])
    root = store.add(encode_rows([(b"sub", DIRECTORY, 99, sub[3], 1)]))
    with pytest.raises(Damage, match="totals"):
        list(walk(root, store.__getitem__))


def test_a_drive_is_refused_in_the_root_and_allowed_below() -> None:
    store = Store()
    with pytest.raises(Damage, match="drive"):
        list(walk(store.folder([file("c:x")]).digest, store.__getitem__))
    assert len(list(walk(store.folder([directory(store, "d", [file("c:x")])]).digest, store.__getitem__))) == 2


def test_find_reads_one_tree_a_level() -> None:
    store = Store()
    root = store.folder([directory(store, "a", [directory(store, "b", [file("c", "x")])])])
    reads: list[Digest] = []

    def read(digest: Digest) -> bytes:
        reads.append(digest)
        return store[digest]

    found = find(root.digest, (b"a", b"b", b"c"), read)
    assert found == file("c", "x") and len(reads) == 3
    assert find(root.digest, (b"a", b"x"), read) is None and find(root.digest, (b"a", b"b", b"c", b"d"), read) is None


Tree = dict[str, "str | Tree"]
trees = st.recursive(st.dictionaries(st.sampled_from("abcd"), st.text(max_size=2), max_size=3), lambda t: st.dictionaries(st.sampled_from("abcd"), t | st.text(max_size=2), max_size=3), max_leaves=8)  # fmt: skip


def build(store: Store, tree: Tree) -> Folder:
    return store.folder(
        directory_of(store, name, item) if isinstance(item, dict) else file(name, item) for name, item in tree.items()
    )


def directory_of(store: Store, name: str, tree: Tree) -> Entry:
    folder = build(store, tree)
    return (name.encode(), DIRECTORY, folder.size, folder.digest, folder.files)


def flat(tree: Tree, prefix: str = "") -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, item in tree.items():
        if isinstance(item, dict):
            found |= flat(item, f"{prefix}{name}/") or {prefix + name: None}
            if not flat(item):
                found[prefix + name] = None
        else:
            found[prefix + name] = item
    return found


@settings(max_examples=200, deadline=None)
@given(trees, trees)
def test_a_diff_says_exactly_which_files_differ(a: Tree, b: Tree) -> None:
    store = Store()
    changes = list(diff(build(store, a).digest, build(store, b).digest, store.__getitem__))
    old = {os.fsdecode(c.path) for c in changes if c.old is not None and c.old[1] == FILE}
    new = {os.fsdecode(c.path) for c in changes if c.new is not None and c.new[1] == FILE}
    before = {path: text for path, text in flat(a).items() if text is not None}
    after = {path: text for path, text in flat(b).items() if text is not None}
    assert old == {path for path, text in before.items() if after.get(path) != text}
    assert new == {path for path, text in after.items() if before.get(path) != text}
