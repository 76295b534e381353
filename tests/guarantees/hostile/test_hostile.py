"""Objects that we would not have written: trees, versions and packs made by somebody with write access."""

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from msgpack import ExtType, packb

from artstore.domain.codec import MAX_BYTES, decode, encode_rows
from artstore.domain.digest import BLOB, TREE, VERSION, digest_of, pack_digest
from artstore.domain.names import MAX_DEPTH, parse_path
from artstore.domain.tree import decode_tree
from artstore.errors import Damage, DamagedObject, InvalidValue, MissingObject
from artstore.repository import Repository
from artstore.store import transaction
from artstore.store.packs import END, FOOTER, MAGIC, ROW
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot
from tests.support.forge import EMPTY, Forger, directory, file, version_changes
from tests.support.reader import Reader

pytestmark = pytest.mark.damaged
MIB = 1 << 20
D32 = bytes(32)


@pytest.fixture
def forge(repo: Repository, root: Path, tmp_path: Path) -> Forger:
    """The repository with one honest version, `good`, beside what a test forges."""
    repo.put(str(make_tree(tmp_path / "honest", {"a": "honest", "big": b"h" * (2 * MIB)})), "good")
    forger = Forger(root)
    forger.blob(b"")
    return forger


def refused_everywhere(
    repo: Repository, root: Path, tmp_path: Path, *names: str, error: type[Exception] = Damage
) -> list[str]:
    """get, into a new target and an old one, refuses each and writes nothing; fsck and the reader report each; `good` is as good as ever. The messages."""
    messages = []
    (tmp_path / "old").mkdir()
    before = sorted(path for path in tmp_path.rglob("*") if root not in path.parents)
    for name in names:
        for target in ("new", "old"):
            try:
                repo.get(repo.find(name), str(tmp_path / target))
            except error as refusal:
                messages += [str(refusal)] if target == "new" else []
            else:
                pytest.fail(f"{name} was restored into {'a new folder' if target == 'new' else 'an old folder'}")
            assert sorted(path for path in tmp_path.rglob("*") if root not in path.parents) == before, name
    problems = {problem.split(":")[0] for problem in repo.fsck().problems}
    damage = {problem.split(" ")[0] for problem in Reader(root).check()}
    for name in names:
        assert (f"local/uncategorized/{name}" in problems, f"local/uncategorized/{name}" in damage) == (True, True), (
            name
        )
    good_is_whole(root, tmp_path)
    return messages


def good_is_whole(root: Path, tmp_path: Path) -> None:
    with Repository(str(root)) as again:
        again.get(again.find("good"), str(tmp_path / "good"))
        assert snapshot(tmp_path / "good") == snapshot(tmp_path / "honest")
        assert not [p for p in again.fsck().problems if "good" in p]
    assert list((root / "bad").iterdir()) == [], "an honest object was noted as damaged"


NOT_A_NAME = {
    b"..",
    b".",
    b"",
    b"../x",
    b"a/../../x",
    b"a/b",
    b"/etc/x",
    b"//h/s",
    b"a//b",
    b"./a",
    b"a/",
    b"nul\0byte",
    b"n" * 256,
    b"n" * 4096,
}
CLIMBS = {b"a\\..\\..\\x", b"..\\x", b"\\x", b"\\\\host\\share\\x", b"\\", b"x\\.."}
DRIVES = {b"C:\\x", b"C:x", b"c:", b"Z:\\..\\x"}


