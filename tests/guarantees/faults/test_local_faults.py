"""What a machine does to its programs: full and read-only disks, damaged files, limits, signals, power cuts."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from artstore.domain.digest import BLOB, digest_of
from artstore.errors import Damage, DamagedLog, DamagedObject, MissingObject, NoSpace, SourceError, StorageError
from artstore.repository import Repository
from artstore.store.paths import blob_path
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot
from tests.support.trouble import (
    UNPRIVILEGED,
    disk_image,
    fill,
    image,
    injected,
    limited,
    loop_mounted,
    read_only,
    run,
    small_disk,
)

pytestmark = pytest.mark.disk

MIB = 1 << 20


def leftovers(root: Path) -> list[str]:
    return os.listdir(root / "tmp") + os.listdir(root / "trash")


def flip(path: Path, offset: int = -1) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def only_pack(root: Path) -> Path:
    (pack,) = (root / "objects/packs").iterdir()
    return pack


def large_file(root: Path, data: bytes) -> Path:
    return root / blob_path(digest_of(BLOB, data))


# -- no space ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [{"many": b"x" * 300_000, "more": b"y" * 500_000}, {"large": b"z" * (3 * MIB)}], ids=["pack", "large"]
)
def test_a_save_on_a_full_disk_fails_whole_and_succeeds_once_there_is_space(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    """Case 41: NoSpace, exit code 9, staged files removed, the store readable, and the same command is the way out."""
    before = make_tree(tmp_path / "before", {"f": "1"})
    source = make_tree(tmp_path / "src", content)
    with small_disk(tmp_path / "disk") as disk:
        root = disk / ".artifacts"
        with Repository.init(str(root)) as repo:
            repo.put(str(before), "data")
            hog = fill(disk)
            with pytest.raises(NoSpace) as error:
                repo.put(str(source), "data")
            assert re.fullmatch(
                r"cannot (write to|copy '\w+' into|write) \S+: no space left on device", str(error.value)
            )
            assert error.value.hint == "free some space and run the same command again; nothing was lost"
            assert (leftovers(root), len(list(repo.collection("data").live()))) == ([], 1)
            repo.get(repo.find("data"), str(tmp_path / "readable"))
            result = run(tmp_path, "put", source, "--name", "data", ARTSTORE_DIR=str(root))
            assert (result.code, "no space left on device" in result.err) == (9, True)
            hog.unlink()
            assert repo.put(str(source), "data").number == 1
        check(root)


@pytest.mark.parametrize("kind", ["tmpfs", "ext4", pytest.param("xfs", marks=pytest.mark.long)])
def test_on_a_disk_that_is_full_to_the_last_block_versions_are_deleted_and_freed(tmp_path: Path, kind: str) -> None:
    whole = {"ext4": ("-q", "-m", "0"), "xfs": ("-q",)}
    size = 320 if kind == "xfs" else 16
    with small_disk(tmp_path / "disk", "16m") if kind == "tmpfs" else image(tmp_path, kind, size * MIB, *whole[kind]):
        root = tmp_path / "disk/.artifacts"
        with Repository.init(str(root)) as repo:
            for number in range(3):
                source = make_tree(tmp_path / "src", {"a": os.urandom(300_000), "b": os.urandom(MIB), "c": str(number)})
                repo.put(str(source), "data")
        fill(tmp_path / "disk")
        for command in (
            ["alias", "data:v1", "kept"], ["rm", "data:v0"], ["gc", "--now"], ["rm", "data:v1", "--force"],
            ["gc", "--now"], ["get", "data", "--root", str(tmp_path / "out")],
        ):  # fmt: skip
            done = run(tmp_path, *command, ARTSTORE_DIR=str(root))
            assert done.code == 0, (command, done.err)
            assert command[0] != "gc" or "freed 1.3 MiB" in done.out
        assert (tmp_path / "out/c").read_text() == "2" and (root / "cache/reserve").stat().st_size == 192 << 10
        check(root)


CALLS = [
    "mkdir:1 ENOSPC",
    "writev:1 ENOSPC",
    "writev:1 EIO",
    "fsync:1 EIO",
    "fsync:2 EDQUOT",
    "fsync:3 ENOSPC",
    "fsync:3 EIO",
    "fsync:4 EIO",
    "linkat:1 EDQUOT",
    "linkat:2 ENOSPC",
]


@pytest.mark.parametrize(("call", "error"), [case.split() for case in CALLS])
def test_any_failing_call_of_a_save_ends_it_whole(
    repo: Repository, root: Path, tmp_path: Path, call: str, error: str
) -> None:
    """Case 41, 45: at write, sync, link and mkdir; a file whose sync failed is thrown away, never synced again; the next save works."""
    source = make_tree(tmp_path / "src", {"f": "1"})
    name, number = call.split(":")
    log = tmp_path / "calls"
    result = run(
        tmp_path, "put", source, "--name", "data", prefix=injected(f"{name}:error={error}:when={number}", log=log)
    )
    if "INJECTED" not in log.read_text():
        assert result.code == 0
        pytest.skip(f"a save has fewer calls of {name}")
    words = {"ENOSPC": "no space left on device", "EDQUOT": "disk quota exceeded", "EIO": "input/output error"}
    states = list(repo.collections())
    if result.code == 0:
        assert name in ("mkdir", "linkat") and len(states) == 1, result  # tried again without the caches
        return
    assert (result.code, words[error] in result.err, result.err.startswith("error: cannot ")) == (9, True, True), result
    if name == "fsync":
        failed = next(re.search(r"fsync\((\d+)", line) for line in log.read_text().splitlines() if "INJECTED" in line)
        assert failed is not None
    assert leftovers(root) == []
    repo.put(str(source), "data")
    assert len(repo.collection("data").live()) == 1
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)


def test_gc_frees_space_on_a_full_disk(tmp_path: Path) -> None:
    """Case 42: renames and unlinks need none; dead packs and large blobs go."""
    with small_disk(tmp_path / "disk") as disk:
        root = disk / ".artifacts"
        with Repository.init(str(root)) as repo:
            repo.put(str(make_tree(tmp_path / "a", {"f": b"x" * 500_000, "g": b"y" * (2 * MIB)})), "data")
            repo.put(str(make_tree(tmp_path / "b", {"f": "kept"})), "data")
            repo.delete("data:v0")
            fill(disk)
        result = run(tmp_path, "gc", "--now", ARTSTORE_DIR=str(root))
        assert result.code == 0 and result.out.startswith("freed 2."), result
        check(root)
        assert os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > 2 * MIB


# -- sources and objects that can't be read ------------------------------------------------------


def _spoil(image: Path, mark: bytes) -> None:
    data = image.read_bytes()
    where = data.index(mark)
    with image.open("r+b") as file:
        file.seek(where)
        file.write(b"\xff")


def test_an_input_output_error_while_a_source_is_read_fails_the_save_with_the_place(
    repo: Repository, tmp_path: Path
) -> None:
    """Case 43: on a disk with a bad block in the middle of a large file and one in a small one: both files and offsets named, nothing committed."""
    image, disk = tmp_path / "image", tmp_path / "disk"
    marks = [b"SMALL-MARK-" + os.urandom(16), b"LARGE-MARK-" + os.urandom(16)]
    with disk_image(image, "btrfs", 120 * MIB, disk):
        make_tree(
            disk / "src",
            {
                "small": marks[0] + os.urandom(100_000),
                "large": os.urandom(2 * MIB) + marks[1] + os.urandom(MIB),
                "fine": "1",
            },
        )
    for mark in marks:
        _spoil(image, mark)
    with loop_mounted(image, disk), pytest.raises(SourceError) as error:
        repo.put(str(disk / "src"), "data")
    assert [path for path, _ in sorted(error.value.problems)] == ["large", "small"]
    assert all(reason.startswith("input/output error") for _, reason in error.value.problems)
    assert list(repo.collections()) == []
    assert all(re.search(r"at byte \d+", reason) for _, reason in error.value.problems), error.value.problems


@pytest.mark.damaged
def test_an_input_output_error_while_an_object_is_read_is_reported_and_changes_nothing(tmp_path: Path) -> None:
    """Case 44: packs and large blobs on a disk with bad blocks; never a dead process, never a move into bad/, others still come."""
    image, disk = tmp_path / "image", tmp_path / "disk"
    mark, large = b"SMALL-MARK-" + os.urandom(16), b"LARGE-MARK-" + os.urandom(2 * MIB)
    with disk_image(image, "btrfs", 120 * MIB, disk), Repository.init(str(disk / ".artifacts")) as repo:
        repo.put(str(make_tree(tmp_path / "small", {"f": mark * 3000})), "small")
        repo.put(str(make_tree(tmp_path / "large", {"f": large})), "large")
        repo.put(str(make_tree(tmp_path / "fine", {"f": "1"})), "fine")
    _spoil(image, mark)
    _spoil(image, large[:27])
    with loop_mounted(image, disk):
        root = disk / ".artifacts"
        for name in ("small", "large"):
            result = run(tmp_path, "get", name, ARTSTORE_DIR=str(root))
            assert (result.code, "input/output error" in result.err) == (9, True), (name, result)
            assert not (tmp_path / f"artifacts/{name}-v0").exists()
        assert os.listdir(root / "bad") == []
        assert run(tmp_path, "get", "fine", ARTSTORE_DIR=str(root)).code == 0
        result = run(tmp_path, "fsck", ARTSTORE_DIR=str(root))
        assert result.code == 7 and result.out.count("input/output error") == 3, result


def test_unreadable_files_and_folders_are_all_listed(repo: Repository, tmp_path: Path) -> None:
    """Case 46, 86: exit code 8, every one of them and not only the first, and nothing is saved."""
    source = make_tree(tmp_path / "src", {"fine": "1", "secret": "2", "sub/secret": b"x" * (2 * MIB), "closed/f": "3"})
    for path in ("secret", "sub/secret", "closed"):
        (source / path).chmod(0)
    result = run(tmp_path, "put", source, "--name", "data", setup=UNPRIVILEGED)
    (source / "closed").chmod(0o755)
    assert result.code == 8, result
    lines = result.err.splitlines()
    assert re.fullmatch(
        rf"error: 3 of the files in {source} can't be added: \S+: permission denied, and 2 more", lines[0]
    )
    assert sorted(lines[1:4]) == [
        "  closed: permission denied",
        "  secret: permission denied",
        "  sub/secret: permission denied",
    ]
    assert lines[4] == "hint: mend or remove them, or leave them out with .artifactsignore; nothing was saved"
    assert list(repo.collections()) == []


READS = [["ls"], ["ls", "-r", "data"], ["show", "data"], ["log", "data"], ["cat", "data", "f"], ["diff", "data:v0", "data:v1"], ["get", "data"], ["get", "data", "--root", "old"],
         ["verify", "data", "src"], ["fsck"], ["du"], ["gc", "--dry-run"], ["init"]]  # fmt: skip
WRITES = [
    ["put", "src", "--name", "data"],
    ["put", "src", "--name", "new"],
    ["alias", "data", "x"],
    ["tag", "data", "x"],
    ["rm", "data:v0"],
    ["gc"],
    ["gc", "--now"],
]


@pytest.mark.parametrize("how", ["mount", "immutable"])
def test_a_read_only_repository_can_be_read_and_nothing_else(
    repo: Repository, root: Path, tmp_path: Path, how: str
) -> None:
    """Case 47: no lock and no cache file is needed to read; writes are refused with exit code 9 and leave no trace."""
    source = make_tree(tmp_path / "src", {"f": "0", "large": b"x" * (2 * MIB)})
    repo.put(str(source), "data")
    repo.put(str(make_tree(source, {"f": "1"})), "data")
    (tmp_path / "old").mkdir()
    for cache in (root / "cache").rglob("*"):
        if cache.is_file():
            cache.unlink()
    before = sorted(root.rglob("*"))
    if how == "mount":
        with read_only(root):
            _check_read_only(
                tmp_path, "read-only file system", "it is read-only here: get, ls, show and fsck still work"
            )
    else:
        done = subprocess.run(["chattr", "-R", "+i", str(root)], capture_output=True, text=True)
        try:
            if done.returncode:
                pytest.skip(f"files can't be made immutable here: {done.stderr.strip()[:100]}")
            _check_read_only(tmp_path, "operation not permitted", "check who owns it and its permissions")
        finally:
            subprocess.run(["chattr", "-R", "-i", str(root)], capture_output=True)
    assert sorted(root.rglob("*")) == before


def _check_read_only(tmp_path: Path, reason: str, hint: str) -> None:
    for command in READS:
        result = run(tmp_path, *command)
        assert (result.code, result.err.startswith("error")) == (0, False), (command, result)
    for command in WRITES:
        result = run(tmp_path, *command)
        assert result.code == 9, (command, result)
        assert re.fullmatch(rf"error: cannot .+: {reason}\nhint: {hint}\n", result.err), (command, result)


# -- damage --------------------------------------------------------------------------------------

DAMAGES: dict[str, Callable[[Path], None]] = {
    "flipped": lambda path: flip(path, 40),
    "flipped in the footer": lambda path: flip(path, -60),
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "longer": lambda path: os.truncate(path, path.stat().st_size + 4096),
    "empty": lambda path: os.truncate(path, 0),
    "zeros": lambda path: path.chmod(0o644) or path.write_bytes(bytes(path.stat().st_size)),
}  # fmt: skip


UNNOTICED = {("flipped", False), ("flipped", True), ("flipped in the footer", True), ("zeros", True)}
"""Right size, and nobody has read it: a save may rely on such a copy until a read or fsck finds out."""


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("large", [False, True], ids=["pack", "large"])
@pytest.mark.parametrize("met", ["get", "fsck", "nobody"])
def test_a_damaged_object_is_never_given_out_and_saving_it_again_heals(
    repo: Repository, root: Path, tmp_path: Path, damage: str, large: bool, met: str, request: pytest.FixtureRequest
) -> None:
    """Case 48: whoever meets the damage first; the evidence is kept, and one more save of the same content makes everything whole."""
    if met == "nobody" and (damage, large) in UNNOTICED:
        return
    request.node.add_marker(pytest.mark.damaged)  # what it is at the end is asserted here
    data = b"0123456789" * (2 * MIB // 10) if large else b"0123456789" * 100
    source = make_tree(tmp_path / "src", {"f": data})
    repo.put(str(source), "data")
    repo.put(str(source), "data")  # the stat cache is warm now
    path = large_file(root, data) if large else only_pack(root)
    DAMAGES[damage](path)
    spoiled = path.read_bytes()
    raised: Exception | None = None
    with Repository(str(root)) as fresh:
        if met == "get":
            with pytest.raises(Damage) as error:
                fresh.get(fresh.find("data"), str(tmp_path / "out"))
            raised = error.value
            assert not (tmp_path / "out").exists()
        elif met == "fsck":
            assert any("damaged" in problem or "bytes long" in problem for problem in fresh.fsck().problems)
        else:
            source = make_tree(tmp_path / "copy", {"f": data})  # not known by its stat: each object is looked for
    with Repository(str(root)) as again:
        again.put(str(source), "data")
        again.get(again.find("data"), str(tmp_path / "healed"))
        assert snapshot(tmp_path / "healed") == snapshot(source)
        again.gc(now=True)
    assert any(path.is_file() and path.read_bytes() == spoiled for path in (root / "bad").rglob("*")), (
        "the evidence is gone"
    )
    check(root)
    assert raised is None or isinstance(raised, DamagedObject), f"damaged, not: {raised}"


@pytest.mark.damaged
@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
def test_a_missing_object_is_named_with_its_file_and_the_others_can_be_had(
    repo: Repository, root: Path, cli: Cli, tmp_path: Path, large: bool
) -> None:
    """Case 49: MissingObject, exit code 7, the path in the version; other files still come by selection, nothing is half-done."""
    lost = b"x" * (2 * MIB if large else 10)
    repo.put(str(make_tree(tmp_path / "first", {"f": lost})), "first")
    packs = set((root / "objects/packs").iterdir())
    repo.put(str(make_tree(tmp_path / "src", {"sub/lost": lost, "fine": "1", "also/fine": b"y" * (2 * MIB)})), "data")
    if large:
        large_file(root, lost).unlink()
    else:
        for pack in packs:
            pack.unlink()
    result = cli("get", "data")
    digest = digest_of(BLOB, lost).hex()[:12]
    assert result.code == 7 and f"blob {digest} is missing from {root}" in result.err, result
    assert not (tmp_path / "artifacts/data-v0").exists()
    assert cli("get", "data", "--exclude", "sub/", "--root", "rest").code == 0
    assert sorted(snapshot(tmp_path / "rest")) == ["also", "also/fine", "fine"]
    assert f"problem: local/uncategorized/data:v0: 'sub/lost': blob {digest} is missing" in cli("fsck").out
    with Repository(str(root)) as fresh, pytest.raises(MissingObject):
        fresh.get(fresh.find("data"), str(tmp_path / "again"))
    assert "'sub/lost'" in result.err and "data:v0" in result.err, "which file of which version is lost"


@pytest.mark.damaged
@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "one byte short", "zeros", "folder", "symlink", "fifo", "gap"]
)
def test_a_damaged_newest_entry_is_reported_and_the_one_before_not_used_instead(
    repo: Repository, root: Path, tmp_path: Path, damage: str
) -> None:
    """Case 50: reading says so, nothing is appended, gc collects nothing."""
    source = make_tree(tmp_path / "src", {"f": "0"})
    for number in range(3):
        repo.put(str(make_tree(source, {"f": str(number)})), "data")
    log = root / "refs/local/uncategorized/data"
    entry = log / ("00000002.json" if damage == "gap" else "00000003.json")
    saved = entry.read_bytes()
    if damage in DAMAGES:
        DAMAGES[damage](entry)
    else:
        entry.unlink()
        {
            "folder": entry.mkdir,
            "symlink": lambda: entry.symlink_to("00000001.json"),
            "fifo": lambda: os.mkfifo(entry),
            "gap": lambda: None,
        }[damage]()
    listing = sorted(os.listdir(log))
    expected = (DamagedLog, StorageError) if damage in ("folder", "symlink", "fifo") else DamagedLog
    for operation in (
        lambda: repo.find("data"),
        lambda: repo.put(str(make_tree(source, {"f": "new"})), "data"),
        lambda: repo.gc(now=True),
        lambda: list(repo.history("data")),
    ):
        with pytest.raises(expected, match=r"(entry|refs/local/uncategorized/data/0000000)"):
            operation()
    assert sorted(os.listdir(log)) == listing
    assert repo.fsck().problems
    assert run(tmp_path, "get", "data", timeout=60).code in (7, 9)
    entry.rmdir() if damage == "folder" else entry.unlink(missing_ok=True)
    entry.write_bytes(saved)
    check(root)


def _cache_damages() -> dict[str, Callable[[Path], None]]:
    def replaced(make: Callable[[Path], None]) -> Callable[[Path], None]:
        return lambda path: (path.unlink(), make(path))[0]

    cuts = {f"{n} bytes": (lambda n: lambda path: os.truncate(path, n))(n) for n in (0, 1, 7, 8, 15, 16, 17, 40)}
    flips = {
        f"flipped at {n}": (lambda n: lambda path: flip(path, n % path.stat().st_size))(n)
        for n in (0, 9, 30, -1, -8, -9, -30)
    }
    kinds = {
        "folder": replaced(Path.mkdir),
        "fifo": replaced(lambda path: os.mkfifo(path)),
        "dangling": replaced(lambda path: path.symlink_to("nowhere")),
    }
    noise = {"noise": lambda path: path.write_bytes(os.urandom(500)), "gone": lambda path: path.unlink()}
    return cuts | flips | kinds | noise


def test_lost_and_damaged_caches_change_nothing_but_the_time_it_takes(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 51: every file under cache/, damaged in every way: saves, look-ups and restores give what they gave before."""
    source = make_tree(tmp_path / "src", {"f": "1", "sub/g": "2", "large": b"x" * (2 * MIB)})
    for number in range(3):
        repo.put(str(make_tree(source, {"f": str(number)})), "data")
    repo.objects.packs._build_table()
    repo.get(repo.find("data"), str(tmp_path / "out"))
    names = sorted(
        path.relative_to(root) for path in (root / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"
    )
    assert {name.parts[1] for name in names} == {"stat", "objects.idx", "verified", "reserve", "packing.saved"}
    for what, damage in _cache_damages().items():
        for name in names:
            path = root / name
            saved = path.read_bytes()
            damage(path)
            with Repository(str(root)) as again:
                assert not again.put(str(source), "data").is_new, (what, name)
                again.get(again.find("data"), str(tmp_path / "out"))
                assert snapshot(tmp_path / "out") == snapshot(source), (what, name)
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
            path.write_bytes(saved)


def test_an_edit_of_the_same_size_right_after_a_save_is_never_missed(repo: Repository, tmp_path: Path) -> None:
    """Case 51: within the tick of the file system's clock, with the modification time set back, by rewriting and by replacing."""
    source = make_tree(tmp_path / "src", {"f": "000", "g": "000"})
    repo.put(str(source), "data")
    for number in range(1, 20):
        times = (source / "f").stat()
        (source / "f").write_text(f"{number:03}")
        os.utime(source / "f", ns=(times.st_atime_ns, times.st_mtime_ns))
        (tmp_path / "g").write_text(f"{number:03}")
        os.utime(tmp_path / "g", ns=(times.st_atime_ns, times.st_mtime_ns))
        os.replace(tmp_path / "g", source / "g")
        assert repo.put(str(source), "data").is_new
        found = repo.find("data")
        assert [b"".join(repo.content(repo.entry(found, name))) for name in "fg"] == [f"{number:03}".encode()] * 2


# -- limits --------------------------------------------------------------------------------------


def test_few_file_descriptors_are_enough_for_many_files(repo: Repository, root: Path, tmp_path: Path) -> None:
    """Case 52: 64 descriptors, 40 large files, 300 small ones, 20 levels, 20 packs."""
    names = {f"large{n}": bytes([n]) * MIB for n in range(40)} | {f"small{n}": str(n) for n in range(300)}
    source = make_tree(tmp_path / "src", names | {"/".join("d" * 20) + "/f": "deep"})
    setup = limited("RLIMIT_NOFILE", 64)
    assert run(tmp_path, "put", source, "--name", "data", setup=setup).code == 0
    for command in (
        ["get", "data"],
        ["get", "data"],
        ["get", "data", "--root", "x", "--include", "large*"],
        ["verify", "data", source],
        ["fsck"],
        ["gc"],
    ):
        result = run(tmp_path, *command, setup=setup)
        assert result.code == 0, (command, result)
    assert snapshot(tmp_path / "artifacts/data-v0") == snapshot(source)


def test_too_few_file_descriptors_are_an_error_that_says_so(repo: Repository, root: Path, tmp_path: Path) -> None:
    """Case 52: exit code 8 or 9 with the way out, nothing half-done."""
    source = make_tree(tmp_path / "src", {"/".join("d" * 60) + "/f": "deep"})
    setup = limited("RLIMIT_NOFILE", 30)
    result = run(tmp_path, "put", source, "--name", "data", setup=setup)
    assert result.code in (8, 9) and "too many open files" in result.err, result
    assert (list(repo.collections()), leftovers(root)) == ([], [])
    repo.put(str(source), "data")
    restored = run(tmp_path, "get", "data", setup=setup)
    assert (restored.code, "too many open files" in restored.err) == (9, True), restored
    assert not (tmp_path / "artifacts").exists() or os.listdir(tmp_path / "artifacts") == []
    assert "hint: too many files are open: raise `ulimit -n`" in restored.err and "ulimit -n" in result.err


def test_a_limit_on_file_sizes_fails_a_save_whole(
    repo: Repository, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 41: EFBIG, as a shell's `ulimit -f` gives it, for packs and large files, saving and restoring."""
    for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
        monkeypatch.delenv(name)  # what measures coverage writes files, too
    small = make_tree(tmp_path / "small", {f"f{n}": os.urandom(10_000) for n in range(20)})
    large = make_tree(tmp_path / "large", {"f": os.urandom(2 * MIB)})
    for source in (small, large):
        result = run(tmp_path, "put", source, "--name", "data", setup=limited("RLIMIT_FSIZE", 65_536))
        assert (result.code, "file too large" in result.err) == (9, True), result
        assert (list(repo.collections()), leftovers(root)) == ([], [])
    repo.put(str(large), "data")
    result = run(tmp_path, "get", "data", setup=limited("RLIMIT_FSIZE", 65_536))
    assert (result.code, "file too large" in result.err) == (9, True), result
    assert not (tmp_path / "artifacts/data-v0").exists() and os.listdir(tmp_path / "artifacts") == []
