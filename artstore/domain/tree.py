"""Trees: a directory as a sorted list of entries; encoding, splitting, walking and comparing them, without I/O.

A row is what a tree holds of one file, as a plain tuple, because a save makes one for each file: (name, kind, size,
digest). Directories and parts have the number of files as a fifth field; references are (name, kind, size, URI, check,
text, version). An entry is a row that was read and checked.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple, cast

import msgpack
from blake3 import blake3

from artstore.domain.codec import decode, encode_rows
from artstore.domain.digest import TREE, Digest, digest_of
from artstore.domain.names import MAX_DEPTH, check_component, check_root_component, printable
from artstore.errors import Damage, InvalidValue

FILE, EXECUTABLE, DIRECTORY, PART, REFERENCE = range(5)
ETAG, BLAKE3, URI = "etag", "blake3", "uri"
"""How a reference's bytes are checked: by the server's tag, by the content's digest, or not (only the URI is known)."""
SPLIT_ABOVE = 16_384
"""A folder of more entries is stored as a tree of parts with about 4,096 entries each.

So one changed file in a folder of a million costs kilobytes instead of 49 MiB.
"""

Row = tuple[Any, ...]


class Entry(Row):
    """A row whose items have names. Items that its kind doesn't have can't be read."""

    __slots__ = ()

    name: bytes = cast(Any, property(itemgetter(0)))
    kind: int = cast(Any, property(itemgetter(1)))
    size: int = cast(Any, property(itemgetter(2)))
    """bytes; of a folder, those of all files below it; None for a reference of unknown size"""
    digest: Digest = cast(Any, property(itemgetter(3)))
    files: int = cast(Any, property(itemgetter(4)))
    """of a folder or part: the number of files below it"""
    uri: str = cast(Any, property(itemgetter(3)))
    check: str = cast(Any, property(itemgetter(4)))
    """of a reference: ETAG, BLAKE3 or URI"""
    text: str = cast(Any, property(itemgetter(5)))
    """of a reference: what its bytes are checked against"""


EMPTY = digest_of(TREE, encode_rows([]))
"""The digest of an empty folder."""
UNKNOWN = Digest(bytes(32))
"""The digest of a file in a listing of a role that can look and not download. No content has it."""
Read = Callable[[Digest], bytes]
"""A function from a tree's digest to its bytes, checked."""


class Folder(NamedTuple):
    """A directory: its tree, and the bytes and number of all files below it."""

    digest: Digest
    size: int
    files: int


def totals(entries: Iterable[Row]) -> tuple[int, int]:
    """(bytes, files) of everything below these entries."""
    size = files = 0
    for entry in entries:
        size += entry[2] or 0
        files += entry[4] if entry[1] in (DIRECTORY, PART) else 1
    if max(size, files) >= 1 << 63:
        raise Damage(f"a folder holds {size} bytes in {files} files: more than 2⁶³ can't be stored")
    return size, files


def _is_cut(name: bytes) -> bool:
    return blake3(name).digest(2) < b"\x00\x10"  # the first 12 bits are zero


def split(entries: Sequence[Row], *, always: bool = False) -> list[Sequence[Row]]:
    """Cut a folder's sorted entries into parts.

    There is one part unless there are more than SPLIT_ABOVE entries. With `always`, for a stretch of a larger folder,
    they are cut whatever their number.
    """
    if len(entries) <= SPLIT_ABOVE and not always:
        return [entries]
    if not entries:
        return []
    cuts = [0, *(i for i in range(1, len(entries)) if _is_cut(entries[i][0])), len(entries)]
    return [entries[start:end] for start, end in pairwise(cuts)]


def encode_folder(entries: Sequence[Row], add: Callable[[bytes], Digest]) -> Folder:
    """Encode sorted entries as one tree, or as a tree of parts if there are many.

    `add` is called with each tree's bytes, stores them and returns their digest.
    """
    size, files = totals(entries)
    runs = split(entries)
    if len(entries) > SPLIT_ABOVE:
        entries = [part_of(run, add) for run in runs]
    return Folder(add(encode_rows(entries)), size, files)


def part_of(run: Sequence[Row], add: Callable[[bytes], Digest]) -> Row:
    size, files = totals(run)
    return (run[0][0], PART, size, add(encode_rows(run)), files)


