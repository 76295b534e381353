"""The trash: stored files that a collector took, and bringing them back for processes that need them."""

from artstore.backends.storage import Readable, Storage
from artstore.errors import StorageError

_LOOKS = 10


def trashed(storage: Readable) -> list[str]:
    """Paths of all files in the trash. Lists until nothing changes, because a run renames its folder when it ends."""
    before: list[str] | None = None
    while True:
        found = sorted(path for path, _ in storage.below("trash"))
        if found == before:
            return found
        before = found


def bring_back(storage: Storage, path: str) -> bool:
    """Link a stored file back from the trash of any run; that run later removes its own link.

    Returns False if it can't.
    """
    name = path.rpartition("/")[2]
    for _ in range(_LOOKS):
        found = [place for place in trashed(storage) if place.endswith(f"/{name}")]
        for place in found:
            try:
                return storage.rescue(place, path)
            except StorageError as error:
                if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                    continue  # the run renamed its folder, or gave the file back
                raise
        if not found:
            break
    return False
