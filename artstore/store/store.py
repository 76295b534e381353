"""A store: what one place holds of a repository, opened: its objects, its collections and its runs."""

from dataclasses import dataclass
from typing import Self

from artstore.backends.storage import Storage
from artstore.store.objects import ObjectStore
from artstore.store.refs import Refs
from artstore.store.runs import Runs


@dataclass(frozen=True)
class Store:
    """Open ones are cheap and hold no lock. Not for several threads at once."""

    storage: Storage
    id: str
    """of the repository, which its copies share"""
    writable: bool
    """whether this artstore knows all features that writing there takes"""
    objects: ObjectStore
    refs: Refs
    runs: Runs

    def close(self) -> None:
        self.objects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