def decode_tree(data: bytes, digest: Digest) -> tuple[Entry, ...]:
    """Decode one tree object into entries (files and folders, or parts) and check each. Raises Damage."""
    what = f"tree {digest.hex()[:12]}"
    entries = decode(data, what, rows=True)
    if type(entries) is not tuple:
        raise Damage(f"{what} is not a list of entries")
    previous = b""
    for entry in entries:
        if type(entry) is not tuple or len(entry) < 4:
            raise Damage(f"{what} has an entry without fields")
        name, kind, size = entry[0], entry[1], entry[2]
        if type(name) is not bytes or type(kind) is not int:
            raise Damage(f"{what} has an entry whose name or kind is of the wrong type")
        if name <= previous:
            raise Damage(f"{what} is out of order at '{printable(name)}'")
        previous = name
        if b"\\" in name or b"/" in name or b"\0" in name or len(name) > 255 or name in (b".", b".."):
            _check_name(name, what)
        if kind <= EXECUTABLE:
            if (
                len(entry) != 4
                or kind < 0
                or type(size) is not int
                or not 0 <= size < 1 << 63
                or type(entry[3]) is not bytes
                or len(entry[3]) != 32
            ):
                raise Damage(f"{what} has a malformed file '{printable(name)}'")
        else:
            _check_rare(entry, what)
    if any(entry[1] == PART for entry in entries) and not all(entry[1] == PART for entry in entries):
        raise Damage(f"{what} mixes parts with other entries")
    return tuple(map(Entry, entries))


def trusted_tree(data: bytes) -> tuple[Row, ...]:
    """Decode a tree without checks. Only for a tree that was checked when it was stored here."""
    entries: tuple[Row, ...] = msgpack.unpackb(data, use_list=False, raw=False, strict_map_key=False)
    return entries


def _check_name(name: bytes, what: str) -> None:
    try:
        check_component(name)
    except InvalidValue as error:
        raise Damage(f"{what}: {error}") from error


def _check_rare(entry: Row, what: str) -> None:
    name, kind, size = entry[:3]
    if kind in (DIRECTORY, PART):
        good = (
            len(entry) == 5
            and all(type(n) is int and 0 <= n < 1 << 63 for n in (size, entry[4]))
            and type(entry[3]) is bytes
            and len(entry[3]) == 32
        )
    elif kind == REFERENCE:
        good = (
            len(entry) == 7
            and (size is None or (type(size) is int and 0 <= size < 1 << 63))
            and all(type(text) is str for text in entry[3:6])
            and type(entry[6]) in (str, type(None))
        )
    else:
        raise Damage(f"{what} has an entry '{printable(name)}' of unknown kind {kind}")
    if not good:
        raise Damage(f"{what} has a malformed entry '{printable(name)}'")


def read_folder(digest: Digest, read: Read, expected: Entry | None = None) -> tuple[Entry, ...]:
    """All entries of a directory, with its parts joined.

    Raises Damage if the parts aren't cut as `split` cuts them, or if the totals aren't those of the entry `expected`.
    """
    entries = decode_tree(read(digest), digest)
    if entries and entries[0][1] == PART:
        entries = tuple(_joined(digest, entries, read))
    elif len(entries) > SPLIT_ABOVE:
        raise Damage(f"tree {digest.hex()[:12]} has {len(entries)} entries and is not split")
    if expected is not None and totals(entries) != (expected[2], expected[4]):
        raise Damage(f"tree {digest.hex()[:12]} does not have the totals that '{printable(expected[0])}' claims")
    return entries


def folder_page(digest: Digest, read: Read, start: bytes, most: int) -> list[Entry]:
    """Up to `most` entries of a directory, from the name `start` on. Reads only the parts that hold these entries."""
    found = _recent(read(digest), digest)
    entries = found.ordered
    if not found.is_split:
        at = bisect_left(entries, start, key=lambda entry: entry[0])
        return list(entries[at : at + most])
    page: list[Entry] = []
    for part in entries[max(0, bisect_right(entries, start, key=lambda part: part[0]) - 1) :]:
        inside = _recent(read(part[3]), part[3])
        if inside.totals != (part[2], part[4]) or inside.is_split:
            raise Damage(f"tree {digest.hex()[:12]} has a part with wrong totals")
        page += [entry for name, entry in inside.entries.items() if name >= start]
        if len(page) >= most:
            break
    return page[:most]


def _joined(digest: Digest, parts: Sequence[Entry], read: Read) -> Iterator[Entry]:
    what, count, previous = f"tree {digest.hex()[:12]}", 0, b""
    for number, part in enumerate(parts):
        entries = decode_tree(read(part[3]), part[3])
        if not entries or entries[0][0] != part[0] or entries[0][0] <= previous or entries[0][1] == PART:
            raise Damage(f"{what} has a part that is not in its place")
        if totals(entries) != (part[2], part[4]):
            raise Damage(f"{what} has a part with wrong totals")
        if (number > 0 and not _is_cut(entries[0][0])) or any(_is_cut(entry[0]) for entry in entries[1:]):
            raise Damage(f"{what} has parts that are cut in the wrong place")
        previous, count = entries[-1][0], count + len(entries)
        yield from entries
    if count <= SPLIT_ABOVE:
        raise Damage(f"{what} is split though it has only {count} entries")


def check_root(entries: Iterable[Row]) -> None:
    """Raise Damage if a name in a root tree is a drive such as `C:`. Below the root such names are allowed."""
    for entry in entries:
        if entry[0][1:2] == b":":
            try:
                check_root_component(entry[0])
            except InvalidValue as error:
                raise Damage(str(error)) from error


