"""Fetching the files of references: several at once, each under a temporary name until it is whole."""

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from artstore.backends.confined import create_file
from artstore.backends.files import closing_fd
from artstore.backends.parallel import retried
from artstore.backends.references import Reference, fetch
from artstore.domain.tree import Entry
from artstore.errors import MissingReference
from artstore.progress import Monitor

_TOGETHER = 8
"""The number of threads: most of the time they wait for a server."""
_WAITING = 16
"""Files that may be unfinished before `begin` waits for the oldest."""
_WAITS = (0.2, 1.0)
"""Seconds before the second and the third try, after a storage error such as a cut connection."""


class Stopped(Exception):
    """Raised in the threads of a fetcher that was stopped."""


class _Unfinished(NamedTuple):
    """A file that is being written: its open folder (a descriptor of its own), the temporary and the final name."""

    folder: int
    temporary: bytes
    name: bytes


class Fetcher:
    """Fetches references in several threads, and counts the files that it wrote."""

    def __init__(self, monitor: Monitor, *, allow_missing: bool) -> None:
        """With `allow_missing`, a reference whose bytes are gone is added to `missing`. Without, it is an error."""
        self._monitor = monitor
        self._allow_missing = allow_missing
        self._pool = ThreadPoolExecutor(_TOGETHER)
        self._pending: dict[Future[None], _Unfinished] = {}
        self._lock = threading.RLock()
        self._stopped = False
        self.missing: list[bytes] = []
        """paths of references whose bytes are gone"""
        self.written = self.written_bytes = 0

    def begin(self, folder: int, path: bytes, entry: Entry, temporary: bytes, name: bytes) -> None:
        """Begin to fetch a reference. The file gets its name in the open folder when it is whole.

        If too many are unfinished, wait for the oldest. Raises the error of that one.
        """
        file = _Unfinished(os.dup(folder), temporary, name)
        self._pending[self._pool.submit(self._fetch, file, path, entry)] = file
        if len(self._pending) > _WAITING:
            self._end(next(iter(self._pending)))

    def finish(self) -> None:
        """Wait until all files are written. Raises the error of the first one that failed."""
        while self._pending:
            self._end(next(iter(self._pending)))

    def _end(self, future: "Future[None]") -> None:
        future.result()
        os.close(self._pending.pop(future).folder)

    def stop(self) -> None:
        """Stop fetching, and remove unfinished files. Doesn't wait for threads that wait for a server."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for future, file in self._pending.items():
            with self._lock:
                _remove(file)
            future.add_done_callback(partial(_close, file.folder))  # the thread may still use the descriptor
        self._pending = {}

    def _fetch(self, file: _Unfinished, path: bytes, entry: Entry) -> None:
        """Fetch one reference to its temporary name, then rename the file. Runs in a thread."""
        try:
            with self._lock:  # after `stop` the caller removes the folder: no file may appear in it any more
                self._refuse_stopped()
                target = create_file(file.folder, file.temporary, False)
            with closing_fd(target):
                self._fetch_into(target, entry)
                size = os.fstat(target).st_size
            with self._lock:
                self._refuse_stopped()
                if file.temporary != file.name:
                    os.rename(file.temporary, file.name, src_dir_fd=file.folder, dst_dir_fd=file.folder)
                self.written += 1
                self.written_bytes += size
        except MissingReference:
            _remove(file)
            if not self._allow_missing:
                raise
            with self._lock:
                self.missing.append(path)
        except BaseException:
            with self._lock:
                _remove(file)
            raise

    def _fetch_into(self, target: int, entry: Entry) -> None:
        def fetch_whole() -> None:
            os.ftruncate(target, 0)  # an earlier try may have written a part
            os.lseek(target, 0, os.SEEK_SET)
            fetch(Reference.of(entry), target, self._arrived)

        retried(fetch_whole, _WAITS, lambda error: not self._stopped)

    def _arrived(self, count: int) -> None:
        self._refuse_stopped()
        self._monitor.advance(0, count)

    def _refuse_stopped(self) -> None:
        if self._stopped:
            raise Stopped


def _remove(file: _Unfinished) -> None:
    try:
        os.unlink(file.temporary, dir_fd=file.folder)
    except OSError:
        pass  # it was renamed already, or never created


def _close(folder: int, _: "Future[None]") -> None:
    os.close(folder)
