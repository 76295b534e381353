"""Making several calls at once, in threads; repeating one after a failure that may pass; reporting a long wait."""

import math
import os
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from artstore.errors import StorageError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def together(call: Callable[[Item], Answer], items: Iterable[Item], *, most: int) -> Generator[Answer, None, None]:
    """Call a function for each item, at most `most` calls at once, and yield the answers in order.

    For a single item, or with `most` = 1, the calls are made in this thread. After the first error or an interrupt,
    calls that haven't begun are dropped, and this waits for the others. If the caller may raise an error between two
    answers, it must wrap this in `contextlib.closing`, or the calls go on after the error.
    """
    items = list(items)
    if len(items) < 2 or most == 1:
        yield from map(call, items)
        return
    from concurrent.futures import ThreadPoolExecutor  # takes 6 ms, so only if there are several items

    with ThreadPoolExecutor(most) as pool:
        try:
            yield from pool.map(call, items)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


SILENCE = 10.0
"""Seconds without an answer after which a wait is reported."""
MOST_SECONDS = 60.0
"""Seconds after which a call that failed isn't made again."""


class _Watcher:
    """One thread that warns of all waits of this process that take too long."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waits: dict[object, tuple[float, str]] = {}
        """when each is reported, and how"""
        self._next = math.inf
        """when the thread looks again if nothing wakes it"""
        self._thread: threading.Thread | None = None

    def add(self, seconds: float, text: str) -> object:
        """Warn with a text after some seconds, unless what this returns is removed before."""
        wait, ends = object(), time.monotonic() + seconds
        with self._changed:
            self._waits[wait] = ends, text
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, daemon=True)
                self._thread.start()
            elif ends < self._next:
                self._changed.notify()
        return wait

    def remove(self, wait: object) -> None:
        with self._changed:
            self._waits.pop(wait, None)

    def _watch(self) -> None:
        while True:
            for text in self._overdue():
                warnings.warn_explicit(text, UserWarning, "artstore", 0)  # unlike `warn`, each time

    def _overdue(self) -> set[str]:
        """Wait until something is to be reported. Waits with the same text are reported together."""
        with self._changed:
            while not (late := {text for ends, text in self._waits.values() if ends <= time.monotonic()}):
                self._next = min((ends for ends, _ in self._waits.values()), default=math.inf)
                self._changed.wait(None if self._next == math.inf else max(0.0, self._next - time.monotonic()))
            self._waits = {wait: (ends, text) for wait, (ends, text) in self._waits.items() if text not in late}
            self._next = -math.inf
        return late


_watcher = _Watcher()


def _renew() -> None:
    """Begin anew in a forked child: the thread stays with the parent, and may hold the lock."""
    global _watcher
    _watcher = _Watcher()


os.register_at_fork(after_in_child=_renew)


@contextmanager
def reported(place: str, after: float | None = None) -> Iterator[None]:
    """Warn if the block, which waits for a server, takes longer than `after` seconds (SILENCE by default)."""
    seconds = SILENCE if after is None else after
    wait = _watcher.add(seconds, f"{place} has not answered for {seconds:.0f} seconds; waiting")
    try:
        yield
    finally:
        _watcher.remove(wait)


def retried(call: Callable[[], Answer], waits: Iterable[float], may_pass: Callable[[StorageError], bool]) -> Answer:
    """Make a call. After a StorageError that `may_pass`, wait for the next of these seconds and make it again.

    Raises the error of the last call if all fail, or when MOST_SECONDS are over.
    """
    end = time.monotonic() + MOST_SECONDS
    for wait in waits:
        try:
            return call()
        except StorageError as error:
            if not may_pass(error) or time.monotonic() > end:
                raise
        time.sleep(wait)
    return call()
