"""Ends that come from outside, and places with less than a file system usually has: signals, power cuts, no links, other mounts."""

import errno
import os
import signal
import time
from pathlib import Path

import pytest

from artstore.backends import files
from artstore.domain.digest import BLOB, digest_of
from artstore.errors import StorageError
from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from artstore.store.paths import blob_path
from tests.support.checks import check
from tests.support.folders import make_tree, snapshot
from tests.support.trouble import at_call, cut_power, disk_image, finish, loop_mounted, run, small_disk, start

pytestmark = pytest.mark.disk

MIB = 1 << 20


def leftovers(root: Path) -> list[str]:
    return os.listdir(root / "tmp") + os.listdir(root / "trash")


def test_a_blob_with_as_many_links_as_the_file_system_allows_is_copied(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 53: EMLINK, at 65,000 links on ext4."""
    data = b"x" * MIB
    source = make_tree(tmp_path / "src", {"f": data})
    repo.put(str(source), "data")
    blob = root / blob_path(digest_of(BLOB, data))
    links = tmp_path / "links"
    links.mkdir()
    try:
        for number in range(65_001):
            os.link(blob, links / str(number))
    except OSError as error:
        assert error.errno == errno.EMLINK
    else:
        pytest.skip("this file system allows more than 65,000 links")
    repo.get(repo.find("data"), str(tmp_path / "out"), Restore(link="hardlink"))
    assert (tmp_path / "out/f").stat().st_nlink == 1
    assert snapshot(tmp_path / "out") == snapshot(source)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_a_file_system_without_hard_links_is_good_enough(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Case 53: names are given by exclusive renames then; saves, the second as well, merges and collections work."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.os, "link", refuse)
    source = make_tree(tmp_path / "src", {"f": "0", "large": b"x" * MIB})
    with Repository.init(str(root)) as repo:
        for count in range(10):
            assert repo.put(str(make_tree(source, {"f": str(count)})), "data").number == count
        repo.delete("data:v0")
        repo.gc(now=True)
        repo.get(repo.find("data"), str(tmp_path / "out"), Restore(link="hardlink"))
        assert snapshot(tmp_path / "out") == snapshot(source)
    check(root)


def test_sources_and_targets_may_lie_on_other_file_systems(repo: Repository, tmp_path: Path) -> None:
    """Case 54: links fall back to copies; nothing is renamed across."""
    with small_disk(tmp_path / "other", "32m") as other:
        source = make_tree(other / "src", {"f": "1", "large": b"x" * (2 * MIB)})
        repo.put(str(source), "data")
        for link in ("copy", "hardlink"):
            repo.get(repo.find("data"), str(other / link), Restore(link=link))  # type: ignore[arg-type]
            assert snapshot(other / link) == snapshot(source)
            (other / link / "large").chmod(0o644)
            (other / link / "large").write_bytes(b"edited")
        make_tree(other / "old", {"f": "old"})
        repo.get(repo.find("data"), str(other / "old"), Restore(link="hardlink"))
        assert snapshot(other / "old") == snapshot(source)


def test_a_repository_whose_folders_lie_on_several_file_systems_is_refused_whole(
    repo: Repository, root: Path, tmp_path: Path
) -> None:
    """Case 54: objects/ on a mount of its own can't be published to atomically: an error that says so, and nothing is committed."""
    source = make_tree(tmp_path / "src", {"f": "1"})
    with small_disk(root / "objects/packs"):
        with pytest.raises(StorageError, match="cross-device link"):
            repo.put(str(source), "data")
        assert (list(repo.collections()), leftovers(root), os.listdir(root / "objects/packs")) == ([], [], [])
    with Repository(str(root)) as again:
        assert again.put(str(source), "data").number == 0


# -- signals -------------------------------------------------------------------------------------

# Python looks for signals between two sleeps: one that comes just before a sleep would be heard after it only.
WAIT = "sys.stdout.write('here\\n'); sys.stdout.flush(); [time.sleep(0.05) for _ in range(600)]"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("call", [1, 3])
@pytest.mark.parametrize("operation", ["put", "get"])
def test_an_interrupted_command_removes_what_it_began(
    repo: Repository, root: Path, tmp_path: Path, number: int, call: int, operation: str
) -> None:
    """Case 55: exit code 130 and one sentence; no transaction, no version, no half-restored folder."""
    source = make_tree(tmp_path / "src", {"f": "1", "g": "2", "h": "3", "large": b"x" * (2 * MIB)})
    if operation == "get":
        repo.put(str(source), "data")
    setup = at_call(*(("fsync", call, WAIT) if operation == "put" else ("write", call, WAIT)))  # type: ignore[arg-type]
    process = start(
        tmp_path, *(("put", source, "--name", "data") if operation == "put" else ("get", "data")), setup=setup
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(number)
    result = finish(process, 10)
    # An empty line first ends the one on which a terminal shows ^C.
    assert (result.code, result.err.lstrip("\n")) == (130, "error: interrupted; nothing was lost\n"), result
    assert leftovers(root) == []
    if operation == "put":
        assert list(repo.collections()) == []
    else:
        assert os.listdir(tmp_path / "artifacts") == []


def test_an_interrupt_during_parallel_copies_ends_at_once(repo: Repository, root: Path, tmp_path: Path) -> None:
    """Case 55: also when other threads are copying large files."""
    source = make_tree(tmp_path / "src", {f"large{n}": os.urandom(MIB) for n in range(8)})
    setup = at_call("fsync", 1, "sys.stdout.write('here\\n'); sys.stdout.flush(); time.sleep(2)")
    process = start(tmp_path, "put", source, "--name", "data", setup=setup)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    result = finish(process, 10)
    assert result.code in (0, 130), result
    assert leftovers(root) == []
    assert len(list(repo.collections())) == (result.code == 0), "what was reported is what happened"


def test_a_second_interrupt_is_obeyed_at_once(repo: Repository, root: Path, tmp_path: Path) -> None:
    """Case 55: also in the middle of cleaning up; what is left is swept by the next command."""
    source = make_tree(tmp_path / "src", {"f": "1"})
    setup = (
        at_call("fsync", 1, WAIT)
        + "\ndef _slow(*args, **kwargs):\n    sys.stdout.write('cleaning\\n'); sys.stdout.flush(); [time.sleep(0.05) for _ in range(600)]\nos.rmdir = _slow\n"
    )
    process = start(tmp_path, "put", source, "--name", "data", setup=setup)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "cleaning\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    result = finish(process, 25)
    assert result.code == 130 and time.monotonic() - began < 20, result
    repo.put(str(source), "data")
    assert leftovers(root) == []


KILL = "os.kill(os.getpid(), signal.SIGKILL)"
POINTS = {
    "put": [
        ("mkdir", 1),
        ("fsync", 1),
        ("fsync", 2),
        ("fsync", 4),
        ("link", 1),
        ("link", 2),
        ("link", 3),
        ("unlink", 1),
        ("rmdir", 1),
    ],
    "get": [("mkdir", 2), ("write", 1), ("rename", 1)],
    "gc": [("mkdir", 1), ("mkdir", 2), ("rename", 1), ("rename", 2), ("unlink", 1), ("rmdir", 1)],
}


@pytest.mark.parametrize("operation", ["put", "get", "gc"])
def test_whatever_a_kill_interrupts_nothing_is_lost_and_the_next_command_sweeps(
    repo: Repository, root: Path, tmp_path: Path, operation: str
) -> None:
    """Case 56: kill -9 before each of the calls that matter; old versions stay whole, the target has no half file, the same command works again."""
    source = make_tree(tmp_path / "src", {"f": "0", "large": b"0" * MIB})
    repo.put(str(source), "data")
    repo.put(str(make_tree(tmp_path / "dead", {"f": "dead", "large": b"1" * MIB})), "gone")
    before, killed = snapshot(source), 0
    for number, (call, count) in enumerate(POINTS[operation]):
        if operation == "gc":
            repo.put(str(make_tree(tmp_path / "dead", {"f": f"dead{number}"})), "gone")
            repo.delete("gone:latest")
        make_tree(source, {"f": f"new{number}", "large": bytes([65 + number]) * MIB})
        command = {
            "put": ["put", "src", "--name", "data"],
            "get": ["get", "data:v0", "--root", f"out{number}"],
            "gc": ["gc", "--now"],
        }[operation]
        result = run(tmp_path, *command, setup=at_call(call, count, KILL))
        assert result.code in (0, -9)
        killed += result.code == -9
        check(root)
        if operation == "get":
            whole = tmp_path / f"out{number}"
            assert not whole.exists() or snapshot(whole) == before
            assert run(tmp_path, *command).code == 0
            assert snapshot(whole) == before
        else:
            assert run(tmp_path, *command).code == 0
    assert killed >= len(POINTS[operation]) - 1
    repo.put(str(source), "data")
    assert [name for name in leftovers(root) if not name.startswith(("gc.left", "merge.left"))] == []
    assert not [path for path in tmp_path.iterdir() if ".artstore-" in path.name]
    repo.get(repo.find("data:v0"), str(tmp_path / "last"))
    assert snapshot(tmp_path / "last") == before


CUT = "import tests.support.trouble, pathlib; tests.support.trouble.cut_power(pathlib.Path({disk!r}))"


@pytest.mark.parametrize(("kind", "size"), [("ext4", 64), ("xfs", 320)])
def test_what_was_acknowledged_survives_a_power_cut(tmp_path: Path, kind: str, size: int) -> None:
    """Case 57: the file system is stopped without writing what it holds, and mounted again."""
    image, disk = tmp_path / "image", tmp_path / "disk"
    source = make_tree(
        tmp_path / "src", {f"d/f{n}": str(n) for n in range(50)} | {f"large{n}": bytes([n]) * MIB for n in range(3)}
    )
    with disk_image(image, kind, size * MIB, disk), Repository.init(str(disk / ".artifacts")) as repo:
        repo.put(str(source), "data", aliases=("best",))
        repo.set_tags("data", ("seen",))
        cut_power(disk)
    with loop_mounted(image, disk):
        check(disk / ".artifacts")
        with Repository(str(disk / ".artifacts")) as repo:
            found = repo.find("data:best")
            assert found.version["tags"] == ["seen"]
            repo.get(found, str(tmp_path / "out"))
            assert snapshot(tmp_path / "out") == snapshot(source)


def test_a_power_cut_in_the_middle_of_a_save_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """Case 57: before each sync and each link of a save; refs are old or new, and no object has wrong bytes."""
    disk, image = tmp_path / "disk", tmp_path / "image"
    source = make_tree(tmp_path / "src", {"f": "0", "large": b"0" * MIB})
    with disk_image(image, "ext4", 64 * MIB, disk), Repository.init(str(disk / ".artifacts")) as repo:
        repo.put(str(source), "data")
        os.sync()
    cuts = 0
    for number, point in enumerate([("fsync", n) for n in (1, 2, 3, 5)] + [("link", n) for n in (1, 2, 3)]):
        with loop_mounted(image, disk):
            with Repository(str(disk / ".artifacts")) as repo:
                heads = len(repo.collection("data").live())
            make_tree(source, {"f": f"{number}", "large": bytes([97 + number]) * MIB})
            action = CUT.format(disk=str(disk))
            here = str(Path(__file__).parents[3])
            result = run(
                tmp_path,
                "put",
                source,
                "--name",
                "data",
                setup=at_call(*point, action),
                ARTSTORE_DIR=str(disk / ".artifacts"),
                PYTHONPATH=here,
            )
            cuts += result.code != 0
        with loop_mounted(image, disk):
            check(disk / ".artifacts")
            with Repository(str(disk / ".artifacts")) as repo:
                assert len(repo.collection("data").live()) in (heads, heads + 1), point
    assert cuts >= 6


STOP = "os.kill(os.getpid(), signal.SIGSTOP)"


@pytest.mark.parametrize("call", [1, 3])
@pytest.mark.parametrize("abandoned", [False, True], ids=["waited for", "abandoned"])
def test_a_save_that_was_suspended_while_others_collected_is_whole_or_fails(
    repo: Repository, root: Path, tmp_path: Path, call: int, abandoned: bool
) -> None:
    """Case 58: gc waits for its transaction, or takes it on the user's word; on waking the save brings back what went, or says that it failed."""
    source = make_tree(tmp_path / "src", {"f": "shared", "large": b"s" * MIB})
    repo.put(str(source), "old")
    repo.delete("old:v0")
    make_tree(source, {"new": "1"})
    process = start(tmp_path, "put", source, "--name", "data", setup=at_call("fsync", call, STOP))
    deadline = time.monotonic() + 20
    while _state(process.pid) != "T":
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    result = run(tmp_path, "gc", "--now")
    assert result.code == 0 and "nothing was freed, because of open work" in result.out
    if abandoned:
        (transaction,) = os.listdir(root / "tmp")[:1]
        transactions = [name for name in os.listdir(root / "tmp") if (root / "tmp" / name).is_dir()]
        assert run(tmp_path, "gc", "--now", "--abandon", transactions[0], "--force").code == 0, transaction
    process.send_signal(signal.SIGCONT)
    result = finish(process)
    assert result.code == 0 or (abandoned and result.code in (7, 9)), result
    live = [state for state in repo.collections() if state.path.name == "data" and state.live()]
    assert len(live) == (result.code == 0)
    repo.put(str(source), "data")
    repo.get(repo.find("data"), str(tmp_path / "out"))
    assert snapshot(tmp_path / "out") == snapshot(source)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
