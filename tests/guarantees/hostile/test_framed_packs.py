"""Packs of frames that lie, at a remote and here: refused in a sentence, in bounded memory, and what is right stays so."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from blake3 import blake3

from artstore.backends.storage import FolderStorage
from artstore.domain.digest import BLOB, RECIPE, TREE, Digest, digest_of, pack_digest
from artstore.domain.frames import PLANES, RAW, ZSTD, _zstd
from artstore.domain.recipes import Recipe, Segment, encode_recipe
from artstore.errors import ArtstoreError, Damage, MissingObject
from artstore.repository import Repository
from artstore.store.framed import COUNT, FRAME
from artstore.store.packs import END, FOOTER, FRAMES_MAGIC, HEADER, ROW, Row
from artstore.store.packs import MAGIC as PLAIN
from artstore.store.paths import blob_path, pack_path
from artstore.store.segments import Packed
from artstore.view import view_of
from tests.support.hostile_remotes import LARGE, MIB, Two, writable
from tests.support.trouble import limited, run

HALVES = LARGE[: MIB // 2], LARGE[MIB // 2 :]
DIGEST = digest_of(BLOB, LARGE)
NAMES = [digest_of(BLOB, half) for half in HALVES]
RIGHT = encode_recipe(Recipe(len(LARGE), tuple(map(Segment, map(len, HALVES), NAMES))))


class Forged(NamedTuple):
    """A pack of frames of which anything may be wrong but its name."""

    frames: list[tuple[bytes, int, int, int]]
    """stored bytes, bytes, codec, width"""
    rows: list[tuple[bytes, int, int, int, int]]
    """digest, kind, length, number of the frame, place in it"""

    def made(self, *, count: int | None = None, skip: int = 0, zeros: bytes = b"", salt: int = 0) -> bytes:
        """The pack. `skip` moves each frame but the first one; `zeros` are in the last frame's row."""
        body, table, at = b"", b"", HEADER
        for number, (stored, raw, codec, width) in enumerate(self.frames):
            table += FRAME.pack(at + skip * bool(number), len(stored), raw, codec, width, blake3(stored).digest(8))
            body += stored
            at += len(stored)
        if zeros:
            table = table[: -8 - len(zeros)] + zeros + table[-8:]
        rows = b"".join(
            ROW.pack(digest, kind, 0, 0, length, number << 32 | place)
            for digest, kind, length, number, place in sorted(self.rows)
        )
        index = COUNT.pack(len(self.rows) if count is None else count) + rows + table
        return whole(FRAMES_MAGIC, body, index, len(self.rows) if count is None else count, salt)


def whole(magic: bytes, body: bytes, index: bytes, count: int, salt: int = 0) -> bytes:
    header = magic + salt.to_bytes(16, "big")
    return header + body + index + FOOTER.pack(count, HEADER + len(body), pack_digest(header, index), END)


def halves(
    *stored: tuple[bytes, int, int, int], recipe: bytes = RIGHT, names: list[Digest] = NAMES, kind: int = BLOB
) -> Forged:
    """The large blob of `Two` as two segments with a frame each, of which these are forged, and its recipe."""
    right = [(half, len(half), RAW, 1) for half in HALVES]
    frames = [*stored, *right[len(stored) :], (recipe, len(recipe), RAW, 1)]
    rows = [(names[0], kind, len(HALVES[0]), 0, 0), (names[1], BLOB, len(HALVES[1]), 1, 0)]
    return Forged(frames, [*rows, (DIGEST, RECIPE, len(recipe), 2, 0)])


def moved(number: int, **fields: int) -> Forged:
    """With another frame, place or length in one row."""
    made = halves()
    digest, kind, length, frame, place = made.rows[number]
    made.rows[number] = digest, kind, fields.get("length", length), fields.get("frame", frame), fields.get("place", place)  # fmt: skip
    return made


def zstd(data: bytes, **options: int) -> bytes:
    settings = {_zstd().CompressionParameter[name]: value for name, value in options.items()}
    return bytes(_zstd().compress(data, options=settings or None))


