"""Making several calls at once, in threads."""

from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

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
