"""Steps of a run: the row of metrics that is being collected."""

import fcntl
import mmap
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from artstore.api.recording import Recording
from artstore.backends.files import closing_fd
from artstore.domain.run import RunState

Row = tuple[int, dict[str, Any]]
"""A step's number and its metrics."""
_NUMBER, _IS_SHARED = 0, 1
"""What the two cells of shared memory hold."""
_TRIES, _PAUSE = 100, 0.0005
"""How often, and after how many seconds, a lock that another process holds is tried again. Then it is ignored: a
number that is used twice does less harm than a training that stands still.
"""


class Steps:
    """The current step and its row, which is written to the run's history when the step ends.

    A signal handler may log while this thread does. Its metrics get a row of their own.
    """

    def __init__(self, run: Recording, state: RunState) -> None:
        """Start at step 0, or after the last step of a resumed run's `state`."""
        self._recording = run
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._holder = 0
        self._row: Row | None = None
        self._began = time.time() - run.runtime_before(state)
        self.first = self._floor = 1 + max((part["last"] for part in state.history.values()), default=-1)
        self._next = _NextStep(self._floor, run.folder)

    @property
    def current(self) -> int:
        """The step that collects metrics, or the next one."""
        return self._next.number if (row := self._row) is None else row[0]

    @property
    def is_interrupted(self) -> bool:
        """Whether a signal handler asks, while its thread holds the lock."""
        return self._holder == threading.get_ident() and os.getpid() == self._pid

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock."""
        if os.getpid() != self._pid:  # a thread of the parent may have held the lock at the fork
            self._lock, self._pid, self._row = threading.RLock(), os.getpid(), None  # the row belongs to the parent
            self._next.share()
        with self._lock:
            before, self._holder = self._holder, threading.get_ident()
            try:
                yield
            finally:
                self._holder = before

    def add(self, values: dict[str, Any], step: int | None, *, end: bool) -> bool:
        """Add metrics to a step, or to the current one, and perhaps end it. False if that step has ended already."""
        row, self._row = self._row, None  # in one statement: a signal handler that logs here begins another row
        if step is not None and step < (self._floor if row is None else row[0]):
            self._keep(row)
            return False
        if row is not None and step is not None and step > row[0]:
            self._write(row)
            row = None
        if row is None:
            row = self._next.take(step), {}
        row[1].update(values)
        if end:
            self._write(row)
        else:
            self._keep(row)
        return True

    def write(self) -> None:
        """End the current step if it has metrics."""
        row, self._row = self._row, None
        if row is not None:
            self._write(row)

    def _keep(self, row: Row | None) -> None:
        """Collect more metrics in this row."""
        other, self._row = self._row, row
        if other is not None:  # a signal handler began it
            self._write(other)

    def _write(self, row: Row) -> None:
        step, values = row
        self._floor = max(self._floor, step + 1)
        values.pop("_step", None)
        if values:
            now = time.time()
            self._recording.log({"_step": step, "_runtime": now - self._began, "_timestamp": now, **values})


class _NextStep:
    """The number of the next step, in memory that forked children share: each step is taken by one process."""

    def __init__(self, first: int, folder: str) -> None:
        """Begin with `first`. The run's folder is locked while one of several processes takes a number."""
        self._shared = memoryview(mmap.mmap(-1, 16)).cast("Q")
        self._shared[_NUMBER] = first
        self._folder = folder

    @property
    def number(self) -> int:
        """The next step."""
        return self._shared[_NUMBER]

    def share(self) -> None:
        """Let all processes know that a forked child takes numbers too."""
        self._shared[_IS_SHARED] = 1

    def take(self, step: int | None = None) -> int:
        """Take the next number, or this one. Later numbers are larger."""
        if not self._shared[_IS_SHARED]:
            taken = self._taken(step)
            if not self._shared[_IS_SHARED]:
                return taken
        with suppress(OSError), _locked(self._folder):
            return self._taken(step)
        return self._taken(step)  # the folder is gone, or its file system has no locks

    def _taken(self, step: int | None) -> int:
        shared = self._shared  # each line below calls nothing, so no signal handler comes into the middle of it
        if step is None:
            shared[_NUMBER] = (step := shared[_NUMBER]) + 1
        else:
            shared[_NUMBER] = step + 1 if step >= shared[_NUMBER] else shared[_NUMBER]
        return step


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Lock a folder, or give up after a while. It may be locked by this thread, which a signal handler interrupted."""
    with closing_fd(os.open(folder, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        for _ in range(_TRIES):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(_PAUSE)
        yield
