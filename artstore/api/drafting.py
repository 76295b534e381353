"""An artifact before it is logged: a draft for any thread, which a forked child leaves alone."""

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from artstore.api.stored import Edits, Stored
from artstore.domain.collection import INHERIT, Path
from artstore.domain.tree import EMPTY, Entry, Folder
from artstore.errors import ArtifactFinalizedError, Conflict
from artstore.operations.saving.draft import Draft
from artstore.repository import Repository


class Drafting:
    """Begins its draft, and makes the repository where there is none, with the first thing that is added."""

    def __init__(self, name: str, root: Callable[[], str]) -> None:
        self._name = name
        self._root = root
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._repository: Repository | None = None
        self._draft: Draft | None = None
        self._finalizer: weakref.finalize[..., Drafting] | None = None
        self.edits = Edits([], [], None, {}, INHERIT)
        self._sources: dict[str, str | None] = {}
        self._folders: list[tuple[str, str]] = []
        self._origins: dict[str, tuple[dict[str, Any], bytes]] = {}
        """which entries are other versions', by path, and their digests"""
        self._final = False

    def start_from(self, stored: Stored, path: Path) -> None:
        """Begin with the content of a stored version, for the next version of the collection at `path`."""
        self._root = lambda: stored.root
        with self.changing() as draft:
            draft.start_from(path, stored.id)
        self._origins = {name: (place, stored.entry(name)[3]) for name, place in stored.origins().items()}

    def finalize(self) -> None:
        self._final = True

    @contextmanager
    def changing(self) -> Iterator[Draft]:
        """The draft, for one thread at a time. Raises ArtifactFinalizedError after `finalize()`."""
        with self.locked():
            if self._final:  # perhaps logged while this thread waited
                raise ArtifactFinalizedError(
                    f"artifact '{self._name}' is finalized: nothing can be added to it or removed",
                    hint="make another Artifact of that name",
                )
            yield self.begun()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One thread at a time. Raises Conflict in a forked child of the process that began the draft."""
        if self._draft is not None and self._draft.pid != os.getpid():
            raise Conflict(
                f"artifact '{self._name}' was begun in process {self._draft.pid}; this is a forked child of it",
                hint="add files in the process that made the artifact, or make it in the child",
            )
        if self._pid != os.getpid():  # a thread that is not here may have held the lock when this process was forked
            self._lock, self._pid = threading.RLock(), os.getpid()
        with self._lock:
            yield

    def begun(self) -> Draft:
        """The draft, begun where it was not. For who holds the lock."""
        if self._draft is None:
            self._repository = Repository.init(self._root())
            self._draft = self._repository.draft()
            self._finalizer = weakref.finalize(self, _close, self._draft, self._repository)
        return self._draft

    def announce_saved(self) -> None:
        """Let automations hear of the save of what was begun."""
        if self._repository is not None:
            self._repository.automations.changes_made()

    @property
    def root(self) -> str | None:
        """The repository in which it was begun; None before."""
        return self._repository.root if self._repository is not None else None

    # -- what it holds, and nothing before it was begun: for who holds the lock --

    def find(self, path: str) -> Entry | None:
        """The file at a path; None for a folder or nothing."""
        return None if self._draft is None else self._draft.entry(path)

    def files(self) -> Iterator[tuple[bytes, Entry]]:
        """(path, entry) of everything but folders, in the order of the tree, as it is now."""
        return iter([] if self._draft is None else list(self._draft.files()))

    def folder(self) -> Folder:
        """Digest and totals of its root tree."""
        return Folder(EMPTY, 0, 0) if self._draft is None else self._draft.folder()

    def origin(self, path: str) -> dict[str, Any] | None:
        """Which other version's file an entry still is: that version's place, id and number, and the path there."""
        place, digest = self._origins.get(path, (None, b""))
        found = self.find(path) if place is not None else None
        return place if found is not None and found[3] == digest else None

    def origins(self) -> dict[str, dict[str, Any]]:
        """Which entries still are other versions' files, by path."""
        places = ((path, self.origin(path)) for path in self._origins)
        return {path: place for path, place in places if place is not None}

    def note_origin(self, path: str, place: dict[str, Any], digest: bytes) -> None:
        self._origins[path] = place, digest

    # -- which local files were added --

    def note_source(self, path: str, local: str | None) -> None:
        """`local` is None for what was written here."""
        self._sources[path] = local

    def note_folder(self, path: str, local: str) -> None:
        self._folders.append((path + "/" if path else "", local))

    def source(self, path: str) -> str | None:
        """The local file that was added under a path."""
        if path in self._sources:
            return self._sources[path]
        for prefix, folder in reversed(self._folders):
            if path.startswith(prefix):
                return os.path.join(folder, path[len(prefix) :])
        return None

    def names_of(self, local: str) -> list[str]:
        """Paths under which a local file was added by itself."""
        wanted = os.path.abspath(local)
        return [path for path, source in self._sources.items() if source and os.path.abspath(source) == wanted]

    def close(self) -> None:
        """Take nothing more, and give up what was not saved; the sources stay known."""
        self._final = True
        with self.locked():
            if self._finalizer is not None:
                self._finalizer()  # once; else it runs when this is forgotten, or at exit
            self._draft = None


def _close(draft: Draft, repository: Repository) -> None:
    draft.close()
    repository.close()
