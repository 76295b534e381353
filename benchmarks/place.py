"""Where a benchmark works: one folder, in it a place for each workload with its tree, its store and its runs."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from artstore.backends.mounts import mount_of
from benchmarks import workloads
from benchmarks.measure import Command, measure, run_untimed
from benchmarks.workloads import Tree

HERE = Path(__file__).parent
# Trees of fewer files are removed right after their run; the others stay to the end, since on ext4 creating files soon
# after many were deleted is slow: the kernel does not reuse an inode within a minute of its deletion.
FEW_FILES = 3_000
SETTLE_SECONDS = 75
# A tool that shares nothing between its saves makes five copies of a workload, git-annex eight inodes a file.
COPIES, INODES = 6, 9


@dataclass(frozen=True)
class Settings:
    """What the command line chose."""

    work: Path
    scale: float
    rounds: int
    python: str
    artstore: str
    peers: Path | None

    def search_path(self, venv: str = "") -> str:
        """A PATH on which a tool's own environment comes first, then the artstore to measure."""
        own = [str(self.peers / venv / "bin")] if self.peers and venv else []
        return os.pathsep.join([*own, os.path.dirname(self.artstore), os.environ["PATH"]])


class Bench:
    """The work folder and the tools; hands out places and makes the commands to time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.work = settings.work
        self._places: dict[str, Place] = {}
        self.work.mkdir(parents=True)

    def place(self, name: str) -> Place:
        return self._places.setdefault(name, Place(self, name))

    def artstore(
        self, store: Path, *args: str | Path, reads: tuple[Path, ...] = (), makes: Path | None = None
    ) -> Command:
        argv = (self.settings.artstore, *map(str, args))
        return Command(argv, {"ARTSTORE_DIR": str(store)}, self.work, reads, makes)

    def python(self, *args: str | Path, reads: tuple[Path, ...] = ()) -> Command:
        return Command((self.settings.python, *map(str, args)), cwd=self.work, reads=reads)

    def start(self) -> Command:
        return self.artstore(self.work / "none", "--version")

    @cached_property
    def start_anon_bytes(self) -> int:
        """The anonymous memory of a process that only starts."""
        return max(measure(self.start(), memory=True).peak_anon_bytes or 0 for _ in range(5))

    @cached_property
    def start_read_bytes(self) -> int:
        """What a process that only starts reads through system calls."""
        return measure(self.start()).read_bytes

    def shown(self, command: Command) -> str:
        """The command as a person would type it, without the paths of this machine."""
        text = shlex.join(command.argv)
        if store := command.env.get("ARTSTORE_DIR"):
            text = f"ARTSTORE_DIR={store} {text}"
        return self.without_paths(text)

    def without_paths(self, text: str) -> str:
        settings = self.settings
        for path, word in (
            (str(self.work), "$WORK"),
            (str(HERE), "benchmarks"),
            (settings.artstore, "artstore"),
            (settings.python, "python"),
            *([(str(settings.peers), "$PEERS")] if settings.peers else []),
        ):
            text = text.replace(path, word)
        return text

    def make_room(self, place: Place) -> None:
        """Where the disk is too small to keep every run's output to the end: remove it now, and let the disk settle."""
        disk = os.statvfs(self.work)
        if disk.f_bavail * disk.f_frsize > COPIES * place.disk_bytes and disk.f_favail > INODES * place.files:
            return
        for place in self._places.values():
            _remove(place.runs)
        if mount_of(str(self.work))[0] != "tmpfs":  # memory has nothing to settle
            os.sync()
            time.sleep(SETTLE_SECONDS)

    def close(self) -> None:
        _remove(self.work)


