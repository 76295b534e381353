"""An artifact before it is logged: a draft that several threads may use, but no forked child."""

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from artstore.api.progress.scripts import bar_of_script, shown
from artstore.api.recording import session
from artstore.api.stored import Edits, Stored
from artstore.domain.collection import INHERIT, Path
from artstore.domain.tree import EMPTY, Entry, Folder
from artstore.errors import ArtifactFinalizedError, Conflict
from artstore.operations.saving.draft import Draft, Kept
from artstore.repository import Repository


class Drafting:
    """A draft. When the first thing is added, it is started, and the repository is made if there is none."""

    def __init__(self, name: str, root: Callable[[], str]) -> None:
        self._name = name
        self._root = root
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._repository: Repository | None = None
        self._draft: Draft | None = None
        self._finalizer: weakref.finalize[..., Drafting] | None = None
        self._bar = bar_of_script()
        self.edits = Edits([], [], None, {}, INHERIT)
        self._sources: dict[str, str | None] = {}
        self._folders: list[tuple[str, str]] = []
        self._origins: dict[str, tuple[dict[str, Any], bytes]] = {}
        """By path, the entries that came from other versions, and their digests."""
        self._final = False

    def __reduce__(self) -> Any:
        """A copy, and what is pickled, is a draft of its own in the same repository, with the files added so far."""
        with self.locked():
            kept = None if self._draft is None else self._draft.keep()
            noted = self.edits, self._sources, self._folders, self._origins, self._final
            return _draft_again, (self._name, self.root, kept, noted)

    def go_on_from(self, kept: Kept | None, noted: tuple[Any, ...]) -> None:
        """Go on from what another draft held. Raises MissingObject if a collector took a file since it was closed."""
        if kept is not None:
            self.begun().go_on_from(kept)
        self.edits, self._sources, self._folders, self._origins, self._final = noted

    def start_from(self, stored: Stored, path: Path) -> None:
        """Start with the content of a stored version, for the next version of the collection at `path`."""
        self._root = lambda: stored.root
        with self.changing() as draft:
            draft.start_from(path, stored.id)
        self._origins = {name: (origin, stored.entry(name)[3]) for name, origin in stored.origins().items()}

    def finalize(self) -> None:
        """Refuse further changes."""
        self._final = True

    @contextmanager
    def adding(self, what: str) -> Iterator[Draft]:
        """The draft, as in `changing`. The progress of adding a file or folder is shown, if it takes long."""
        with self.changing() as draft, shown("adding", "added", what, self._bar):
            yield draft

    @contextmanager
    def saving(self) -> Iterator[Draft]:
        """The draft, which is started if it wasn't, to be saved. The caller holds the lock. Progress is shown."""
        with shown("saving", "saved", self._name, self._bar):
            yield self.begun()

    @contextmanager
    def changing(self) -> Iterator[Draft]:
        """The draft, for one thread at a time. Raises ArtifactFinalizedError after `finalize()`."""
        with self.locked():
            self.refuse_finalized()  # perhaps logged while this thread waited
            yield self.begun()

    def refuse_finalized(self) -> None:
        """Raises ArtifactFinalizedError after `finalize()`."""
        if self._final:
            raise ArtifactFinalizedError(
                f"Can't modify finalized artifact '{self._name}'", hint="make another Artifact with that name"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock. Raises Conflict in a forked child of the process that started the draft."""
        if self._draft is not None and self._draft.pid != os.getpid():
            raise Conflict(
                f"artifact '{self._name}' was started in process {self._draft.pid}, and this is a forked child of it",
                hint="add files in the process that made the artifact, or make it in the child",
            )
        if self._pid != os.getpid():  # a thread of the parent may have held the lock at the fork
            self._lock, self._pid = threading.RLock(), os.getpid()
        with self._lock:
            yield

    def begun(self) -> Draft:
        """The draft, which is started if it wasn't. The caller holds the lock."""
        if self._draft is None:
            self._repository = Repository.init(self._root())
            self._draft = self._repository.draft(self._bar)
            self._finalizer = weakref.finalize(self, _close, self._draft, self._repository)
        return self._draft

    def announce_saved(self) -> None:
        """Tell automations about the saved version."""
        if self._repository is not None:
            self._repository.automations.changes_made()

    @property
    def root(self) -> str | None:
        """The repository in which the draft was started; None before that."""
        return self._repository.root if self._repository is not None else None

    # -- its files; none before it is started. The caller holds the lock --

    def find(self, path: str) -> Entry | None:
        """The file at a path; None for a folder, or if nothing is there."""
        return None if self._draft is None else self._draft.entry(path)

    def files(self) -> Iterator[tuple[bytes, Entry]]:
        """(path, entry) of everything except folders, in the order of the tree, as it is now."""
        return iter([] if self._draft is None else list(self._draft.files()))

    def folder(self) -> Folder:
        """The root tree's digest, size and number of files."""
        return Folder(EMPTY, 0, 0) if self._draft is None else self._draft.folder()

    def origin(self, path: str) -> dict[str, Any] | None:
        """Where an entry of another version came from; None for any other entry, or if its content was replaced.

        The fields are that version's collection, id and number, and the path there.
        """
        origin, digest = self._origins.get(path, (None, b""))
        found = self.find(path) if origin is not None else None
        return origin if found is not None and found[3] == digest else None

    def origins(self) -> dict[str, dict[str, Any]]:
        """The origins of all entries that came from other versions, by path."""
        origins = ((path, self.origin(path)) for path in self._origins)
        return {path: origin for path, origin in origins if origin is not None}

    def note_origin(self, path: str, origin: dict[str, Any], digest: bytes) -> None:
        """Record that the entry at a path came from another version, with this digest."""
        self._origins[path] = origin, digest

    def extra(self, path: str) -> dict[str, Any]:
        """The user's keys of the entry at a path, to be edited."""
        return {} if self._draft is None else self._draft.extra(path)

    # -- which local files were added --

    def note_source(self, path: str, local: str | None) -> None:
        """Record the local file that was added at a path. `local` is None for a file that was written here."""
        self._sources[path] = local

    def note_folder(self, path: str, local: str) -> None:
        """Record the local folder that was added below a path."""
        self._folders.append((path + "/" if path else "", local))

    def source(self, path: str) -> str | None:
        """The local file that was added at a path; None if there is none."""
        if path in self._sources:
            return self._sources[path]
        for prefix, folder in reversed(self._folders):
            if path.startswith(prefix):
                return os.path.join(folder, path[len(prefix) :])
        return None

    def names_of(self, local: str) -> list[str]:
        """The paths at which a local file was added with `add_file`."""
        wanted = os.path.abspath(local)
        return [path for path, source in self._sources.items() if source and os.path.abspath(source) == wanted]

    def close(self) -> None:
        """Refuse further changes and drop what wasn't saved. The sources stay known."""
        self._final = True
        with self.locked():
            if self._finalizer is not None:
                self._finalizer()  # now; without this call, it would run at the end of this object or of the process
            self._draft = None


def _draft_again(name: str, root: str | None, kept: Kept | None, noted: tuple[Any, ...]) -> Drafting:
    drafting = Drafting(name, session.place if root is None else lambda: root)
    drafting.go_on_from(kept, noted)
    return drafting


def _close(draft: Draft, repository: Repository) -> None:
    draft.close()
    repository.close()
