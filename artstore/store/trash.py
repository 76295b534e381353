"""The trash: stored files that a collector took away, which whoever relies on them brings back."""

from artstore.backends.storage import Readable, Storage
from artstore.errors import StorageError

_LOOKS = 10


def trashed(storage: Readable) -> list[str]:
    """Paths of all files in the trash; listed again until nothing moves, since a run that ends renames its folder."""
    before: list[str] | None = None
    while True:
        found = sorted(path for path, _ in storage.below("trash"))
        if found == before:
            return found
        before = found


def bring_back(storage: Storage, path: str) -> bool:
    """Link a stored file back from whichever run's trash has it; the run unlinks its own copy when it looks again."""
    name = path.rpartition("/")[2]
    for _ in range(_LOOKS):
        found = [place for place in trashed(storage) if place.endswith(f"/{name}")]
        for place in found:
            try:
                return storage.rescue(place, path)
            except StorageError as error:
                if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                    continue  # its run renamed its folder, or gave it back
                raise
        if not found:
            break
    return False
