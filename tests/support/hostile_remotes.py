"""Two repositories around a remote that somebody else may write to."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from artstore.backends.storage import FolderStorage
from artstore.domain.digest import BLOB, digest_of
from artstore.errors import (
    ArtstoreError,
)
from artstore.repository import Repository
from artstore.store.paths import blob_path
from tests.support.checks import check
from tests.support.folders import make_tree, snapshot
from tests.support.servers import (
    PASS,
    Action,
    Request,
)

MIB = 1 << 20
LARGE = b"L" * (MIB + 7)
FILES: dict[str, str | bytes | None] = {"a": "a" * 99, "b/c": "c" * 999, "large": LARGE}


class Two:
    """A repository with a remote in a folder: `author` has pushed `good`; `reader` knows the remote, and has `own`."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.remote = tmp_path / "remote"
        self.author = str(tmp_path / "author")
        self.reader = str(tmp_path / "reader")
        self.source = make_tree(tmp_path / "source", FILES)
        self.own = make_tree(tmp_path / "own", {"mine": "mine", "my large": b"M" * MIB})
        with Repository.init(self.author) as repository:
            repository.remotes.add("origin", str(self.remote), make=True)
            repository.put(str(self.source), "good")
            repository.push()
        with Repository.init(self.reader) as repository:
            repository.remotes.add("origin", str(self.remote))
            repository.put(str(self.own), "own")

    @property
    def log(self) -> Path:
        return self.remote / "refs/local/uncategorized/good"

    @property
    def blob(self) -> Path:
        return self.remote / blob_path(digest_of(BLOB, LARGE))

    @property
    def pack(self) -> Path:
        (pack,) = (self.remote / "objects/packs").iterdir()
        return pack

    def pull(self) -> list[Any]:
        """What a pull refuses, else it raises."""
        with Repository(self.reader) as repository:
            return repository.pull().refused

    def push(self, root: str | None = None) -> list[Any]:
        with Repository(root or self.reader) as repository:
            return repository.push().refused

    def put_and_push(self, number: int = 0) -> list[Any]:
        more = make_tree(self.tmp_path / f"more{number}", {"more": f"more {number}", "large more": os.urandom(MIB)})
        with Repository(self.author) as repository:
            repository.put(str(more), "good")
            return repository.push().refused

    def refuses_to_pull(self, *kinds: type[BaseException]) -> ArtstoreError:
        """It raises (or reports) one of these, and nothing changes but what we know of the remote."""
        before = state_of(self.reader)
        try:
            refused = self.pull()
        except ArtstoreError as error:
            problem = error
        else:
            assert refused, "it was pulled"
            problem = refused[0].problem
        assert isinstance(problem, kinds or ArtstoreError), repr(problem)
        assert state_of(self.reader) == before
        check(Path(self.reader))
        return problem

    def pulls(self) -> None:
        assert self.pull() == []
        out = self.tmp_path / f"out-{os.urandom(4).hex()}"
        with Repository(self.reader) as repository:
            repository.get(repository.find("good:v0"), str(out))
        assert snapshot(out) == snapshot(self.source)
        check(Path(self.reader))


def state_of(root: str) -> dict[str, Any]:
    """All that matters below a repository: what is stored and what moved; and that nothing is left in tmp/."""
    found: dict[str, Any] = {}
    for place in ("objects", "refs", "runs", "trash", "bad", "tmp", "format", "config"):
        path = Path(root, place)
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if not p.is_dir())
        found |= {
            str(p.relative_to(root)): (os.lstat(p).st_ino, p.read_bytes() if p.is_file() else None) for p in files
        }
    return found


def writable(path: Path) -> Path:
    path.chmod(0o644)
    return path


def place_of(two: Two, place: str) -> Path:
    named = {
        "SHARD": two.blob.parent,
        "BLOB": two.blob,
        "PACK": None,
        "LOG": two.log,
        "ENTRY": two.log / "00000001.json",
    }
    if place == "PACK":
        return two.pack
    return named.get(place) or two.remote / place


def _gc(two: Two, now: bool = True) -> Any:
    from artstore.view import view_of

    with view_of("origin", FolderStorage(two.author), writing=True) as view:
        return view.gc(now=now)


def whole_at_remote(remote: Path | str, source: Path, name: str, tmp_path: Path) -> None:
    root = tmp_path / f"clone-{os.urandom(4).hex()}"
    clone, _ = Repository.clone(str(remote), str(root))
    with clone:
        clone.get(clone.find(f"{name}:v0"), str(tmp_path / f"{root.name}-out"))
    assert snapshot(tmp_path / f"{root.name}-out") == snapshot(source)
    check(root)


def nth(wanted: int, action: Action) -> Callable[[Request, int], Action]:
    return lambda request, number: action if number == wanted else PASS
