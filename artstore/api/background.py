"""Saves in the background: `log_artifact(…, background=True)` returns a future, and the run's end waits for it."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from artstore.api.artifact import Artifact


class SaveFuture(Future[Artifact]):
    """A save that goes on: `result()` waits for it and returns the artifact, which is then safe on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.was_heard = False
        """whether somebody asked how it ended"""

    def result(self, timeout: float | None = None) -> Artifact:
        """Wait for the save, and return the artifact. Raises the error of the save, or TimeoutError."""
        self.was_heard = True
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the save, and return its error. None if it has none."""
        self.was_heard = True
        return super().exception(timeout)

    def carry_out(self, save: Callable[[], Artifact]) -> None:
        """Save, and tell whoever waits."""
        if not self.set_running_or_notify_cancel():
            return
        try:
            self.set_result(save())
        except BaseException as error:
            self.set_exception(error)


class BackgroundSaves:
    """The saves of one run that go on while it works: one after another, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._pid = os.getpid()
        self._begun: list[SaveFuture] = []

    def begin(self, save: Callable[[], Artifact]) -> SaveFuture:
        """Begin a save in another thread, after those before it."""
        if self._pool is None or self._pid != os.getpid():  # a forked child has no threads of its parent
            self._pool, self._pid, self._begun = ThreadPoolExecutor(1, "artstore-saves"), os.getpid(), []
        future = SaveFuture()
        self._begun = [one for one in self._begun if not (one.done() and one.was_heard)]
        self._begun.append(future)
        self._pool.submit(future.carry_out, save)
        return future

    def wait(self) -> BaseException | None:
        """Wait until all saves are done. Returns the first error that nobody has asked for yet."""
        if self._pool is None or self._pid != os.getpid():
            return None
        self._pool.shutdown()
        self._pool, begun, self._begun = None, self._begun, []
        unheard = [one for one in begun if not one.was_heard and not one.cancelled()]
        return next((error for one in unheard if (error := one.exception()) is not None), None)
