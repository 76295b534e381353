"""The commands that cases time: artstore's and the floors'. Each prepares one run, untimed, and says what to time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import crowds, workloads
from benchmarks.crowds import crowded_store
from benchmarks.measure import Command, Run
from benchmarks.place import HERE, Place, stored_bytes

Prepare = Callable[[Place, int], Command]
Probe = Callable[[Place, Command, Run], float]


@dataclass(frozen=True)
class Side:
    """One half of a case: its name in the table, and the preparation of run number N."""

    label: str
    prepare: Prepare


# Floors

HASH_SCRIPT = """\
import sys
from blake3 import blake3
print(blake3(max_threads=blake3.AUTO).update_mmap(sys.argv[1]).hexdigest())
"""


def _start(place: Place, run: int) -> Command:
    return place.bench.start()


def _import_click(place: Place, run: int) -> Command:
    return place.bench.python("-c", "import click")


def _import_artstore(place: Place, run: int) -> Command:
    return place.bench.python("-c", "import artstore")


def _cp(place: Place, run: int) -> Command:
    target = place.new("cp")
    return Command(("cp", "-r", str(place.tree.root), str(target)), reads=(place.tree.root,), makes=target)


def _cp_sync(place: Place, run: int) -> Command:
    target = place.new("cp")
    script = 'cp -r "$1" "$2" && sync -f "$2"'
    argv = ("sh", "-c", script, "sh", str(place.tree.root), str(target))
    return Command(argv, reads=(place.tree.root,), makes=target)


def _walk(place: Place, run: int) -> Command:
    return place.bench.python(HERE / "walk.py", place.tree.root)


def _walk_downloaded(place: Place, run: int) -> Command:
    return place.bench.python(HERE / "walk.py", place.downloaded)


def _hash(place: Place, run: int) -> Command:
    (path,) = place.tree.files
    return place.bench.python("-c", HASH_SCRIPT, place.tree.root / path, reads=(place.tree.root,))


START = Side("CLI start", _start)
IMPORT_CLICK = Side("`import click`", _import_click)
IMPORT_ARTSTORE = Side("`import artstore`", _import_artstore)
CP = Side("`cp -r`", _cp)
CP_SYNC = Side("`cp -r` + `sync -f`", _cp_sync)
WALK = Side("scandir + stat", _walk)
WALK_DOWNLOADED = Side("scandir + stat", _walk_downloaded)
HASH = Side("BLAKE3 of the file", _hash)


# Saves


def _save_new(place: Place, run: int) -> Command:
    store = place.new("store")
    return place.put(store, makes=store)


def _save_again(place: Place, run: int) -> Command:
    return place.put(place.saved())


def _save_next(place: Place, run: int) -> Command:
    place.saved()
    place.tree.next_version()
    return place.next_save()


def _save_one_changed(place: Place, run: int) -> Command:
    place.saved()
    place.tree.edit(1)
    return place.next_save()


SAVE = Side("save", _save_new)
SAVE_AGAIN = Side("re-save unchanged", _save_again)
SAVE_NEXT = Side("save v2", _save_next)
SAVE_ONE_CHANGED = Side("save with one file changed", _save_one_changed)


# Downloads, checks, listings


def _download(place: Place, run: int) -> Command:
    target = place.new("download")
    args = ("get", "data:v0", "--root", target)
    return place.bench.artstore(place.store, *args, reads=(place.store,), makes=target)


def _download_link(place: Place, run: int) -> Command:
    assert place.linked
    target = place.new("link")
    args = ("get", "data:v0", "--root", target, "--link", "hardlink")
    # Its output stays: removing one link would move the ctime of the file that all share, and the next run would hash it.
    return place.bench.artstore(place.store, *args)


def _download_again(place: Place, run: int) -> Command:
    return place.bench.artstore(place.store, "get", "data:v0", "--root", place.downloaded)


def _verify(place: Place, run: int) -> Command:
    folder = place.downloaded
    return place.bench.artstore(place.store, "verify", "data:v0", folder, reads=(place.store, folder))


def _fsck(place: Place, run: int) -> Command:
    return place.bench.artstore(place.store, "fsck", reads=(place.store,))


def _list(place: Place, run: int) -> Command:
    return place.bench.artstore(place.store, "ls", "--recursive", "data:v0")


def _diff(place: Place, run: int) -> Command:
    return place.bench.artstore(place.two_versions(), "diff", "data:v0", "data:v1")


def gc(share: float) -> Side:
    """gc of a copy of a store whose first version was deleted, with that share of its files changed in the second."""

    def prepare(place: Place, run: int) -> Command:
        store = place.copy_of(place.store_with_dead(share)[0], "gc")
        return place.bench.artstore(store, "gc", "--now", reads=(store,), makes=store)

    return Side("gc", prepare)


DOWNLOAD = Side("download", _download)
DOWNLOAD_LINK = Side("download, hard link", _download_link)
DOWNLOAD_AGAIN = Side("download again", _download_again)
VERIFY = Side("verify", _verify)
FSCK = Side("fsck", _fsck)
LIST = Side("ls", _list)
DIFF = Side("diff", _diff)


# In crowded stores


def crowded(label: str, *args: str) -> Side:
    """An everyday command in a crowded store; `{run}` is the run's number, `{middle}` half the store's size."""

    def prepare(place: Place, run: int) -> Command:
        middle = crowds.size(place) // 2
        return place.bench.artstore(crowded_store(place), *(arg.format(run=run, middle=middle) for arg in args))

    return Side(label, prepare)


def save_hundred(label: str, name: str, *, empty: bool = False) -> Side:
    """A save of 100 new files of 4 KiB into the crowded store, or into one that does not exist yet."""

    def prepare(place: Place, run: int) -> Command:
        store = place.new("store") if empty else crowded_store(place)
        tree = workloads.make("hundred", place.new("hundred"), seed=1_000_000 + 2 * run + empty)
        tree.age()
        return place.bench.artstore(store, "put", tree.root, "--name", name.format(run=run), reads=(tree.root,))

    return Side(label, prepare)


# Probes: figures taken after a run, beside its time


def size_over_payload(place: Place, command: Command, run: Run) -> float:
    assert command.makes
    return stored_bytes(command.makes) / place.tree.unique_bytes


def bytes_over_payload_per_file(place: Place, command: Command, run: Run) -> float:
    assert command.makes
    return (stored_bytes(command.makes) - place.tree.unique_bytes) / place.files


def freed_share(share: float) -> Probe:
    def probe(place: Place, command: Command, run: Run) -> float:
        assert command.makes
        store, dead_bytes = place.store_with_dead(share)
        return (stored_bytes(store) - stored_bytes(command.makes)) / dead_bytes

    return probe


def written_mib(place: Place, command: Command, run: Run) -> float:
    return run.written_bytes / workloads.MIB


def read_share_of_payload(place: Place, command: Command, run: Run) -> float:
    """What the command read, through system calls, beyond a CLI start, as a share of the tree's bytes."""
    return max(0, run.read_bytes - place.bench.start_read_bytes) / place.tree.total_bytes


def anon_mb(place: Place, command: Command, run: Run) -> float:
    return (run.peak_anon_bytes or sys.maxsize) / 1e6


def anon_mb_over_start(place: Place, command: Command, run: Run) -> float:
    return ((run.peak_anon_bytes or sys.maxsize) - place.bench.start_anon_bytes) / 1e6
