"""Calls of obstore that can be interrupted, raise our errors, and are repeated after temporary failures."""

import queue
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from obstore import exceptions

from artstore.backends.bucket.opening import has_credentials
from artstore.backends.parallel import retried
from artstore.domain.names import printable
from artstore.errors import NoSpace, StorageError

T = TypeVar("T")

WAITS = (0.2, 1.0, 3.0)
"""Seconds to wait before each further try."""


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
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise _refused(root, action, error) from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # a crash in obstore; it exports no class for this
            raise StorageError(f"cannot {action} at {root}: obstore failed: {error}") from error
        if not isinstance(error, exceptions.BaseError):
            raise
        status = status_of(error)
        if status in (401, 403):
            raise _refused(root, action, error) from error
        if status == 404:
            raise StorageError(f"cannot {action} at {root}: there is no such bucket", hint=_MAKE) from error
        if status == 507 or "QuotaExceeded" in str(error):
            raise NoSpace(f"cannot {action} at {root}: no space left there", hint=_FREE) from error
        raise StorageError(f"cannot {action} at {root}{at}: {_reason(error)}", hint=_AGAIN) from error


def _refused(root: str, action: str, error: Exception) -> StorageError:
    return StorageError(
        f"{root} refused to let us {action}: {_reason(error)}", hint=_LOG_IN if has_credentials() else _NO_CREDENTIALS
    )


_LOG_IN = "check the credentials (or log in again) and run the same command again"
_NO_CREDENTIALS = (
    "no credentials are set here: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or a login) say who you are"
)
_MAKE = "make the bucket first, or mend the URL"
_FREE = "free some space there and run the same command again: nothing was lost"
_AGAIN = "check the network and run the same command again: what arrived is not sent again"
_FINAL = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError, exceptions.InvalidPathError)
"""Errors for which a second try is useless."""


def is_final(error: StorageError) -> bool:
    """Whether a second try is useless, because the server understood the request and refused it."""
    status = status_of(error.__cause__)
    return isinstance(error.__cause__, _FINAL) or (
        status is not None and 400 <= status < 500 and status not in (408, 409, 412, 429)
    )


def status_of(error: BaseException | None) -> int | None:
    """The HTTP status of a server's answer, or None. obstore has it only in the error's text."""
    found = re.search(r"status: (\d{3})\b", str(error))
    return int(found[1]) if found else None


_KINDS = {
    "Timeout": "it did not answer in time",
    "Connect": "it can't be reached",
    "Interrupted": "the connection was cut",
}


def _reason(error: Exception) -> str:
    """What went wrong, in a few words, without the URLs and replies that obstore puts into its errors."""
    text = str(error)
    if (status := status_of(error)) is not None:
        code = re.search(r"<Code>(\w+)</Code>", text)
        return f"it answered {status}" + (f" ({code[1]})" if code else "")
    if kind := re.search(r"kind: (\w+)", text):
        return _KINDS.get(kind[1], "the connection failed")
    return printable(text.split("\n")[0][:200])