def test_a_tree_with_a_name_that_is_no_name_is_refused_everywhere(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 1, 2, 3, 4, 5, 75: climbing, absolute, empty, NUL, over-long and Windows-rooted names in a stored root tree."""
    names = sorted(NOT_A_NAME | CLIMBS | DRIVES)
    for number, name in enumerate(names):
        forge.version(f"n{number}", forge.tree(file(name)))
    messages = refused_everywhere(repo, root, tmp_path, *(f"n{number}" for number in range(len(names))))
    for name, message in zip(names, messages, strict=True):
        words = (
            "out of order"
            if not name
            else "climbs out"
            if b".." in name.split(b"\\")[1:] or name in CLIMBS
            else "drive letter"
            if name in DRIVES
            else "is not a file name"
        )
        assert words in message, (name, message)


def test_a_subfolder_with_such_a_name_is_refused_as_well(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 1, 3, 4: the same names as folders, one level down."""
    names = sorted(NOT_A_NAME | CLIMBS)
    for number, name in enumerate(names):
        inner = forge.tree(directory(name, forge.tree(file(b"x")), 0, 1))
        forge.version(f"n{number}", forge.tree(directory(b"sub", inner, 0, 1)))
    refused_everywhere(repo, root, tmp_path, *(f"n{number}" for number in range(len(names))))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "Invalid artifact path: it is empty"),
        ("..", "Invalid artifact path: '..' is not a file name"),
        ("a/../../x", "Invalid artifact path: '..' is not a file name"),
        ("./a", "Invalid artifact path: '.' is not a file name"),
        ("a//b", "Invalid artifact path: '' is not a file name"),
        ("a/", "Invalid artifact path: '' is not a file name"),
        ("/etc/x", "Invalid artifact path: '/etc/x' is absolute"),
        ("//h/s", "Invalid artifact path: '//h/s' is absolute"),
        ("C:\\x", "Invalid artifact path: 'C:\\x' begins with a drive letter"),
        ("C:x/y", "Invalid artifact path: 'C:x' begins with a drive letter"),
        ("\\\\host\\share\\x", "Invalid artifact path: '\\\\host\\share\\x' climbs out of its folder on some systems"),
        ("\\x", "Invalid artifact path: '\\x' climbs out of its folder on some systems"),
        ("a\\..\\..\\x", "Invalid artifact path: 'a\\..\\..\\x' climbs out of its folder on some systems"),
        ("a/b\\..", "Invalid artifact path: 'b\\..' climbs out of its folder on some systems"),
        ("a\0b", "Invalid artifact path: 'a\\x00b' is not a file name"),
        ("n" * 256, f"Invalid artifact path: '{'n' * 256}' is not a file name"),
        ("/".join("d" * 257), f"Invalid artifact path: '{'/'.join('d' * 40)}/…' has more than 256 levels"),
        ("x" * (MIB + 1), "Invalid artifact path: it is over a megabyte long"),
    ],
)  # fmt: skip
def test_paths_given_by_users_pass_the_same_rules(path: str, message: str) -> None:
    """Case 1, 2, 3, 4, 5: at the entrance, with whole messages, on every system."""
    with pytest.raises(InvalidValue) as error:
        parse_path(path)
    assert str(error.value) == message


