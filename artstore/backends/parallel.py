"""Making several calls at once, in threads; and repeating a call after a failure that may pass."""

import time
from collections.abc import Callable, Generator, Iterable
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


def retried(call: Callable[[], Answer], waits: Iterable[float], may_pass: Callable[[StorageError], bool]) -> Answer:
    """Make a call. After a StorageError that `may_pass`, wait for the next of these seconds and make it again.

    Raises the error of the last call if all fail.
    """
    for wait in waits:
        try:
            return call()
        except StorageError as error:
            if not may_pass(error):
                raise
        time.sleep(wait)
    return call()