def walk(
    tree: Digest,
    read: Read,
    prefix: bytes = b"",
    wanted: Callable[[bytes], bool] | None = None,
    expected: Entry | None = None,
) -> Iterator[tuple[bytes, Entry]]:
    """(path, entry) of everything below a tree, in the trees' order, each directory before its contents.

    If `wanted(path)` is False for a directory, it is left out with everything below it. `expected` is the entry that
    names the tree, whose totals are checked. Memory: one directory per level.
    """
    check_depth(prefix)
    entries = read_folder(tree, read, expected)
    if not prefix:
        check_root(entries)
    for entry in entries:
        path = prefix + entry[0]
        if entry[1] != DIRECTORY:
            yield path, entry
        elif wanted is None or wanted(path + b"/"):
            yield path, entry
            yield from walk(entry[3], read, path + b"/", wanted, entry)


def check_depth(prefix: bytes) -> None:
    """Raise Damage if a folder is nested too deeply. `prefix` is its path, with a slash after each name."""
    if prefix.count(b"/") >= MAX_DEPTH:
        raise Damage(f"'{printable(prefix[:80])}…' has more than {MAX_DEPTH} levels")


def find(root: Digest, path: Sequence[bytes], read: Read) -> Entry | None:
    """The entry at a path, or None. Reads one tree per level, and one part of a split one."""
    entry = Entry((b"", DIRECTORY, 0, root, 0))
    for number, name in enumerate(path):
        if entry[1] != DIRECTORY:
            return None
        found = _find_in(entry, name, read, number > 0)
        if found is None:
            return None
        entry = found
    return entry


def _find_in(folder: Entry, name: bytes, read: Read, expected: bool) -> Entry | None:
    """The entry of a name in a folder, or None. Of a split folder only the part that can hold the name is read."""
    found = _recent(read(folder[3]), folder[3])
    if expected and found.totals != (folder[2], folder[4]):
        raise Damage(f"tree {folder[3].hex()[:12]} does not have the totals that '{printable(folder[0])}' claims")
    if found.is_split:
        parts = found.ordered
        number = bisect_right(parts, name, key=lambda part: part[0]) - 1
        if number < 0:
            return None
        part = parts[number]
        found = _recent(read(part[3]), part[3])
        if found.totals != (part[2], part[4]) or found.is_split:
            raise Damage(f"tree {folder[3].hex()[:12]} has a part with wrong totals")
    return found.entries.get(name)


class _Decoded(NamedTuple):
    data: bytes
    ordered: tuple[Entry, ...]
    entries: dict[bytes, Entry]
    totals: tuple[int, int]
    is_split: bool


class _Recent:
    """A cache of decoded trees, with about 100,000 entries (35 MB) at most.

    Look-ups one by one meet the same folders, and decoding a tree of 100 files takes 200 times as long as a look-up.
    """

    def __init__(self) -> None:
        self._trees: dict[Digest, _Decoded] = {}
        self._entries = 0

    def __call__(self, data: bytes, digest: Digest) -> _Decoded:
        known = self._trees.get(digest)
        if known is not None and known.data == data:
            return known
        entries = decode_tree(data, digest)
        if self._entries > 100_000:
            self._trees, self._entries = {}, 0
        split = bool(entries) and entries[0][1] == PART
        self._trees[digest] = known = _Decoded(data, entries, {e[0]: e for e in entries}, totals(entries), split)
        self._entries += len(entries)
        return known


_recent = _Recent()


class FileChange(NamedTuple):
    """One difference between two trees. `old` is None if the path was added, `new` is None if it was removed."""

    path: bytes
    old: Entry | None
    new: Entry | None


def diff(old: Digest | None, new: Digest | None, read: Read, prefix: bytes = b"") -> Iterator[FileChange]:
    """The differences between two trees, in path order. A directory itself is reported only if it is empty.

    Folders with equal digests aren't opened, so the cost depends only on what changed.
    """
    if old == new:
        return
    check_depth(prefix)
    before = {entry[0]: entry for entry in read_folder(old, read)} if old else {}
    after = {entry[0]: entry for entry in read_folder(new, read)} if new else {}
    for name in sorted(before.keys() | after.keys()):
        a, b = before.get(name), after.get(name)
        if a == b:
            continue
        a_tree = Digest(a[3]) if a and a[1] == DIRECTORY else None
        b_tree = Digest(b[3]) if b and b[1] == DIRECTORY else None
        a_leaf, b_leaf = (None if tree and entry and entry[4] else entry for tree, entry in ((a_tree, a), (b_tree, b)))
        if (a_leaf is not None or b_leaf is not None) and not (a_tree and b_tree):
            yield FileChange(prefix + name, a_leaf, b_leaf)
        if a_tree or b_tree:
            yield from diff(a_tree, b_tree, read, prefix + name + b"/")


def tree_digest(data: bytes) -> Digest:
    return digest_of(TREE, data)
