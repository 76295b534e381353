"""The workloads: folders of files that come out the same on every machine, and the edits between versions.

Contents are BLAKE3's own output stream, keyed by a short text, so nothing compresses and nothing repeats by accident.
"""

from __future__ import annotations

import math
import os
import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from blake3 import blake3

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PIECE = 16 * MIB
INSERTED = 64 * KIB
# A stat cache may only trust a file whose ctime lies clearly before the moment it was read (git's "racy" files).
AGE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class File:
    """One file to be: where, how many bytes, and the text that keys its content (equal text and size, equal bytes)."""

    path: str
    size: int
    content: str


@dataclass(frozen=True, slots=True)
class Shape:
    """How many files in how many folders, how large, and which share of them repeats an earlier one."""

    files: int
    folders: int
    size: Callable[[random.Random], int]
    repeated: float = 0.0

    def scaled(self, scale: float) -> Shape:
        """A workload of few files shrinks by their size, one of many by their number."""
        if self.files < 100:
            size = self.size
            return replace(self, size=lambda rng: max(1, int(size(rng) * scale)))
        return replace(self, files=max(100, int(self.files * scale)), folders=math.ceil(self.folders * scale))


def _log_normal(rng: random.Random) -> int:
    """Median 15 KiB, mean about 107 KiB, so that 10,000 make about 1 GiB."""
    return min(64 * MIB, int(rng.lognormvariate(9.63, 2.0)))


SHAPES = {
    "images": Shape(2_000, 20, lambda rng: int(2 * MIB * 2 ** rng.random())),
    "flat": Shape(200_000, 0, lambda rng: KIB),
    "small": Shape(50_000, 100, lambda rng: 4 * KIB),
    "tiny": Shape(100_000, 200, lambda rng: 600),
    "million": Shape(1_000_000, 2_000, lambda rng: 600),
    "medium": Shape(5_000, 50, lambda rng: 200 * KIB),
    "shards": Shape(32, 0, lambda rng: 64 * MIB),
    "big": Shape(1, 0, lambda rng: 2 * GIB),
    "quarter": Shape(1, 0, lambda rng: 256 * MIB),
    "mixed": Shape(10_000, 100, _log_normal, repeated=0.2),
    "hundred": Shape(100, 1, lambda rng: 4 * KIB),
}


@dataclass
class Tree:
    """A workload on disk: its root, what it holds now, and how often it was edited."""

    root: Path
    files: dict[str, File]
    edits: int = 0
    touched: float = field(default_factory=time.time)

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files.values())

    @property
    def unique_bytes(self) -> int:
        return sum({file.content: file.size for file in self.files.values()}.values())

    def copy(self, root: Path) -> Tree:
        subprocess.run(["cp", "-r", str(self.root), str(root)], check=True)
        return Tree(root, dict(self.files), self.edits)

    def age(self) -> None:
        """Wait until the last change is old enough to be trusted by its times."""
        time.sleep(max(0.0, self.touched + AGE_SECONDS - time.time()))

    def edit(self, changed: int, added: int = 0, deleted: int = 0) -> int:
        """Change, add and delete so many files, chosen evenly; returns how many bytes of the old content are gone."""
        self.edits += 1
        rng = random.Random(f"edit {self.edits}")
        chosen = rng.sample(sorted(self.files), min(len(self.files), changed + deleted))
        gone = sum(self.files[path].size for path in chosen)
        for path in chosen[:changed]:
            self._put(replace(self.files[path], content=f"{path} edit {self.edits}"))
        for path in chosen[changed:]:
            (self.root / path).unlink()
            del self.files[path]
        for path in rng.sample(sorted(self.files), added):
            stem, suffix = os.path.splitext(path)
            name = f"{stem}-{self.edits}{suffix}"
            self._put(File(name, self.files[path].size, f"{name} edit {self.edits}"))
        self.touched = time.time()
        return gone

    def next_version(self) -> None:
        """1 % changed, 1 % added, 1 % deleted; a single file gets 64 KiB inserted in its middle."""
        if len(self.files) == 1:
            self._insert()
        else:
            share = max(1, len(self.files) // 100)
            self.edit(share, share, share)

    def _insert(self) -> None:
        self.edits += 1
        (old,) = self.files.values()
        with (self.root / old.path).open("r+b") as stream:
            stream.seek(old.size // 2)
            tail = stream.read()
            stream.seek(old.size // 2)
            stream.write(blake3(f"inserted {self.edits}".encode()).digest(length=INSERTED))
            stream.write(tail)
        self.files[old.path] = File(old.path, old.size + INSERTED, f"{old.content} edit {self.edits}")
        self.touched = time.time()

    def _put(self, file: File) -> None:
        self.files[file.path] = file
        write(self.root, file)


def write(root: Path, file: File) -> None:
    stream = blake3(file.content.encode())
    with open(f"{root}/{file.path}", "wb", 0) as out:
        for at in range(0, file.size, PIECE):
            out.write(stream.digest(length=min(PIECE, file.size - at), seek=at))


def plan(name: str, scale: float = 1.0, seed: int = 0) -> list[File]:
    """The files of a workload; another seed gives other contents in the same shape."""
    shape = SHAPES[name].scaled(scale) if scale != 1.0 else SHAPES[name]
    rng = random.Random(f"{name} {seed}")
    files: list[File] = []
    for number in range(shape.files):
        folder = f"d{number * shape.folders // shape.files:04d}/" if shape.folders else ""
        path = f"{folder}f{number:07d}.bin"
        if files and rng.random() < shape.repeated:
            files.append(replace(rng.choice(files), path=path))
        else:
            files.append(File(path, shape.size(rng), f"{name} {seed} {number}"))
    return files


def make(name: str, root: Path, scale: float = 1.0, seed: int = 0) -> Tree:
    """Write a workload into a new folder."""
    files = plan(name, scale, seed)
    root.mkdir(parents=True)
    for folder in {os.path.dirname(file.path) for file in files} - {""}:
        (root / folder).mkdir()
    for file in files:
        write(root, file)
    return Tree(root, {file.path: file for file in files})