def test_a_backslash_that_climbs_nowhere_is_an_ordinary_character(repo: Repository, tmp_path: Path) -> None:
    """Case 3: `a\\b` is legal on POSIX, and so is a colon below the root or behind more than a letter."""
    source = make_tree(tmp_path / "src", {"a\\b": "1", "d/C:x": "2", "ab:c": "3", "a..b\\c..": "4"})
    repo.put(str(source), "names")
    repo.get(repo.find("names"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)


def test_duplicate_and_unsorted_entries_are_refused(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 7: one name, one entry, in order."""
    forged: dict[str, list[Any]] = {
        "twice": [file(b"a"), file(b"a")],
        "both": [file(b"a"), directory(b"a", D32)],
        "unsorted": [file(b"b"), file(b"a")],
        "below": [file(b"a"), file(b"a/b")],
    }
    for name, entries in forged.items():
        forge.version(name, forge.tree(*entries), files=len(entries))
    messages = refused_everywhere(repo, root, tmp_path, *forged)
    assert ["out of order" in message for message in messages] == [True, True, True, False]


def test_entries_of_unknown_kind_are_refused(forge: Forger, repo: Repository, root: Path, tmp_path: Path) -> None:
    """Case 8, 10: there is no kind for symlinks, hard links, devices, FIFOs and sockets, and no way to add one."""
    kinds: list[Any] = [5, 6, 127, 128, 1 << 62, -1, True, None, "0", b"\0"]
    for number, kind in enumerate(kinds):
        forge.version(f"k{number}", forge.tree((b"link", kind, 4, b"/etc"), file(b"z")), files=2)
    refused_everywhere(repo, root, tmp_path, *(f"k{number}" for number in range(len(kinds))))


def test_sizes_that_are_no_sizes_are_refused(forge: Forger, repo: Repository, root: Path, tmp_path: Path) -> None:
    """Case 12: negative, above 2⁶³, float, bool, absent, text; in files and in folders' totals."""
    sizes: list[Any] = [-1, 1 << 63, (1 << 64) - 1, 1.0, True, None, b"1", "1"]
    for number, size in enumerate(sizes):
        forge.version(f"s{number}", forge.tree(file(b"f", EMPTY, size)))
        for total in (directory(b"d", D32, size, 1), directory(b"d", D32, 1, size)):
            with pytest.raises(Damage, match="malformed"):
                decode_tree(data := encode_rows([total]), digest_of(TREE, data))
    assert all(
        "malformed" in message
        for message in refused_everywhere(repo, root, tmp_path, *(f"s{number}" for number in range(len(sizes))))
    )


@pytest.mark.parametrize("claimed", [5, 7, MIB])
def test_a_tree_that_lies_about_a_small_files_size_is_refused_and_harms_nobody_else(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path, claimed: int
) -> None:
    """Case 12: six bytes of an honest version, claimed to be more or fewer."""
    forge.version("bad", forge.tree(file(b"f", digest_of(BLOB, b"honest"), claimed)), claimed)
    refused_everywhere(repo, root, tmp_path, "bad")


@pytest.mark.parametrize("claimed", [5, 2 * MIB - 1, 2 * MIB + 1, 1 << 62])
def test_a_tree_that_lies_about_a_large_files_size_is_refused_and_harms_nobody_else(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path, claimed: int
) -> None:
    """Case 12: the large blob of an honest version must not be set aside as damaged."""
    forge.version("bad", forge.tree(file(b"f", digest_of(BLOB, b"h" * (2 * MIB)), claimed)), claimed)
    refused_everywhere(repo, root, tmp_path, "bad")


@pytest.mark.parametrize("totals", [(1, 1), (0, 2)])
def test_wrong_totals_of_a_folder_are_refused(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path, totals: tuple[int, int]
) -> None:
    """Case 12, 17: totals are checked when the tree below is read, never trusted."""
    forge.version("bad", forge.tree(directory(b"d", forge.tree(file(b"f")), *totals)), *totals)
    assert "totals" in refused_everywhere(repo, root, tmp_path, "bad")[0]
    with pytest.raises(Damage, match="totals"):
        repo.verify(repo.find("bad"), str(make_tree(tmp_path / "there", {"d/f": ""})))


def test_digests_that_are_no_digests_are_refused(forge: Forger, repo: Repository, root: Path, tmp_path: Path) -> None:
    """Case 13: 32 bytes and nothing else; file names are derived only from those."""
    digests: list[Any] = [b"", D32[:31], D32 + b"\0", "a" * 32, "../../../../etc/passwd", None, 7]
    for number, digest in enumerate(digests):
        forge.version(f"d{number}", forge.tree(file(b"f", digest)))
    assert all(
        "malformed" in message
        for message in refused_everywhere(repo, root, tmp_path, *(f"d{number}" for number in range(len(digests))))
    )
    (tmp_path / "old").rmdir()
    forge.version(
        "dots", forge.tree(file(b"f", b"../" * 10 + b"ab", 2 * MIB)), 2 * MIB
    )  # 32 bytes: a digest like any other, of which there is no object
    refused_everywhere(repo, root, tmp_path, "dots", error=MissingObject)


def test_an_object_of_another_kind_is_refused_and_stays_good_for_its_own_kind(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 14: a blob that reads like a tree as a tree, a tree as a blob, a version as a tree; none gets noted as damaged."""
    fake = encode_rows([file(b"x")])
    repo.put(str(make_tree(tmp_path / "fake", {"fake": fake})), "fake")
    good = repo.find("good")
    forge.version("blob-as-tree", digest_of(BLOB, fake))
    forge.version("blob-below", forge.tree(directory(b"d", digest_of(BLOB, fake), 0, 1)))
    forge.version("version-as-tree", bytes.fromhex(good.version["id"]))  # type: ignore[arg-type]
    forge.version("tree-as-blob", forge.tree(file(b"f", good.tree, 80)), 80)
    forge.entry("tree-as-version", *version_changes("tree-as-version", good.tree.hex(), good.tree, 0, 1))
    for name in ("blob-as-tree", "blob-below", "version-as-tree", "tree-as-blob"):
        with pytest.raises(Damage):
            repo.get(repo.find(name), str(tmp_path / name))
        assert not (tmp_path / name).exists()
    with pytest.raises(Damage):
        repo.objects.read_version(good.tree)
    good_is_whole(root, tmp_path)


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 3000])
def test_trees_deeper_than_the_limit_are_refused_by_every_command(
    forge: Forger, cli: Cli, root: Path, tmp_path: Path, levels: int
) -> None:
    """Case 14: a cap, not the recursion limit or the descriptors, ends every walk, with exit code 7."""
    tree, trees = forge.tree(file(b"f")), []
    for _ in range(levels):
        data = encode_rows([directory(b"d", tree, 0, 1)])
        trees.append((TREE, data))
        tree = digest_of(TREE, data)
    forge.pack(*trees)
    forge.version("deep", tree)
    for command in (["get", "deep"], ["ls", "-r", "deep"], ["fsck"], ["diff", "good", "deep"]):
        result = cli(*command)
        assert (result.code, "256 levels" in result.out + result.err) == (7, True), (command, result)
    (tmp_path / "there").mkdir()
    assert cli("get", "deep", "--root", "there").code == 7
    assert list((tmp_path / "there").iterdir()) == []
    good_is_whole(root, tmp_path)


def test_a_tree_that_unfolds_to_endless_folders_costs_fsck_and_gc_nothing(forge: Forger, repo: Repository) -> None:
    """Case 14, 17: each tree is walked once, however often it is named."""
    tree, count, trees = forge.tree(file(b"f")), 1, []
    for _ in range(60):
        data = encode_rows([directory(b"a", tree, 0, count), directory(b"b", tree, 0, count)])
        trees.append((TREE, data))
        tree, count = digest_of(TREE, data), count * 2
    forge.pack(*trees)
    forge.version("folds", tree, 0, count)
    began = time.process_time()
    assert repo.fsck().problems == []
    repo.gc(now=True)
    assert time.process_time() - began < 5


BOMBS = {
    "4 G elements": b"\xdd\xff\xff\xff\xff",
    "4 G pairs": b"\xdf\xff\xff\xff\xff",
    "4 GiB of bytes": b"\x91\xc6\xff\xff\xff\xff",
    "100,000 levels": b"\x91" * 100_000 + b"\xc0",
    "a million empty arrays": b"\xdd\x00\x0f\x42\x40" + b"\x90" * 1_000_000,
    "nothing": b"",
    "a number": b"\x01",
    "a map": b"\x80",
    "truncated": encode_rows([file(b"f")])[:-1],
    "trailing": encode_rows([file(b"f")]) + b"\xc0",
    "long form": b"\xdc\x00\x01" + encode_rows([file(b"f")])[1:],
    "long integer": b"\x91\x94\xc4\x01f\xcc\x00\x00\xc4\x20" + EMPTY,
    "ext type": packb([[b"f", 0, 0, ExtType(5, D32)]]),
    "timestamp": b"\x91\x94\xc4\x01f\x00\xd6\xff\x00\x00\x00\x00\xc4\x20" + EMPTY,
    "NaN": packb([[b"f", 0, float("nan"), EMPTY]]),
    "text for bytes": packb([["f", 0, 0, EMPTY]]),
    "extra field": packb([[b"f", 0, 0, EMPTY, 1]]),
    "missing field": packb([[b"f", 0, 0]]),
    "map with a key twice": b"\x91\x82\xa1a\x00\xa1a\x00",
    "reserved byte": b"\x91\xc1",
}


def test_bytes_that_we_would_not_have_written_are_no_tree(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 15, 16, 20: bombs, and every other encoding of what one encoding has, are Damage and nothing else."""
    names = [re.sub(r"\W", "-", bomb.lower()) for bomb in BOMBS]
    for name, data in zip(names, BOMBS.values(), strict=True):
        forge.version(name, forge.raw_tree(data))
    assert all(
        re.match(r"[\w-]+:v0: tree |tree ", message) for message in refused_everywhere(repo, root, tmp_path, *names)
    )


def test_version_records_with_a_wrong_field_are_refused(forge: Forger, repo: Repository) -> None:
    """Case 12, 13, 16: each field of a version with each wrong kind of value."""
    values: list[Any] = [-1, 1.5, True, None, "x", b"x", [b"x"], [D32, D32], 1 << 63]
    good: list[Any] = [D32, 0, 1, "artifact", 0, None, []]
    wrong = [
        (field, value)
        for field in range(7)
        for value in values
        if (field, value) not in ((3, "x"), (5, None), (5, "x"))
    ]
    records = [packb([*good[:field], value, *good[field + 1 :]]) for field, value in wrong] + [
        packb(good[:6]),
        packb([*good, 0]),
        packb({"a": 1}),
    ]
    forge.pack(*((VERSION, data) for data in records))
    for data in records:
        with pytest.raises(Damage, match="^version "):
            repo.objects.read_version(digest_of(VERSION, data))


def test_an_object_above_the_size_limit_is_refused_before_it_is_decoded() -> None:
    """Case 15, 17: the limit stands in the message."""
    with pytest.raises(Damage) as error:
        decode(bytes(MAX_BYTES + 1), "tree 123456789abc")
    assert str(error.value) == "tree 123456789abc is 67108865 bytes long; at most 67108864 can be right"


def test_a_tree_above_the_size_limit_is_not_written(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(transaction._MOST, TREE, 1000)
    with repo.draft() as draft:
        for n in range(3):
            draft.add_bytes(b"x", f"{'n' * 240}{n}")
        draft.tree()
        draft.add_bytes(b"x", "n" * 240)
        with pytest.raises(InvalidValue, match=r"a tree would have \d{4} bytes"):
            draft.tree()


def _parts(forge: Forger, runs: list[list[Any]], firsts: list[bytes] | None = None) -> list[Any]:
    firsts = firsts or [run[0][0] if run else b"a" for run in runs]
    return [(first, 3, 0, forge.tree(*run), len(run)) for first, run in zip(firsts, runs, strict=True)]


def test_folders_split_otherwise_than_we_would_are_refused(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 16, 17: few entries in parts, parts within parts, parts beside files, empty parts, wrong first names, cut in the wrong place."""
    few = [file(b"%05d" % n) for n in range(10)]
    many = [file(b"%05d" % n) for n in range(17_000)]
    inner = _parts(forge, [few[:5], few[5:]])
    forged = {
        "few": _parts(forge, [few[:5], few[5:]]),
        "nested": [(b"00000", 3, 0, forge.tree(*inner), 10)],
        "beside": [*_parts(forge, [few[:5]]), file(b"z")],
        "empty": [(b"a", 3, 0, forge.tree(), 0)],
        "first": _parts(forge, [few], [b"00001"]),
        "halves": _parts(forge, [many[:8500], many[8500:]]),
        "one": _parts(forge, [many]),
    }
    for name, parts in forged.items():
        files = sum(part[4] for part in parts if part[1] == 3) + (name == "beside")
        forge.version(name, forge.tree(*parts), 0, files)
        with pytest.raises(Damage):
            repo.get(repo.find(name), str(tmp_path / name))
        assert not (tmp_path / name).exists()
    forge.version("unsplit", forge.tree(*many), 0, len(many))
    problems = [problem.split(":")[0].removeprefix("local/uncategorized/") for problem in repo.fsck().problems]
    assert set(problems) == {*forged, "unsplit"}, "a folder above the limit that isn't split is not ours either"
    good_is_whole(root, tmp_path)


def test_bytes_under_another_objects_name_are_never_given_out(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 18: small ones are noted in bad/, large ones moved there; the honest copy elsewhere is used."""
    target = digest_of(BLOB, b"wanted")
    forge.pack((BLOB, b"forged", target))
    large = digest_of(BLOB, b"L" * MIB)
    forge.large(b"X" * MIB, large)
    tree = forge.tree(file(b"small", target, 6))
    forge.version("small", tree, 6)
    forge.version("large", forge.tree(file(b"big", large, MIB)), MIB)
    with pytest.raises(
        DamagedObject, match=r"^\w+:v0: 'small' can't be restored: blob \w{12} in pack \w{12} is damaged(\n|$)"
    ):
        repo.get(repo.find("small"), str(tmp_path / "out"))
    with pytest.raises(DamagedObject, match=r"blob \w{12} is damaged(\n|$)"):
        repo.get(repo.find("large"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    notes = sorted(path.name for path in (root / "bad").iterdir())
    assert {name.rpartition(".")[0] == large.hex() or name.endswith(target.hex()) for name in notes} == {True}
    assert len(notes) == 2
    forge.blob(b"wanted")
    forge.large(b"L" * MIB)
    for name in ("small", "large"):
        with Repository(str(root)) as again:
            again.get(again.find(name), str(tmp_path / name))
    assert snapshot(tmp_path / "small") == {"small": (False, b"wanted")}


def test_a_tree_under_another_trees_name_is_never_used(forge: Forger, repo: Repository, tmp_path: Path) -> None:
    """Case 18: valid by itself, but not what its name says."""
    honest = encode_rows([file(b"f")])
    forge.pack((TREE, encode_rows([file(b"evil")]), digest_of(TREE, honest)))
    forge.version("swapped", digest_of(TREE, honest))
    with pytest.raises(DamagedObject, match=r"tree \w{12} in pack \w{12} is damaged(\n|$)"):
        repo.get(repo.find("swapped"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("length", "offset"), [(6, 1 << 62), ((1 << 32) - 1, 24), (6, 0)])
def test_pack_rows_that_point_outside_are_damage(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path, length: int, offset: int
) -> None:
    """Case 13, 15, 18: beyond the end, 4 GiB long, into the header."""
    digest = digest_of(BLOB, b"wanted")
    header, index = MAGIC + bytes(16), ROW.pack(digest, 1, 0, 0, length, offset)
    name = pack_digest(header, index)
    data = header + b"wanted" + index + FOOTER.pack(1, 30, name, END)
    (root / f"objects/packs/{name.hex()}.pack").write_bytes(data)
    forge.version("points", forge.tree(file(b"f", digest, 6)), 6)
    with pytest.raises(Damage):
        repo.get(repo.find("points"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert f"pack {name.hex()[:12]}: its objects don't fill it without gaps" in repo.fsck().problems


def test_no_version_may_hold_a_git_or_artifacts_folder(
    forge: Forger, repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 8, 21: a `.git` could run hooks, an `.artifacts` pose as a repository; at any level, in any case, as file or folder."""
    inside = forge.tree(file(b"config"))
    for number, name in enumerate((b".git", b".GIT", b".artifacts", b".Artifacts")):
        forge.version(f"folder{number}", forge.tree(directory(name, inside, 0, 1)))
        forge.version(f"file{number}", forge.tree(directory(b"d", forge.tree(file(name)), 0, 1)))
        for which in (f"folder{number}", f"file{number}"):
            for target in (tmp_path / f"new-{which}", tmp_path / f"old-{which}"):
                if target.name.startswith("old"):
                    target.mkdir()
                with pytest.raises(InvalidValue, match=r"is a protected name; nothing was written to it$"):
                    repo.get(repo.find(which), str(target))
                assert not [path for path in target.rglob("*") if path.name.lower().startswith((".git", ".artifacts"))]
    good_is_whole(root, tmp_path)


def test_writing_a_version_never_goes_through_a_symlink(forge: Forger, repo: Repository, tmp_path: Path) -> None:
    """Case 8: a link where a folder is needed is refused, one where a file goes is replaced; what it names stays as it was."""
    source = make_tree(tmp_path / "src", {"d/x": "new", "f": "new"})
    repo.put(str(source), "data")
    outside = make_tree(tmp_path / "outside", {"x": "old", "f": "old"})
    target = tmp_path / "target"
    target.mkdir()
    os.symlink(outside / "f", target / "f")
    os.symlink(outside, target / "d")
    with pytest.raises(Exception, match=r"^in .*/target, 'd' is a symlink, and the version has something else there\n"):
        repo.get(repo.find("data"), str(target))
    (target / "d").unlink()
    repo.get(repo.find("data"), str(target))
    assert snapshot(target) == snapshot(source)
    assert snapshot(outside) == {"x": (False, b"old"), "f": (False, b"old")}
