"""Folders that are hard to save: changing, vanishing, looping, unreadable, deep, oddly named, sparse, huge."""

import os
import socket
import stat
import subprocess
import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.digest import digest_of
from artstore.domain.tree import decode_tree, encode_folder
from artstore.errors import ArtstoreError, Refused, SourceError
from artstore.operations.saving import reading, scan
from artstore.repository import Repository
from artstore.store.paths import blob_path
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot
from tests.support.trouble import UNPRIVILEGED, mounted, run, small_disk

pytestmark = pytest.mark.disk

MIB = 1 << 20


def problems_of(repo: Repository, source: Path) -> dict[str, str]:
    """What a save says is wrong with a folder; it must save nothing."""
    before = [state.number for state in repo.collections()]
    with pytest.raises(SourceError) as error:
        repo.put(str(source), "data")
    assert [state.number for state in repo.collections()] == before
    assert os.listdir(Path(repo.root) / "tmp") == []
    return dict(error.value.problems)


# -- changing while it is read -------------------------------------------------------------------


def _on_read(monkeypatch: pytest.MonkeyPatch, name: str, action: Callable[[], object], times: int = 10**9) -> None:
    """Run `action` whenever the scanner has opened this file."""
    real, left = os.open, [times]

    def hooked(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        fd = real(path, flags, *args, **kwargs)
        if os.fsdecode(path) == name and flags & os.O_ACCMODE == os.O_RDONLY and left[0] > 0:
            left[0] -= 1
            action()
        return fd

    monkeypatch.setattr(reading.os, "open", hooked)


CHANGES: dict[str, Callable[[Path], object]] = {
    "append": lambda path: path.open("ab").write(b"more"),
    "truncate": lambda path: os.truncate(path, path.stat().st_size // 2),
    "rewrite": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
    "empty": lambda path: os.truncate(path, 0),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [1000, 3 * MIB], ids=["small", "large"])
def test_a_file_that_changes_once_while_it_is_read_is_read_again(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, size: int
) -> None:
    """Case 69: what is stored is the file as it was at one moment, after the change."""
    source = make_tree(tmp_path / "src", {"f": b"x" * size})
    _on_read(monkeypatch, "f", lambda: CHANGES[change](source / "f"), times=1)
    repo.put(str(source), "data")
    monkeypatch.undo()
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("size", [1000, 3 * MIB], ids=["small", "large"])
def test_a_file_that_never_stops_changing_fails_the_save(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Case 69: after a few tries it is an error that names it."""
    source = make_tree(tmp_path / "src", {"f": b"x" * size, "fine": "1"})
    _on_read(monkeypatch, "f", lambda: CHANGES["append"](source / "f"))
    assert problems_of(repo, source) == {
        "f": "keeps changing while it is read, or its size is not what the system says"
    }


def test_what_another_process_writes_all_the_time_is_stored_consistently_or_not_at_all(
    repo: Repository, tmp_path: Path
) -> None:
    """Case 69: by writes, by cuts and by mmap (which doesn't always move the modification time); fsck finds nothing afterwards."""
    source = make_tree(tmp_path / "src", {"mapped": b"x" * (2 * MIB), "small": b"y" * 5000, "cut": b"z" * (2 * MIB)})
    code = """
import mmap, os, sys, itertools
big, small, cut = (open(n, "r+b", buffering=0) for n in ("mapped", "small", "cut"))
view = mmap.mmap(big.fileno(), 0)
print("ready", flush=True)
for n in itertools.count():
    view[(n * 7919) % len(view)] = n % 256
    small.seek(n % 5000); small.write(b"%c" % (n % 256))
    cut.truncate((n % 3 + 1) << 20)
"""
    writer = subprocess.Popen([sys.executable, "-c", code], cwd=source, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    try:
        writer.stdout.readline()
        for _ in range(5):
            try:
                repo.put(str(source), "data")
            except SourceError as error:
                assert {path for path, _ in error.problems} <= {"mapped", "small", "cut"}
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    repo.put(str(source), "data")
    for state in repo.collections():
        for version in state.live():
            repo.get(repo.find(f"data:v{version['number']}"), str(tmp_path / f"v{version['number']}"))
    # `mapped` is left out: a write through a map that leaves the file's times alone can't be seen by anybody.
    last = snapshot(tmp_path / f"v{repo.find('data').version['number']}")
    assert {name: last[name] for name in ("small", "cut")} == {
        name: snapshot(source)[name] for name in ("small", "cut")
    }


@pytest.mark.parametrize(
    ("become", "reason"),
    [
        ("folder", "became a folder while it was read"),
        ("symlink", "became a symlink while it was read"),
        ("FIFO", "became a FIFO while it was read"),
    ],
)
@pytest.mark.parametrize("size", [1000, 3 * MIB], ids=["small", "large"])
def test_a_file_that_becomes_something_else_fails_the_save(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, become: str, reason: str, size: int
) -> None:
    """Case 70: between the listing and the open; it is not left out silently and not followed."""
    source = make_tree(tmp_path / "src", {"a": "first", "victim": b"x" * size})
    victim = source / "victim"
    outside = make_tree(tmp_path / "outside", {"secret": b"s" * size}) / "secret"

    def change() -> None:
        if victim.is_file() and not victim.is_symlink():
            victim.unlink()
            {
                "folder": victim.mkdir,
                "symlink": lambda: victim.symlink_to(outside),
                "FIFO": lambda: os.mkfifo(victim),
            }[become]()

    real = reading.FileReader.read

    def hooked(self: Any, *args: Any) -> Any:
        change()
        return real(self, *args)

    monkeypatch.setattr(reading.FileReader, "read", hooked)
    assert problems_of(repo, source) == {"victim": reason}


def test_a_folder_that_becomes_something_else_fails_the_save_and_one_that_vanished_is_named_too(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 70: between the listing of its parent and its own."""
    source = make_tree(tmp_path / "src", {"gone/f": "1", "file/f": "2", "fine/f": "3"})
    real = scan.Scanner._subfolders

    def hooked(self: Any, *args: Any) -> Any:
        if (source / "gone").exists():
            for name in ("gone", "file"):
                (source / name / "f").unlink()
                (source / name).rmdir()
            (source / "file").write_text("a file now")
        return real(self, *args)

    monkeypatch.setattr(scan.Scanner, "_subfolders", hooked)
    assert problems_of(repo, source) == {"gone": "vanished while the folder was read", "file": "not a directory"}


# -- what is no file -----------------------------------------------------------------------------


def test_what_is_neither_file_nor_folder_is_refused_by_kind_and_never_read(repo: Repository, tmp_path: Path) -> None:
    """Case 71, 9: FIFO, socket, devices, and symlinks to them, all listed; nothing hangs and /dev/zero is not read."""
    source = make_tree(tmp_path / "src", {"fine": "1", "sub/fine": "2"})
    os.mkfifo(source / "fifo")
    os.mkfifo(source / "sub/fifo")
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(source)  # a socket's path has at most 108 bytes
    server.bind("socket")
    os.chdir(here)
    (source / "zero").symlink_to("/dev/zero")
    expected = {"fifo": "FIFO", "sub/fifo": "FIFO", "socket": "socket", "zero": "character device"}
    if os.geteuid() == 0:
        os.mknod(source / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(source / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
        expected |= {"null": "character device", "disk": "block device"}
    result = run(tmp_path, "put", source, "--name", "data", timeout=60)
    server.close()
    assert result.code == 8
    listed = dict(line.strip().split(": ", 1) for line in result.err.splitlines() if line.startswith("  "))
    assert listed == {name: f"is a {kind}, not a file" for name, kind in expected.items()}
    for name in ("fifo", "zero"):
        single = run(tmp_path, "put", source / name, "--name", "one", timeout=60)
        assert single.code == 8 and f"{name} is a {expected[name]}, not a file" in single.err, single
    assert list(repo.collections()) == []


def test_a_file_whose_size_the_system_does_not_tell_is_refused(repo: Repository, tmp_path: Path) -> None:
    """Case 71: as in /proc: size 0 but content."""
    source = make_tree(tmp_path / "src", {})
    (source / "status").symlink_to("/proc/self/status")
    assert problems_of(repo, source) == {
        "status": "keeps changing while it is read, or its size is not what the system says"
    }


def test_symlinks_are_followed_and_loops_and_dangling_ones_named(repo: Repository, tmp_path: Path) -> None:
    """Case 9, 72: to files and folders inside and outside, absolute and relative; a link to itself, to a parent, to nowhere."""
    outside = make_tree(tmp_path / "outside", {"f*": "run", "sub/g": b"g" * MIB})
    source = make_tree(tmp_path / "src", {"real/f": "1"})
    for name, target in {
        "file": outside / "f",
        "folder": outside,
        "up": "../outside/sub",
        "inside": "real",
        "chain": "inside",
    }.items():
        (source / name).symlink_to(target)
    repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    folder = {"f": (True, b"run"), "sub": None, "sub/g": (False, b"g" * MIB)}
    expected: dict[str, Any] = {"file": (True, b"run"), "folder": None, "up": None, "up/g": (False, b"g" * MIB)} | {
        f"folder/{k}": v for k, v in folder.items()
    }
    for name in ("real", "inside", "chain"):
        expected |= {name: None, f"{name}/f": (False, b"1")}
    assert snapshot(tmp_path / "out") == expected
    for name, target in {
        "self": "self",
        "parent": ".",
        "grandparent": "../src",
        "nowhere": "no/such\x1bplace",
        "a": "b",
        "b": "a",
    }.items():
        (source / name).symlink_to(target)
    (outside / "back").symlink_to(source)
    loop = "is a symlink to a folder that holds it: a loop"
    assert problems_of(repo, source) == {
        "self": "symlink loop", "a": "symlink loop", "b": "symlink loop", "parent": loop, "grandparent": loop, "folder/back": loop, "nowhere": "dangling symlink to no/such\\x1bplace",
    }  # fmt: skip


def test_the_repository_itself_is_never_saved_whatever_it_is_called(tmp_path: Path) -> None:
    """Case 73: told by identity, not by name: under another name, through a symlink, through a mount; saving it or a part of it is refused."""
    source = make_tree(tmp_path / "src", {"f": "1", "sub/g": "2"})
    root = source / "store"
    with Repository.init(str(root)) as repo:
        (source / "sub/link").symlink_to(root)
        saved = repo.put(str(source), "data")
        assert saved.files == 2 and set(saved.left_out) == {"store", "sub/link"}
        for inside in (root, root / "objects", root / "refs"):
            with pytest.raises(ArtstoreError):
                repo.put(str(inside), "inside")
        with mounted(source / "mount", "--bind", str(root)):
            assert set(repo.put(str(source), "again").left_out) == {"store", "sub/link", "mount"}


def test_restoring_into_a_repository_is_refused(tmp_path: Path) -> None:
    """Case 73: into it, into a folder of it, over it, through a symlink to it, whatever it is called; it stays as it was."""
    root = tmp_path / "work/store"
    root.parent.mkdir()
    with Repository.init(str(root)) as repo:
        repo.put(
            str(make_tree(tmp_path / "evil", {"store/config": "[core]\nentity = evil\n", "store/refs/x": "1"})), "evil"
        )
        repo.put(str(make_tree(tmp_path / "src", {"config": "[core]\nentity = evil\n"})), "data")
        (tmp_path / "link").symlink_to(root)
        before = snapshot(root / "refs") | snapshot(root / "objects")
        targets = [
            ("data", root),
            ("data", root / "new"),
            ("data", root / "objects"),
            ("data", tmp_path / "link"),
            ("data", tmp_path / "link/x"),
            ("evil", root.parent),
        ]
        for name, target in targets:
            with pytest.raises(Refused, match="holds a repository|in a repository|is in the repository"):
                repo.get(repo.find(name), str(target))
            assert snapshot(root / "refs") | snapshot(root / "objects") == before
            assert not (root / "config").exists() and not (root / "new").exists()


def test_mounts_below_a_folder_are_part_of_it(repo: Repository, tmp_path: Path) -> None:
    """Case 74: crossed, as the folder shows them."""
    source = make_tree(tmp_path / "src", {"f": "1", "mount": None})
    with small_disk(source / "mount") as disk:
        make_tree(disk, {"g": "2", "sub/large": b"x" * (2 * MIB)})
        repo.put(str(source), "data")
        repo.get(repo.find("data"), str(tmp_path / "out"))
        assert snapshot(tmp_path / "out") == snapshot(source)


# -- names ---------------------------------------------------------------------------------------


def test_paths_longer_than_the_system_allows_are_saved_and_restored(repo: Repository, tmp_path: Path) -> None:
    """Case 75: 24 folders with names of 255 bytes, 6,000 bytes deep, into a new folder and into an old one."""
    names = [bytes([65 + n]) * 255 for n in range(24)]
    (tmp_path / "src").mkdir()
    (tmp_path / "old").mkdir()

    def descend(root: Path, make: bool) -> int:
        fd = os.open(root, os.O_RDONLY)
        for name in names:
            if make:
                os.mkdir(name, dir_fd=fd)
            below = os.open(name, os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            fd = below
        return fd

    fd = descend(tmp_path / "src", True)
    os.close(os.open(b"z" * 255, os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    assert repo.put(str(tmp_path / "src"), "data").files == 1
    for target in ("new", "old"):
        repo.get(repo.find("data"), str(tmp_path / target))
        fd = descend(tmp_path / target, False)
        assert os.listdir(fd) == ["z" * 255]
        os.close(fd)
        assert repo.verify(repo.find("data"), str(tmp_path / target)).ok
    result = run(tmp_path, "ls", "-r", "data")
    assert (result.code, len(result.out) > 6000) == (0, True)


def test_names_that_are_not_utf8_come_back_byte_for_byte(repo: Repository, process_cli: Cli, tmp_path: Path) -> None:
    """Case 76: and are escaped in every listing; selecting by them works too."""
    source = tmp_path / "src"
    names = [b"caf\xe9", b"\xff\xfe", b"\x80", b"sub\xc3/\xed\xa0\x80", "\u00e9".encode(), "e\u0301".encode()]
    for name in names:
        path = os.fsencode(source) + b"/" + name
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(os.fsdecode(path)).write_bytes(name)
    repo.put(str(source), "data")
    repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)
    listed = process_cli("ls", "-r", "data").out
    assert "caf\\xe9" in listed and "sub\\xc3/\\xed\\xa0\\x80" in listed and "\udce9" not in listed
    got = process_cli("get", "data", "--root", "one", "--path-prefix", os.fsdecode(b"caf\xe9"))
    assert got.code == 0 and os.listdir(os.fsencode(tmp_path / "one")) == [b"caf\xe9"]
    assert process_cli("cat", "data", os.fsdecode(b"caf\xe9")).out.encode(errors="surrogateescape") == b"caf\xe9"


def test_names_that_differ_in_case_or_normal_form_are_different_files(repo: Repository, tmp_path: Path) -> None:
    """Case 77: where the file system tells them apart."""
    source = make_tree(
        tmp_path / "src",
        {
            "README": "1",
            "readme": "2",
            "\u00e9": "3",
            "e\u0301": "4",
            "D/x": "5",
            "d/x": "6",
            "straße": "7",
            "STRASSE": "8",
        },
    )
    repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)


def _fold(monkeypatch: pytest.MonkeyPatch, below: Path, as_one: Callable[[str], str]) -> None:
    """Make calls by descriptor act as on a file system that takes names for one, below one folder."""

    def folding(real: Callable[..., Any], count: int = 1) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            fd = kwargs.get("dir_fd", kwargs.get("dst_dir_fd"))
            if fd is not None and os.readlink(f"/proc/self/fd/{fd}").startswith(str(below)):
                args = (*(as_one(os.fsencode(arg).decode()).encode() for arg in args[:count]), *args[count:])
            return real(*args, **kwargs)

        return call

    for name in ("open", "mkdir", "stat", "unlink"):
        monkeypatch.setattr(os, name, folding(getattr(os, name)))
    monkeypatch.setattr(os, "rename", folding(os.rename, 2))


@pytest.mark.parametrize("target", ["new", "old"])
@pytest.mark.parametrize(
    ("names", "as_one"),
    [
        (("README", "readme"), str.casefold),
        (("D/x", "d/y"), str.casefold),
        (("A", "a", "B", "b"), str.casefold),
        (("e\u0301", "\u00e9"), partial(unicodedata.normalize, "NFC")),
    ],
    ids=["files", "folders", "two pairs", "forms"],
)
def test_twins_on_a_file_system_that_folds_names_are_a_conflict_that_names_all(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, names: tuple[str, ...],
    as_one: Callable[[str], str],
) -> None:  # fmt: skip
    """Case 77: neither overwrites the other, into a new folder (found by exclusive creation) and into an old one; a new one is not left half-made."""
    repo.put(str(make_tree(tmp_path / "src", {name: f"content {n}" for n, name in enumerate(names)})), "data")
    place = tmp_path / "folding"
    place.mkdir()
    if target == "old":
        make_tree(place / "old", {"kept": "1"})
    _fold(monkeypatch, place, as_one)
    with pytest.raises(ArtstoreError) as error:
        repo.get(repo.find("data"), str(place / target))
    monkeypatch.undo()
    firsts = [name.split("/")[0] for name in names]
    pairs = ", ".join(f"'{one}' and '{two}'" for one, two in zip(firsts[::2], firsts[1::2], strict=True))
    assert str(error.value) == f"{pairs} are the same name on the target's file system"
    assert snapshot(place) == ({"old": None, "old/kept": (False, b"1")} if target == "old" else {})


def test_names_that_windows_reserves_are_ordinary_here(repo: Repository, tmp_path: Path) -> None:
    """Case 78: devices, colons, trailing dots and spaces, wildcards: never renamed silently."""
    names = [
        "aux",
        "nul.txt",
        "com1",
        "LPT¹",
        "CON.tar.gz",
        "name:stream",
        "a.",
        "a ",
        "<>|?*",
        '"',
        "...",
        " ",
        "~1",
        "desktop.ini",
    ]
    source = make_tree(tmp_path / "src", {name: name for name in names} | {f"aux.d/{name}": name for name in names})
    repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)
    from artstore.domain import names as rules

    problem = getattr(rules, "windows_problem", None)
    assert problem is not None, "no pure function says which entry names Windows can't hold"
    assert all(problem(os.fsencode(name)) for name in names[:10]) and problem(b"plain.txt") is None


# -- sizes and kinds -----------------------------------------------------------------------------


def test_very_many_empty_files_are_one_empty_blob(repo: Repository, root: Path, tmp_path: Path) -> None:
    """Case 79: 20,000 of them cost one object, little time, and a look at each the second time."""
    source = tmp_path / "src"
    source.mkdir()
    for number in range(20_000):
        os.close(os.open(source / f"{number:05}", os.O_CREAT | os.O_WRONLY))
    began = time.process_time()
    saved = repo.put(str(source), "data")
    assert (saved.files, saved.size) == (20_000, 0)
    assert saved.new_objects < 20
    assert not repo.put(str(source), "data").is_new
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert time.process_time() - began < 15
    assert len(os.listdir(tmp_path / "out")) == 20_000


def test_the_holes_of_a_sparse_file_take_no_space_when_stored_or_restored(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 80: 120 MB that lie in a few blocks; the digest is that of the bytes with the holes as zeros."""
    source = make_tree(tmp_path / "src", {"sparse": b"begin"})
    with (source / "sparse").open("r+b") as file:
        file.seek(60_000_000)
        file.write(b"middle")
        file.truncate(120_000_000)
    allocated = (source / "sparse").stat().st_blocks * 512
    assert allocated < MIB
    repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert repo.verify(repo.find("data"), str(tmp_path / "out")).ok
    entry = repo.entry(repo.find("data"), "sparse")
    assert entry[2] == 120_000_000
    stored = (root / blob_path(entry[3])).stat().st_blocks * 512
    restored = (tmp_path / "out/sparse").stat().st_blocks * 512
    assert (stored < 8 * MIB, restored < 8 * MIB) == (True, True), (stored, restored)


def test_sizes_up_to_two_to_the_63_are_kept_exactly(tmp_path: Path) -> None:
    """Case 81: a 5 TB file is an entry like any other, and totals above the limit are refused before they are written."""
    trees: list[bytes] = []

    def add(data: bytes) -> Any:
        trees.append(data)
        return digest_of(2, data)

    five = [(b"five", 0, 5_000_000_000_000, bytes(32)), (b"max", 0, (1 << 63) - 1 - 5_000_000_000_000, bytes(32))]
    folder = encode_folder(five, add)
    assert (folder.size, decode_tree(trees[0], folder.digest)) == ((1 << 63) - 1, tuple(five))
    with pytest.raises(ArtstoreError):
        encode_folder([*five, (b"one", 0, 1, bytes(32))], add)


def test_hard_links_are_stored_once_and_come_back_as_files_of_their_own(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 82: by content; the relation is not kept."""
    source = make_tree(tmp_path / "src", {"a": b"x" * (2 * MIB), "s": "small"})
    for name in ("a", "s"):
        os.link(source / name, source / f"{name}2")
    saved = repo.put(str(source), "data")
    assert (saved.files, saved.size, saved.new_bytes < 3 * MIB) == (4, 4 * MIB + 10, True)
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert {path.stat().st_nlink for path in (tmp_path / "out").iterdir()} == {1}
    assert snapshot(tmp_path / "out") == snapshot(source)


def test_only_content_names_and_the_executable_bit_are_kept(repo: Repository, tmp_path: Path) -> None:
    """Case 11, 83: set-user-id, sticky, group and world bits, owner, times, extended attributes and flags are not; restoring needs no privilege."""
    modes = {
        "6755": 0o6755,
        "777": 0o777,
        "700": 0o700,
        "644": 0o644,
        "600": 0o600,
        "444": 0o444,
        "4644": 0o4644,
        "111": 0o111,
        "55": 0o055,
    }
    source = make_tree(tmp_path / "src", {**dict.fromkeys(modes, "x"), "sub": None})
    (source / "sub").chmod(0o1777)
    for name, mode in modes.items():
        (source / name).chmod(mode)
    if os.geteuid() == 0:
        os.chown(source / "600", 12345, 12345)
    try:
        os.setxattr(source / "644", "user.note", b"1")
    except OSError:
        pass
    repo.put(str(source), "data")
    result = run(tmp_path, "get", "data", setup=UNPRIVILEGED + "\nimport os\nos.umask(0o027)\n")
    assert result.code == 0, result
    out = tmp_path / "artifacts/data-v0"
    executable = {name for name, mode in modes.items() if mode & 0o100}
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {
        name: 0o750 if name in executable else 0o640 for name in modes
    } | {"sub": 0o750}
    assert os.listxattr(out / "644") == [] and (out / "600").stat().st_uid == os.geteuid()


def test_threads_that_save_beside_a_vanishing_folder_share_nothing(root: Path, tmp_path: Path) -> None:
    """Case 70: two handles in two threads, one folder that comes and goes: each save is whole or an error."""
    source = make_tree(tmp_path / "src", {f"d{n}/f": str(n) for n in range(50)})
    Repository.init(str(root)).close()
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for n in range(0, 50, 5):
                (source / f"d{n}/f").unlink()
                (source / f"d{n}").rmdir()
                make_tree(source, {f"d{n}/f": str(n)})

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(3):
            with Repository(str(root)) as repo:
                try:
                    assert repo.put(str(source), "data").files <= 50
                except SourceError as error:
                    assert error.problems
    finally:
        stop.set()
        thread.join()
    with Repository(str(root)) as repo:
        assert repo.fsck().problems == []