class Place:
    """One workload: its tree, a store that has it saved as `data:v0`, and new folders for what runs write."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench = bench
        self.name = name
        self.root = bench.work / name
        self.runs = self.root / "runs"
        self._count = 0
        self._saves = 0
        self._saved_edits = 0
        self._with_dead: dict[float, tuple[Path, int]] = {}

    @cached_property
    def tree(self) -> Tree:
        return workloads.make(self.name, self.root / "tree", self.bench.settings.scale)

    @property
    def has_tree(self) -> bool:
        return self.name in workloads.SHAPES

    @property
    def files(self) -> int:
        return len(self.tree.files) if self.has_tree else 1

    def remove_if_few_files(self, made: Path | None) -> None:
        """Remove what a run of a workload of few files has made; everything else stays until the end."""
        if made and self.has_tree and self.files < FEW_FILES:
            _remove(made)

    @property
    def disk_bytes(self) -> int:
        """What a copy of the tree takes on a disk of 4 KiB blocks, inodes included."""
        return sum(-(-file.size // 4096) * 4096 + 512 for file in self.tree.files.values()) if self.has_tree else 0

    def new(self, label: str) -> Path:
        """A path that does not exist yet, in a folder that does."""
        self.runs.mkdir(parents=True, exist_ok=True)
        self._count += 1
        return self.runs / f"{self._count:04d}-{label}"

    def put(self, store: Path, *, makes: Path | None = None) -> Command:
        self.tree.age()
        args = ("put", self.tree.root, "--name", "data")
        return self.bench.artstore(store, *args, reads=(self.tree.root,), makes=makes)

    @cached_property
    def store(self) -> Path:
        """The store that saves come back to."""
        store = self.root / "store"
        run_untimed(self.put(store))
        self._saved_edits, self._saves = self.tree.edits, 1
        return store

    def next_save(self) -> Command:
        """The save of the tree as it is now into the store; counted as done."""
        command = self.put(self.store)
        self._saved_edits = self.tree.edits
        self._saves += 1
        return command

    def saved(self) -> Path:
        """The store, with the tree as it is now saved in it."""
        if self.store and self._saved_edits != self.tree.edits:
            run_untimed(self.next_save())
        return self.store

    def two_versions(self) -> Path:
        """The store, with `data:v0` and `data:v1` in it: 1 % changed, added and deleted between them."""
        store = self.saved()
        if self._saves < 2:
            self.tree.next_version()
            run_untimed(self.next_save())
        return store

    @cached_property
    def downloaded(self) -> Path:
        """A folder with `data:v0`, old enough to be trusted by its times."""
        folder = self.root / "downloaded"
        run_untimed(self.bench.artstore(self.store, "get", "data:v0", "--root", folder))
        time.sleep(workloads.AGE_SECONDS)
        return folder

    @cached_property
    def linked(self) -> Path:
        """A folder with `data:v0` as hard links: from now on its stored files are known as verified."""
        folder = self.root / "linked"
        run_untimed(self.bench.artstore(self.store, "get", "data:v0", "--root", folder, "--link", "hardlink"))
        return folder

    def store_with_dead(self, share: float) -> tuple[Path, int]:
        """A store whose first version was deleted; that share of files differs in the second. With its dead bytes."""
        if share not in self._with_dead:
            store = self.root / f"dead-{share}"
            run_untimed(self.put(store))
            dead_bytes = self.tree.edit(max(1, int(share * self.files)))
            run_untimed(self.put(store))
            run_untimed(self.bench.artstore(store, "rm", "data:v0"))
            self._with_dead[share] = store, dead_bytes
        return self._with_dead[share]

    def copy_of(self, folder: Path, label: str) -> Path:
        copy = self.new(label)
        subprocess.run(["cp", "-r", str(folder), str(copy)], check=True)
        return copy


def _remove(folder: Path) -> None:
    """git-annex write-protects the folders of its store, which holds off everybody but root."""
    subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


def stored_bytes(store: Path) -> int:
    """The size of a store's files, but for its cache."""
    total = 0
    for folder, names, files in os.walk(store):
        if Path(folder) == store and "cache" in names:
            names.remove("cache")
        total += sum(os.lstat(os.path.join(folder, name)).st_size for name in files)
    return total
