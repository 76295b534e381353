"""A store: what one place holds of a repository, opened: its objects, its collections and its runs."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Self

from artstore.backends.storage import FolderStorage, Storage
from artstore.domain.digest import Digest, ObjectKind
from artstore.domain.run import RunState
from artstore.domain.tree import Entry
from artstore.store.layout import Format
from artstore.store.logbook import Identity
from artstore.store.logs import numbers_below
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.runs import RunFile, Runs
from artstore.store.sides import Source
from artstore.store.transaction import Transaction


class Store:
    """An open store is cheap and holds no lock. It is not for several threads at once."""

    scope: str | None = None
    """a digest of what may be seen of it; None if that is everything, always"""

    def __init__(
        self,
        storage: Storage,
        format: Format,
        identity: Identity,
        *,
        cache: FolderStorage | None = None,
        notes: bool = True,
        foreign: bool = False,
    ) -> None:
        """`cache` is our repository, which keeps copies of a distant place's indexes. With `notes`, damage that is met
        is noted there. Others may have written what is `foreign`.
        """
        self.storage = storage
        self.id = format.id
        """the repository's, which its copies share"""
        self.writable = not format.unknown("write")
        """whether this artstore knows all features that writing there takes"""
        self.objects = ObjectStore(storage, cache=cache, notes=notes and self.writable)
        self.refs = Refs(storage, identity=identity, foreign=foreign)
        self.runs = Runs(storage, identity=identity, foreign=foreign)

    def close(self) -> None:
        self.objects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def maintained(self) -> ObjectStore:
        """The packs and large blobs, for maintenance. Raises Refused for a served remote: its server maintains them."""
        return self.objects

    def heads(self, folders: Iterable[str]) -> dict[str, Sequence[int]]:
        """The numbers of all entries of each log below some folders, by the folder of the log. Cost: a listing of each."""
        return numbers_below(self.storage, folders)

    def transaction(self, *, source: Source | None = None) -> Transaction:
        """Open a transaction, to add objects. `source` has copies of objects that a collector took meanwhile."""
        return Transaction(self.objects, source=source)

    def foreseen(self) -> "Foreseen":
        """What looks objects up as a transaction does. Nothing can be added."""
        return Foreseen(self.objects)

    def run_history(self, state: RunState, having: bytes = b"") -> Iterator[dict[str, Any]]:
        """The rows of metrics that a run logged: see `read_history`."""
        from artstore.store.metrics import read_history  # most commands don't need it

        return read_history(self.objects, self.runs, state, having)

    def run_files(self, state: RunState) -> dict[str, RunFile]:
        """The files of a run, by their paths: see `files_of`."""
        from artstore.store.runfiles import files_of  # most commands don't need it

        return files_of(self.objects, self.runs, state)

    def open_run_file(self, state: RunState, path: str, open_entry: Callable[[Entry], BinaryIO]) -> BinaryIO:
        """Open a file of a run: see `open_file_of`."""
        from artstore.store.runfiles import open_file_of  # most commands don't need it

        return open_file_of(self.objects, self.runs, state, path, open_entry)


class Foreseen:
    """Looks up what a transfer would send, in a dry run. It relies on nothing, and takes nothing."""

    sends_later = False
    new_bytes = 0

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def rely(self, kind: ObjectKind, digest: Digest, size: int) -> bool:
        return self._objects.has(kind, digest, size)

    def rely_on(
        self, small: Iterable[Digest], large: dict[Digest, int]
    ) -> tuple[Mapping[Digest, int | None], set[Digest]]:
        return self._objects.sizes(small), self._objects.large.there(large)

    def _nothing_is_sent(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nothing is sent in a dry run")

    add = add_missing = bring_large = add_missing_large = publish = ensure = _nothing_is_sent

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""
