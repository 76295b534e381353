"""The trash: stored files that a collector took away, which whoever relies on them brings back."""

from artstore.backends.storage import Storage


def trashed(storage: Storage) -> list[str]:
    """Paths of all files in the trash; listed again until nothing moves, since a run that ends renames its folder."""
    before: list[str] | None = None
    while True:
        found = sorted(path for path, _ in storage.below("trash"))
        if found == before:
            return found
        before = found
