"""The console output of a run: what the program prints goes to `output.log`, too. The streams stay as they are."""

import fcntl
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from artstore.api.taps import Tap, Write
from artstore.backends.callers import warn_caller
from artstore.backends.descriptors import OpenFile
from artstore.backends.files import write_fully
from artstore.domain.screen import Screen

LOG = "output.log"
"""The file of a run that holds its console output."""
_MOST = 16 << 20
"""Bytes of a log above which its middle is left out."""
_KEPT = 4 << 20
"""Bytes at each end that stay then."""
_SHARE, _FREE = 0.02, 0.05
"""What recording may take of the time: this share, and some seconds at the start. Output waits when it is used up."""
_WAITING = 1 << 20
"""Characters that wait at most."""
_STDERR = 2
"""The largest descriptor of a standard stream."""


class Console:
    """Writes what the program prints to a log.

    A write by the program is never refused or delayed for a lock: a thread, or a signal handler, that finds the log in
    use leaves its text to the one that uses it. Forked children print without being recorded.
    """

    def __init__(self, path: Callable[[], str], mask: Callable[[str], str], streams: list[Any]) -> None:
        """Record what is written to these streams.

        Args:
            path: Called when something was printed: where the log is, which may hold earlier output.
            mask: Hides secrets in a text.
        """
        self._path, self._mask, self._pid = path, mask, os.getpid()
        self._file: OpenFile | None = None
        self._offset = 0
        """the bytes of the log that nothing rewrites any more"""
        self._screen, self._last_stream = Screen(), 0
        self._waiting: deque[tuple[int, str]] = deque()
        self._size, self._spent, self._began = 0, 0.0, time.monotonic()
        self._lock, self._user = threading.Lock(), 0
        self.error: OSError | None = None
        """why the output isn't recorded any more"""
        self._hears = True
        heard = [(number, stream) for number, stream in enumerate(dict.fromkeys(streams)) if stream]
        self._taps = [Tap(stream, partial(self._hear, number)) for number, stream in heard]

    def _hear(self, stream: int, write: Write, text: Any) -> Any:
        """Let the program write to a stream, and record it."""
        count = write(text)
        if self._hears and isinstance(text, str):
            with suppress(Exception):  # whatever it is, the program's output is written
                self.capture(stream, text)
        return count

    def capture(self, stream: int, text: str) -> None:
        """Record what was just written to a stream. Raises nothing."""
        if self.error is not None or os.getpid() != self._pid:
            return
        self._waiting.append((stream, text))
        self._size += len(text)
        now = time.monotonic()
        if self._spent < _FREE + _SHARE * (now - self._began) or self._size > _WAITING:
            self._drain()
            self._spent += time.monotonic() - now

    def flush(self) -> None:
        """Write what waits to the log."""
        if self.error is None and os.getpid() == self._pid:
            self._drain()

    def _drain(self, wait: float = 0) -> None:
        """Write what waits to the log, unless another thread, or this one below a signal handler, does so already."""
        while self._waiting and self._user != threading.get_ident() and self._lock.acquire(timeout=wait):
            try:
                self._user = threading.get_ident()
                self._write()
            except OSError as error:
                self.error = error
                self._waiting.clear()
            finally:
                self._user = 0
                self._lock.release()

    def _write(self) -> None:
        settled: list[str] = []
        while self._waiting:
            stream, text = self._waiting.popleft()
            if stream != self._last_stream and self._screen.is_in_line and not text.startswith(("\r", "\n")):
                text = f"\n{text}"
            self._last_stream = stream
            settled += self._screen.feed(text)
        self._size = 0
        done = self._encoded("".join(f"{line}\n" for line in settled))
        rest = self._encoded("\n".join(self._screen.lines))
        fd = self._opened()
        os.lseek(fd, self._offset, os.SEEK_SET)
        write_fully(fd, done + rest)
        self._offset += len(done)
        os.ftruncate(fd, self._offset + len(rest))
        if self._offset > _MOST:
            self._shorten(fd)

    def _encoded(self, text: str) -> bytes:
        return "\n".join(map(self._mask, text.split("\n"))).encode("utf-8", "backslashreplace")

    def _opened(self) -> int:
        if self._file is None:
            fd = _above_standard(os.open(self._path(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
            self._file = OpenFile.of(fd)
            self._offset = os.lseek(fd, 0, os.SEEK_END)
            if self._offset and os.pread(fd, 1, self._offset - 1) != b"\n":
                self._offset += os.write(fd, b"\n")
        return self._file.checked()

    def _shorten(self, fd: int) -> None:
        """Leave out the middle of the log, at ends of lines."""
        whole = os.pread(fd, self._offset, 0)
        head = whole[: whole.rfind(b"\n", 0, _KEPT) + 1]
        tail = whole[whole.find(b"\n", len(whole) - _KEPT) + 1 :]
        left_out = len(whole) - len(head) - len(tail)
        short = head + f"[artstore: {left_out} bytes of output are left out here]\n".encode() + tail
        rest = os.pread(fd, _MOST, self._offset)
        os.lseek(fd, 0, os.SEEK_SET)
        write_fully(fd, short + rest)
        os.ftruncate(fd, len(short) + len(rest))
        self._offset = len(short)

    def stop(self) -> None:
        """Record no more, and let the streams write as they did before."""
        self._hears = False
        for tap in self._taps:
            tap.release()
        if os.getpid() != self._pid:
            return
        self._drain(wait=1.0)
        if self._user != threading.get_ident() and self._lock.acquire(timeout=1.0):
            if self._file is not None:
                self._file.close()
            self._lock.release()
        if self.error is not None:
            warn_caller(f"the console output isn't recorded: {self.error.strerror}")


def _above_standard(fd: int) -> int:
    """The same open file under a number that is not a standard stream's, which may be free if the program closed it."""
    if fd > _STDERR:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _STDERR + 1)
    finally:
        os.close(fd)


def standard_streams() -> list[Any]:
    """Standard output and standard error, as they are now; None for one that is closed."""
    return [sys.stdout, sys.stderr]
