"""As `writer`, but by a client of a server: what it does is done in a repository of its own, and pushed.

    python -m tests.guarantees.faults.pusher REPOSITORY LEDGER SEED

REPOSITORY is the one that is served, at ARTSTORE_URL. A line of the ledger says what the server has acknowledged.
"""

import os
import sys
import tempfile
from pathlib import Path

from artstore.backends.credentials import ADDRESS
from artstore.repository import Repository
from tests.guarantees.faults.place import Place
from tests.guarantees.faults.writer import Writer, work


class Pusher(Writer):
    def __init__(self, own: Path, served: Path, ledger: Path, seed: str) -> None:
        super().__init__(served, ledger, seed)
        self._served = self._root
        self._root = str(own / ".artifacts")
        self._unacknowledged: list[tuple[object, ...]] = []
        with Repository.init(self._root) as repository:
            repository.remotes.add("origin", os.environ[ADDRESS])

    def _note(self, *values: object) -> None:
        """What takes away is noted before it is pushed, and all else once it is acknowledged."""
        if values[0] in ("deleting", "moving"):
            super()._note(*values)
        else:
            self._unacknowledged.append(values)

    def _act(self, repository: Repository, scratch: Place) -> None:
        super()._act(repository, scratch)
        self._push(repository)

    def _delete(self, repository: Repository, name: str, number: int) -> None:
        super()._delete(repository, name, number)
        self._push(repository)

    def _push(self, repository: Repository) -> None:
        repository.push()
        for values in self._unacknowledged:
            super()._note(*values)
        self._unacknowledged.clear()

    def _collect(self, repository: Repository, *, now: bool) -> None:
        """At the server, beside it."""
        with Repository(self._served) as served:
            served.gc(now=now)


def main() -> None:
    served, ledger, seed = sys.argv[1:]
    with tempfile.TemporaryDirectory(dir=Path(ledger).parent) as own:
        work(Pusher(Path(own), Path(served), Path(ledger), seed))


if __name__ == "__main__":
    main()
