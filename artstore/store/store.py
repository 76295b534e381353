"""A store: what one place holds of a repository, opened: its objects, its collections and its runs."""

from typing import Self

from artstore.backends.storage import FolderStorage, Storage
from artstore.store.layout import Format
from artstore.store.logbook import Identity
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.runs import Runs


class Store:
    """An open store is cheap and holds no lock. It is not for several threads at once."""

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
