"""Packs, damage and places for the tests of maintenance."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from artstore.backends import owner
from artstore.backends.storage import FolderStorage
from artstore.domain.digest import BLOB, Digest, digest_of
from artstore.operations.upkeep.collect import (
    Collected,
    collect,
    foresee,
)
from artstore.operations.upkeep.mark import Marks
from artstore.progress import Monitor
from artstore.repository import Repository
from artstore.store.packs import FRAMES_MAGIC
from artstore.store.paths import pack_path
from tests.support.folders import make_tree
from tests.support.forge import Forger

DAY = 86400.0
MIB = 1 << 20
LARGE = b"L" * (MIB + 1)


def blob(data: bytes) -> Digest:
    return digest_of(BLOB, data)


def pack(repo: Repository, *contents: bytes, age: float = 0.0) -> str:
    """Publish a pack of these blobs; its name."""
    path = Forger(Path(repo.root)).pack(*((BLOB, content) for content in contents))
    os.utime(path, (time.time() - age,) * 2)
    return path.stem


def put(repo: Repository, tmp_path: Path, name: str, files: dict[str, str | bytes | None], **more: Any) -> None:
    repo.put(str(make_tree(tmp_path / "src" / os.urandom(4).hex(), files)), name, **more)


def spoil_packed(root: Path, at: int) -> Path:
    """Flip a bit at an offset of the only pack of frames. Its path."""
    (path,) = [path for path in (root / "objects/packs").iterdir() if path.read_bytes()[:8] == FRAMES_MAGIC]
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    return path


def packs(repo: Repository) -> set[str]:
    return {name[:-5] for name in os.listdir(repo.storage.path("objects/packs"))}


def gc(repo: Repository, grace: float = 0.0, *, dry_run: bool = False) -> Collected:
    act = foresee if dry_run else collect
    return act(repo.objects, repo.refs, repo.runs, grace=grace, monitor=Monitor())


def marks(repo: Repository, **more: Any) -> Marks:
    return Marks(repo.objects, repo.refs, repo.runs, Monitor(), **more)


def dead_owner(**parts: str) -> str:
    """The name of a process of this host that has ended."""
    child = subprocess.Popen(["true"])
    child.wait()
    return str(owner.this_process()._replace(pid=child.pid))


def damage(repo: Repository, name: str, content: bytes) -> None:
    """Change a byte of an object in a pack."""
    path = Path(repo.storage.path(pack_path(name)))
    data = path.read_bytes()
    assert content in data
    path.chmod(0o644)
    path.write_bytes(data.replace(content, b"?" + content[1:]))


class Elsewhere(FolderStorage):
    """A folder as on a network file system: nobody's death can be proved from here by a boot, and listings may be old."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.local = self.coherent = False


class Distant(FolderStorage):
    """A folder that says it is far away."""

    distant = True
