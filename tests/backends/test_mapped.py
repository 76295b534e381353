"""Files that are changed through shared memory maps, without a flush: no save, no download and no status misses it."""

import mmap
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy
import pytest

from artstore.backends import mapped
from artstore.backends.mounts import memory_devices
from artstore.errors import Refused
from artstore.operations.restoring.options import Restore
from artstore.repository import Repository
from artstore.store.packs import LARGE
from tests.support.commands import Cli
from tests.support.folders import make_tree, touched
from tests.support.tracing import age, opened_below, trace
from tests.support.trouble import MIB, image, mounted

pytestmark = pytest.mark.disk  # memory is one of its cases

Store = Callable[[int], None]
"""Changes the first item of an array in place, without a flush."""

SMALL, BIG = 1000, 2 * LARGE // 8
"""Items of eight bytes: a file of a pack, and one of its own."""


@pytest.fixture(params=["tests", "memory", "ext4", "xfs", "btrfs", "overlay"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of a kind, with a repository's settings around it."""
    kind = request.param
    if kind == "tests":
        yield tmp_path
    elif kind == "memory":
        with mounted(tmp_path / "disk", "-t", "tmpfs", "tmpfs") as disk:
            yield disk
    elif kind == "overlay":
        below = make_tree(tmp_path, {"lower": None, "upper": None, "work": None})
        layers = f"lowerdir={below}/lower,upperdir={below}/upper,workdir={below}/work"
        with mounted(tmp_path / "disk", "-t", "overlay", "-o", layers, "overlay") as disk:
            yield disk
    else:
        with image(tmp_path, kind, 400 * MIB, "-q") as disk:
            yield disk


def with_numpy(path: Path) -> Store:
    array = numpy.lib.format.open_memmap(path, mode="r+")

    def store(value: int) -> None:
        array[0] = value

    return store


def with_mmap(path: Path) -> Store:
    with path.open("r+b") as file:
        view = mmap.mmap(file.fileno(), 0)

    def store(value: int) -> None:
        view[128:136] = value.to_bytes(8, sys.byteorder)  # behind the header

    return store


_HOLDER = """
import sys, numpy
array = numpy.lib.format.open_memmap(sys.argv[1], mode="r+")
for line in sys.stdin:
    array[0] = int(line)
    print("stored", flush=True)
"""


@pytest.fixture(params=["numpy", "mmap", "another process"])
def hold(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], Store]]:
    """Maps an array, and keeps it mapped until the end of the test."""
    processes: list[subprocess.Popen[str]] = []

    def with_process(path: Path) -> Store:
        command = [sys.executable, "-c", _HOLDER, str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)

        def store(value: int) -> None:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(f"{value}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "stored\n"

        return store

    yield {"numpy": with_numpy, "mmap": with_mmap, "another process": with_process}[request.param]
    for process in processes:
        process.communicate(timeout=20)


@pytest.fixture
def repository(place: Path) -> Iterator[Repository]:
    with Repository.init(str(place / ".artifacts")) as repo:
        yield repo


def make_array(path: Path, items: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    numpy.save(path, numpy.zeros(items, dtype=numpy.int64))
    return path


def first_item(repo: Repository, place: Path, spec: str) -> int:
    """As restored."""
    done = repo.get(repo.find(spec), str(place / spec.replace(":", "-")))
    return int(numpy.load(Path(done.root) / "array.npy")[0])


@pytest.mark.diagonal("place", "hold", "items")
@pytest.mark.parametrize("items", [SMALL, BIG], ids=["small", "large"])
def test_what_is_stored_through_a_map_without_a_flush_is_in_the_next_version(
    repository: Repository, place: Path, hold: Callable[[Path], Store], items: int
) -> None:
    array = make_array(place / "src" / "array.npy", items)
    store = hold(array)
    store(1)
    age(place)
    for number in range(3):
        store(number + 10)
        assert repository.put(str(array.parent), "a").number == number
        assert repository.put(str(array), "file").number == number
    assert [first_item(repository, place, f"a:v{n}") for n in range(3)] == [10, 11, 12]
    assert [first_item(repository, place, f"file:v{n}") for n in range(3)] == [10, 11, 12]
    assert not repository.put(str(array.parent), "a").is_new


@pytest.mark.parametrize("items", [SMALL, BIG], ids=["small", "large"])
def test_a_map_made_after_a_save_is_noticed_when_it_is_gone_again(
    repository: Repository, place: Path, items: int
) -> None:
    array = make_array(place / "src" / "array.npy", items)
    age(place)
    for value in range(3):
        repository.put(str(array.parent), "a")
        repository.put(str(array), "file")
        view = numpy.lib.format.open_memmap(array, mode="r+")
        assert view[0] == value  # a load first: behind it, file systems in memory don't see the store
        view[0] = value + 1
        del view
        age(place)
    assert repository.put(str(array.parent), "a").number == repository.put(str(array), "file").number == 3
    assert [first_item(repository, place, f"a:v{n}") for n in range(4)] == [0, 1, 2, 3]


def test_status_and_verify_tell_what_was_stored_through_a_map(
    repository: Repository, place: Path, hold: Callable[[Path], Store]
) -> None:
    array = make_array(place / "src" / "array.npy", SMALL)
    store = hold(array)
    store(1)
    age(place)
    repository.put(str(array.parent), "a")
    (status,) = repository.status()
    assert status.verified is not None and status.verified.ok
    store(2)
    (status,) = repository.status()
    assert status.verified is not None and status.verified.changed == ["array.npy"]
    assert repository.verify(repository.find("a"), str(array.parent)).changed == ["array.npy"]


def test_a_download_over_what_was_stored_through_a_map_refuses_or_replaces_it(
    repository: Repository, place: Path, hold: Callable[[Path], Store]
) -> None:
    array = make_array(place / "src" / "array.npy", SMALL)
    repository.put(str(array.parent), "a")
    found, out = repository.find("a"), place / "out"
    repository.get(found, str(out))
    store = hold(out / "array.npy")
    store(1)
    age(place)
    with pytest.raises(Refused, match="array.npy"):
        repository.get(found, str(out), Restore(force=False))
    repository.put(str(out), "a")  # now it is known, as it is: mapped
    changed = repository.find("a")
    assert repository.get(changed, str(out), Restore(force=False)).written == 0
    store(2)
    with pytest.raises(Refused, match="array.npy"):
        repository.get(changed, str(out), Restore(force=False))
    assert repository.get(changed, str(out)).written == 1
    assert numpy.load(out / "array.npy")[0] == 1


def test_a_save_by_the_command_line_sees_what_a_process_at_work_stored(
    tmp_path: Path, hold: Callable[[Path], Store], cli: Cli
) -> None:
    array = make_array(tmp_path / "src" / "array.npy", SMALL)
    store = hold(array)
    store(1)
    age(tmp_path)
    cli("init")
    assert "a:v0" in cli("put", "src", "--name", "a").out
    store(2)
    assert "a:v1" in cli("put", "src", "--name", "a").out


def test_a_file_that_is_mapped_for_reading_only_is_not_read_again(tmp_path: Path) -> None:
    array = make_array(tmp_path / "src" / "array.npy", SMALL)
    view = numpy.load(array, mmap_mode="r")
    age(tmp_path)
    trace(tmp_path, "openat", "put", array.parent, "--name", "a")
    assert opened_below(trace(tmp_path, "openat", "put", array.parent, "--name", "a"), array.parent) == []
    assert view[0] == 0


def test_an_unchanged_folder_is_saved_again_without_a_look_at_any_process(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {f"f{n}": f"{n}" for n in range(50)})
    age(source)

    def looked() -> list[str]:
        lines = trace(tmp_path, "openat", "put", source, "--name", "a")
        return [line for line in lines if "/maps" in line and "/proc/" in line]

    assert looked() != []
    assert looked() == []


def test_a_kernel_that_cannot_be_asked_for_maps_lists_the_same(tmp_path: Path) -> None:
    array = make_array(tmp_path / "array.npy", SMALL)
    views: list[Any] = [numpy.lib.format.open_memmap(array, mode=mode) for mode in ("r+", "r", "c")]
    other = make_array(tmp_path / "other.npy", SMALL)
    views.append(numpy.load(other, mmap_mode="r"))
    fd = os.open("/proc/self/maps", os.O_RDONLY)
    try:
        listed = mapped._listed(fd)
        assert array.stat().st_ino in listed and other.stat().st_ino not in listed
        assert mapped._inodes_in(fd) | {0} == listed | {0}
    finally:
        os.close(fd)


def test_many_files_added_one_by_one_share_a_look() -> None:
    first = mapped.look(time.time_ns())
    old = first.at - 1
    assert all(mapped.look(old) is mapped.look(old) for _ in range(100))
    looks = [mapped.look(time.time_ns(), of_many=True) for _ in range(100)]
    assert all(new is old or new.at - old.at >= 10 * old.took for old, new in pairwise(looks))
    assert looks[0] is looks[1]


def test_a_file_system_in_memory_is_told_by_its_device(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "tmpfs") as disk:
        assert disk.stat().st_dev in memory_devices()
        linked = tmp_path / "src" / "linked"
        linked.parent.mkdir()
        array = make_array(disk / "array.npy", SMALL)
        linked.symlink_to(array)
        age(tmp_path)
        with Repository.init(str(tmp_path / ".artifacts")) as repo:
            repo.put(str(linked.parent), "a")
            before, view = touched(array), numpy.load(array, mmap_mode="r+")
            assert view[0] == 0
            view[0] = 1
            del view
            assert touched(array) == before
            assert repo.put(str(linked.parent), "a").number == 1