def together() -> Forged:
    """Both halves in one frame, which is larger than a frame with several objects can be."""
    first, second = map(len, HALVES)
    rows = [(NAMES[0], BLOB, first, 0, 0), (NAMES[1], BLOB, second, 0, first), (DIGEST, RECIPE, len(RIGHT), 1, 0)]
    return Forged([(LARGE, len(LARGE), RAW, 1), (RIGHT, len(RIGHT), RAW, 1)], rows)


def planes(*lengths: int) -> bytes:
    return b"".join(length.to_bytes(4, "big") for length in lengths)


def recipe(*segments: tuple[int, bytes]) -> bytes:
    return encode_recipe(Recipe(sum(length for length, _ in segments), tuple(Segment(n, Digest(d)) for n, d in segments)))  # fmt: skip


FIRST = len(HALVES[0])
OTHER = b"M" * FIRST
BOMB = zstd(bytes(1 << 28))
WIDE = zstd(os.urandom(1 << 10) + HALVES[0], window_log=27, content_size_flag=0)
LIES: dict[str, Callable[[], bytes]] = {
    "2^60 rows": lambda: halves().made(count=1 << 60),
    "fewer rows": lambda: halves().made(count=2),
    "frames with a gap": lambda: halves().made(skip=1),
    "frames that overlap": lambda: halves().made(skip=-1),
    "frames beyond any file": lambda: halves().made(skip=1 << 63),
    "a frame that isn't there": lambda: moved(0, frame=9).made(),
    "the last frame of all": lambda: moved(0, frame=(1 << 32) - 1).made(),
    "a place beyond the frame": lambda: moved(0, place=MIB).made(),
    "a shorter object": lambda: moved(0, length=FIRST - 1).made(),
    "a longer object": lambda: moved(0, length=(1 << 32) - 1).made(),
    "a frame of 2^32 bytes": lambda: halves((HALVES[0], (1 << 32) - 1, RAW, 1)).made(),
    "a frame stored in more": lambda: halves((HALVES[0] + b"more", FIRST, RAW, 1)).made(),
    "a large frame of two objects": lambda: together().made(),
    "a frame of nothing": lambda: halves((b"", 0, RAW, 1)).made(),
    "another codec": lambda: halves((zstd(HALVES[0]), FIRST, 9, 1)).made(),
    "another width": lambda: halves((zstd(HALVES[0]), FIRST, PLANES, 3)).made(),
    "zstd that never ends": lambda: halves((BOMB, FIRST, ZSTD, 1)).made(),
    "zstd of less": lambda: halves((zstd(HALVES[0][1:]), FIRST, ZSTD, 1)).made(),
    "zstd with a wide window": lambda: halves((WIDE[:FIRST], FIRST, ZSTD, 1)).made(),
    "zstd and more": lambda: halves((zstd(HALVES[0]) + b"more", FIRST, ZSTD, 1)).made(),
    "zstd twice": lambda: halves((zstd(HALVES[0][:99]) + zstd(HALVES[0][99:]), FIRST, ZSTD, 1)).made(),
    "planes of 2^31 bytes": lambda: halves((planes((1 << 31) - 1, 0), FIRST, PLANES, 2)).made(),
    "planes of nothing": lambda: halves((planes(0, 0), FIRST, PLANES, 2)).made(),
    "other bytes": lambda: halves((b"M" + HALVES[0][1:], FIRST, RAW, 1)).made(),
    "a segment that is a tree": lambda: halves(kind=TREE).made(),
    "a segment of unknown kind": lambda: halves(kind=9).made(),
    "a recipe of a part": lambda: halves(recipe=recipe((FIRST, NAMES[0]), (FIRST, NAMES[0]))).made(),
    "a recipe of itself": lambda: halves(recipe=recipe((FIRST, DIGEST), (FIRST + 7, DIGEST))).made(),
    "a recipe of other lengths": lambda: halves(recipe=recipe((FIRST + 1, NAMES[0]), (FIRST + 6, NAMES[1]))).made(),
    "a recipe of what is not there": lambda: halves(recipe=recipe((FIRST, bytes(32)), (FIRST + 7, NAMES[1]))).made(),
    "a recipe that is none": lambda: halves(recipe=b"\x93" + bytes(99)).made(),
    "a recipe of 9,000 segments": lambda: halves(recipe=recipe(*[(117, bytes(32))] * 9_000)).made(),
    "a recipe of another blob": lambda: halves(
        (OTHER, FIRST, RAW, 1),
        recipe=recipe((FIRST, digest_of(BLOB, OTHER)), (len(HALVES[1]), NAMES[1])),
        names=[digest_of(BLOB, OTHER), NAMES[1]],
    ).made(),
    "a large blob in a pack without frames": lambda: plain((DIGEST, BLOB, LARGE)),
    "a recipe in a pack without frames": lambda: plain(
        (NAMES[0], BLOB, HALVES[0]), (NAMES[1], BLOB, HALVES[1]), (DIGEST, RECIPE, RIGHT)
    ),
}  # fmt: skip


