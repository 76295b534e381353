"""A store: what one place holds of a repository, opened: its objects, its collections and its runs."""

from typing import Self

from artstore.backends.storage import Storage
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.runs import Runs


class Store:
    """An open store is cheap and holds no lock. It is not for several threads at once."""

    def __init__(self, storage: Storage, id: str, writable: bool, objects: ObjectStore, refs: Refs, runs: Runs) -> None:
        """`id` is the repository's, which its copies share. `writable` says whether this artstore knows all features
        that writing there takes.
        """
        self.storage = storage
        self.id = id
        self.writable = writable
        self.objects = objects
        self.refs = refs
        self.runs = runs

    def close(self) -> None:
        self.objects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
