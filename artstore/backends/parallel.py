"""Making several calls at once, in threads; repeating one after a failure that may pass; reporting a long wait."""

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

    For a single item the call is made in this thread. After the first error or an interrupt, calls that haven't begun
    are dropped, and this waits for the others. If the caller may raise an error between two answers, it must wrap this
    in `contextlib.closing`, or the calls go on after the error.
    """
    items = list(items)
    if len(items) < 2:
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


@contextmanager
def reported(place: str, after: float | None = None) -> Iterator[None]:
    """Warn if the block, which waits for a server, takes longer than `after` seconds (SILENCE by default)."""
    seconds = SILENCE if after is None else after
    text = f"{place} has not answered for {seconds:.0f} seconds; waiting"
    timer = threading.Timer(seconds, warnings.warn, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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
