"""A tap on a stream: what is written to it passes through a function."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

Write = Callable[[Any], Any]


class Tap:
    """Passes what is written to a stream through a function.

    Only the stream's `write` is replaced, in the object itself: all else of the stream stays, its descriptor, encoding,
    whether it is a terminal, and who else refers to it.
    """

    def __init__(self, stream: Any, through: Callable[[Write, Any], Any]) -> None:
        """`through` gets the stream's own `write` and what is to be written, and returns what `write` returns."""
        self._stream = stream
        self._through: Callable[[Write, Any], Any] | None = through
        self._own = getattr(stream, "__dict__", {}).get("write")
        write = stream.write

        def written(text: Any, /) -> Any:
            through = self._through
            return write(text) if through is None else through(write, text)

        self._written = written
        with suppress(AttributeError, TypeError):  # a stream that has no place for it stays as it is
            stream.write = written

    def release(self) -> None:
        """Put the stream's own `write` back, unless something else has replaced ours: then ours hands on only."""
        self._through = None
        if getattr(self._stream, "__dict__", {}).get("write") is not self._written:
            return
        if self._own is None:
            del self._stream.write
        else:
            self._stream.write = self._own
