"""The last line of a terminal, rewritten in place. Whatever else is printed meanwhile appears above it, whole."""

import os
import sys
import threading
from contextlib import suppress
from typing import Any

from artstore.api.taps import Tap, Write
from artstore.domain.wording import cut, width_of


class Line:
    """A line on a terminal. The cursor waits at its start, so that other programs' output doesn't begin behind it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._width = 0
        self._taps: list[Tap] = []
        self.others_line = False
        """whether the program is in the middle of a line, such as another progress bar: then ours isn't shown"""

    def show(self, text: str) -> None:
        """Show a text instead of the last one."""
        if not self._taps:
            self._taps = [Tap(stream, self._above) for stream in (sys.stdout, sys.stderr) if _is_terminal(stream)]
        if self.others_line or not self._in_foreground():
            return
        text = cut(text, self._columns() - 1)
        width = width_of(text)
        self._write(f"\r{text}{' ' * (self._width - width)}\r")
        self._width = width

    def _above(self, write: Write, text: Any) -> Any:
        """Write what somebody else writes where the line is, which is taken away first."""
        if not text:
            return write(text)
        with _lock:
            self.erase()
            self.others_line = not (isinstance(text, str) and text.endswith(("\n", "\r")))
            return write(text)

    def erase(self) -> None:
        """Take the line away. What is printed next begins where it was."""
        if self._width:
            self._write(f"\r{' ' * self._width}\r")
            self._width = 0

    def close(self) -> None:
        """Take the line away, for good."""
        self.erase()
        self.forget()

    def forget(self) -> None:
        """Let the streams write as they did before."""
        for tap in self._taps:
            tap.release()
        self._taps = []

    def _write(self, text: str) -> None:
        with suppress(OSError):  # the terminal is gone, or takes nothing now: progress is not worth an error
            os.write(self._fd, text.encode("utf-8", "replace"))

    def _columns(self) -> int:
        given = os.environ.get("COLUMNS", "")
        if given.isdecimal() and int(given):
            return int(given)
        try:
            return os.get_terminal_size(self._fd).columns or 80
        except OSError:
            return 80

    def _in_foreground(self) -> bool:
        """Whether the shell lets this program write now: a program in the background leaves the terminal alone."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:  # it isn't the terminal that controls this program
            return True


class OnTerminal:
    """Progress of one operation on the terminal. If several go on, the line shows the first of them, and how many more."""

    def __init__(self, fd: int) -> None:
        """`fd` is the terminal's descriptor."""
        self._fd = fd

    def show(self, text: str, fraction: float | None) -> None:
        """Show how far it is, unless another thread is at the terminal just now."""
        global _line
        if not _lock.acquire(blocking=False):
            return
        try:
            _line = _line or Line(self._fd)
            if self not in _going_on:
                _going_on.append(self)
            if self is _going_on[0]:
                more = f"  and {len(_going_on) - 1} more" if len(_going_on) > 1 else ""
                _line.show(text + more)
        finally:
            _lock.release()

    def end(self, text: str) -> None:
        """Take the line away, and print a text instead, unless it is empty."""
        global _line
        with _lock:
            with suppress(ValueError):  # it was never shown
                _going_on.remove(self)
            if _line is not None:
                _line.erase()
                if not _going_on:
                    _line.close()
                    _line = None
        if text and sys.stderr is not None:
            with suppress(OSError, ValueError):
                print(text, file=sys.stderr, flush=True)


_lock = threading.RLock()
_going_on: list[OnTerminal] = []
_line: Line | None = None


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty()) and stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):  # closed, or not a real one
        return False


def terminal() -> OnTerminal | None:
    """The terminal on standard error. None if there is none, or if somebody types at it while this thread works."""
    if not _is_terminal(sys.stderr):
        return None
    at_prompt = hasattr(sys, "ps1") and threading.current_thread() is not threading.main_thread()
    return None if at_prompt else OnTerminal(sys.stderr.fileno())


def _begin_anew() -> None:
    """In a forked child: the line is its parent's, and a thread of the parent may have held the lock."""
    global _lock, _line
    if _line is not None:
        _line.forget()
    _lock, _line = threading.RLock(), None
    _going_on.clear()


os.register_at_fork(after_in_child=_begin_anew)
