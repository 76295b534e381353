"""Standard streams that take any text, and that never end a command's work when they are closed or full."""

import codecs
import errno
import os
import re
import sys
from io import TextIOWrapper
from typing import Any, BinaryIO, TextIO, cast

from artstore.domain.names import printable
from artstore.errors import storage_error

_PLAIN = {"→": "->", "…": "...", "─": "-", "│": "|", "├": "|", "└": "`"}
"""What we draw with, for streams that can't take it."""
ESCAPING = "artstore.escaped"
"""The name by which codecs know `_plainer`."""

_CONTROL = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""A colour, or a control character that isn't a tab, a line end or a carriage return."""


class ReaderGone(Exception):
    """The reader of our output closed the pipe."""


class Output:
    """Standard output or standard error.

    Text that its encoding lacks is escaped. What can't be written is dropped, and `failure` says why: the command goes
    on with its work. On a terminal, control characters are escaped here too, except those that we use ourselves.
    """

    encoding = "utf-8"
    """What it takes, not what it writes: click replaces an ASCII stream by one that writes UTF-8 all the same."""

    def __init__(self, stream: TextIO, *, closed: bool = False) -> None:
        """`closed` if this program got it closed, and `stream` leads nowhere."""
        self.failure: OSError | None = None
        self._closed = closed
        self._stream = stream
        self._on_terminal = stream.isatty()
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=ESCAPING)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def buffer(self) -> BinaryIO:
        """The stream of bytes below the text, for content that was asked for. Raises StorageError if it was closed."""
        if self._closed:
            raise storage_error(OSError(errno.EBADF, os.strerror(errno.EBADF)), "write to standard output")
        return cast(BinaryIO, _Bytes(self, self._stream.buffer))

    def write(self, text: str) -> int:
        return self.put(self._stream, _CONTROL.sub(_shown, text) if self._on_terminal else text)

    def put(self, stream: Any, data: Any) -> int:
        """Write to the text stream or to the one of bytes below it."""
        if self.failure is None:
            try:
                return int(stream.write(data))
            except OSError as error:
                self._lose(error)
        return len(data)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._lose(error)

    def check(self) -> None:
        """Raises ReaderGone or StorageError if something could not be written."""
        if isinstance(self.failure, BrokenPipeError):
            raise ReaderGone from self.failure
        if self.failure is not None:
            raise storage_error(self.failure, "write to standard output") from self.failure

    def _lose(self, error: OSError) -> None:
        self.failure = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())  # or Python reports what is still in the buffer again at exit
        os.close(nowhere)


class _Bytes:
    """The bytes of an `Output`, for files and archives. A write that fails raises ReaderGone or StorageError."""

    def __init__(self, output: Output, stream: BinaryIO) -> None:
        self._output = output
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, data: bytes) -> int:
        written = self._output.put(self._stream, data)
        self._output.check()
        return written

    def flush(self) -> None:
        self._output.flush()


class Long:
    """A long text on standard output, written part by part. A write that fails raises ReaderGone or StorageError."""

    def write(self, text: str) -> int:
        written = sys.stdout.write(text)
        cast(Output, sys.stdout).check()
        return written


def open_streams() -> Output:
    """Make the three standard streams usable, and return standard output.

    A stream that is closed becomes /dev/null, as in git. Otherwise the next file that is opened would get its number,
    and whatever is printed would end up in that file. Only content that was asked for is missed: see `Output.buffer`.
    """
    codecs.register_error(ESCAPING, _plainer)
    closed = set()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest number that is free
            closed.add(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)
    out = Output(sys.stdout or open(1, "w", encoding="utf-8", closefd=False), closed=1 in closed)
    err = Output(sys.stderr or open(2, "w", encoding="utf-8", closefd=False))
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    return out


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks, as `printable` does. A character is never `\\xNN`: that is a byte."""
    assert isinstance(error, UnicodeEncodeError)
    characters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or _escaped(ord(c)) for c in characters), error.end


def _escaped(number: int) -> str:
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _shown(found: re.Match[str]) -> str:
    return found[0] if len(found[0]) > 1 else printable(found[0])
