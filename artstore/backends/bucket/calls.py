"""Calls of obstore that can be interrupted, raise our errors, and are repeated after temporary failures."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from obstore import exceptions

from artstore.backends.bucket.answers import is_final, meaning
from artstore.backends.parallel import retried
from artstore.errors import StorageError

T = TypeVar("T")

WAITS = (0.2, 1.0, 3.0)
"""Seconds to wait before each further try of a request that obstore has tried several times."""
LONG_WAITS = (0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
"""The same for a request that obstore makes once."""


def called(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function of obstore so that Ctrl-C works while a server doesn't answer.

    obstore reacts to no signal during a call, so the main thread lets another thread make the call and waits for it.
    """
    if threading.current_thread() is not threading.main_thread():
        return call(*arguments, **options)
    answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put((call(*arguments, **options), None))
        except BaseException as error:
            answer.put((None, error))

    threading.Thread(target=ask, daemon=True).start()
    found, error = answer.get()
    if error is not None:
        raise error
    return found


def tried(ask: Callable[[], T]) -> T:
    """Call `ask`, which may safely be repeated, and repeat it after failures that may pass.

    obstore repeats requests itself, but not when a reply was cut off.
    """
    return retried(ask, WAITS, lambda error: not is_final(error))


@contextmanager
def bucket_errors(root: str, action: str, at: str = "") -> Iterator[None]:
    """Translate obstore's errors in the block into a StorageError.

    An object that is missing or exists already raises FileNotFoundError or FileExistsError, for the caller to handle.
    """
    try:
        yield
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise FileNotFoundError(f"{root} has no such object") from error
    except exceptions.AlreadyExistsError as error:
        raise FileExistsError(f"{root} has it already") from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # a crash in obstore; it exports no class for this
            raise StorageError(f"cannot {action} at {root}: obstore failed: {error}") from error
        if not isinstance(error, exceptions.BaseError):
            raise
        raise meaning(error, root, action, at) from error