def plain(*objects: tuple[bytes, int, bytes]) -> bytes:
    """A pack without frames."""
    rows, body = [], b""
    for digest, kind, data in objects:
        rows.append(ROW.pack(digest, kind, 0, 0, len(data), HEADER + len(body)))
        body += data
    return whole(PLAIN, body, b"".join(sorted(rows)), len(rows))


def name_of(pack: bytes) -> str:
    return bytes(FOOTER.unpack(pack[-FOOTER.size :])[2]).hex()


def put_into(root: Path, pack: bytes) -> Path:
    path = root / pack_path(name_of(pack))
    path.write_bytes(pack)
    return path


def tried(act: Callable[[], Any]) -> Any:
    """What it returns, or the error, which has to be one of ours."""
    try:
        return act()
    except ArtstoreError as error:
        return error


def test_the_pack_that_is_forged_is_right_but_for_the_lie(two: Two) -> None:
    two.blob.unlink()
    put_into(two.remote, halves().made())
    two.pulls()


def test_of_a_frame_with_several_objects_only_what_is_needed_arrives(two: Two) -> None:
    """We write no such frame, but others may: what we store of it is right again."""
    two.blob.unlink()
    made = halves((HALVES[0] + b"more", FIRST + 4, RAW, 1))
    made.rows.append((digest_of(BLOB, b"more"), BLOB, 4, 0, FIRST))
    put_into(two.remote, made.made())
    two.pulls()


def test_bytes_that_mean_nothing_yet_are_told(two: Two) -> None:
    put_into(two.remote, halves().made(zeros=b"\1"))
    with view_of("origin", FolderStorage(two.author)) as remote:
        (problem,) = remote.fsck().problems
    assert problem.endswith("its index has fields that should be zero")


@pytest.mark.parametrize("lie", LIES)
def test_a_remote_whose_only_copy_of_a_large_blob_lies_is_refused(two: Two, lie: str) -> None:
    """And it is pulled from as soon as the blob is there. Whoever maintains the remote meets no other error either."""
    two.blob.unlink()
    forged = put_into(two.remote, LIES[lie]())
    two.refuses_to_pull(Damage)
    with view_of("origin", FolderStorage(two.author), writing=True) as remote:
        assert tried(remote.fsck).problems
        for act in (remote.pack, lambda: remote.gc(now=True), lambda: remote.fsck(repair=True)):
            tried(act)
    writable(two.blob.parent)
    two.blob.parent.chmod(0o755)
    two.blob.write_bytes(LARGE)
    forged.unlink(missing_ok=True)
    two.pulls()


@pytest.mark.damaged
@pytest.mark.parametrize("lie", LIES)
def test_a_pack_that_lies_beside_what_is_right_makes_nobody_rely_on_it(two: Two, lie: str, tmp_path: Path) -> None:
    """Put there by somebody who shares the repository: what is saved and read stays whole."""
    put_into(Path(two.author), LIES[lie]())
    with Repository(two.author) as repository:
        repository.get(repository.find("good:v0"), str(tmp_path / "before"))
        assert (tmp_path / "before/large").read_bytes() == LARGE
        (Path(two.author) / blob_path(DIGEST)).unlink()
        saved = repository.put(str(two.source), "again")
    with Repository(two.author) as repository:
        repository.get(repository.find("again:v0"), str(tmp_path / "after"))
    assert saved.is_new and (tmp_path / "after/large").read_bytes() == LARGE


