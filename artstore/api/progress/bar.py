"""A monitor that shows progress, once an operation has taken a second."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from artstore.api.progress import notebook
from artstore.domain.names import printable
from artstore.domain.pace import Pace, summary
from artstore.progress import Monitor
from artstore.store.variables import is_silent

_AFTER = 1.0
"""Seconds after which an operation shows its progress."""
_EVERY = 0.2
"""Seconds between two looks of it."""


class Display(Protocol):
    """A place that shows the progress of one operation."""

    def show(self, text: str, fraction: float | None) -> None:
        """Show how far it is: a text, and the part that is done, if it is known."""

    def end(self, text: str) -> None:
        """Show a text instead, or nothing if it is empty."""


class Bar(Monitor):
    """Shows the progress of what is done while it is open, on a terminal or in a notebook; elsewhere nothing.

    Nothing is shown in the first second. `advance` costs a look at the clock: a quarter of a microsecond.
    """

    def __init__(self, prefix: str = "", wanted: Callable[[], bool] = lambda: True) -> None:
        """`wanted` is asked when there is something to show."""
        self._prefix, self._wanted = prefix, wanted
        self._lock = threading.RLock()
        self._opened = self._due = math.inf
        self._display: Display | None = None
        self._reason = ""
        self.done = ""
        """the summary that takes the place of progress that was shown, such as `saved data`; empty for nothing"""
        super().__init__()

    def __enter__(self) -> "Bar":
        self._opened = time.monotonic()
        self._due = self._opened + _AFTER
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._due = math.inf
        with self._lock:
            display, self._display = self._display, None
        if display is not None:
            said = self.done if kind is None else ""
            display.end(said and self._prefix + summary(self, printable(said), time.monotonic() - self._opened))

    def expect(self, items: int | None = None, size: int | None = None) -> None:
        super().expect(items, size)
        self._pace = Pace(self, time.monotonic())
        self.changed()

    def changed(self) -> None:
        if (now := time.monotonic()) >= self._due:
            self._draw(now)

    @contextmanager
    def waiting(self, reason: str = "") -> Iterator[None]:
        """Let another thread keep what is shown up to date."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_EVERY):
                self.changed()

        watcher = threading.Thread(target=watch, name="artstore-progress", daemon=True)
        self._reason = reason
        watcher.start()
        try:
            yield
        finally:
            self._reason = ""
            over.set()
            watcher.join()

    def _draw(self, now: float) -> None:
        if not self._lock.acquire(blocking=False):
            return  # another thread draws
        try:
            if now < self._due:
                return  # another thread has drawn, or the bar was closed
            self._due = now + _EVERY
            self._display = self._display or self._found_display()
            if self._display is None:
                self._due = math.inf
                return
            if (look_ahead := self.look_ahead) is not None:
                self.look_ahead = None
                with suppress(OSError):  # what is in the way of the operation, it says itself
                    self.expected = look_ahead(now - self._opened)
            text = f"{self.step}  {self._reason}" if self._reason else self._pace.text(now)
            self._display.show(self._prefix + printable(text), self._pace.fraction())
        finally:
            self._lock.release()

    def _found_display(self) -> Display | None:
        if is_silent() or not self._wanted():
            return None
        from artstore.api.progress.line import terminal  # most commands end before there is anything to show

        return notebook.InNotebook() if notebook.is_here() else terminal()
