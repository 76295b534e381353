"""Opening a served remote as a store. The one request of opening says what is served, and to whom."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NoReturn, Self

from artstore.backends.served.opening import open_served_storage
from artstore.backends.served.storage import ServedStorage
from artstore.domain.names import printable
from artstore.domain.run import RunState
from artstore.domain.tree import Entry
from artstore.errors import Damage, NoEntry, Refused
from artstore.store.layout import Format, check_format
from artstore.store.logbook import Identity
from artstore.store.refs import Refs
from artstore.store.runs import RunFile, Runs
from artstore.store.served.looking import ServedRefs, ServedRuns, rows_of_run
from artstore.store.served.objects import ServedObjects
from artstore.store.served.transaction import ServedTransaction
from artstore.store.sides import Source

_MOST_FILES = 10_000_000
"""Most files of a run that are listed."""


class ServedStore:
    """A served remote, opened. It is not for several threads at once."""

    def __init__(self, storage: ServedStorage, format: Format, identity: Identity, *, looking: bool) -> None:
        """`looking`: people look at it, so states are asked for instead of whole logs."""
        self.storage = storage
        self.id = storage.hello.repository
        self.scope: str | None = storage.hello.scope
        self.writable = not format.unknown("write") and storage.may_write
        self.objects = ServedObjects(storage)
        self.refs = (
            ServedRefs(storage, identity=identity) if looking else Refs(storage, identity=identity, foreign=True)
        )
        self.runs = (
            ServedRuns(storage, identity=identity) if looking else Runs(storage, identity=identity, foreign=True)
        )

    def close(self) -> None:
        """End what is under way there, and close all connections."""
        self.objects.close()
        self.storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def maintained(self) -> NoReturn:
        """Raise Refused: the server has the packs and large blobs."""
        message = f"{printable(self.storage.root)} is a served repository: it is maintained where it is served"
        raise Refused(message, hint="run the command there, or ask who runs the server")

    def heads(self, folders: Iterable[str]) -> dict[str, Sequence[int]]:
        """The numbers of all entries of each log below some folders, by the folder of the log. Cost: one request."""
        return {folder: range(1, last + 1) for folder, last in self.storage.heads(*sorted(folders)).items()}

    def transaction(self, *, source: Source | None = None) -> ServedTransaction:
        """Open a transaction, to send objects. The server keeps what is relied on, so `source` isn't asked."""
        return ServedTransaction(self.storage, self.objects)

    def foreseen(self) -> ServedTransaction:
        """A transaction into which nothing is sent: only there can be asked what is held."""
        return ServedTransaction(self.storage, self.objects)

    def run_history(self, state: RunState, having: bytes = b"") -> Iterator[dict[str, Any]]:
        """The rows of metrics that a run logged, in their order."""
        return rows_of_run(self.storage.client, state.path.folder, having)

    def run_files(self, state: RunState) -> dict[str, RunFile]:
        """The files of a run, by their paths. A role that can only look gets no entries."""
        if not self.storage.only_looks:
            from artstore.store.runfiles import files_of

            try:
                return files_of(self.objects, self.runs, state)
            except Refused:
                pass  # the role in this project can only look
        found: dict[str, RunFile] = {}
        what = self.storage.client.what
        for values in self.storage.client.collected("/run-files", {"folder": state.path.folder}, _MOST_FILES):
            path, size = values if len(values) == 2 else (None, None)
            path = os.fsdecode(path) if isinstance(path, bytes) else path
            if not isinstance(path, str) or type(size) is not int or size < 0:
                raise Damage(f"{what} sent something else than a run's files")
            found[path] = RunFile(path, size, None, None)
        return dict(sorted(found.items()))

    def open_run_file(self, state: RunState, path: str, open_entry: Callable[[Entry], BinaryIO]) -> BinaryIO:
        """Open a file of a run: see `open_file_of`. Raises Refused for a role that can only look."""
        from artstore.store.runfiles import open_file_of

        try:
            return open_file_of(self.objects, self.runs, state, path, open_entry)
        except NoEntry:
            if path in self.run_files(state):
                self.storage.refuse_download()
            raise


def open_served(url: str, identity: Identity, *, writing: bool, given: bool, looking: bool) -> ServedStore:
    """Open the served remote at a URL.

    Raises AuthenticationError without a good token, and Refused if a role that can only look is to read whole logs, or
    one that can't write is to write.
    """
    storage = open_served_storage(url, given=given)
    try:
        _ = storage.hello  # or its errors would be those of a `format` file
        format = check_format(storage, "write" if writing else "read")
        if writing and not storage.may_write:
            role = storage.hello.role
            message = f"the role of your token at {printable(storage.root)} is {role}: it can't write"
            raise Refused(message, hint="ask who runs the server for the role `writer`")
        if not looking and storage.only_looks:
            storage.refuse_download()
        return ServedStore(storage, format, identity, looking=looking)
    except BaseException:
        storage.close()
        raise