def enormous(path: Path, magic: bytes, length: int, index: bytes, count: int) -> Path:
    """A pack of holes behind its header, with this index. Its name is right."""
    header = magic + bytes(16)
    name = pack_digest(header, index)
    path = path / pack_path(name.hex())
    with path.open("wb") as file:
        file.write(header)
        file.seek(HEADER + length)
        file.write(index + FOOTER.pack(count, HEADER + length, name, END))
    return path


def a_frame_of_holes(root: Path) -> Path:
    """One frame that is stored in 3 GiB, for each of both segments and the recipe."""
    length = 3 << 30
    rows = [
        (name, kind, MIB, 0, place * MIB) for place, (name, kind) in enumerate(((NAMES[0], BLOB), (DIGEST, RECIPE)))
    ]
    table = FRAME.pack(HEADER, length, 2 * MIB, RAW, 1, bytes(8))
    packed = [ROW.pack(digest, kind, 0, 0, size, place) for digest, kind, size, _, place in sorted(rows)]
    return enormous(root, FRAMES_MAGIC, length, COUNT.pack(2) + b"".join(packed) + table, 2)


def many_frames(root: Path) -> Path:
    """Three million frames, and no object."""
    return enormous(root, FRAMES_MAGIC, 0, COUNT.pack(0) + bytes(FRAME.size * 3_000_000), 0)


def an_object_of_holes(root: Path) -> Path:
    """In a pack without frames: a tree of 3 GiB, and a blob."""
    row = ROW.pack(DIGEST, BLOB, 0, 0, 3 << 30, HEADER)
    return enormous(root, PLAIN, 3 << 30, row, 1)


@pytest.mark.parametrize("made", [a_frame_of_holes, many_frames, an_object_of_holes])
def test_what_a_pack_says_reserves_little_memory(two: Two, made: Callable[[Path], Path], tmp_path: Path) -> None:
    two.blob.unlink()
    made(two.remote)
    limit = limited("RLIMIT_AS", 1 << 30)
    for command in (("pull",), ("fsck", "origin")):
        result = run(tmp_path, *command, setup=limit, ARTSTORE_DIR=two.reader)
        assert "MemoryError" not in result.err and result.code in (1, 7), result


@pytest.mark.damaged
@pytest.mark.parametrize("copy", [HALVES[0][1:], b"L", OTHER], ids=["shorter", "tiny", "wrong"])
def test_a_wrong_copy_of_a_segment_keeps_nobody_from_the_right_one(two: Two, tmp_path: Path, copy: bytes) -> None:
    """Put there by somebody who shares the repository, under the segment's digest, before and behind the right one."""
    root = Path(two.author)
    (root / blob_path(DIGEST)).unlink()
    put_into(root, halves().made())
    for number in range(8):  # the names of packs are random, and so is which is asked first
        forged = Forged([(copy, len(copy), RAW, 1)], [(NAMES[0], BLOB, len(copy), 0, 0)])
        put_into(root, forged.made(salt=number))
        with Repository(two.author) as repository:
            repository.get(repository.find("good:v0"), str(tmp_path / f"{number}"))
        assert (tmp_path / f"{number}/large").read_bytes() == LARGE


def test_a_segment_that_was_collected_while_it_arrived_is_told(two: Two) -> None:
    with Repository(two.author) as repository:
        segments = tuple(map(Segment, map(len, HALVES), NAMES))
        blob = Packed(DIGEST, segments, "", {name: ("", Row(name, BLOB, 1, 0)) for name in NAMES})
        with pytest.raises(MissingObject, match="a segment of blob .* was collected meanwhile"):
            repository.objects.large.packed.check_new([blob], {})
